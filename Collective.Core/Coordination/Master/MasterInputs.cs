using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>The driver's number for one control connection; never reused.</summary>
internal readonly record struct ConnectionId(long Value);

/// <summary>What the master is told.</summary>
internal abstract record MasterInput
{
    /// <summary>A connection was accepted. <paramref name="FreshId"/> becomes the peer's id if it registers; <paramref name="Local"/> is the address of this host that it reached.</summary>
    internal sealed record Connected(ConnectionId Connection, PeerAddress Remote, PeerId FreshId, PeerAddress Local = default) : MasterInput;

    /// <summary>A message, and the run its frame names; null when there was no frame (the simulator's messages).</summary>
    internal sealed record Received(ConnectionId Connection, Message Message, RunId? Run = null) : MasterInput;

    /// <summary>Bytes have arrived that are no whole message yet: its sender lives.</summary>
    internal sealed record Heard(ConnectionId Connection) : MasterInput;

    /// <summary>Bytes that are no message of the protocol arrived.</summary>
    internal sealed record Violated(ConnectionId Connection, string Reason) : MasterInput;

    internal sealed record Disconnected(ConnectionId Connection, string Reason) : MasterInput;

    /// <summary>Time has passed. Everything that had arrived by now comes before it: what is silent then is silent.</summary>
    internal sealed record Tick : MasterInput;
}

/// <summary>What the master wants done.</summary>
internal abstract record MasterOutput
{
    internal sealed record Send(ConnectionId Connection, Message Message) : MasterOutput;

    /// <summary>Close after what was sent has left.</summary>
    internal sealed record Close(ConnectionId Connection) : MasterOutput;

    internal sealed record WakeAt(long NowMs) : MasterOutput;

    /// <summary>For the log: what happened and why.</summary>
    internal sealed record Report(MasterEvent Event) : MasterOutput;
}

/// <summary>Stable ids of what the master reports; the log carries them.</summary>
internal enum MasterEventKind
{
    PeerPending = 2101,
    PeerRefused = 2102,
    PeerAdmitted = 2103,
    EpochOpened = 2104,
    EpochStands = 2105,
    PeerLeft = 2106,
    PeerLost = 2107,
    PeerEvicted = 2108,
    ConnectionRejected = 2109,
    LinkFailed = 2110,
    AttemptAborted = 2111,
    CallsCrossed = 2112,
    MasterWasFrozen = 2113,
    SharedStateSynchronised = 2114,
    SyncFailed = 2115,
    HolderFailed = 2116,
    TopologyOptimized = 2120,
    ProbeFailed = 2121,
    LinksSurveyed = 2122,
    PeerDismissed = 2130,
    PeersWait = 2135,
    ConnectionDiscarded = 2145,
    PeerFaulted = 2150,
}

/// <summary>One event. What strangers cause names its source, so that the log can be kept short.</summary>
internal sealed record MasterEvent(MasterEventKind Kind, PeerId Peer, PeerGroup Group, Epoch Epoch, string Text, string Reason = "", PeerAddress? Source = null);

/// <summary>What the operator may choose.</summary>
internal sealed record MasterConfiguration(RunId Run, ushort Term, int HeartbeatTimeoutMs, int SegmentBytes, int CrossedCallsTimeoutMs = Limits.CrossedCallsTimeoutMsDefault)
{
    /// <summary>What opens the data ports of the run's peers.</summary>
    public LinkKey Key { get; init; }

    /// <summary>Five signs of life within the timeout, and at least one a second: other deadlines are looked at with them.</summary>
    public int HeartbeatIntervalMs => Math.Clamp(HeartbeatTimeoutMs / 5, 20, 1000);

    /// <summary>Time for all members to make the links of a new epoch; peers report failed links well before.</summary>
    public int WiringTimeoutMs => Math.Max(30_000, 3 * HeartbeatTimeoutMs);
}
