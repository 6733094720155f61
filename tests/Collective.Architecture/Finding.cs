using NUnit.Framework;

namespace Collective.Architecture;

/// <summary>One place where the guide is not obeyed.</summary>
internal readonly record struct Finding(string File, int Line, string Text)
{
    public override string ToString() => $"{File}:{Line}: {Text}";
}

/// <summary>A rule and the places that break it.</summary>
internal static class Guide
{
    private const int LinesShown = 30;

    public static void IsObeyed(string rule, IEnumerable<Finding> findings)
    {
        var lines = findings.Distinct().OrderBy(finding => finding.File, StringComparer.Ordinal).ThenBy(finding => finding.Line).ToList();
        if (lines.Count > 0)
        {
            var shown = string.Join("\n  ", lines.Take(LinesShown));
            var more = lines.Count > LinesShown ? $"\n  and {lines.Count - LinesShown} more" : "";
            Assert.Fail($"{rule} Broken {lines.Count} times:\n  {shown}{more}");
        }
    }
}
