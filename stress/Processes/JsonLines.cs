using System.Text.Json;

namespace Collective.Stress.Processes;

/// <summary>One JSON object per line: how child processes and their orchestrator talk.</summary>
internal static class JsonLines
{
    /// <summary>Camel-case names, one line per object.</summary>
    public static JsonSerializerOptions Options { get; } = new(JsonSerializerDefaults.Web);

    /// <summary>The object in a line; null when the line holds none of this type.</summary>
    public static T? Parse<T>(string line) where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(line, Options);
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            return null;
        }
    }
}

/// <summary>Writes objects of a child process as lines to its standard output, at once.</summary>
internal sealed class JsonLineWriter<T>
{
    // Guards the stream: a probe may write on a thread of the library while the training loop writes on its own.
    private readonly Lock _lock = new();
    private readonly Stream _output = Console.OpenStandardOutput();

    public void Write(T value)
    {
        byte[] line = [.. JsonSerializer.SerializeToUtf8Bytes(value, JsonLines.Options), (byte)'\n'];
        lock (_lock)
        {
            _output.Write(line);
            _output.Flush();
        }
    }
}
