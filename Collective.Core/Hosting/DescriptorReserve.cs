using System.Net.Sockets;

namespace Collective.Hosting;

/// <summary>A descriptor kept for the moment when there is no other: to take a connection off the queue and say why it cannot stay.</summary>
internal sealed class DescriptorReserve : IDisposable
{
    private Socket? _socket = TryOpen();

    /// <summary>Accepts one connection, sends it a last frame and closes it, if that is possible.</summary>
    public void Refuse(Socket listener, ReadOnlySpan<byte> frame)
    {
        _socket?.Dispose();
        try
        {
            using var refused = listener.Accept();
            refused.Blocking = false;
            refused.Send(frame, SocketFlags.None, out _);
            refused.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OutOfMemoryException)
        {
            // Nothing can be done for it.
        }

        _socket = TryOpen();
    }

    public void Dispose() => _socket?.Dispose();

    private static Socket? TryOpen()
    {
        try
        {
            return new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        }
        catch (Exception e) when (e is SocketException or OutOfMemoryException)
        {
            return null;
        }
    }
}
