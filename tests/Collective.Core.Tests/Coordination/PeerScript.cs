using System.Text;
using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Feeds a <see cref="PeerStateMachine"/>, which is peer A, and writes down what goes in, what comes out and the state that follows.</summary>
internal sealed class PeerScript
{
    public const uint HeartbeatTimeoutMs = 5000;

    private static readonly RunId Run = new(new Guid("11111111111111111111111111111111"));

    private readonly PeerStateMachine _peer = new();
    private readonly StringBuilder _text = new();
    private PeerState _shown;
    private long _nowMs;
    private bool _silent;
    private bool _dead;

    public PeerScript(string title) => _text.Append("# ").Append(title).Append('\n');

    public PeerState State => _peer.State;

    /// <summary>Compares the transcript with Transcripts/Peer/(test's name).txt.</summary>
    public void Check(string? variant = null)
    {
        var name = TestContext.CurrentContext.Test.MethodName! + (variant is null ? "" : $"_{variant}");
        GoldenFile.Check($"Transcripts/Peer/{name.Replace('_', '-').ToLowerInvariant()}.txt", _text.ToString());
    }

    public string LastLine => _text.ToString().TrimEnd('\n').Split('\n')[^1];

    /// <summary>What comes before the scenario proper: this peer in a standing ring.</summary>
    public PeerScript Given(string ring)
    {
        _silent = true;
        Reach(PeerState.Pending).Opened(1, ring).Input(new PeerInput.Wired(Number(1))).Stands(1, ring.Length);
        _silent = false;
        _text.Append($"given A in [{string.Join<char>(' ', ring)}], {Number(1)} stands\n");
        _shown = State;
        return this;
    }

    /// <summary>Leads the peer to a state on the straight way.</summary>
    public PeerScript Given(PeerState state)
    {
        _silent = true;
        Reach(state);
        _silent = false;
        _text.Append($"given A {state}\n");
        _shown = State;
        return this;
    }

    public PeerScript Note(string text)
    {
        _text.Append("# ").Append(text).Append('\n');
        return this;
    }

    public PeerScript Opened(ulong number, string ring, string reason = "somebody came", Exclusion[]? excluded = null, params Decision[] decisions)
        => Hear(new EpochOpened(Number(number), default, reason, [.. ring.Select(Describe.Member)], excluded ?? [], decisions));

    public PeerScript Lost(ulong number, string ring, char peer)
        => Opened(number, ring, $"peer {peer} was lost", [new Exclusion(Describe.Peer(peer), "its connection closed")]);

    public PeerScript Wired(ulong number) => Input(new PeerInput.Wired(Number(number)));

    public PeerScript Stands(ulong number, int size, string reason = "", int keptMinimum = 0)
        => Hear(new EpochStands(Number(number), new WorldSizes(size, 1, size), reason) { KeptMinimum = keptMinimum });

    public PeerScript Announce(string? fingerprint, string scope = "") => Input(new PeerInput.Announce(scope, fingerprint));

    public PeerScript Hear(Message message, RunId? run = null, ushort term = 1) => Input(new PeerInput.Received(term, run ?? Run, message));

    public PeerScript Launch(long operation, ulong tag = 7, ulong count = 10, long timeoutMs = PeerInput.NoTimeout)
        => Input(new PeerInput.Launch(new OperationId(operation), new Tag(tag), new CollectiveDescriptor(count, DataType.Float32, ReduceOperation.Sum, 0), timeoutMs));

    public PeerScript BeginSet(long operation, int size, ulong tag = 7, long timeoutMs = PeerInput.NoTimeout)
        => Input(new PeerInput.BeginSet(new OperationId(operation), new Tag(tag), size, timeoutMs));

    public PeerScript Tensor(long set, long operation, ushort position, ushort of, ulong count = 10)
        => Input(new PeerInput.LaunchTensor(new OperationId(set), new OperationId(operation), position, new CollectiveDescriptor(count, DataType.Float32, ReduceOperation.Sum, 0, "", of)));

    public PeerScript Cancel(long operation) => Input(new PeerInput.Cancel(new OperationId(operation)));

    public PeerScript Completed(long operation) => Input(new PeerInput.RingCompleted(new OperationId(operation)));

    public PeerScript Step(ulong request, long timeoutMs = PeerInput.NoTimeout) => Input(new PeerInput.Step(new RequestNumber(request), timeoutMs));

    public PeerScript Vote(ulong request, long timeoutMs = PeerInput.NoTimeout) => Input(new PeerInput.UpdateTopology(new RequestNumber(request), timeoutMs));

    public PeerScript VoteOptimize(ulong request, long timeoutMs = PeerInput.NoTimeout) => Input(new PeerInput.OptimizeTopology(new RequestNumber(request), timeoutMs));

    public PeerScript Probe(ulong number, char from, char to) => Hear(new ProbeLink(number, Describe.Member(from), Describe.Member(to)));

    public PeerScript Probed(ulong number, ulong? bytesPerSecond = null) => Input(new PeerInput.ProbeDone(number, bytesPerSecond is not null, bytesPerSecond ?? 0, bytesPerSecond is null ? "connection refused" : ""));

    public PeerScript Query(ulong request, long timeoutMs = PeerInput.NoTimeout) => Input(new PeerInput.QueryPending(new RequestNumber(request), timeoutMs));

    public PeerScript Replied(ulong request, bool pending = false, ErrorCode error = default, string reason = "")
        => Hear(new PendingReply(new RequestNumber(request), pending, error, reason));

    public PeerScript Withdraw(ulong request) => Input(new PeerInput.Withdraw(new RequestNumber(request)));

    public PeerScript Sync(ulong request, string state = "w:1 b:2", ulong revision = 5, SyncStrategy strategy = SyncStrategy.EnforcePopular, long timeoutMs = PeerInput.NoTimeout)
        => Input(new PeerInput.Synchronise(new RequestNumber(request), new Revision(revision), RevisionRule.Grows, strategy, Describe.Entries(state), timeoutMs));

    /// <summary>The plan: these positions of the list, each from all of these holders.</summary>
    public PeerScript Plan(ulong request, string holders = "", params ushort[] fetches)
        => Hear(new SharedStatePlan(
            new RequestNumber(request),
            new Revision(5),
            [.. holders.Select(Describe.Member)],
            holders.Length > 0 ? [[.. Enumerable.Range(0, holders.Length).Select(i => (ushort)i)]] : [],
            [.. fetches.Select(i => new StateFetch(i, new StateHash(9), 0))]));

    public PeerScript Fetched(ulong request, bool ok = true, string detail = "") => Input(new PeerInput.StateFetched(new RequestNumber(request), ok, detail));

    public PeerScript HolderFails(ulong request, char holder, bool wrongBytes = true)
        => Input(new PeerInput.HolderFailed(new RequestNumber(request), Describe.Peer(holder), wrongBytes, "block 3 of w"));

    public PeerScript SyncEnds(ulong request, ErrorCode error = default, string reason = "", ulong revision = 5)
        => Hear(new SharedStateFinished(new RequestNumber(request), error, reason, new Revision(error == default ? revision : 0), []));

    public PeerScript Dismissed(ulong request, ErrorCode error, string reason) => Hear(new Dismissed(new RequestNumber(request), error, reason));

    public PeerScript Answer(ulong request, ErrorCode error = default, string reason = "", int size = 2)
        => Hear(new TopologyUpdated(new RequestNumber(request), error, reason, new WorldSizes(size, 1, size)));

    /// <summary>The answer to this peer's own question, which it asks when it is alone.</summary>
    public PeerScript LoneAnswer(ulong question = 1) => Answer((1UL << 63) + question, size: 1);

    /// <summary>The answer to this peer's question when its group was short of members.</summary>
    public PeerScript CompanyAnswer(ErrorCode error = default, string reason = "", bool newcomers = false, ulong question = 1)
        => Hear(new TopologyUpdated(new RequestNumber((1UL << 63) + question), error, reason, new WorldSizes(2, 1, 2), newcomers));

    public PeerScript Leave() => Input(new PeerInput.Leave());

    public PeerScript Tick(long afterMs, ulong sent = 0, ulong received = 0)
    {
        _nowMs += afterMs;
        return Input(new PeerInput.Tick(new LinkBytes(sent, received)), $"Tick at {_nowMs} ms{(sent + received == 0 ? "" : $", {sent} bytes sent, {received} received")}");
    }

    public static Epoch Number(ulong number) => new((1UL << 48) | number);

    public static AttemptKey Attempt(ulong epoch, ulong tag = 7, uint ordinal = 0) => new(Number(epoch), new Tag(tag), ordinal);

    public PeerScript Input(PeerInput input, string? line = null)
    {
        Write($"> {line ?? Describe.Text(input)}");
        foreach (var output in _peer.Step(_nowMs, input))
        {
            Assert.That(_dead && output is not (PeerOutput.FinishOperation or PeerOutput.FinishRequest or PeerOutput.FinishSync), Is.False, $"{output} after death");
            _dead |= output is PeerOutput.Die;
            Write($"  {Describe.Text(output)}");
        }

        if (State != _shown)
        {
            Write($"  = {State}");
            _shown = State;
        }

        return this;
    }

    private PeerScript Reach(PeerState state)
    {
        PeerInput[] way =
        [
            new PeerInput.Connect(new PeerGroup(0)),
            new PeerInput.Connected(Describe.DataPort('A')),
            new PeerInput.Received(1, Run, new Welcome(Describe.Peer('A'), HeartbeatTimeoutMs, 1 << 20)),
            new PeerInput.Received(1, Run, new EpochOpened(Number(1), default, "admitted A", [Describe.Member('A'), Describe.Member('B')], [], [])),
            new PeerInput.Received(1, Run, new EpochStands(Number(1), new WorldSizes(2, 1, 2), "")),
            new PeerInput.Leave(),
            new PeerInput.Lost(ErrorCode.MasterLost, "closed"),
        ];
        foreach (var input in way.TakeWhile(_ => State != state))
        {
            Input(input);
        }

        Assert.That(State, Is.EqualTo(state));
        return this;
    }

    private void Write(string line)
    {
        if (!_silent)
        {
            _text.Append(Describe.WithNames(line)).Append('\n');
        }
    }
}
