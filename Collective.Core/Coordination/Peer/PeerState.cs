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

/// <summary>The legal moves of a peer and of its attempts. What is not listed is a protocol error of the master or a defect of ours.</summary>
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
}
