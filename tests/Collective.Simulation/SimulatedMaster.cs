using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>The real master's state machine on simulated connections. Messages pass the real codec.</summary>
internal sealed class SimulatedMaster : SimulatedProcess
{
    /// <summary>From this many peers on the deep invariants, which cost as much as there are peers, are checked once in a while.</summary>
    private const int SmallWorld = 16;

    private readonly Dictionary<ConnectionId, ControlLink> _connections = [];
    private readonly HashSet<ConnectionId> _closed = [];
    private readonly HashSet<AttemptKey> _forged = [];
    private readonly SyncForger _forger;
    private readonly byte[] _buffer = new byte[FrameHeader.Bytes + Limits.ControlBytesMax];
    private (Message Message, Frame Frame)? _lastSent;
    private long _nextConnection;
    private readonly List<MasterInput> _arrived = [];
    private long _wakeAtMs;
    private long _steps;
    private bool _busy;

    public SimulatedMaster(Simulator simulator)
        : base(simulator)
    {
        var run = new RunId(new Guid(simulator.Scenario.Seed, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
        Machine = new MasterStateMachine(new MasterConfiguration(run, Term: 1, Scenario.HeartbeatTimeoutMs, simulator.Scenario.SegmentBytes));
        _forger = new SyncForger(simulator.Scenario.Sabotage, Machine);
        Alive = true;
    }

    public MasterStateMachine Machine { get; }

    public void Start() => Step(new MasterInput.Tick());

    /// <summary>A peer's connection arrives.</summary>
    public ConnectionId Accept(ControlLink link)
    {
        var connection = new ConnectionId(++_nextConnection);
        _connections.Add(connection, link);
        var id = new byte[16];
        Simulator.Random.NextBytes(id);
        Simulator.Register(link.Peer, new PeerId(new Guid(id)));
        Step(new MasterInput.Connected(connection, link.Peer.Address with { Port = 0 }, new PeerId(new Guid(id))));
        return connection;
    }

    /// <summary>A frame of a peer arrives.</summary>
    public void Receive(ConnectionId connection, Frame frame)
    {
        if (_closed.Contains(connection) || !Alive)
        {
            return;
        }

        Simulator.SyncJudge.Received(_connections[connection].Peer.Id, frame.Message);
        if (!Forge(connection, frame.Message))
        {
            Step(new MasterInput.Received(connection, _forger.Forged(connection, frame.Message)));
        }
    }

    public void Disconnect(ConnectionId connection, string reason)
    {
        if (_closed.Add(connection))
        {
            _forger.Lost(connection);
            Step(new MasterInput.Disconnected(connection, reason));
        }
    }

    /// <summary>Its process ends; it does not come back.</summary>
    public void Kill()
    {
        Simulator.Trace("master", () => "is KILLED");
        Alive = false;
        Silent.Add(Simulator.NowUs, long.MaxValue);
        foreach (var link in _connections.Values)
        {
            link.MasterCloses("connection reset");
        }
    }

    private void Step(MasterInput input)
    {
        if (!Alive)
        {
            return;
        }

        if (input is MasterInput.Received { Message: not Heartbeat } received)
        {
            Simulator.Trace("master", () => $"< {_connections[received.Connection].Peer.Name}: {received.Message}");
        }

        if (Simulator.Scenario.MasterUsPerMessage == 0)
        {
            Perform(input, Handle([input]));
            return;
        }

        _arrived.Add(input);
        Work();
    }

    /// <summary>As the real one: takes all that has come, a tick after it when one is due, and is busy for a while.</summary>
    private void Work()
    {
        var due = NowMs >= _wakeAtMs && !_arrived.Exists(i => i is MasterInput.Tick);
        if (_busy || !Alive || (_arrived.Count == 0 && !due))
        {
            return;
        }

        MasterInput[] batch;
        if (Simulator.Scenario.Sabotage == Sabotage.OneInputAtATime)
        {
            batch = [due ? new MasterInput.Tick() : _arrived[0]];
            _arrived.RemoveRange(0, due ? 0 : 1);
        }
        else
        {
            batch = due ? [.. _arrived, new MasterInput.Tick()] : [.. _arrived];
            _arrived.Clear();
        }

        _busy = true;
        var outputs = Handle(batch);
        After(CostUs(batch.Length, outputs), () =>
        {
            Perform(batch[0], outputs);
            _busy = false;
            Work();
        });
    }

    private long CostUs(int inputs, MasterOutput[] outputs)
    {
        var sends = outputs.OfType<MasterOutput.Send>().ToList();
        var members = sends.Sum(s => s.Message is EpochOpened m ? m.Members.Count : 0);
        return ((inputs + sends.Count) * Simulator.Scenario.MasterUsPerMessage) + (members * Simulator.Scenario.MasterUsPerMember);
    }

    private MasterOutput[] Handle(MasterInput[] inputs)
    {
        var outputs = Machine.Step(NowMs, inputs).ToArray();
        if (Simulator.Peers.Count < SmallWorld || ++_steps % Simulator.Peers.Count == 0)
        {
            Machine.AssertDeepInvariants();
        }

        return outputs;
    }

    private void Perform(MasterInput input, MasterOutput[] outputs)
    {
        _forger.Stepped(outputs);
        var sent = outputs.OfType<MasterOutput.Send>().Select(m => (_connections[m.Connection].Peer, m.Message)).ToList();
        Simulator.SyncJudge.Answered(sent);
        Simulator.WorldJudge.Answered(sent);
        foreach (var output in outputs)
        {
            switch (output)
            {
                case MasterOutput.Send m when IsForgotten(input, m.Message): break;
                case MasterOutput.Send m: Send(m); break;
                case MasterOutput.Close m: Close(m.Connection); break;
                case MasterOutput.WakeAt m: _wakeAtMs = m.NowMs; After(UsUntil(m.NowMs), Wake); break;
                case MasterOutput.Report m:
                    Simulator.Trace("master", () => m.Event.Text);
                    Simulator.Blame.MasterReports(m.Event);
                    break;
            }
        }
    }

    private void Wake()
    {
        if (NowMs >= _wakeAtMs)
        {
            if (Simulator.Scenario.MasterUsPerMessage == 0)
            {
                Step(new MasterInput.Tick());
            }
            else
            {
                Work();
            }
        }
    }

    private void Send(MasterOutput.Send send)
    {
        if (Simulator.Scenario.MasterUsPerMessage > 0 && _closed.Contains(send.Connection))
        {
            return; // It died while the master was busy.
        }

        Ledger.Require(!_closed.Contains(send.Connection), $"{send.Message.Kind} sent to a dead peer");
        if (Simulator.Scenario.Sabotage == Sabotage.LoseAnswer && send.Message is PendingReply && Simulator.Random.Next(4) == 0)
        {
            return;
        }

        if (_lastSent is not { } last || last.Message != (object)send.Message)
        {
            var length = MessageCodec.Encode(send.Message, Machine.Configuration.Term, Machine.Configuration.Run, _buffer);
            _lastSent = last = (send.Message, new Frame(_buffer.AsSpan(0, length).ToArray()));
        }

        _connections[send.Connection].ToPeer(last.Frame);
    }

    private void Close(ConnectionId connection)
    {
        _closed.Add(connection);
        _connections[connection].MasterCloses();
    }

    /// <summary>Sabotage: what the loss of a peer brings about for those who wait for an answer does not happen.</summary>
    private bool IsForgotten(MasterInput cause, Message message)
        => Simulator.Scenario.Sabotage == Sabotage.VoteNotReevaluated
            && cause is MasterInput.Disconnected or MasterInput.Received { Message: Leave }
            && message is PendingReply or TopologyUpdated;

    /// <summary>Sabotage: when the promise of one member is still missing, the master believes that it had it.</summary>
    private bool Forge(ConnectionId from, Message message)
    {
        if (Simulator.Scenario.Sabotage != Sabotage.EarlyVerdict || message is not CollectiveDone { Ok: true } done)
        {
            return false;
        }

        if (_forged.Contains(done.Attempt))
        {
            return true;
        }

        var group = Machine.Groups.FirstOrDefault(g => g.Epoch == done.Attempt.Epoch);
        if (group is not null && group.Attempts.TryGetValue((done.Attempt.Tag, done.Attempt.Ordinal), out var attempt) && attempt.AllEntered && attempt.Promised == group.Ring.Count - 2)
        {
            _forged.Add(done.Attempt);
            var missing = group.Ring.First(p => p.Connection != from && !attempt.HasPromised(p));
            Step(new MasterInput.Received(missing.Connection, done));
        }

        return false;
    }
}
