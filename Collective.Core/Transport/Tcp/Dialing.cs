using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>Makes connections, to the master and to other peers.</summary>
internal static class Dialing
{
    // Pulsed when a socket was given up, and its descriptor is free.
    private static readonly object s_freed = new();

    /// <summary>
    /// Connects to a member, at its alternative address when the first one fails. Each socket is given to <paramref name="keep"/> before it connects: another thread
    /// gives up by disposing it.
    /// </summary>
    public static Socket Dial(Member member, TimeSpan timeout, Action<Socket> keep)
    {
        if (member.Alternative is not { } alternative)
        {
            return Dial(member.Address, timeout, keep);
        }

        try
        {
            return Dial(member.Address, timeout / 2, keep);
        }
        catch (SocketException first)
        {
            try
            {
                return Dial(alternative, timeout / 2, keep);
            }
            catch (SocketException second)
            {
                throw new SocketException((int)first.SocketErrorCode, $"{Reason(first)}, and {Reason(second)} at {alternative}");
            }
        }
    }

    /// <summary>A socket; where descriptors are short it tries for a moment, for that may pass.</summary>
    public static Socket NewSocket(AddressFamily family)
    {
        var deadline = Environment.TickCount64 + Limits.ShortageMsMax;
        while (true)
        {
            try
            {
                return new Socket(family, SocketType.Stream, ProtocolType.Tcp);
            }
            catch (SocketException e) when (Shortage.Of(e) is not null && Environment.TickCount64 < deadline)
            {
                lock (s_freed)
                {
                    Monitor.Wait(s_freed, Limits.AcceptPauseMs); // Others in this process free descriptors without a word.
                }
            }
        }
    }

    /// <summary>
    /// Connects within a time, without the thread pool. The socket stays a blocking one: .NET moves a socket that was ever non-blocking to its epoll
    /// thread and the thread pool for good. Linux bounds connect by the send timeout. Another thread gives up by disposing the socket.
    /// </summary>
    public static void Connect(Socket socket, IPEndPoint endPoint, TimeSpan timeout)
    {
        socket.NoDelay = true;
        socket.SendTimeout = Math.Max(1, (int)timeout.TotalMilliseconds);
        LeaveDefaultPorts(socket);
        socket.Connect(endPoint);
        socket.SendTimeout = 0;
        ThrowIfToItself(socket);
    }

    /// <summary>
    /// A connection to a free port of this host can meet itself, when the system gives it that very port: then nobody listens there.
    /// </summary>
    public static void ThrowIfToItself(Socket socket)
    {
        if (Equals(socket.LocalEndPoint, socket.RemoteEndPoint))
        {
            socket.LingerState = new LingerOption(true, 0); // The port is free at once.
            socket.Dispose();
            throw new SocketException((int)SocketError.ConnectionRefused);
        }
    }

    /// <summary>What the system says, without the address that .NET appends.</summary>
    public static string Reason(SocketException exception) => new SocketException(exception.ErrorCode).Message;

    private static Socket Dial(PeerAddress address, TimeSpan timeout, Action<Socket> keep)
    {
        var endPoint = address.ToEndPoint();
        var socket = NewSocket(endPoint.AddressFamily);
        try
        {
            keep(socket);
            Connect(socket, endPoint, timeout);
            return socket;
        }
        catch
        {
            socket.Dispose();
            lock (s_freed)
            {
                Monitor.PulseAll(s_freed);
            }

            throw;
        }
    }

    /// <summary>
    /// Masters and peers listen on 48148 and up, which lies among the ports that Linux gives to outgoing connections. Those of this library take lower ones
    /// (option IP_LOCAL_PORT_RANGE, from Linux 6.3 on), so that they do not take the port of a process that is started later.
    /// </summary>
    private static void LeaveDefaultPorts(Socket socket)
    {
        const int levelIP = 0, localPortRange = 51;
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            var range = (uint)Limits.OutgoingPortMax << 16; // The lower half is the lowest port: 0 leaves it.
            socket.SetRawSocketOption(levelIP, localPortRange, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(ref range)));
        }
        catch (SocketException)
        {
            // An older kernel.
        }
    }
}
