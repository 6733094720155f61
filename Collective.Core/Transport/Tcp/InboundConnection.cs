using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>An accepted connection: a stranger until its kind has admitted it.</summary>
internal sealed class InboundConnection(TcpAcceptor acceptor, Socket socket)
{
    public Socket Socket { get; } = socket;

    public long AcceptedMs { get; } = Environment.TickCount64;

    /// <summary>Whose it is, once its magic is known; it counts among that kind's once it is admitted.</summary>
    public IInboundKind? Kind { get; set; }

    public bool Admitted { get; set; }

    /// <summary>Its hello is good: no stranger any more. False when its kind has all the connections it may have.</summary>
    public bool TryAdmit() => acceptor.TryAdmit(this);

    /// <summary>What is wrong with a hello of any kind but stripes, if anything; waits for a moment for this peer to learn who it is itself.</summary>
    public LinkReply Judge(DataHello hello)
    {
        if (hello.Version != MessageCodec.Version)
        {
            return LinkReply.WrongVersion;
        }

        return acceptor.AwaitSelf() is not { } self || self.Key != hello.Key ? LinkReply.WrongKey
            : self.Id != hello.To ? LinkReply.WrongPeer
            : LinkReply.Accepted;
    }

    public void Answer(LinkReply reply)
    {
        Span<byte> bytes = stackalloc byte[LinkReplyCodec.Bytes];
        LinkReplyCodec.Write(reply, bytes);
        Socket.SendAll(bytes);
    }
}
