using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>The sync that this peer is in.</summary>
internal sealed class LocalSync(SharedStateVote vote, Deadline deadline)
{
    public RequestNumber Request => Vote.Request;

    public SharedStateVote Vote { get; } = vote;

    public Deadline Deadline { get; set; } = deadline;

    public SyncState State { get; private set; }

    /// <summary>Why this peer's caller wants it ended, if it does: what it hears unless the sync succeeds.</summary>
    public Outcome Wish { get; set; }

    /// <summary>Members that the plan names and that have not been lost since.</summary>
    public HashSet<PeerId> Holders { get; } = [];

    public void Move(SyncEvent @event)
    {
        var next = PeerTables.Next(State, @event);
        Invariant.Holds(next is not null);
        State = next.Value;
    }
}
