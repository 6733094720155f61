namespace Collective.Protocol;

/// <summary>128 random bits made by the first master of a run; every frame carries it.</summary>
internal readonly record struct RunId(Guid Value)
{
    public override string ToString() => Value.ToString("N");
}

/// <summary>128 random bits that open the data ports of a run. Only admitted peers are told, so a refused or pending one cannot pass for a member. Never logged.</summary>
internal readonly record struct LinkKey(Guid Value)
{
    public override string ToString() => "a key";
}

/// <summary>Peers of one group run collectives together.</summary>
internal readonly record struct PeerGroup(uint Value)
{
    public override string ToString() => $"group {Value}";
}

/// <summary>User-chosen number that separates concurrent collectives of a group.</summary>
internal readonly record struct Tag(ulong Value)
{
    public override string ToString() => $"tag {Value}";
}

/// <summary>A peer's own number for one of its requests; the answer repeats it.</summary>
internal readonly record struct RequestNumber(ulong Value)
{
    public RequestNumber Next() => new(Value + 1);
}

/// <summary>Names one attempt of one collective: what every peer counts for itself, never a number from the master.</summary>
/// <param name="Epoch">Membership in which the attempt runs.</param>
/// <param name="Tag">The caller's tag.</param>
/// <param name="Ordinal">How often this peer had used the tag in this epoch before (since the last topology update).</param>
/// <param name="Tensor">Of a collective on several tensors, which of them is meant; 0 where the whole attempt is.</param>
internal readonly record struct AttemptKey(Epoch Epoch, Tag Tag, uint Ordinal, ushort Tensor = 0)
{
    /// <summary>The attempt of all tensors, without the number of one.</summary>
    public AttemptKey ToWhole() => this with { Tensor = 0 };

    public override string ToString() => Tensor == 0 ? $"{Tag} #{Ordinal} in epoch {Epoch}" : $"tensor {Tensor} of {ToWhole()}";
}

/// <summary>A peer in an epoch's ring, as the one who is told of it reaches it.</summary>
/// <param name="Id">The peer.</param>
/// <param name="Address">Where it is reached.</param>
/// <param name="Alternative">Where to try when that fails: usually its address of the other family.</param>
internal readonly record struct Member(PeerId Id, PeerAddress Address, PeerAddress? Alternative = null);

/// <summary>A peer that is not in an epoch any more, and why.</summary>
internal readonly record struct Exclusion(PeerId Id, string Reason);

/// <summary>World sizes as of a standing epoch.</summary>
internal readonly record struct WorldSizes(int Global, int Groups, int LargestGroup);
