namespace Collective.Protocol;

/// <summary>Control messages, in both directions. Numbers are the wire's; never reuse one.</summary>
internal enum MessageKind : byte
{
    Hello = 1,
    EpochReady = 2,
    LinkFailed = 3,
    TopologyVote = 4,
    AdmitWhenAlone = 5,
    PendingQuery = 6,
    CollectiveStart = 7,
    CollectiveDone = 8,
    Leave = 9,
    Heartbeat = 10,
    Withdraw = 11,
    OptimizeVote = 16,
    ProbeDone = 17,
    LinkProgress = 21,
    LinksSurveyed = 22,
    Announce = 25,
    LocalFault = 32,
    SharedStateVote = 12,
    SharedStateDone = 13,
    HolderFailed = 14,

    Welcome = 64,
    Refused = 65,
    EpochOpened = 66,
    EpochStands = 67,
    TopologyUpdated = 68,
    PendingReply = 69,
    CollectiveGo = 70,
    Verdict = 71,
    Evicted = 72,
    ProbeLink = 77,
    SurveyLinks = 82,
    Waiting = 85,
    SharedStatePlan = 73,
    SharedStateFinished = 74,
    Dismissed = 83,
}

/// <summary>One decoded control record.</summary>
internal abstract record Message(MessageKind Kind);

// From a peer to the master.

/// <summary>First message of a control connection. The peer stays pending until its group would have the minimum size.</summary>
/// <param name="Version">Of the wire.</param>
/// <param name="Group">Whom it will run collectives with.</param>
/// <param name="DataPort">Where it listens for data.</param>
/// <param name="MinimumWorldSize">See above.</param>
/// <param name="Announced">Where the others reach it, if that is not the address it connects from with its data port.</param>
/// <param name="Alternative">Where they may try as well.</param>
internal sealed record Hello(ushort Version, PeerGroup Group, ushort DataPort, ushort MinimumWorldSize, PeerAddress? Announced = null, PeerAddress? Alternative = null)
    : Message(MessageKind.Hello)
{
    /// <summary>Whether the minimum holds as long as this peer is a member, too.</summary>
    public bool KeepsMinimum { get; init; }

    /// <summary>What this peer says about its program, at most one fingerprint of each scope.</summary>
    public IReadOnlyList<Fingerprint> Fingerprints { get; init; } = [];
}

/// <summary>What a peer runs, in words of its own; compared with those of the same scope. An empty text says that anything goes.</summary>
internal readonly record struct Fingerprint(string Scope, string Text);

/// <summary>A registered peer says what it runs from now on; without a text it takes back what it said.</summary>
internal sealed record Announce(string Scope, string? Text) : Message(MessageKind.Announce);

/// <summary>This peer's links of the epoch stand.</summary>
internal sealed record EpochReady(Epoch Epoch) : Message(MessageKind.EpochReady);

/// <summary>A link of the epoch could not be made or broke: to the next peer when <see cref="Outgoing"/>, else from the previous one.</summary>
internal sealed record LinkFailed(Epoch Epoch, PeerId Neighbour, bool Outgoing, string Detail) : Message(MessageKind.LinkFailed);

/// <summary>Bytes of segments that a peer has handed to its link to the next peer in an epoch, and those that have come from the previous one.</summary>
internal readonly record struct LinkBytes(ulong Sent, ulong Received);

/// <summary>
/// While collectives are in flight, with each heartbeat: what has moved in the epoch. What one end has sent and the other not received for the stall timeout is stuck
/// between them, though neither may be able to know.
/// </summary>
internal sealed record LinkProgress(Epoch Epoch, LinkBytes Bytes, uint StallTimeoutMs) : Message(MessageKind.LinkProgress);

/// <summary>Answer to <see cref="SurveyLinks"/>: the members, by rank, whose data ports this peer did not reach.</summary>
internal sealed record LinksSurveyed(Epoch Epoch, IReadOnlyList<ushort> Unreachable) : Message(MessageKind.LinksSurveyed);

/// <summary>Vote for a topology update: admit who is pending. Answered when all admitted peers have voted.</summary>
internal sealed record TopologyVote(RequestNumber Request) : Message(MessageKind.TopologyVote);

/// <summary>A peer that is alone in its group wants to reduce: admit the group's pending peers now, or say that there are none.</summary>
internal sealed record AdmitWhenAlone(RequestNumber Request) : Message(MessageKind.AdmitWhenAlone);

/// <summary>Joint query of all admitted peers: is anybody pending?</summary>
internal sealed record PendingQuery(RequestNumber Request) : Message(MessageKind.PendingQuery);

/// <summary>Takes back an open topology vote, pending query or sync vote, whose time is over or whose caller cancelled. Answered like the request; ignored when that has been decided.</summary>
internal sealed record Withdraw(RequestNumber Request) : Message(MessageKind.Withdraw);

/// <summary>This peer has entered an attempt with one of its tensors.</summary>
internal sealed record CollectiveStart(AttemptKey Attempt, CollectiveDescriptor Descriptor) : Message(MessageKind.CollectiveStart);

/// <summary>This peer's promise that it has the whole result, of all tensors (ok), or its report that it will not. After a promise: its wish that the attempt be aborted, void once there is a verdict.</summary>
internal sealed record CollectiveDone(AttemptKey Attempt, bool Ok, string Detail) : Message(MessageKind.CollectiveDone);

/// <summary>Vote to optimise the topology: measure what is not known yet, order the rings by it. Answered by <see cref="TopologyUpdated"/> when all admitted peers have voted and the rings stand.</summary>
internal sealed record OptimizeVote(RequestNumber Request) : Message(MessageKind.OptimizeVote);

/// <summary>A probe has ended: measured, as its target says, or failed, as either of its ends says.</summary>
internal sealed record ProbeDone(ulong Number, bool Ok, ulong BytesPerSecond, string Detail) : Message(MessageKind.ProbeDone);
/// <summary>This peer's vote for what the shared state of its group is: what it has itself. Answered by a plan, or by the end when there is nothing to do.</summary>
internal sealed record SharedStateVote(RequestNumber Request, Revision Revision, RevisionRule Rule, SyncStrategy Strategy, IReadOnlyList<StateEntry> Entries) : Message(MessageKind.SharedStateVote);

/// <summary>This peer's promise that it holds everything its plan asks for (ok), or its report that it will not. After a promise: its wish that the sync fail, void once there is a verdict.</summary>
internal sealed record SharedStateDone(RequestNumber Request, bool Ok, string Detail) : Message(MessageKind.SharedStateDone);

/// <summary>A holder could not give what the plan says it has, or gave other bytes.</summary>
internal sealed record HolderFailed(RequestNumber Request, PeerId Holder, bool WrongBytes, string Detail) : Message(MessageKind.HolderFailed);

/// <summary>This peer leaves the run.</summary>
internal sealed record Leave() : Message(MessageKind.Leave);

/// <summary>This peer cannot do its part any more, for a reason of its own (no descriptors, no threads, no memory), and leaves the run.</summary>
internal sealed record LocalFault(string Reason) : Message(MessageKind.LocalFault);

/// <summary>Sign of life, in both directions.</summary>
internal sealed record Heartbeat() : Message(MessageKind.Heartbeat);

// From the master to a peer.

/// <summary>The peer is registered and pending.</summary>
internal sealed record Welcome(PeerId Id, uint HeartbeatTimeoutMs, uint SegmentBytes) : Message(MessageKind.Welcome);

/// <summary>The peer is not registered; the connection closes.</summary>
internal sealed record Refused(ErrorCode Code, string Reason) : Message(MessageKind.Refused);

/// <summary>What became of an attempt that was open when an epoch ended.</summary>
internal readonly record struct Decision(Tag Tag, uint Ordinal, bool Committed, ErrorCode Code, string Reason);

/// <summary>A new membership or ring order. Every open attempt of older epochs ends: as <see cref="Decisions"/> says, else aborted for <see cref="Reason"/>.</summary>
/// <param name="Epoch">The new epoch.</param>
/// <param name="Key">What members show each other when they connect.</param>
/// <param name="Reason">Why it was opened.</param>
/// <param name="Members">The members in ring order.</param>
/// <param name="Excluded">Who is no member any more, and why.</param>
/// <param name="Decisions">What became of attempts that were open.</param>
internal sealed record EpochOpened(
    Epoch Epoch,
    LinkKey Key,
    string Reason,
    IReadOnlyList<Member> Members,
    IReadOnlyList<Exclusion> Excluded,
    IReadOnlyList<Decision> Decisions) : Message(MessageKind.EpochOpened);

/// <summary>All members are ready: collectives may start in this epoch. <see cref="Reason"/> is what the master has established by now about what ended the epochs before it.</summary>
internal sealed record EpochStands(Epoch Epoch, WorldSizes Sizes, string Reason) : Message(MessageKind.EpochStands)
{
    /// <summary>Members that the group must have to reduce: the largest minimum of those that keep one, or 0.</summary>
    public int KeptMinimum { get; init; }
}

/// <summary>For the log of a peer that has waited for long: where, for whom, and how many are there.</summary>
internal sealed record Waiting(uint Seconds, string Text) : Message(MessageKind.Waiting);

/// <summary>Answer to <see cref="TopologyVote"/>, <see cref="OptimizeVote"/> and <see cref="AdmitWhenAlone"/>. <see cref="Error"/> 0 is success.</summary>
internal sealed record TopologyUpdated(RequestNumber Request, ErrorCode Error, string Reason, WorldSizes Sizes, bool Newcomers = false) : Message(MessageKind.TopologyUpdated);

/// <summary>Answer to <see cref="PendingQuery"/>, the same for all who did not withdraw. <see cref="Error"/> 0 is success.</summary>
internal sealed record PendingReply(RequestNumber Request, bool Pending, ErrorCode Error, string Reason) : Message(MessageKind.PendingReply);

/// <summary>To both ends of a pair: the one sends the other as much as it can for a moment, and the other measures. Numbers only grow.</summary>
internal sealed record ProbeLink(ulong Number, Member From, Member To) : Message(MessageKind.ProbeLink);

/// <summary>All members entered the attempt with this tensor and the same descriptor: bulk data may flow.</summary>
internal sealed record CollectiveGo(AttemptKey Attempt) : Message(MessageKind.CollectiveGo);

/// <summary>Every member promised: the attempt is committed.</summary>
internal sealed record Verdict(AttemptKey Attempt) : Message(MessageKind.Verdict);

/// <summary>Links go on failing: which of these members of the epoch, named by rank, does this peer reach?</summary>
internal sealed record SurveyLinks(Epoch Epoch, IReadOnlyList<ushort> Ranks) : Message(MessageKind.SurveyLinks);

/// <summary>The master removes this peer; the connection closes.</summary>
internal sealed record Evicted(string Reason) : Message(MessageKind.Evicted);

/// <summary>All members have voted and at least one lacks something: what this peer fetches, and from whom. Without fetches it only serves.</summary>
/// <param name="Request">The peer's own number for the sync.</param>
/// <param name="Revision">The elected revision.</param>
/// <param name="Holders">The members that hold something this peer lacks.</param>
/// <param name="HolderSets">Positions in <paramref name="Holders"/>, in the order in which the peer had best begin.</param>
/// <param name="Fetches">What it fetches.</param>
internal sealed record SharedStatePlan(
    RequestNumber Request,
    Revision Revision,
    IReadOnlyList<Member> Holders,
    IReadOnlyList<IReadOnlyList<ushort>> HolderSets,
    IReadOnlyList<StateFetch> Fetches) : Message(MessageKind.SharedStatePlan);

/// <summary>
/// The end of a sync, the same for all members in that it succeeded or failed. <see cref="Error"/> 0 is success: every member holds the elected bytes and revision.
/// Peers that were dismissed for it are not members any more; they are named (at most <see cref="Limits.ExclusionsMax"/>).
/// </summary>
internal sealed record SharedStateFinished(RequestNumber Request, ErrorCode Error, string Reason, Revision Revision, IReadOnlyList<LeftOutPeer> LeftOut)
    : Message(MessageKind.SharedStateFinished);

/// <summary>This peer's vote does not fit what was elected in the sync: its call ends with this error, the master removes the peer, and the connection closes.</summary>
internal sealed record Dismissed(RequestNumber Request, ErrorCode Error, string Reason) : Message(MessageKind.Dismissed);
