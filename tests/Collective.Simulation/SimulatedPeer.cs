using Collective.Collectives;
using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>The real state machine and the real rings of one peer; only sockets, threads and the clock are simulated.</summary>
internal sealed class SimulatedPeer : SimulatedProcess, IDisposable
{
    private const long ConnectTimeoutUs = 10_000_000;

    private readonly PeerStateMachine _machine = new();
    private readonly Queue<PeerInput> _inputs = new();
    private readonly Dictionary<OperationId, PendingReduce> _operations = [];
    private readonly Dictionary<OperationId, PendingSet> _sets = [];
    private readonly Dictionary<RequestNumber, TaskCompletionSource<bool>> _requests = [];
    private readonly Dictionary<RequestNumber, SimulatedSync> _syncs = [];
    private readonly TaskCompletionSource _admitted = new();
    private readonly byte[] _buffer = new byte[8192];
    private readonly WorkBuffers _workBuffers = new();
    private readonly RingPool _rings = new();
    private ControlLink? _control;
    private long _wakeAtMs = long.MaxValue;
    private long _lastOperation;
    private ulong _lastRequest;
    private Membership? _membership;
    private World? _world;
    private RunId _run;
    private int _points;

    public SimulatedPeer(Simulator simulator, int index, PeerGroup group)
        : base(simulator)
    {
        Index = index;
        Group = group;
        Address = new PeerAddress((UInt128)(uint)(0x0A000001 + index), IsIPv6: false, (ushort)(20_000 + index));
        Transport = new SimulatedTransport(simulator, this);
        State = simulator.Scenario.StateOf(index);
    }

    public int Index { get; }

    public PeerGroup Group { get; }

    public PeerAddress Address { get; }

    public SimulatedTransport Transport { get; }

    /// <summary>What its application holds.</summary>
    public SimulatedState State { get; }

    public string Name => $"peer{Index}";

    public PeerId Id => _machine.Self;

    /// <summary>Dead, or through with its program.</summary>
    public bool Finished { get; private set; }

    /// <summary>Whether it is the second life of one that was evicted or lost the master.</summary>
    public bool Rejoined { get; init; }

    /// <summary>Whether the connection to the master broke: then it ends without being told why.</summary>
    public bool ControlReset { get; private set; }

    /// <summary>Whether it could not do its part.</summary>
    public bool IsShort { get; private set; }

    /// <summary>What happens to it at its n-th point, counted from 1.</summary>
    public List<(int Point, Action Strike)> Strikes { get; } = [];

    public int WorldSize => _membership?.Members.Count ?? 0;

    public override string ToString() => $"{Name} ({_machine.State} in epoch {_machine.Epoch}{(Frozen ? ", frozen" : "")})";

    public void Start()
    {
        Alive = true;
        var minimum = Simulator.Scenario.KeptMinimum;
        Post(minimum > 0 ? new PeerInput.Connect(Group, minimum, KeepingLoop.ConnectTimeoutMs) { KeepsMinimum = true } : new PeerInput.Connect(Group));
        _control = new ControlLink(Simulator, this);
        _control.Connect(() =>
        {
            if (Alive)
            {
                Post(new PeerInput.Connected(Address.Port));
            }
        });
        After(ConnectTimeoutUs, () =>
        {
            if (_machine.State is PeerState.Connecting or PeerState.Registering)
            {
                Post(new PeerInput.Lost(ErrorCode.MasterUnreachable, "no answer"));
            }
        });
        _ = minimum > 0 ? new KeepingLoop(Simulator, this).RunAsync() : new TrainingLoop(Simulator, this).RunAsync();
    }

    public void Leave()
    {
        if (Alive)
        {
            Simulator.Trace(Name, () => "leaves");
            Post(new PeerInput.Leave());
        }
    }

    public void Kill()
    {
        if (Alive)
        {
            End("is KILLED", abrupt: Simulator.Random.Next(2) == 0);
        }
    }

    /// <summary>The control connection breaks; both ends notice.</summary>
    public void ResetControl()
    {
        if (Alive)
        {
            ControlReset = true;
            _control!.Reset();
        }
    }

    public void FindShortage()
    {
        if (Alive)
        {
            IsShort = true;
            Post(new PeerInput.LocalFault("its process has no file descriptors left"));
        }
    }

    /// <summary>A point at which the seed, or an enumeration, may let something happen; then the rest happens if and when the process still runs.</summary>
    public void Interruptible(Action rest)
    {
        if (!Alive)
        {
            return;
        }

        Point();
        if (Frozen)
        {
            RunFirst(() => { if (Alive) { rest(); } });
        }
        else if (Alive)
        {
            rest();
        }
    }

    public void Finish() => Leave();

    public void Dispose() => _workBuffers.Dispose();

    // What the training loop calls.

    public Task ConnectAsync() => _admitted.Task;

    /// <summary>Whether nobody was there before it.</summary>
    public bool IsFounder { get; private set; }

    public Task PauseAsync(long us)
    {
        var over = new TaskCompletionSource();
        After(us, () =>
        {
            if (Alive)
            {
                over.SetResult();
            }
        });
        return over.Task;
    }

    public Task<bool> QueryPendingAsync() => Ask(number => new PeerInput.QueryPending(number));

    public Task<bool> StepAsync(int timeoutMs = -1) => Ask(number => new PeerInput.Step(number, timeoutMs));

    public Task<bool> UpdateTopologyAsync() => Ask(number => new PeerInput.UpdateTopology(number));

    /// <summary>Cancelled after a while, if one is given.</summary>
    public Task<bool> OptimizeTopologyAsync(int timeoutMs, long? cancelAfterUs)
    {
        var call = Ask(number => new PeerInput.OptimizeTopology(number, timeoutMs));
        var request = new RequestNumber(_lastRequest);
        if (cancelAfterUs is { } us)
        {
            After(us, () => Post(new PeerInput.Withdraw(request)));
        }

        return call;
    }

    public PendingReduce Launch(ulong tag, int count, int timeoutMs, bool inPlace)
    {
        var pending = NewReduce(new Tag(tag), Contributions.Descriptor(count, quantised: Simulator.Scenario.Quantises && tag % 2 == 1), inPlace);
        Post(new PeerInput.Launch(pending.Operation.Id, new Tag(tag), pending.Operation.Descriptor, timeoutMs));
        return pending;
    }

    public PendingSet BeginSet(ulong tag, int size, int timeoutMs)
    {
        var set = new PendingSet(new OperationId(++_lastOperation), new Tag(tag), (ushort)size);
        _sets.Add(set.Id, set);
        Post(new PeerInput.BeginSet(set.Id, set.Tag, size, timeoutMs));
        return set;
    }

    public void LaunchTensor(PendingSet set, int position, int count, bool inPlace)
    {
        if (!set.Over)
        {
            var pending = NewReduce(set.Tag, Contributions.Descriptor(count, quantised: Simulator.Scenario.Quantises && position % 2 == 0) with { Tensors = set.Size }, inPlace);
            set.Tensors.Add(pending);
            Post(new PeerInput.LaunchTensor(set.Id, pending.Operation.Id, (ushort)position, pending.Operation.Descriptor));
        }
    }

    public void Cancel(OperationId operation) => Post(new PeerInput.Cancel(operation));

    public SimulatedSync Synchronise(SyncStrategy strategy, int timeoutMs, SyncMistake mistake)
    {
        var request = new RequestNumber(++_lastRequest);
        var (revision, entries) = (State.Revision, State.Entries());
        switch (mistake)
        {
            case SyncMistake.RevisionTooHigh: revision = new Revision(revision.Value + 1 + (ulong)Simulator.Random.Next(3)); break;
            case SyncMistake.RevisionTooLow when revision.Value > 1: revision = new Revision(revision.Value / 2); break; // Programs tell the first sync by its revision.
            case SyncMistake.OtherType: entries[0] = entries[0] with { DataType = DataType.Int32 }; break;
            case SyncMistake.OtherSize: entries[0] = entries[0] with { Count = 99 }; break;
            case SyncMistake.MissingKey: entries = entries[..^1]; break;
            case SyncMistake.OtherStrategy: strategy = (SyncStrategy)(((int)strategy + 1) % 3); break;
        }

        if (strategy == SyncStrategy.ReceiveOnly && request.Value % 2 == 0)
        {
            entries = [.. entries.Select(e => e with { Hash = default })]; // Who only receives need not have hashed anything.
        }

        var sync = new SimulatedSync(Simulator, this, request, strategy);
        _syncs.Add(request, sync);
        Post(new PeerInput.Synchronise(request, revision, Simulator.Scenario.Revisions, strategy, entries, timeoutMs));
        return sync;
    }

    public void CancelSync(SimulatedSync sync) => Post(new PeerInput.Withdraw(sync.Request));

    // What the exchange of shared state tells.

    public SimulatedSync SyncOf(RequestNumber request) => _syncs[request];

    public void Fetched(RequestNumber request, bool ok, string detail) => Post(new PeerInput.StateFetched(request, ok, detail));

    public void HolderFailed(RequestNumber request, PeerId holder, bool wrongBytes)
        => Post(new PeerInput.HolderFailed(request, holder, wrongBytes, wrongBytes ? "other bytes than elected" : "no answer"));

    /// <summary>Another peer asks for a tensor, perhaps late, when another sync has begun. Of one that is dead there may be a refusal or silence.</summary>
    public void Serve(SimulatedPeer fetcher, string key, Action<ulong?> answer)
    {
        void Reply(ulong? content) => new Channel(Simulator, Index, fetcher.Index).Send(() => fetcher.Run(() => fetcher.Interruptible(() => answer(content))));
        if (!Alive)
        {
            if (Simulator.Random.Next(2) == 0)
            {
                Reply(null);
            }

            return;
        }

        Interruptible(() =>
        {
            var sync = _syncs.Values.LastOrDefault();
            Reply(sync is null or { Over: true } or { Strategy: SyncStrategy.ReceiveOnly } ? null : Simulator.Scenario.Liar == Index ? State.ContentOf(key) ^ 1 : State.ContentOf(key));
        });
    }

    // What the links and the master's connection tell.

    public void Wired(Epoch epoch) => Post(new PeerInput.Wired(epoch));

    public void LinkLost(Epoch epoch, PeerId neighbour, bool outgoing, string detail) => Post(new PeerInput.LinkLost(epoch, neighbour, outgoing, detail));

    public void Surveyed(Epoch epoch, IReadOnlyList<ushort> unreachable) => Post(new PeerInput.Surveyed(epoch, unreachable));

    public void ProbeDone(ulong number, ulong? bytesPerSecond, string detail) => Post(new PeerInput.ProbeDone(number, bytesPerSecond is not null, bytesPerSecond ?? 0, detail));

    /// <summary>A frame of the master arrives.</summary>
    public void Receive(Frame frame)
    {
        if (!Alive)
        {
            return;
        }

        if (frame.Message is EpochOpened opened)
        {
            Simulator.Ledger.EpochOpened(opened.Epoch, opened.Members);
        }

        _run = frame.Header.Run;
        Post(new PeerInput.Received(frame.Header.Term, frame.Header.Run, frame.Message));
    }

    public void ControlLost(string reason) => Post(new PeerInput.Lost(ErrorCode.MasterLost, reason));

    private void Post(PeerInput input)
    {
        if (Alive)
        {
            _inputs.Enqueue(input);
            After(Simulator.HopUs(), () => Interruptible(StepOne));
        }
    }

    private void Point()
    {
        _points++;
        for (var i = 0; i < Strikes.Count; i++)
        {
            if (Strikes[i].Point == _points)
            {
                Strikes[i].Strike();
            }
        }
    }

    private void StepOne()
    {
        if (_inputs.TryDequeue(out var input))
        {
            if (input is not PeerInput.Received { Message: Heartbeat })
            {
                Simulator.Trace(Name, () => $"< {(input is PeerInput.Received received ? received.Message : input)}");
            }

            Step(input);
        }
    }

    private void Wake()
    {
        if (Alive && NowMs >= _wakeAtMs)
        {
            Interruptible(() => Step(new PeerInput.Tick(Transport.Moved)));
        }
    }

    private void Step(PeerInput input)
    {
        var outputs = _machine.Step(NowMs, input).ToArray();
        PerformFrom(outputs, 0);
    }

    private void PerformFrom(PeerOutput[] outputs, int first)
    {
        for (var i = first; i < outputs.Length && Alive; i++)
        {
            Point();
            if (Frozen)
            {
                var rest = i;
                RunFirst(() => PerformRest(outputs, rest));
                return;
            }

            if (Alive)
            {
                Perform(outputs[i]);
            }
        }
    }

    private void PerformRest(PeerOutput[] outputs, int first)
    {
        if (Alive)
        {
            Perform(outputs[first]);
            PerformFrom(outputs, first + 1);
        }
    }

    private void Perform(PeerOutput output)
    {
        switch (output)
        {
            case PeerOutput.Send m: Send(m.Message); break;
            case PeerOutput.Wire m: Wire(m); break;
            case PeerOutput.Survey m: Transport.Survey(new Collective.Transport.SurveyPlan(m.Epoch, [.. m.Targets.Select(t => new Collective.Transport.SurveyTarget(t.Rank, t.Member))])); break;
            case PeerOutput.Probe m: Transport.Probe(new Collective.Transport.ProbePlan(m.Key, m.Self, m.Number, m.From, m.To)); break;
            case PeerOutput.WakeAt m: _wakeAtMs = m.NowMs; After(UsUntil(m.NowMs), Wake); break;
            case PeerOutput.WorldStands m: OnWorldStands(m.Membership); break;
            case PeerOutput.StartRing m: _operations[m.Operation].Start(this, m.Attempt, m.Membership, _world!, Simulator); break;
            case PeerOutput.ReleaseRing m: _operations[m.Operation].Operation.ReleaseRing(); break;
            case PeerOutput.StopRing m: _operations[m.Operation].Operation.StopRing(); break;
            case PeerOutput.FinishOperation m: FinishOperation(m); break;
            case PeerOutput.FinishRequest m: FinishRequest(m); break;
            case PeerOutput.FetchState m: _syncs[m.Request].Fetch(m.Plan); break;
            case PeerOutput.HolderLost m: _syncs[m.Request].Lose(m.Holder); break;
            case PeerOutput.FinishSync m:
                if (m.Seen is not null)
                {
                    Simulator.WorldJudge.Ended(this, m.Request, m.Seen);
                }

                _syncs[m.Request].Finish(m.Outcome, m.Revision, m.LeftOut);
                break;
            case PeerOutput.Die m: OnDeath(m.Outcome); break;
        }
    }

    private void OnWorldStands(Membership membership)
    {
        Ledger.Require(_membership is null || membership.Epoch >= _membership.Epoch, $"the epochs of {this} go back");
        if (_membership?.Epoch != membership.Epoch)
        {
            _world = new World(membership.Epoch, [.. membership.Members.Select(x => x.Id)], membership.Rank, 0, 0, 0);
        }

        if (_membership is null)
        {
            Simulator.WorldJudge.Connected(this, membership);
        }

        IsFounder |= membership.Epoch == Epoch.First(1);
        _membership = membership;
        _admitted.TrySetResult();
    }

    private void Send(Message message)
    {
        if (message is not Heartbeat)
        {
            Simulator.Trace(Name, () => $"> {message}");
        }

        _control!.ToMaster(new Frame(_buffer.AsSpan(0, MessageCodec.Encode(message, term: 1, _run, _buffer)).ToArray()));
    }

    private void Wire(PeerOutput.Wire wire)
    {
        var count = wire.Members.Count;
        Member? next = count > 1 ? wire.Members[(wire.Rank + 1) % count] : null;
        Member? previous = count > 1 ? wire.Members[(wire.Rank + count - 1) % count] : null;
        Transport.Wire(new Collective.Transport.WirePlan(wire.Key, wire.Self, wire.Epoch, next, previous));
    }

    private void FinishOperation(PeerOutput.FinishOperation finish)
    {
        if (_sets.Remove(finish.Operation, out var set))
        {
            set.Tensors.ForEach(t => _operations.Remove(t.Operation.Id));
            set.Finish(this, Simulator, finish.Outcome, finish.Seen);
            return;
        }

        _operations.Remove(finish.Operation, out var pending);
        pending!.Finish(this, Simulator, finish.Outcome, finish.Seen);
    }

    private PendingReduce NewReduce(Tag tag, CollectiveDescriptor descriptor, bool inPlace)
    {
        var id = new OperationId(++_lastOperation);
        var operation = new AllReduceOperation(id, tag, descriptor, Simulator.Scenario.SegmentBytes, _workBuffers, _rings, Post);
        var pending = new PendingReduce(operation, Contributions.Of(Index, _lastOperation, descriptor), inPlace);
        _operations.Add(id, pending);
        return pending;
    }

    private void FinishRequest(PeerOutput.FinishRequest finish)
    {
        _requests.Remove(finish.Request, out var completion);
        if (finish.Outcome.Succeeded)
        {
            Simulator.WorldJudge.Ended(this, finish.Request, finish.Seen);
            completion!.SetResult(finish.Yes);
        }
        else
        {
            completion!.SetException(Failures.Of(finish.Outcome));
        }
    }

    private void OnDeath(Outcome outcome)
    {
        Simulator.Blame.PeerEnded(this, outcome);
        End(outcome.Succeeded ? "ended" : $"ended: {outcome.Reason}", abrupt: false);
        if (!outcome.Succeeded)
        {
            Simulator.Rejoin(this);
        }
    }

    private void End(string how, bool abrupt)
    {
        Simulator.Trace(Name, () => how);
        Alive = false;
        Finished = true;
        Transport.Die();
        Transport.Dispose();
        _control?.PeerEnds(abrupt);
        Simulator.PeerFinished();
    }

    private Task<bool> Ask(Func<RequestNumber, PeerInput> input)
    {
        var number = new RequestNumber(++_lastRequest);
        var completion = new TaskCompletionSource<bool>();
        _requests.Add(number, completion);
        Post(input(number));
        return completion.Task;
    }
}
