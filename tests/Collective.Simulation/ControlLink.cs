using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>One message as on the wire, decoded once however many receive it.</summary>
internal sealed class Frame(byte[] bytes)
{
    private Message? _message;

    public FrameHeader Header { get; } = FrameHeader.Parse(bytes)!.Value;

    public Message Message => _message ??= Decode();

    private Message Decode()
    {
        var message = MessageCodec.Decode(Header.Kind, bytes.AsSpan(FrameHeader.Bytes, Header.PayloadBytes));
        Ledger.Require(message is not null, $"a frame of kind {Header.Kind} does not decode");
        return message!;
    }
}

/// <summary>The connection of a peer to the master, as the network sees it.</summary>
internal sealed class ControlLink(Simulator simulator, SimulatedPeer peer)
{
    private readonly Channel _up = new(simulator, peer.Index, Network.Master);
    private readonly Channel _down = new(simulator, Network.Master, peer.Index);
    private bool _masterClosed;

    public ConnectionId Connection { get; private set; }

    public SimulatedPeer Peer => peer;

    public void Connect(Action connected) => _up.Send(() => simulator.Master.Run(() =>
    {
        Connection = simulator.Master.Accept(this);
        _down.Send(() => peer.Run(connected));
    }));

    public void ToMaster(Frame frame) => _up.Send(() => simulator.Master.Run(() => simulator.Master.Receive(Connection, frame)));

    public void ToPeer(Frame frame) => _down.Send(() => peer.Run(() => peer.Receive(frame)));

    /// <summary>The master closes it after what it has sent.</summary>
    public void MasterCloses(string reason = "the master closed the connection")
    {
        if (!_masterClosed)
        {
            _masterClosed = true;
            _down.Close(() => peer.Run(() => peer.ControlLost(reason)), abrupt: false);
        }
    }

    /// <summary>The peer's process ends; of what it had sent all arrives, or with an abrupt end a part.</summary>
    public void PeerEnds(bool abrupt) => _up.Close(() => simulator.Master.Run(() => simulator.Master.Disconnect(Connection, "connection closed")), abrupt);

    public void Reset()
    {
        PeerEnds(abrupt: true);
        _masterClosed = true;
        _down.Close(() => peer.Run(() => peer.ControlLost("connection reset")), abrupt: true);
    }
}
