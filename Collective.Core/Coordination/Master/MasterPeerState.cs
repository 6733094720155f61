namespace Collective.Coordination;

/// <summary>What the master knows of a peer's activity. Acknowledging an epoch is separate: it may happen in any admitted state.</summary>
internal enum MasterPeerState
{
    Unregistered,
    Pending,
    Idle,
    Voting,
    Asking,
    Reducing,
    Optimizing,
    Syncing,
}

/// <summary>What can happen to a peer at the master.</summary>
internal enum MasterPeerEvent
{
    Hello,
    Heartbeat,
    Admit,
    AcknowledgeEpoch,
    ReportLink,
    QueryPending,
    Withdraw,
    VoteTopology,
    VoteDecided,
    AskWhenAlone,
    AskAnswered,
    EnterAttempt,
    FinishAttempt,
    AttemptsEnded,
    VoteOptimize,
    ReportProbe,
    VoteSync,
    FinishFetch,
    AccuseHolder,
    SyncEnded,
    Announce,
}

/// <summary>The life of a peer as the master sees it. What is not listed is a protocol error and gets the peer evicted.</summary>
internal static class MasterPeerTable
{
    public static MasterPeerState? Next(MasterPeerState state, MasterPeerEvent @event) => (state, @event) switch
    {
        (MasterPeerState.Unregistered, MasterPeerEvent.Hello) => MasterPeerState.Pending,

        (MasterPeerState.Pending, MasterPeerEvent.Admit) => MasterPeerState.Idle,

        (MasterPeerState.Idle, MasterPeerEvent.VoteTopology) => MasterPeerState.Voting,
        (MasterPeerState.Idle, MasterPeerEvent.AskWhenAlone) => MasterPeerState.Asking,
        (MasterPeerState.Idle, MasterPeerEvent.EnterAttempt) => MasterPeerState.Reducing,
        (MasterPeerState.Idle, MasterPeerEvent.VoteSync) => MasterPeerState.Syncing,

        (MasterPeerState.Voting, MasterPeerEvent.VoteDecided) => MasterPeerState.Idle,

        (MasterPeerState.Idle, MasterPeerEvent.VoteOptimize) => MasterPeerState.Optimizing,
        (MasterPeerState.Optimizing, MasterPeerEvent.VoteDecided) => MasterPeerState.Idle,

        (MasterPeerState.Asking, MasterPeerEvent.AskAnswered) => MasterPeerState.Idle,

        (MasterPeerState.Reducing, MasterPeerEvent.EnterAttempt) => MasterPeerState.Reducing,
        (MasterPeerState.Reducing, MasterPeerEvent.FinishAttempt) => MasterPeerState.Reducing,
        (MasterPeerState.Reducing, MasterPeerEvent.AttemptsEnded) => MasterPeerState.Idle,

        (MasterPeerState.Syncing, MasterPeerEvent.SyncEnded) => MasterPeerState.Idle,
        (MasterPeerState.Syncing, MasterPeerEvent.QueryPending) => null,

        // Legal whenever the peer is registered, or admitted, and without effect on what it is doing.
        (not MasterPeerState.Unregistered, MasterPeerEvent.Heartbeat or MasterPeerEvent.Announce) => state,
        (not (MasterPeerState.Unregistered or MasterPeerState.Pending),
            MasterPeerEvent.AcknowledgeEpoch or MasterPeerEvent.ReportLink or MasterPeerEvent.QueryPending or MasterPeerEvent.Withdraw
            or MasterPeerEvent.ReportProbe or MasterPeerEvent.FinishFetch or MasterPeerEvent.AccuseHolder) => state,

        _ => null,
    };
}
