using Collective.Collectives;
using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>The real state machine and the real rings of one peer; only sockets, threads and the clock are simulated.</summary>
internal sealed class SimulatedPeer : IDisposable
{
    private readonly Simulator _simulator;
    private readonly PeerStateMachine _machine = new();
    private readonly Queue<PeerInput> _inputs = new();
    private readonly Dictionary<OperationId, PendingReduce> _operations = [];
    private readonly Dictionary<RequestNumber, TaskCompletionSource<bool>> _requests = [];
    private readonly TaskCompletionSource _admitted = new();
    private readonly byte[] _buffer = new byte[4096];
    private readonly WorkBuffers _workBuffers = new();
    private readonly RingPool _rings = new();
    private ConnectionId? _connection;
    private long _lastSendUs;
    private long _cutUs;
    private long _lastOperation;
    private ulong _lastRequest;
    private Membership? _membership;
    private World? _world;
    private RunId _run;
    private int _outputs;

    public SimulatedPeer(Simulator simulator, int index, PeerGroup group)
    {
        _simulator = simulator;
        Index = index;
        Group = group;
        Address = new PeerAddress((UInt128)(uint)(0x0A000001 + index), IsIPv6: false, (ushort)(20_000 + index));
        Transport = new SimulatedTransport(simulator, this);
    }

    public int Index { get; }

    public PeerGroup Group { get; }

    public PeerAddress Address { get; }

    public SimulatedTransport Transport { get; }

    public string Name => $"peer{Index}";

    public PeerId Id => _machine.Self;

    public bool Alive { get; private set; }

    /// <summary>Dead, or through with its program.</summary>
    public bool Finished { get; private set; }

    /// <summary>The process dies right before this output.</summary>
    public int CrashAfterOutputs { get; set; } = int.MaxValue;

    public int WorldSize => _membership?.Members.Count ?? 0;

    public override string ToString() => $"{Name} ({_machine.State} in epoch {_machine.Epoch})";

    public void Start()
    {
        Alive = true;
        Post(new PeerInput.Connect(Group));
        _simulator.At(_simulator.DelayUs(), () =>
        {
            if (Alive)
            {
                _connection = _simulator.Master.Accept(this);
                Post(new PeerInput.Connected(Address.Port));
            }
        });
        _ = new TrainingLoop(_simulator, this).RunAsync();
    }

    public void Leave()
    {
        if (Alive)
        {
            _simulator.Trace(Name, () => "leaves");
            Post(new PeerInput.Leave());
        }
    }

    public void Finish() => Leave();

    public void Dispose() => _workBuffers.Dispose();

    public void BreakNextLink()
    {
        if (Alive)
        {
            Transport.BreakNext();
        }
    }

    // What the training loop calls.

    public Task ConnectAsync() => _admitted.Task;

    public Task<bool> QueryPendingAsync() => Ask(number => new PeerInput.QueryPending(number));

    public Task<bool> UpdateTopologyAsync() => Ask(number => new PeerInput.UpdateTopology(number, 1));

    public PendingReduce Launch(ulong tag, int count, bool inPlace)
    {
        var id = new OperationId(++_lastOperation);
        var descriptor = new CollectiveDescriptor((ulong)count, DataType.Int32, ReduceOperation.Sum, 0);
        var operation = new AllReduceOperation(id, new Tag(tag), descriptor, _workBuffers, _rings, Post);
        var pending = new PendingReduce(operation, Contribution(Index, tag, count), inPlace);
        _operations.Add(id, pending);
        Post(new PeerInput.Launch(id, new Tag(tag), descriptor));
        return pending;
    }

    public void Cancel(PendingReduce pending) => Post(new PeerInput.Cancel(pending.Operation.Id));

    /// <summary>What a peer contributes: known to all who check.</summary>
    public static int[] Contribution(int peer, ulong tag, int count)
    {
        var values = new int[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = unchecked(((peer + 1) * 1_000_003) + ((int)tag * 7919) + (i * 31));
        }

        return values;
    }

    // What the links and the master's connection tell.

    public void Wired(Epoch epoch) => Post(new PeerInput.Wired(epoch));

    public void LinkLost(Epoch epoch, PeerId neighbour, bool outgoing, string detail) => Post(new PeerInput.LinkLost(epoch, neighbour, outgoing, detail));

    public void ReceiveFrame(ConnectionId connection, byte[] frame)
    {
        if (!Alive || connection != _connection)
        {
            return;
        }

        var header = FrameHeader.Parse(frame)!.Value;
        var message = MessageCodec.Decode(header.Kind, frame.AsSpan(FrameHeader.Bytes, header.PayloadBytes));
        Ledger.Require(message is not null, $"a frame of kind {header.Kind} does not decode");
        if (message is EpochOpened opened)
        {
            _simulator.Ledger.EpochOpened(opened.Epoch, opened.Members);
        }

        Post(new PeerInput.Received(header.Term, header.Run, message!));
    }

    public void ControlLost(ConnectionId connection)
    {
        if (connection == _connection)
        {
            Post(new PeerInput.Lost(ErrorCode.MasterLost, "the master closed the connection"));
        }
    }

    private void Post(PeerInput input)
    {
        if (Alive)
        {
            _inputs.Enqueue(input);
            _simulator.At(_simulator.HopUs(), StepOne);
        }
    }

    private void StepOne()
    {
        if (!Alive || !_inputs.TryDequeue(out var input))
        {
            return;
        }

        if (input is not (PeerInput.Tick or PeerInput.Received { Message: Heartbeat }))
        {
            _simulator.Trace(Name, () => $"< {(input is PeerInput.Received received ? received.Message : input)}");
        }

        foreach (var output in _machine.Step(_simulator.NowMs, input).ToArray())
        {
            if (++_outputs > CrashAfterOutputs)
            {
                Crash();
                return;
            }

            Perform(output);
        }
    }

    private void Perform(PeerOutput output)
    {
        switch (output)
        {
            case PeerOutput.Send m: Send(m.Message); break;
            case PeerOutput.Wire m: Wire(m); break;
            case PeerOutput.WakeAt m: _simulator.At(Math.Max(0, (m.NowMs * 1000) - _simulator.NowUs), () => Post(new PeerInput.Tick())); break;
            case PeerOutput.WorldStands m:
                Ledger.Require(_membership is null || m.Membership.Epoch >= _membership.Epoch, $"the epochs of {this} go back");
                _membership = m.Membership;
                _world = new World(m.Membership.Epoch, [.. m.Membership.Members.Select(x => x.Id)], m.Membership.Rank, 0, 0, 0);
                _admitted.TrySetResult();
                break;
            case PeerOutput.StartRing m: _operations[m.Operation].Start(Transport, m.Attempt, m.Membership, _world!, _simulator.Scenario.SegmentBytes); break;
            case PeerOutput.ReleaseRing m: _operations[m.Operation].Operation.ReleaseRing(); break;
            case PeerOutput.StopRing m: _operations[m.Operation].Operation.StopRing(); break;
            case PeerOutput.FinishOperation m: FinishOperation(m); break;
            case PeerOutput.FinishRequest m: FinishRequest(m); break;
            case PeerOutput.Die m: OnDeath(m.Outcome); break;
        }
    }

    private void Send(Message message)
    {
        if (message is not Heartbeat)
        {
            _simulator.Trace(Name, () => $"> {message}");
        }

        var frame = _buffer[..MessageCodec.Encode(message, term: 1, _run, _buffer)];
        var connection = _connection!.Value;
        _lastSendUs = Math.Max(_lastSendUs, _simulator.NowUs + _simulator.DelayUs());
        var last = _lastSendUs;
        _simulator.At(last - _simulator.NowUs, () =>
        {
            // Of what a dying process had written, a prefix arrives.
            if (Alive || last <= _cutUs)
            {
                _simulator.Master.Receive(connection, frame);
            }
        });
    }

    private void Wire(PeerOutput.Wire wire)
    {
        _run = wire.Run;
        var count = wire.Members.Count;
        Member? next = count > 1 ? wire.Members[(wire.Rank + 1) % count] : null;
        Member? previous = count > 1 ? wire.Members[(wire.Rank + count - 1) % count] : null;
        Transport.Wire(new Collective.Transport.WirePlan(wire.Run, wire.Self, wire.Epoch, next, previous));
    }

    private void FinishOperation(PeerOutput.FinishOperation finish)
    {
        _operations.Remove(finish.Operation, out var pending);
        pending!.Finish(this, _simulator, finish.Outcome);
    }

    private void FinishRequest(PeerOutput.FinishRequest finish)
    {
        _requests.Remove(finish.Request, out var completion);
        if (finish.Outcome.Succeeded)
        {
            completion!.SetResult(finish.Pending);
        }
        else
        {
            completion!.SetException(Failures.Of(finish.Outcome));
        }
    }

    private void OnDeath(Outcome outcome)
    {
        Ledger.Require(outcome.Succeeded, $"G5: {this} did nothing wrong and ended with {outcome.Code}: {outcome.Reason}");
        End($"ended");
    }

    private void Crash() => End("CRASHES");

    private void End(string how)
    {
        _simulator.Trace(Name, () => how);
        Alive = false;
        Finished = true;
        Transport.Die();
        Transport.Dispose();
        if (_connection is { } connection)
        {
            var closeUs = _simulator.DelayUs();
            _cutUs = _simulator.NowUs + closeUs;
            _simulator.At(closeUs + 1, () => _simulator.Master.Disconnect(connection, "connection closed"));
        }
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
