using System.Net.Sockets;

namespace Collective.Transport.Tcp;

/// <summary>A socket as a connection for bytes.</summary>
internal sealed class TcpByteConnection(Socket socket) : IByteConnection
{
    public void Send(ReadOnlySpan<byte> bytes)
    {
        try
        {
            socket.SendAll(bytes);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw Broken(e);
        }
    }

    public bool Receive(Span<byte> bytes)
    {
        try
        {
            return socket.ReceiveAll(bytes);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw Broken(e);
        }
    }

    public void Dispose() => socket.Dispose();

    /// <summary>A blocking call whose time is over says that it would block.</summary>
    public static IOException Broken(Exception exception) => exception switch
    {
        SocketException { SocketErrorCode: SocketError.TimedOut or SocketError.WouldBlock } => new IOException("stalled: no bytes in time", exception),
        SocketException e => new IOException(e.Message, e),
        _ => new IOException("closed", exception),
    };
}
