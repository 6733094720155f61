using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>The named tensors of a vote, comparable as sets: the order in which a peer lists them does not matter.</summary>
internal sealed class StateList
{
    // Odd, with bits all over: every hash moves every bit above its own.
    private static readonly UInt128 Factor = new(0x2360_ED05_1FC6_5DA4, 0x4385_DF64_9FCC_F645);

    private readonly StateEntry[] _voted;

    private StateList(StateEntry[] voted)
    {
        _voted = voted;
        Sorted = [.. voted];
        Positions = [.. Enumerable.Range(0, voted.Length)];
        Array.Sort(Sorted, Positions, Comparer<StateEntry>.Create((a, b) => string.CompareOrdinal(a.Key, b.Key)));
        Digest = Sorted.Aggregate(UInt128.Zero, Add);
    }

    /// <summary>By key.</summary>
    public StateEntry[] Sorted { get; }

    /// <summary>Of what is named and of the contents, in the order of the keys.</summary>
    public UInt128 Digest { get; }

    /// <summary>Where the sorted entries are in the peer's own list.</summary>
    public int[] Positions { get; }

    /// <summary>One of the known lists if a peer votes for the same, else a new one; null when the list names no tensor or one twice.</summary>
    public static StateList? Of(IReadOnlyList<StateEntry> entries, List<StateList> known)
    {
        StateEntry[] voted = [.. entries];
        if (known.Find(l => l.IsVotedAs(voted)) is { } same)
        {
            return same; // Of a thousand equal votes one is kept.
        }

        var list = new StateList(voted);
        for (var i = 1; i < list.Sorted.Length; i++)
        {
            if (list.Sorted[i].Key == list.Sorted[i - 1].Key)
            {
                return null;
            }
        }

        if (voted.Length > 0)
        {
            known.Add(list);
        }

        return voted.Length > 0 ? list : null;
    }

    /// <summary>Same keys, types, counts, flags and contents.</summary>
    public bool Equals(StateList other) => other == this || (Digest == other.Digest && Sorted.AsSpan().SequenceEqual(other.Sorted));

    private static UInt128 Add(UInt128 digest, StateEntry entry)
    {
        foreach (var character in entry.Key)
        {
            digest = (digest ^ character) * Factor;
        }

        digest = (digest ^ new UInt128(((ulong)entry.DataType << 1) | (entry.MayDiffer ? 1ul : 0), entry.Count)) * Factor;
        return (digest ^ entry.Hash.Value) * Factor;
    }

    /// <summary>The first difference from another's list in what is named, not in contents; null when there is none.</summary>
    public string? Difference(StateList other, string name = "")
    {
        for (var i = 0; i < Sorted.Length || i < other.Sorted.Length; i++)
        {
            var order = i == Sorted.Length ? 1 : i == other.Sorted.Length ? -1 : string.CompareOrdinal(Sorted[i].Key, other.Sorted[i].Key);
            if (order != 0)
            {
                return order < 0
                    ? $"it has \"{StateEntries.Shorten(Sorted[i].Key)}\", which {name} does not have"
                    : $"it lacks \"{StateEntries.Shorten(other.Sorted[i].Key)}\", which {name} has";
            }

            if (Difference(Sorted[i], other.Sorted[i], name) is { } difference)
            {
                return $"its \"{StateEntries.Shorten(Sorted[i].Key)}\" {difference}";
            }
        }

        return null;
    }

    /// <summary>The first tensor whose content differs. Both lists name the same.</summary>
    public string? DifferentContent(StateList other)
    {
        for (var i = 0; i < Sorted.Length; i++)
        {
            if (Sorted[i].Hash != other.Sorted[i].Hash)
            {
                return Sorted[i].Key;
            }
        }

        return null;
    }

    private static string? Difference(StateEntry own, StateEntry other, string name)
        => own.DataType != other.DataType ? $"is {own.DataType}, {name}'s is {other.DataType}"
            : own.Count != other.Count ? $"has {own.Count} elements, {name}'s has {other.Count}"
            : own.MayDiffer != other.MayDiffer ? $"{(own.MayDiffer ? "may" : "may not")} differ between peers, {name}'s {(other.MayDiffer ? "may" : "may not")}"
            : null;

    private bool IsVotedAs(StateEntry[] voted) => _voted.AsSpan().SequenceEqual(voted);
}
