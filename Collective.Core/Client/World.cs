namespace Collective;

/// <summary>The membership of this peer's group in one epoch, and the sizes of the whole run when that epoch was set.</summary>
public sealed class World
{
    internal World(Epoch epoch, IReadOnlyList<PeerId> peers, int rank, int globalWorldSize, int groupCount, int largestGroupWorldSize, long order = 0)
    {
        Order = order;
        Epoch = epoch;
        Peers = peers;
        Rank = rank;
        GlobalWorldSize = globalWorldSize;
        GroupCount = groupCount;
        LargestGroupWorldSize = largestGroupWorldSize;
    }

    /// <summary>Of the worlds that this peer was told in one stay, the later one has the higher number.</summary>
    internal long Order { get; }

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

    /// <summary>Why this membership replaced the one before it, in one sentence: who was admitted, or who was lost and how that is known.</summary>
    public string Reason { get; internal init; } = "";

    /// <summary>
    /// Whether the call that returned this world has admitted peers, of any group: so says <see cref="Communicator.StepAsync"/> and <see cref="Communicator.UpdateTopologyAsync"/> to all peers
    /// alike, and the first <see cref="Communicator.StepAsync"/> of a peer that was admitted by it. Then the newcomers need the shared state. <see langword="false"/> in a world that comes from elsewhere.
    /// </summary>
    /// <remarks>Decide by it, and not by <see cref="Epoch"/>: an epoch also ends when a peer is lost, which a newcomer may hear before its first call.</remarks>
    public bool HasNewcomers { get; private init; }

    internal World Given(bool newcomers) => newcomers ? new(Epoch, Peers, Rank, GlobalWorldSize, GroupCount, LargestGroupWorldSize, Order) { HasNewcomers = true, Reason = Reason } : this;
}
