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
    LinkProgress = 21,

    Welcome = 64,
    Refused = 65,
    EpochOpened = 66,
    EpochStands = 67,
    TopologyUpdated = 68,
    PendingReply = 69,
    CollectiveGo = 70,
    Verdict = 71,
    Evicted = 72,
}

/// <summary>One decoded control record.</summary>
internal abstract record Message(MessageKind Kind);

// From a peer to the master.

/// <summary>First message of a control connection. The peer stays pending until its group would have the minimum size.</summary>
internal sealed record Hello(ushort Version, PeerGroup Group, ushort DataPort, ushort MinimumWorldSize) : Message(MessageKind.Hello);

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

/// <summary>Vote for a topology update: admit who is pending. Answered when all admitted peers have voted.</summary>
internal sealed record TopologyVote(RequestNumber Request) : Message(MessageKind.TopologyVote);

/// <summary>A peer that is alone in its group wants to reduce: admit the group's pending peers now, or say that there are none.</summary>
internal sealed record AdmitWhenAlone(RequestNumber Request) : Message(MessageKind.AdmitWhenAlone);

/// <summary>Joint query of all admitted peers: is anybody pending?</summary>
internal sealed record PendingQuery(RequestNumber Request) : Message(MessageKind.PendingQuery);

/// <summary>Takes back an open topology vote or pending query, whose time is over or whose caller cancelled. Answered like the request; ignored when that has been decided.</summary>
internal sealed record Withdraw(RequestNumber Request) : Message(MessageKind.Withdraw);

/// <summary>This peer has entered an attempt.</summary>
internal sealed record CollectiveStart(AttemptKey Attempt, CollectiveDescriptor Descriptor) : Message(MessageKind.CollectiveStart);

/// <summary>This peer's promise that it has the whole result (ok), or its report that it will not. After a promise: its wish that the attempt be aborted, void once there is a verdict.</summary>
internal sealed record CollectiveDone(AttemptKey Attempt, bool Ok, string Detail) : Message(MessageKind.CollectiveDone);

/// <summary>This peer leaves the run.</summary>
internal sealed record Leave() : Message(MessageKind.Leave);

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
internal sealed record EpochOpened(
    Epoch Epoch,
    string Reason,
    IReadOnlyList<Member> Members,
    IReadOnlyList<Exclusion> Excluded,
    IReadOnlyList<Decision> Decisions) : Message(MessageKind.EpochOpened);

/// <summary>All members are ready: collectives may start in this epoch. <see cref="Reason"/> is what the master has established by now about what ended the epochs before it.</summary>
internal sealed record EpochStands(Epoch Epoch, WorldSizes Sizes, string Reason) : Message(MessageKind.EpochStands);

/// <summary>Answer to <see cref="TopologyVote"/> and <see cref="AdmitWhenAlone"/>. <see cref="Error"/> 0 is success.</summary>
internal sealed record TopologyUpdated(RequestNumber Request, ErrorCode Error, string Reason, WorldSizes Sizes) : Message(MessageKind.TopologyUpdated);

/// <summary>Answer to <see cref="PendingQuery"/>, the same for all who did not withdraw. <see cref="Error"/> 0 is success.</summary>
internal sealed record PendingReply(RequestNumber Request, bool Pending, ErrorCode Error, string Reason) : Message(MessageKind.PendingReply);

/// <summary>All members entered the attempt with the same descriptor: bulk data may flow.</summary>
internal sealed record CollectiveGo(AttemptKey Attempt) : Message(MessageKind.CollectiveGo);

/// <summary>Every member promised: the attempt is committed.</summary>
internal sealed record Verdict(AttemptKey Attempt) : Message(MessageKind.Verdict);

/// <summary>The master removes this peer; the connection closes.</summary>
internal sealed record Evicted(string Reason) : Message(MessageKind.Evicted);
