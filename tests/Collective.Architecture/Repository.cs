namespace Collective.Architecture;

/// <summary>The working tree the tests were built from.</summary>
internal static class Repository
{
    private static readonly string[] s_notOurs = ["artifacts", "bin", "obj", ".git", ".vs", "TestResults", "node_modules", "__pycache__"];

    public static string Root { get; } = FindRoot();

    /// <summary>Files under <paramref name="folder"/> of the repository, relative to its root and with forward slashes.</summary>
    public static IEnumerable<string> Files(string folder, string extension)
    {
        var start = Path.Combine(Root, folder);
        return Directory.Exists(start) ? Walk(start).Where(path => path.EndsWith(extension, StringComparison.Ordinal)).Select(Relative).Order(StringComparer.Ordinal) : [];
    }

    public static bool Exists(string path) => File.Exists(Path.Combine(Root, path)) || Directory.Exists(Path.Combine(Root, path));

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    /// <summary>All C# sources under the folders, parsed.</summary>
    public static IReadOnlyList<SourceFile> Sources(params string[] folders)
        => [.. folders.SelectMany(folder => Files(folder, ".cs")).Select(path => SourceFile.Parse(path, Read(path)))];

    private static IEnumerable<string> Walk(string folder)
    {
        var deeper = Directory.EnumerateDirectories(folder).Where(child => !s_notOurs.Contains(Path.GetFileName(child))).SelectMany(Walk);
        return Directory.EnumerateFiles(folder).Concat(deeper);
    }

    private static string Relative(string path) => Path.GetRelativePath(Root, path).Replace('\\', '/');

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Collective.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException($"No Collective.sln above {AppContext.BaseDirectory}: run the tests from the repository's own artifacts folder.");
    }
}
