using Collective.Protocol;

namespace Collective.Transport;

/// <summary>What a link does with a segment that has arrived.</summary>
internal enum SegmentVerdict
{
    /// <summary>Receive it into the given memory.</summary>
    Receive,

    /// <summary>Read it and drop it: it belongs to something that has ended.</summary>
    Discard,

    /// <summary>The sender breaks the protocol.</summary>
    Violation,
}

/// <summary>
/// An operation as the links see it. A link asks for the memory of a segment when it is about to move it, and says when it is done;
/// between the two the memory belongs to the link. Calls come from the threads of all stripes at once.
/// </summary>
internal interface ISegmentHandler
{
    AttemptKey Attempt { get; }

    /// <summary>False when the operation has ended: the segment is not sent.</summary>
    bool BeginSend(in SegmentHeader header, out ReadOnlySpan<byte> payload);

    void EndSend(in SegmentHeader header, bool sent);

    /// <summary>The memory a segment is received into. Only after <see cref="SegmentVerdict.Receive"/> is <see cref="EndReceive"/> called.</summary>
    SegmentVerdict BeginReceive(in SegmentHeader header, out Span<byte> target);

    void EndReceive(in SegmentHeader header, bool received);
}

/// <summary>Traffic to the next peer of the ring.</summary>
internal interface ILink
{
    /// <summary>Queues a segment; any stripe may take it. Never blocks. On a broken link segments are dropped: the break has been reported.</summary>
    void Send(ISegmentHandler handler, in SegmentHeader header);
}

/// <summary>What a transport tells its peer. Called from the transport's threads.</summary>
internal interface ITransportEvents
{
    /// <summary>The links of the epoch stand: to the next peer and from the previous one.</summary>
    void Wired(Epoch epoch);

    /// <summary>A link of the epoch could not be made, or broke.</summary>
    void LinkLost(Epoch epoch, PeerId neighbour, bool outgoing, string detail);

    /// <summary>A probe that this peer has a part in has ended: measured by this peer as the target, or failed (no rate).</summary>
    void ProbeDone(ulong number, ulong? bytesPerSecond, string detail);

    /// <summary>The answer to a survey: who was not reached, by rank.</summary>
    void Surveyed(Epoch epoch, IReadOnlyList<ushort> unreachable);

    /// <summary>A defect of ours on one of the transport's threads: the communicator must end, the host process must not.</summary>
    void Failed(Exception exception);

    /// <summary>A segment has left or arrived (for tests that end a process exactly there).</summary>
    void SegmentMoved(bool sent);
}

/// <summary>The links an epoch wants.</summary>
internal sealed record WirePlan(LinkKey Key, PeerId Self, Epoch Epoch, Member? Next, Member? Previous);

/// <summary>One member sends another as much as it can for a moment, and that one measures. This peer is one of the two.</summary>
internal sealed record ProbePlan(LinkKey Key, PeerId Self, ulong Number, Member From, Member To)
{
    public bool IsSender => From.Id == Self;
}

/// <summary>Whether a connection to each of these data ports can be made.</summary>
internal sealed record SurveyPlan(Epoch Epoch, IReadOnlyList<SurveyTarget> Targets);

internal readonly record struct SurveyTarget(ushort Rank, Member Member);

/// <summary>Makes the links of a peer. Connections are made and accepted nowhere else.</summary>
internal interface ITransport : ILink, IStateConnections, IDisposable
{
    /// <summary>Port on which the previous peer reaches this one.</summary>
    ushort Port { get; }

    /// <summary>What has moved on the links of the epoch; zero where the connections cannot swallow bytes.</summary>
    LinkBytes Moved { get; }

    /// <summary>Segments that arrive find their operation here.</summary>
    SegmentRouter Router { get; }

    /// <summary>Starts making the links of an epoch, keeping those that still fit; ends in <see cref="ITransportEvents"/>. Data of older epochs is dropped from now on.</summary>
    void Wire(WirePlan plan);

    /// <summary>Takes this peer's part in a probe, in the background. Probes come one at a time with growing numbers; the next one ends what is left of the one before.</summary>
    void Probe(ProbePlan plan);

    /// <summary>Finds out who can be reached; ends in <see cref="ITransportEvents.Surveyed"/>.</summary>
    void Survey(SurveyPlan plan);
}
