namespace Collective.Coordination;

/// <summary>The life of a communicator.</summary>
internal enum PeerState
{
    Created,
    Connecting,
    Registering,
    Pending,
    Wiring,
    Ready,
    Leaving,
    Dead,
}

/// <summary>What can happen to a communicator.</summary>
internal enum PeerEvent
{
    Connect,
    Connected,
    Welcomed,
    EpochOpened,
    EpochStands,
    Leave,
    Lost,
}

/// <summary>The life of one collective on one peer.</summary>
internal enum AttemptState
{
    /// <summary>Launched; waits for a standing ring.</summary>
    Held,

    /// <summary>Entered: the ring runs.</summary>
    Running,

    /// <summary>This peer has reported that it cannot finish; waits for the epoch that ends it.</summary>
    GivenUp,

    /// <summary>This peer has the whole result and has promised; only the master can end it now.</summary>
    Promised,

    /// <summary>Aborted; told to the application when the next ring stands.</summary>
    Aborting,

    Committed,
    Aborted,
}

/// <summary>What can happen to one collective on one peer.</summary>
internal enum AttemptEvent
{
    Enter,
    RingCompleted,
    GiveUp,
    Withdraw,
    Verdict,
    EpochEnded,
    RingStands,
    NeverEntered,
}

/// <summary>The life of one sync of the shared state on one peer.</summary>
internal enum SyncState
{
    /// <summary>Called; the vote waits until the master has answered an earlier question.</summary>
    Held,

    /// <summary>Waits for the others' votes.</summary>
    Voting,

    /// <summary>All have voted: this peer fetches what it lacks, or only serves.</summary>
    Fetching,

    /// <summary>This peer has reported that it cannot finish.</summary>
    GivenUp,

    /// <summary>This peer holds the elected content and has promised; only the master can end it now.</summary>
    Promised,

    Succeeded,
    Failed,
}

/// <summary>What can happen to a sync on one peer.</summary>
internal enum SyncEvent
{
    Vote,
    Plan,
    Fetched,
    GiveUp,
    Withdraw,
    Succeed,
    Fail,
    NeverVoted,
}

/// <summary>The legal moves of a peer, of its attempts and of its sync. What is not listed is a protocol error of the master or a defect of ours.</summary>
internal static class PeerTables
{
    public static PeerState? Next(PeerState state, PeerEvent @event) => (state, @event) switch
    {
        (PeerState.Created, PeerEvent.Connect) => PeerState.Connecting,
        (PeerState.Connecting, PeerEvent.Connected) => PeerState.Registering,
        (PeerState.Registering, PeerEvent.Welcomed) => PeerState.Pending,
        (PeerState.Pending, PeerEvent.EpochOpened) => PeerState.Wiring,
        (PeerState.Wiring, PeerEvent.EpochOpened) => PeerState.Wiring,
        (PeerState.Wiring, PeerEvent.EpochStands) => PeerState.Ready,
        (PeerState.Ready, PeerEvent.EpochOpened) => PeerState.Wiring,

        (PeerState.Registering or PeerState.Pending or PeerState.Wiring or PeerState.Ready, PeerEvent.Leave) => PeerState.Leaving,
        (PeerState.Created or PeerState.Connecting, PeerEvent.Leave) => PeerState.Dead,
        (not PeerState.Dead, PeerEvent.Lost) => PeerState.Dead,
        _ => null,
    };

    public static AttemptState? Next(AttemptState state, AttemptEvent @event) => (state, @event) switch
    {
        (AttemptState.Held, AttemptEvent.Enter) => AttemptState.Running,
        (AttemptState.Held, AttemptEvent.NeverEntered) => AttemptState.Aborted,
        (AttemptState.Running, AttemptEvent.RingCompleted) => AttemptState.Promised,
        (AttemptState.Running, AttemptEvent.GiveUp) => AttemptState.GivenUp,
        (AttemptState.Promised, AttemptEvent.Verdict) => AttemptState.Committed,
        (AttemptState.Promised, AttemptEvent.Withdraw) => AttemptState.Promised,
        (AttemptState.Running or AttemptState.GivenUp or AttemptState.Promised, AttemptEvent.EpochEnded) => AttemptState.Aborting,
        (AttemptState.Aborting, AttemptEvent.EpochEnded) => AttemptState.Aborting,
        (AttemptState.Aborting, AttemptEvent.RingStands) => AttemptState.Aborted,
        _ => null,
    };

    public static SyncState? Next(SyncState state, SyncEvent @event) => (state, @event) switch
    {
        (SyncState.Held, SyncEvent.Vote) => SyncState.Voting,
        (SyncState.Held, SyncEvent.NeverVoted) => SyncState.Failed,
        (SyncState.Voting, SyncEvent.Withdraw) => SyncState.Voting,
        (SyncState.Voting, SyncEvent.Plan) => SyncState.Fetching,
        (SyncState.Voting, SyncEvent.Succeed) => SyncState.Succeeded, // All have the same: nothing to fetch.
        (SyncState.Fetching, SyncEvent.Fetched) => SyncState.Promised,
        (SyncState.Fetching, SyncEvent.GiveUp) => SyncState.GivenUp,
        (SyncState.Promised, SyncEvent.Withdraw) => SyncState.Promised,
        (SyncState.Promised, SyncEvent.Succeed) => SyncState.Succeeded,
        (SyncState.Voting or SyncState.Fetching or SyncState.GivenUp or SyncState.Promised, SyncEvent.Fail) => SyncState.Failed,
        _ => null,
    };
}
