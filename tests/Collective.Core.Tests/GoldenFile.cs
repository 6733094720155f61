using System.Runtime.CompilerServices;
using NUnit.Framework;

namespace Collective.Core.Tests;

/// <summary>
/// Behaviour written down as text beside the test. A test compares with the file; with the environment variable COLLECTIVE_ACCEPT=1
/// (COLLECTIVE_ACCEPT=1 dotnet test tests/Collective.Core.Tests) it writes the file instead, and the change is reviewed as a diff.
/// </summary>
internal static class GoldenFile
{
    private static bool Accepting => Environment.GetEnvironmentVariable("COLLECTIVE_ACCEPT") == "1";

    /// <summary>Compares <paramref name="actual"/> with a file whose path is relative to the calling test's folder.</summary>
    public static void Check(string relativePath, string actual, [CallerFilePath] string test = "")
    {
        var path = Path.Combine(FolderOf(test), relativePath);
        if (Accepting)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, actual);
            return;
        }

        var expected = File.Exists(path) ? File.ReadAllText(path) : "";
        Assert.That(
            actual.Split('\n'),
            Is.EqualTo(expected.ReplaceLineEndings("\n").Split('\n')),
            $"{path} says otherwise; if the new behaviour is right, accept it with COLLECTIVE_ACCEPT=1 and read the diff");
    }

    private static string FolderOf(string test)
    {
        if (Path.GetDirectoryName(test) is { } folder && Directory.Exists(folder))
        {
            return folder;
        }

        throw new InvalidOperationException($"golden files need the sources: {test} is not there");
    }
}
