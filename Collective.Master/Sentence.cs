namespace Collective.Daemon;

/// <summary>Makes one line of an exception's message: what goes to standard error is one sentence.</summary>
internal static class Sentence
{
    public static string From(Exception exception)
    {
        var lines = exception.Message.Split((char[])['\r', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var line = string.Join(' ', lines);
        return line.EndsWith('.') ? line : line + ".";
    }
}
