namespace Collective.Protocol;

/// <summary>128 random bits made by the first master of a run; every frame carries it.</summary>
internal readonly record struct RunId(Guid Value)
{
    public override string ToString() => Value.ToString("N");
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
internal readonly record struct AttemptKey(Epoch Epoch, Tag Tag, uint Ordinal)
{
    public override string ToString() => $"{Tag} #{Ordinal} in epoch {Epoch}";
}

/// <summary>Address of a peer's data listener as the others reach it.</summary>
/// <param name="Address">The 4 or 16 bytes as a number, most significant first.</param>
/// <param name="IsIPv6">Whether it has 16 bytes.</param>
/// <param name="Port">TCP port.</param>
internal readonly record struct PeerAddress(UInt128 Address, bool IsIPv6, ushort Port)
{
    public bool IsLoopback => IsIPv6 ? Address == 1 : (byte)(Address >> 24) == 127;

    public override string ToString()
    {
        if (!IsIPv6)
        {
            var a = (uint)Address;
            return $"{a >> 24}.{(a >> 16) & 255}.{(a >> 8) & 255}.{a & 255}:{Port}";
        }

        Span<char> groups = stackalloc char[39];
        for (var i = 0; i < 8; i++)
        {
            var group = (ushort)(Address >> ((7 - i) * 16));
            _ = group.TryFormat(groups[(i * 5)..], out _, "x4");
            if (i < 7)
            {
                groups[(i * 5) + 4] = ':';
            }
        }

        return $"[{groups}]:{Port}";
    }
}

/// <summary>A peer in an epoch's ring.</summary>
internal readonly record struct Member(PeerId Id, PeerAddress Address);

/// <summary>A peer that is not in an epoch any more, and why.</summary>
internal readonly record struct Exclusion(PeerId Id, string Reason);

/// <summary>World sizes as of a standing epoch.</summary>
internal readonly record struct WorldSizes(int Global, int Groups, int LargestGroup);
