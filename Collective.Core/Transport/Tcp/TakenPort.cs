using System.Net.NetworkInformation;
using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>
/// Listening on a port that somebody has. Where nobody listens there, it is an outgoing connection of this host, to which the system gave the port: that one ends, so this waits
/// for a while.
/// </summary>
internal static class TakenPort
{
    /// <summary>Makes a listening socket. Of a port that is taken, the exception's message says by what.</summary>
    /// <exception cref="SocketException">It cannot listen.</exception>
    public static Socket Listen(int port, Func<Socket> listen)
    {
        using var nothing = new ManualResetEventSlim(); // No event tells that a port is free.
        var deadline = Environment.TickCount64 + Limits.TakenPortMsMax;
        while (true)
        {
            try
            {
                return listen();
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                if (!IsOfAnOutgoingConnection(port))
                {
                    throw new SocketException((int)e.SocketErrorCode, "something already listens there");
                }

                if (Environment.TickCount64 >= deadline)
                {
                    throw new SocketException(
                        (int)e.SocketErrorCode,
                        $"nothing listens there, but an outgoing connection of this host has the port (Linux gives those of net.ipv4.ip_local_port_range); "
                        + $"reserve it with sysctl net.ipv4.ip_local_reserved_ports={port}, try again in a minute");
                }
            }

            nothing.Wait(Limits.TakenPortPauseMs);
        }
    }

    private static bool IsOfAnOutgoingConnection(int port)
    {
        try
        {
            var system = IPGlobalProperties.GetIPGlobalProperties();
            return Array.TrueForAll(system.GetActiveTcpListeners(), l => l.Port != port) && Array.Exists(system.GetActiveTcpConnections(), c => c.LocalEndPoint.Port == port);
        }
        catch (Exception e) when (e is NetworkInformationException or PlatformNotSupportedException or IOException or UnauthorizedAccessException)
        {
            return false; // The system does not tell.
        }
    }
}
