using System.Text.RegularExpressions;

namespace Collective.Architecture;

/// <summary>The "Not" column of the glossary, as far as a word can be judged without its sentence.</summary>
internal static partial class Glossary
{
    private sealed record Banned(string Term, bool OnlyInTypes = false, string? ExceptIn = null);

    private static readonly Dictionary<string, Banned> s_banned = new(StringComparer.OrdinalIgnoreCase)
    {
        ["server"] = new("master"),
        ["servers"] = new("masters"),
        ["leader"] = new("master"),
        ["lighthouse"] = new("master"),
        ["client"] = new("peer"),
        ["clients"] = new("peers"),
        ["node"] = new("peer"),
        ["nodes"] = new("peers"),
        ["worker"] = new("peer"),
        ["workers"] = new("peers"),
        ["session"] = new("communicator"),
        ["sessions"] = new("communicators"),
        ["context"] = new("communicator", OnlyInTypes: true),
        ["cluster"] = new("peer group"),
        ["team"] = new("peer group"),
        ["registered"] = new("pending"),
        ["generation"] = new("epoch"),
        ["consensus"] = new("vote, quorum"),
        ["job"] = new("collective"),
        ["jobs"] = new("collectives"),
        ["op"] = new("collective, operation"),
        ["ops"] = new("collectives, operations"),
        ["allreduce"] = new("AllReduce"),
        ["allgather"] = new("AllGather"),
        ["reducescatter"] = new("ReduceScatter"),
        ["phase"] = new("stage, state"),
        ["mode"] = new("state", OnlyInTypes: true),
        ["status"] = new("state"),
        // A vector register really has lanes.
        ["lane"] = new("stripe", ExceptIn: "Kernels"),
        ["lanes"] = new("stripes", ExceptIn: "Kernels"),
        ["packet"] = new("frame, message"),
        ["packets"] = new("frames, messages"),
        ["weights"] = new("shared state"),
        ["model"] = new("shared state", OnlyInTypes: true),
        ["kill"] = new("abort, evict"),
        ["killed"] = new("aborted, evicted"),
        ["kick"] = new("evict"),
        ["kicked"] = new("evicted"),
        ["drop"] = new("discard, evict"),
        ["dropped"] = new("discarded, evicted"),
    };

    public static IEnumerable<Finding> Check(IEnumerable<SourceFile> files)
        => from file in files
           from declared in file.DeclaredNames()
           from word in Words(declared.Name.Text)
           where s_banned.TryGetValue(word, out var banned) && Applies(banned, file.Path, declared.IsType)
           select file.Finding(declared.Name, $"'{declared.Name.Text}' says \"{word.ToLowerInvariant()}\"; the word is {s_banned[word].Term}");

    private static bool Applies(Banned banned, string path, bool isType)
        => (isType || !banned.OnlyInTypes) && (banned.ExceptIn is null || !path.Contains($"/{banned.ExceptIn}/", StringComparison.Ordinal));

    private static IEnumerable<string> Words(string identifier) => Word().Matches(identifier).Select(match => match.Value);

    [GeneratedRegex("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")]
    private static partial Regex Word();
}
