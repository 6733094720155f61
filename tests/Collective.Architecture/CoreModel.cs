namespace Collective.Architecture;

/// <summary>Collective.Core as source and as compiled code: which folder a type is in comes from the first, what it uses from the second.</summary>
internal sealed class CoreModel : IDisposable
{
    private readonly Dictionary<string, (string Folder, string File, int Line)> _places = new(StringComparer.Ordinal);
    private readonly IReadOnlyList<CompiledReference> _references;

    public CoreModel(IReadOnlyList<SourceFile> sources, CompiledAssembly assembly)
    {
        Assembly = assembly;
        foreach (var file in sources)
        {
            foreach (var (name, line) in file.OutermostTypes())
            {
                _places.TryAdd(name, (FolderOf(file.Path), file.Path, line));
            }
        }

        _references = [.. assembly.References().Distinct()];
    }

    public CompiledAssembly Assembly { get; }

    /// <summary>The real one: the sources of the repository and the assembly beside this test.</summary>
    public static CoreModel Load()
        => new(Repository.Sources(HouseRules.Core), CompiledAssembly.Read(typeof(ErrorCode).Assembly.Location));

    public void Dispose() => Assembly.Dispose();

    /// <summary>Uses between folders that the table does not list.</summary>
    public IEnumerable<Finding> ForbiddenUses()
    {
        var linkVocabulary = HouseRules.LinkTypes.SelectMany(type => Assembly.Mentioned(type, name => Folder(name) == "Transport")).ToHashSet(StringComparer.Ordinal);
        return from reference in _references
               let user = Folder(reference.User)
               let used = Folder(reference.UsedType)
               where user is not null && used is not null && user != used && !HouseRules.ForAll.Contains(reference.UsedType)
               where !MayUse(user, used, linkVocabulary.Contains(reference.UsedType))
               select At(reference, $"{user} must not use {used}: {reference.User} uses {reference.UsedName}");
    }

    /// <summary>IO, clocks, threads, randomness and logging in the pure folders.</summary>
    public IEnumerable<Finding> ImpureUses()
        => from reference in _references
           let folder = Folder(reference.User)
           where folder is not null && HouseRules.PureFolders.Contains(folder)
           where IsImpure(reference)
           select At(reference, $"{folder} is pure: {reference.User} uses {reference.UsedName}");

    /// <summary>Public types outside the folders of the public surface.</summary>
    public IEnumerable<Finding> MisplacedPublicTypes()
        => from type in Assembly.Types
           where type.IsPublic
           let name = CompiledAssembly.NameOf(type)
           where Folder(name) is { } folder && !HouseRules.PublicFolders.Contains(folder)
           select Where(name, $"{name} is public; only {string.Join(", ", HouseRules.PublicFolders)} may have public types");

    /// <summary>Types that no rule could judge, because their folder is not known or not in the table.</summary>
    public IEnumerable<Finding> HomelessTypes()
    {
        var withoutRow = from place in _places
                         where !HouseRules.MayUse.ContainsKey(place.Value.Folder)
                         select new Finding(place.Value.File, place.Value.Line, $"{place.Key} is in a folder that the table of HouseRules.MayUse does not have");
        var withoutSource = from type in Assembly.Types
                            let name = CompiledAssembly.NameOf(type)
                            where Folder(name) is null
                            select new Finding(HouseRules.Core, 0, $"{name} is in the assembly, but no source file declares it: rebuild");
        return withoutRow.Concat(withoutSource);
    }

    private static bool MayUse(string user, string used, bool isLinkVocabulary)
        => HouseRules.MayUse.TryGetValue(user, out var allowed)
            && (allowed.Contains(used) || (isLinkVocabulary && allowed.Contains(HouseRules.LinkVocabulary)));

    private static bool IsImpure(CompiledReference reference)
    {
        if (HouseRules.PureAfterAll.Any(name => IsOrIsBelow(reference.UsedType, name) || reference.UsedName == name))
        {
            return false;
        }

        // Of a type that is banned only with exceptions, the members are judged, not the mention itself.
        if (reference.UsedMember is null && HouseRules.PureAfterAll.Any(name => name.StartsWith(reference.UsedType + "::", StringComparison.Ordinal)))
        {
            return false;
        }

        return HouseRules.ImpureTypes.Any(name => IsOrIsBelow(reference.UsedType, name)) || HouseRules.ImpureMembers.Contains(reference.UsedName);
    }

    private static bool IsOrIsBelow(string type, string name)
        => type.StartsWith(name, StringComparison.Ordinal) && (type.Length == name.Length || type[name.Length] is '.' or '`');

    /// <summary>The row of the table: Coordination/Peer is part of Coordination, but the implementations of Transport are rows of their own.</summary>
    private static string FolderOf(string path)
    {
        var folders = path.Split('/')[1..^1];
        return folders.Length switch
        {
            0 => "",
            > 1 when folders[0] == "Transport" => $"{folders[0]}/{folders[1]}",
            _ => folders[0],
        };
    }

    private string? Folder(string type) => _places.TryGetValue(type, out var place) ? place.Folder : null;

    private Finding At(CompiledReference reference, string text)
        => reference.File is null ? Where(reference.User, text) : new Finding(InRepository(reference.File), reference.Line, text);

    private Finding Where(string type, string text)
    {
        var place = _places[type];
        return new Finding(place.File, place.Line, text);
    }

    private static string InRepository(string path)
    {
        var start = path.Replace('\\', '/').LastIndexOf($"/{HouseRules.Core}/", StringComparison.Ordinal);
        return start < 0 ? path : path[(start + 1)..];
    }
}
