namespace Collective;

/// <summary>The membership of this peer's group in one epoch, and the sizes of the whole run when that epoch was set.</summary>
public sealed class World
{
    internal World(Epoch epoch, IReadOnlyList<PeerId> peers, int rank, int globalWorldSize, int groupCount, int largestGroupWorldSize)
    {
        Epoch = epoch;
        Peers = peers;
        Rank = rank;
        GlobalWorldSize = globalWorldSize;
        GroupCount = groupCount;
        LargestGroupWorldSize = largestGroupWorldSize;
    }

    /// <summary>Number of this membership and ring order.</summary>
    public Epoch Epoch { get; }

    /// <summary>The admitted peers of the group in ring order; rank <c>r</c> is <c>Peers[r]</c>.</summary>
    public IReadOnlyList<PeerId> Peers { get; }

    /// <summary>This peer's position in the ring, <c>0..WorldSize-1</c>; valid in this epoch only.</summary>
    public int Rank { get; }

    /// <summary>Number of admitted peers in this peer's group.</summary>
    public int WorldSize => Peers.Count;

    /// <summary>Number of admitted peers over all groups.</summary>
    public int GlobalWorldSize { get; }

    /// <summary>Number of groups with at least one admitted peer.</summary>
    public int GroupCount { get; }

    /// <summary>Number of admitted peers in the largest group.</summary>
    public int LargestGroupWorldSize { get; }
}
