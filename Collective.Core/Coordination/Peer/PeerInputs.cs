using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>The caller's number for one launched collective; never reused by a communicator.</summary>
internal readonly record struct OperationId(long Value);

/// <summary>What a peer is told.</summary>
internal abstract record PeerInput
{
    /// <summary>Of a call that may take any time.</summary>
    public const long NoTimeout = -1;

    // By the application. A call whose time is over ends with TimedOut as soon as the group agrees that it does.
    internal sealed record Connect(PeerGroup Group, int MinimumWorldSize = 1, long TimeoutMs = NoTimeout, int StallTimeoutMs = Limits.LinkStallMsDefault) : PeerInput
    {
        public bool KeepsMinimum { get; init; }

        public IReadOnlyList<Fingerprint> Fingerprints { get; init; } = [];
    }

    /// <summary>What this peer runs, from now on; null takes it back. Not a call: nobody waits for it.</summary>
    internal sealed record Announce(string Scope, string? Text) : PeerInput;

    internal sealed record UpdateTopology(RequestNumber Request, long TimeoutMs = NoTimeout) : PeerInput;

    internal sealed record OptimizeTopology(RequestNumber Request, long TimeoutMs = NoTimeout) : PeerInput;

    /// <summary>The top of a loop: as <see cref="UpdateTopology"/>, but that the update which admitted this peer counts as its first.</summary>
    internal sealed record Step(RequestNumber Request, long TimeoutMs = NoTimeout) : PeerInput;

    internal sealed record QueryPending(RequestNumber Request, long TimeoutMs = NoTimeout) : PeerInput;

    /// <summary>
    /// Synchronise the shared state: the driver has hashed it (<paramref name="Entries"/>, checked with <see cref="StateEntries.Refusal"/>) and serves it from now until
    /// <see cref="PeerOutput.FinishSync"/>, unless the peer only receives. The application keeps its hands off the tensors until then.
    /// </summary>
    internal sealed record Synchronise(RequestNumber Request, Revision Revision, RevisionRule Rule, SyncStrategy Strategy, IReadOnlyList<StateEntry> Entries, long TimeoutMs = NoTimeout)
        : PeerInput;

    /// <summary>The caller of a vote, query or sync has cancelled.</summary>
    internal sealed record Withdraw(RequestNumber Request) : PeerInput;

    internal sealed record Launch(OperationId Operation, Tag Tag, CollectiveDescriptor Descriptor, long TimeoutMs = NoTimeout) : PeerInput;

    /// <summary>A collective on several tensors, with one verdict for all of them. It is entered when the first of them is launched.</summary>
    internal sealed record BeginSet(OperationId Operation, Tag Tag, int Size, long TimeoutMs = NoTimeout) : PeerInput;

    /// <summary>One of its tensors; ignored when the set has ended.</summary>
    internal sealed record LaunchTensor(OperationId Set, OperationId Operation, ushort Position, CollectiveDescriptor Descriptor) : PeerInput;

    internal sealed record Cancel(OperationId Operation) : PeerInput;

    internal sealed record Leave : PeerInput;

    // By the control connection.
    internal sealed record Connected(ushort DataPort, PeerAddress? Announced = null, PeerAddress? Alternative = null) : PeerInput;

    internal sealed record Received(ushort Term, RunId Run, Message Message) : PeerInput;

    internal sealed record Lost(ErrorCode Code, string Reason) : PeerInput;

    /// <summary>The driver cannot do this peer's part: it has no descriptors, threads or memory. The reason is a sentence about "it".</summary>
    internal sealed record LocalFault(string Reason) : PeerInput;

    // By the data links.
    internal sealed record Wired(Epoch Epoch) : PeerInput;

    internal sealed record LinkLost(Epoch Epoch, PeerId Neighbour, bool Outgoing, string Detail) : PeerInput;

    internal sealed record RingCompleted(OperationId Operation) : PeerInput;

    internal sealed record RingFailed(OperationId Operation, string Detail) : PeerInput;

    /// <summary>A probe has ended: this peer measured it as its target, or could not take its part in it.</summary>
    /// <summary>Which of the members that were to be tried did not answer, by rank.</summary>
    internal sealed record Surveyed(Epoch Epoch, IReadOnlyList<ushort> Unreachable) : PeerInput;

    internal sealed record ProbeDone(ulong Number, bool Ok, ulong BytesPerSecond, string Detail) : PeerInput;

    /// <summary>Time has passed; what has moved on the data links of the epoch by now; and when bytes of the master came last, be it of a message that is not whole yet.</summary>
    internal sealed record Tick(LinkBytes Moved = default, long HeardMs = long.MinValue) : PeerInput;
    // By the exchange of shared state.

    /// <summary>Everything the plan asks for is here and verified, but not visible to the application yet; or it will not be, for this reason. Ends what <see cref="PeerOutput.FetchState"/> began.</summary>
    internal sealed record StateFetched(RequestNumber Request, bool Ok, string Detail) : PeerInput;

    /// <summary>A holder of the plan could not be reached, broke off, or gave bytes that do not match the elected hash. The driver goes on with others.</summary>
    internal sealed record HolderFailed(RequestNumber Request, PeerId Holder, bool WrongBytes, string Detail) : PeerInput;

}

/// <summary>How a call ended: <see cref="Code"/> 0 is success.</summary>
internal readonly record struct Outcome(ErrorCode Code, string Reason)
{
    public static Outcome Success => default;

    public bool Succeeded => Code == default;
}

/// <summary>A standing membership.</summary>
internal sealed record Membership(Epoch Epoch, IReadOnlyList<Member> Members, int Rank, WorldSizes Sizes)
{
    /// <summary>Members that the group must have to reduce.</summary>
    public int KeptMinimum { get; init; }

    public bool IsShort => Members.Count < KeptMinimum;

    /// <summary>Why it replaced the one before: the sentence that the master has established.</summary>
    public string Reason { get; init; } = "";

    /// <summary>Whether peers were lost when it began.</summary>
    public bool HasLost { get; init; }
}

/// <summary>What a peer wants done.</summary>
internal abstract record PeerOutput
{
    internal sealed record Send(Message Message) : PeerOutput;

    /// <summary>Make the links of this epoch: to the next member and from the previous one. Data of older epochs is dropped from now on.</summary>
    internal sealed record Wire(LinkKey Key, PeerId Self, Epoch Epoch, IReadOnlyList<Member> Members, int Rank) : PeerOutput;

    /// <summary>Take part in a probe: send as much as possible to the one member, or measure what the other one sends.</summary>
    internal sealed record Probe(LinkKey Key, PeerId Self, ulong Number, Member From, Member To) : PeerOutput;

    /// <summary>Find out which of these members' data ports can be reached.</summary>
    internal sealed record Survey(Epoch Epoch, IReadOnlyList<(ushort Rank, Member Member)> Targets) : PeerOutput;

    /// <summary>This peer is registered.</summary>
    internal sealed record Welcomed(PeerId Id, uint SegmentBytes) : PeerOutput;

    /// <summary>A new membership stands. The first one ends connect.</summary>
    internal sealed record WorldStands(Membership Membership) : PeerOutput;

    /// <summary>The operation is that of a tensor, here and in the next two; in <see cref="FinishOperation"/> it is the collective's.</summary>
    internal sealed record StartRing(OperationId Operation, AttemptKey Attempt, Membership Membership) : PeerOutput;

    /// <summary>Bulk data may flow.</summary>
    internal sealed record ReleaseRing(OperationId Operation) : PeerOutput;

    /// <summary>The attempt is aborted: stop touching its buffers. The outcome follows when the next ring stands.</summary>
    internal sealed record StopRing(OperationId Operation) : PeerOutput;

    // The ends of calls carry the membership that the application sees from then on. It is the same for all peers whose calls ended together; null where the end concerns this peer alone.

    /// <summary>The end of a collective, of all its tensors. Tell the application; unless it succeeded, restore its buffers first.</summary>
    internal sealed record FinishOperation(OperationId Operation, Outcome Outcome, Membership? Seen = null) : PeerOutput;

    /// <summary>Yes: the answer to a question; of a vote: whether it has admitted peers.</summary>
    internal sealed record FinishRequest(RequestNumber Request, Outcome Outcome, bool Yes, Membership? Seen = null) : PeerOutput;

    /// <summary>Fetch what the plan says into staging memory; answered by <see cref="PeerInput.StateFetched"/>, at once when there is nothing to fetch.</summary>
    internal sealed record FetchState(RequestNumber Request, SharedStatePlan Plan) : PeerOutput;

    /// <summary>A holder of the plan is no member any more: use its connections no longer.</summary>
    internal sealed record HolderLost(RequestNumber Request, PeerId Holder) : PeerOutput;

    /// <summary>The sync is over. On success swap the staged bytes in and tell the application the revision; else stop fetching and drop them. Either way stop serving.</summary>
    internal sealed record FinishSync(RequestNumber Request, Outcome Outcome, Revision Revision, IReadOnlyList<LeftOutPeer> LeftOut, Membership? Seen = null) : PeerOutput;

    internal sealed record WakeAt(long NowMs) : PeerOutput;

    /// <summary>For the log: how long this peer has waited, where and for whom.</summary>
    internal sealed record Waits(uint Seconds, string Text) : PeerOutput;

    /// <summary>
    /// Last output: close everything. <see cref="Outcome"/> success means that this peer left on its own wish. With <see cref="Heard"/>, only after the master has read
    /// what was sent last, if it does so soon: it says whose fault it is.
    /// </summary>
    internal sealed record Die(Outcome Outcome, bool Heard = false) : PeerOutput;
}
