using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>Connections for shared state: made to holders, and accepted from who fetches.</summary>
internal sealed class TcpStates(TcpTransportOptions options) : IInboundKind
{
    // Written when a sync begins to be possible, read by connections' threads.
    private volatile Action<IByteConnection>? _serve;
    private (LinkKey Key, PeerId Id) _self;

    // Guards who this peer is between its loop and who dials.
    private readonly Lock _gate = new();

    /// <summary>"CSTA".</summary>
    public uint Magic => DataHello.StateMagic;

    public int ConnectionsMax => Limits.StateConnectionsMax;

    public void Use(Action<IByteConnection> serve) => _serve = serve;

    public void SetSelf(LinkKey key, PeerId id)
    {
        lock (_gate)
        {
            _self = (key, id);
        }
    }

    public void Serve(InboundConnection connection, byte[] hello)
    {
        var parsed = DataHello.Parse(hello);
        if (parsed is null || _serve is not { } serve)
        {
            return;
        }

        var reply = connection.Judge(parsed.Value);
        if (reply == LinkReply.Accepted && !connection.TryAdmit())
        {
            return;
        }

        connection.Answer(reply);
        if (reply != LinkReply.Accepted)
        {
            return;
        }

        var socket = connection.Socket;
        socket.ReceiveTimeout = 0; // Who fetches may have nothing to ask for; the end of the sync ends it.
        socket.SendTimeout = (int)options.StallTimeout.TotalMilliseconds;
        EndPoints.BreakWhenStalled(socket, options.StallTimeout);
        using var bytes = new TcpByteConnection(socket);
        serve(bytes);
    }

    public TcpByteConnection Dial(Member holder)
    {
        Socket? socket = null;
        try
        {
            socket = Dialing.Dial(holder, TimeSpan.FromMilliseconds(Math.Min(options.ConnectTimeout.TotalMilliseconds, Limits.LinkConnectMsMax)), _ => { });
            EndPoints.BreakWhenStalled(socket, options.StallTimeout);
            socket.SendTimeout = (int)options.StallTimeout.TotalMilliseconds;
            socket.ReceiveTimeout = (int)options.StallTimeout.TotalMilliseconds;
            Greet(socket, holder);
            return new TcpByteConnection(socket);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException && Shortage.Of(e) is null)
        {
            socket?.Dispose();
            throw TcpByteConnection.Broken(e);
        }
        catch
        {
            socket?.Dispose();
            throw;
        }
    }

    private void Greet(Socket socket, Member holder)
    {
        (LinkKey Key, PeerId Id) self;
        lock (_gate)
        {
            self = _self;
        }

        Span<byte> buffer = stackalloc byte[DataHello.Bytes];
        new DataHello(Magic, MessageCodec.Version, Index: 0, Count: 1, self.Key, Number: 0, self.Id, holder.Id, Extra: 0).Write(buffer);
        socket.SendAll(buffer);
        var reply = buffer[..LinkReplyCodec.Bytes];
        var answer = socket.ReceiveAll(reply) ? LinkReplyCodec.Parse(reply) : null;
        if (answer != LinkReply.Accepted)
        {
            throw new IOException($"hello refused: {(answer is null ? "no reply of the protocol" : answer)}");
        }
    }
}
