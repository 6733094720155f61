using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>The real master's state machine, on simulated connections: ordered, delayed, cut off by death. Messages pass the real codec.</summary>
internal sealed class SimulatedMaster(Simulator simulator)
{
    private readonly Dictionary<ConnectionId, SimulatedPeer> _connections = [];
    private readonly HashSet<ConnectionId> _closed = [];
    private readonly Dictionary<ConnectionId, long> _lastDeliveryUs = [];
    private readonly byte[] _buffer = new byte[64 * 1024];
    private long _nextConnection;

    public MasterStateMachine Machine { get; } = new(new MasterConfiguration(
        new RunId(new Guid(simulator.Scenario.Seed, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)), Term: 1, HeartbeatTimeoutMs: 5_000, simulator.Scenario.SegmentBytes));

    public void Start() => Step(new MasterInput.Tick());

    /// <summary>A peer's connection arrives.</summary>
    public ConnectionId Accept(SimulatedPeer peer)
    {
        var connection = new ConnectionId(++_nextConnection);
        _connections.Add(connection, peer);
        var id = new byte[16];
        simulator.Random.NextBytes(id);
        Step(new MasterInput.Connected(connection, peer.Address with { Port = 0 }, new PeerId(new Guid(id))));
        return connection;
    }

    /// <summary>A frame of a peer arrives, encoded as on the wire.</summary>
    public void Receive(ConnectionId connection, byte[] frame)
    {
        if (_closed.Contains(connection))
        {
            return;
        }

        var header = FrameHeader.Parse(frame)!.Value;
        var message = MessageCodec.Decode(header.Kind, frame.AsSpan(FrameHeader.Bytes));
        Ledger.Require(message is not null, $"a frame of kind {header.Kind} does not decode");
        Step(new MasterInput.Received(connection, message!));
    }

    public void Disconnect(ConnectionId connection, string reason)
    {
        if (_closed.Add(connection))
        {
            Step(new MasterInput.Disconnected(connection, reason));
        }
    }

    private void Step(MasterInput input)
    {
        if (input is MasterInput.Received { Message: not Heartbeat } received)
        {
            simulator.Trace("master", () => $"< {_connections[received.Connection].Name}: {received.Message}");
        }

        var outputs = Machine.Step(simulator.NowMs, input).ToArray();
        Machine.AssertDeepInvariants();
        foreach (var output in outputs)
        {
            switch (output)
            {
                case MasterOutput.Send m: Send(m); break;
                case MasterOutput.Close m: Close(m.Connection); break;
                case MasterOutput.WakeAt m: simulator.At((m.NowMs * 1000) - simulator.NowUs, () => Step(new MasterInput.Tick())); break;
                case MasterOutput.Report m: simulator.Trace("master", () => m.Event.Text); break;
            }
        }
    }

    private void Send(MasterOutput.Send send)
    {
        Ledger.Require(!_closed.Contains(send.Connection), $"{send.Message.Kind} sent to a dead peer");
        var message = Sabotaged(send.Message);
        if (message is null)
        {
            return;
        }

        var length = MessageCodec.Encode(message, Machine.Configuration.Term, Machine.Configuration.Run, _buffer);
        var frame = _buffer[..length];
        var peer = _connections[send.Connection];
        Deliver(send.Connection, () => peer.ReceiveFrame(send.Connection, frame));
        if (simulator.Scenario.Sabotage == Sabotage.EarlyVerdict && message is CollectiveGo go)
        {
            var early = new byte[256];
            length = MessageCodec.Encode(new Verdict(go.Attempt), Machine.Configuration.Term, Machine.Configuration.Run, early);
            Deliver(send.Connection, () => peer.ReceiveFrame(send.Connection, early[..length]));
        }
    }

    private Message? Sabotaged(Message message)
        => simulator.Scenario.Sabotage == Sabotage.LoseAnswer && message is PendingReply && simulator.Random.Next(4) == 0 ? null : message;

    private void Close(ConnectionId connection)
    {
        _closed.Add(connection);
        var peer = _connections[connection];
        Deliver(connection, () => peer.ControlLost(connection));
    }

    /// <summary>In order per connection, each after a delay of its own.</summary>
    private void Deliver(ConnectionId connection, Action action)
    {
        var atUs = Math.Max(_lastDeliveryUs.GetValueOrDefault(connection), simulator.NowUs + simulator.DelayUs());
        _lastDeliveryUs[connection] = atUs;
        simulator.At(atUs - simulator.NowUs, action);
    }
}
