namespace Collective.Protocol;

/// <summary>Every limit of the system. A limit that depends on another proves it at compile time.</summary>
internal static class Limits
{
    /// <summary>Peers of one run, pending ones included.</summary>
    public const int PeersMax = 1024;

    /// <summary>Connections to the master that have not said hello yet: all peers of a run may come at once.</summary>
    public const int UnregisteredConnectionsMax = PeersMax;

    /// <summary>Payload of the first message of a control connection, of this and of later versions.</summary>
    public const int HelloBytesMax = 1024;

    /// <summary>Connections that the master takes between two looks at the others.</summary>
    public const int AcceptedAtOnceMax = 64;

    /// <summary>Time for which the master goes on reading what came together before it handles it, in milliseconds.</summary>
    public const int GatherMsMax = 10;

    /// <summary>Piece in which a large control frame is kept until all of it is here. A smaller frame needs no room beforehand.</summary>
    public const int FramePieceBytes = 64 * 1024;

    /// <summary>Bytes of large control frames that the master may keep until they are whole, of all peers.</summary>
    public const int UnfinishedFrameBytesMax = 64 * 1024 * 1024;

    /// <summary>Memory for control frames that the master keeps when there are none.</summary>
    public const int KeptFrameBytesMax = 1024 * 1024;

    /// <summary>A peer that sends a large frame slower than this, in bytes a millisecond, while others wait for the room that it takes, is given up.</summary>
    public const int FrameBytesPerMsMin = 16;

    /// <summary>Sources of which the log keeps apart what it has left out; what all others do is counted together.</summary>
    public const int LogSourcesMax = 256;

    /// <summary>Time between two lines about what one source repeats, in milliseconds.</summary>
    public const int LogPauseMs = 1_000;

    /// <summary>Lines that wait for a logger that takes none.</summary>
    public const int LogLinesMax = 10_000;

    /// <summary>Time for the last lines, at the end of a communicator or master, in milliseconds.</summary>
    public const int LogFlushMsMax = 2_000;

    /// <summary>Looks for silent peers in one heartbeat interval.</summary>
    public const int TicksPerHeartbeatMax = 5;

    /// <summary>Collectives one peer may have in flight (launched and not finished).</summary>
    public const int OperationsInFlightMax = 256;

    /// <summary>Tensors that the collectives which one peer has in flight may have, all together; so many one collective may have, too.</summary>
    public const int TensorsInFlightMax = 8_192;

    /// <summary>Tags that have committed in a step of the application, and are remembered for what an abort says.</summary>
    public const int CommittedTagsKept = 64;

    /// <summary>Different tags one peer may use between two topology updates (each costs about 40 bytes).</summary>
    public const int TagsMax = 1 << 20;

    /// <summary>Bytes of one operation that may leave a peer before the master's Go. An operation of at most this size needs no Go at all.</summary>
    public const int EagerBytesMax = 64 * 1024;

    /// <summary>Bytes of one operation kept by a peer that has not entered it yet: an eager operation sends twice its size at most.</summary>
    public const int EarlyBytesPerOperationMax = 2 * EagerBytesMax;

    /// <summary>Pieces these bytes may come in; quantised ones may be smaller than the smallest segment.</summary>
    public const int EarlySegmentsPerOperationMax = 2 * EarlyBytesPerOperationMax / SegmentBytesMin;

    /// <summary>Bytes of all operations kept by a peer that has not entered them yet.</summary>
    public const long EarlyBytesMax = 2L * OperationsInFlightMax * EarlyBytesPerOperationMax;

    /// <summary>Pieces these bytes may come in.</summary>
    public const int EarlySegmentsMax = 2 * OperationsInFlightMax * EarlySegmentsPerOperationMax;

    /// <summary>Payload of one segment.</summary>
    public const int SegmentBytesMax = 4 * 1024 * 1024;

    /// <summary>Smallest segment a master may choose.</summary>
    public const int SegmentBytesMin = 64;

    /// <summary>Payload of one control frame.</summary>
    public const int ControlBytesMax = 512 * 1024;

    /// <summary>Payload of a control frame that lists tensors: a sync vote or plan. Only a peer that has said hello may send one.</summary>
    public const int StateBytesMax = 9 * 1024 * 1024;

    /// <summary>Tensors of one peer's shared state.</summary>
    public const int StateKeysMax = 16_384;

    /// <summary>A tensor's name, in UTF-8 bytes.</summary>
    public const int StateKeyBytesMax = ReasonBytesMax;

    /// <summary>Positions in the holder sets of one plan, all together.</summary>
    public const int HolderIndexesMax = StateKeysMax * HoldersPerSetMin;

    /// <summary>Holders of a set that are named even if others are left out because there are too many different sets.</summary>
    public const int HoldersPerSetMin = 64;

    /// <summary>Bytes of one tensor of the shared state: 4 TiB.</summary>
    public const long StateTensorBytesMax = 1L << 42;

    /// <summary>Blocks of a tensor that one answer may hold: 1 MiB.</summary>
    public const int StateBlocksPerRequestMax = 16;

    /// <summary>Leaf digests, with the heads of the blocks, that one answer may hold: those of 2 GiB.</summary>
    public const int StateDigestsPerRequestMax = 32_768;

    /// <summary>Payload of one answer: the larger of blocks that could not be packed, with their lengths, and digests.</summary>
    public const int StatePayloadBytesMax = StateBlocksPerRequestMax * (StateBlockBytes + sizeof(uint));

    /// <summary>Bytes of a block of the shared state.</summary>
    public const int StateBlockBytes = 64 * 1024;

    /// <summary>Connections that a peer opens to one holder: several fill a long fat network.</summary>
    public const int StateConnectionsPerHolderMax = 4;

    /// <summary>Connections on which one peer gives shared state: every other peer's.</summary>
    public const int StateConnectionsMax = PeersMax * StateConnectionsPerHolderMax;

    /// <summary>Holders from which a peer fetches at once; the others are its reserve.</summary>
    public const int StateHoldersAtOnceMax = 16;

    /// <summary>Blocks that a peer asks for at once: 512 KiB.</summary>
    public const int StateBlocksAsked = StateBlocksPerRequestMax / 2;

    /// <summary>Requests waiting for their answer on one connection: with 4 connections 16 MiB are under way, a gigabit over 130 ms.</summary>
    public const int StateRequestsInFlightMax = 8;

    /// <summary>The same to a holder that is near and fast: what is under way then stays in the processors' caches, and fills 16 Gbit/s over 2 ms.</summary>
    public const int StateRequestsInFlightNear = 2;

    /// <summary>A connection that stands after this time, in milliseconds, leads to a holder that is near (it takes two round trips); one that answers in this time is fast.</summary>
    public const int StateNearMs = 4;

    /// <summary>Blocks received in one go, each verified while it is in the processor's cache: 256 KiB.</summary>
    public const int StateBlocksReceived = 4;

    /// <summary>Failures of one connection in a row, without a single answer, after which its holder counts as unreachable.</summary>
    public const int StateFailuresMax = 4;

    /// <summary>Pause after the first of them, in milliseconds; doubled with each.</summary>
    public const int StateRetryPauseMs = 50;

    /// <summary>Time after which a peer with nothing else to do asks a second holder for what another one owes, in milliseconds.</summary>
    public const int StateOverdueMs = 1_000;

    /// <summary>Lowest limit of the upload of shared state, in bytes a second: slower, and the other side takes it for a stall.</summary>
    public const long StateUploadBytesPerSecondMin = 64 * 1024;

    /// <summary>Peers that must have got wrong bytes from one holder in one sync before it is evicted: of two, one may be lying.</summary>
    public const int AccusersConvincing = 2;

    /// <summary>Characters of a reason on the wire, in UTF-8 bytes; longer ones are cut.</summary>
    public const int ReasonBytesMax = 512;

    /// <summary>Peers named with their reason in one epoch message, and at the end of a sync.</summary>
    public const int ExclusionsMax = 64;

    /// <summary>Open attempts named with their own decision in one epoch message; the others are aborted with the epoch's reason.</summary>
    public const int DecisionsMax = 256;

    /// <summary>A collective's label, in UTF-8 bytes.</summary>
    public const int LabelBytesMax = 255;

    /// <summary>Parallel connections of one link.</summary>
    public const int StripesMax = 64;

    /// <summary>Inbound stripes of one peer: two whole links (the old and the new neighbour's) and as many that are about to be replaced.</summary>
    public const int InboundStripesMax = 4 * StripesMax;

    /// <summary>Inbound data connections whose hello has not been accepted yet; one more closes the oldest.</summary>
    public const int StrangersMax = 2 * StripesMax;

    /// <summary>Inbound data connections that the system keeps until they are accepted.</summary>
    public const int ListenBacklogMax = 4 * StripesMax;

    /// <summary>Payloads up to this size leave in one write with their header.</summary>
    public const int JoinedBytesMax = 16 * 1024;

    /// <summary>Payloads up to this size may leave on the thread that posts them. A socket that reports room has more than this, whatever its buffer.</summary>
    public const int InlineBytesMax = 4 * 1024;

    /// <summary>Work buffers of in-place operations and syncs that a communicator keeps for the next ones, for as long as it lives.</summary>
    public const long KeptWorkBytesMax = 1L << 30;

    /// <summary>How long it keeps those that are more than that after they were used last, in milliseconds.</summary>
    public const long KeptWorkMs = 30_000;

    /// <summary>Up to this size a buffer is restored where the abort is noticed; a larger one on a thread of its own, so that no loop stands still.</summary>
    public const long RestoreInlineBytesMax = 1024 * 1024;

    /// <summary>Inputs waiting for one state machine.</summary>
    public const int InputsMax = 8192;

    /// <summary>Bytes waiting to be read by one peer before the master gives it up.</summary>
    public const int UnsentControlBytesMax = 16 * 1024 * 1024;

    /// <summary>Ports tried from the first one on when the data port is not chosen by the caller.</summary>
    public const int PortsTriedMax = 2048;

    /// <summary>Epochs in which a pair of peers could not connect, after which the ring order avoids it.</summary>
    public const int LinkFailuresAvoided = 2;

    /// <summary>Epochs in which a pair could not connect, or its link broke before anything was committed, before one of the two may be evicted.</summary>
    public const int LinkFailuresProven = 4;

    /// <summary>Epochs of one recovery whose links failed, after which the members are asked whom they reach.</summary>
    public const int LinkFailuresSurveyed = 3;

    /// <summary>Up to this size of a group all of its pairs are tried in a survey; of a larger one those of a few members.</summary>
    public const int SurveyedWholeMax = 32;

    /// <summary>Members of a larger group whose pairs with all others are tried: those with most trouble.</summary>
    public const int SurveySuspectsMax = 8;

    /// <summary>Connections that one peer tries at once in a survey.</summary>
    public const int SurveyedAtOnceMax = 128;

    /// <summary>Heartbeat timeouts without a failure after which a pair's earlier ones are forgotten.</summary>
    public const int LinkTroubleTimeouts = 12;

    /// <summary>Reports of failed links kept for one recovery of one group.</summary>
    public const int LinkReportsMax = 64;

    /// <summary>Nodes visited by the search for a ring order around broken pairs.</summary>
    public const int RingSearchStepsMax = 100_000;

    /// <summary>Largest group whose best ring is searched exactly: 2^13 sets of peers times 13 ends.</summary>
    public const int RingExactPeersMax = 14;

    /// <summary>Exchanges of three links tried to better the ring of a larger group: some 50 ms of the master.</summary>
    public const int RingExchangesMax = 10_000_000;

    /// <summary>Rings of a larger group that are bettered: the present one, and those that follow the fastest links from as many peers less one.</summary>
    public const int RingStartsMax = 8;

    /// <summary>Times that the best ring of a larger group is shaken to find a better one.</summary>
    public const int RingShakesMax = 500;

    /// <summary>By so much, in per cent, a ring must be faster than the present one to be worth making the links again: measurements differ by that anyway.</summary>
    public const int RingGainPercentMin = 10;

    /// <summary>Time in which one probe sends, in milliseconds; one that gives a stable rate ends earlier.</summary>
    public const int ProbeMsMax = 2_000;

    /// <summary>Shortest stretch of a probe over which a rate is counted, in milliseconds.</summary>
    public const int ProbeWindowMsMin = 100;

    /// <summary>Longest such stretch: four of them fit into a probe.</summary>
    public const int ProbeWindowMsMax = ProbeMsMax / 4;

    /// <summary>Time from the order to probe until the report must be here, in milliseconds: connecting, sending, and as long again for what is late.</summary>
    public const int ProbeReplyMsMax = 2 * (LinkConnectMsMax + ProbeMsMax);

    /// <summary>Failed probes after which a peer that no probe has reached is not measured any more in one call.</summary>
    public const int ProbeFailuresMax = 3;

    /// <summary>Time after which one call measures no more, in milliseconds; what is missing then is measured by a later call.</summary>
    public const int MeasuringMsMax = 120_000;

    /// <summary>Inbound connections of probes: one probe at a time, and the end of the one before.</summary>
    public const int InboundProbesMax = 2 * StripesMax;

    /// <summary>Time for the first message of a connection, in milliseconds.</summary>
    public const int HandshakeMsMax = 5_000;

    /// <summary>Time for a neighbour's host to accept a connection, in milliseconds: two lost packets. Longer would only delay the ring order that does without the pair.</summary>
    public const int LinkConnectMsMax = 3_000;

    /// <summary>Time in which bytes that wait on a link must make progress, in milliseconds, unless the peer chose another.</summary>
    public const int LinkStallMsDefault = 10_000;

    /// <summary>How often, in each stall timeout, a stripe that has nothing to send looks whether its connection still stands.</summary>
    public const int IdleChecksPerStallTimeout = 5;

    /// <summary>Highest port that an outgoing connection is given, where the system lets us choose: below the default port of a master.</summary>
    public const ushort OutgoingPortMax = 48_147;

    /// <summary>Time to wait for a port to listen on that an outgoing connection has for now, in milliseconds, and between two tries.</summary>
    public const int TakenPortMsMax = 5_000;

    public const int TakenPortPauseMs = 100;

    /// <summary>Characters of a host name (RFC 1035).</summary>
    public const int HostCharactersMax = 253;

    /// <summary>Pause of a listener that is out of file descriptors, in milliseconds.</summary>
    public const int AcceptPauseMs = 100;

    /// <summary>Time, in milliseconds, in which a peer that cannot get a descriptor or a thread tries again before it gives up its place.</summary>
    public const int ShortageMsMax = 1_000;

    /// <summary>Time a leaving peer waits for the master to let it go, in milliseconds.</summary>
    public const int LeaveMsMax = 2_000;

    /// <summary>Aborted attempts of one "multiple with retry" call after which it fails.</summary>
    public const int RetriesMax = 1_000;

    /// <summary>Time after which members that all wait for each other in different collectives are told so, in milliseconds, unless the operator chose another.</summary>
    public const int CrossedCallsTimeoutMsDefault = 60_000;

    /// <summary>Scopes in which one peer may announce a fingerprint.</summary>
    public const int FingerprintsMax = 4;

    /// <summary>A fingerprint, or the name of its scope, in UTF-8 bytes.</summary>
    public const int FingerprintBytesMax = 100;

    /// <summary>After so long a waiting peer is told for whom it waits, in milliseconds; and again after each of the longer times.</summary>
    public const int FirstWaitNoticeMs = 5_000;

    /// <inheritdoc cref="FirstWaitNoticeMs"/>
    public const int WaitNoticeMs = 30_000;

    /// <summary>A refusal so short before a peer registered, in milliseconds, counts as one of those that were to come with it.</summary>
    public const int RefusalRecentMs = 10_000;

    /// <summary>Refusals that the master remembers, for those who wait for the refused peers.</summary>
    public const int RefusalsRememberedMax = 64;

    private const uint HelloFits = 1024 - (64 + (FingerprintsMax * (2 + 2 + (2 * FingerprintBytesMax))));

    /// <summary>Peers named in one reason; of more, the number is given.</summary>
    public const int PeersNamedMax = 6;

    /// <summary>Shortest heartbeat timeout, in milliseconds.</summary>
    public const int HeartbeatTimeoutMsMin = 200;

    /// <summary>Longest heartbeat timeout, in milliseconds.</summary>
    public const int HeartbeatTimeoutMsMax = 600_000;

    /// <summary>Bytes of one member in a message: id, address (family, bytes, port), and perhaps an alternative one.</summary>
    public const int MemberBytesMax = 16 + (1 + 16 + 2) + 1 + (1 + 16 + 2);

    public const int MemberBytesMin = 16 + (1 + 4 + 2) + 1;

    // Negative does not compile.
    private const uint EpochMessageFits = ControlBytesMax - (1024
        + (PeersMax * MemberBytesMax)
        + (ExclusionsMax * (16 + 2 + ReasonBytesMax))
        + (DecisionsMax * (16 + 2 + 2 + ReasonBytesMax))
        + ReasonBytesMax);

    private const uint EndOfSyncFits = ControlBytesMax - (1024 + (ExclusionsMax * (16 + 2 + 2 + ReasonBytesMax)));

    private const uint VoteMessageFits = StateBytesMax - (1024 + (StateKeysMax * (2 + StateKeyBytesMax + 1 + 8 + 1 + 16)));

    private const uint PlanMessageFits = StateBytesMax - (1024 + (PeersMax * MemberBytesMax) + (StateKeysMax * (2 + 2 + 16 + 2)) + (HolderIndexesMax * 2));

    private const uint DigestsFit = StatePayloadBytesMax - (StateDigestsPerRequestMax * (16 + 16));

    private const uint UnfinishedFramesFit = UnfinishedFrameBytesMax - StateBytesMax;

    private const uint UnsentPlanFits = UnsentControlBytesMax - StateBytesMax;
}
