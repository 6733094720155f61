using System.Net.Sockets;

namespace Collective.Transport.Tcp;

/// <summary>
/// A path that carries small packets and drops large ones, without telling (a smaller MTU in a tunnel, and ICMP is filtered), looks like a peer that hangs:
/// connections are made, hellos pass, data does not.
/// </summary>
internal static class PathMtu
{
    // Of Linux's struct tcp_info.
    private const int MaximumSegmentAt = 16, RetransmitsAt = 100, AcknowledgedAt = 120, SentAt = 200, RetransmittedAt = 208, InfoBytes = 216;

    /// <summary>What to add to the reason of a connection that ended because nothing moved: empty unless no full packet was ever acknowledged, though some were sent, and small ones were.</summary>
    public static string Suspicion(Socket? socket, SocketException exception)
    {
        if (exception.SocketErrorCode != SocketError.TimedOut || socket is null || Read(socket) is not { } info)
        {
            return "";
        }

        var (full, acknowledged) = (UInt32At(info, MaximumSegmentAt), UInt64At(info, AcknowledgedAt));
        var lost = UInt64At(info, SentAt) - UInt64At(info, RetransmittedAt) - acknowledged;
        return UInt32At(info, RetransmitsAt) > 0 && acknowledged < full && lost < long.MaxValue && lost >= full
            ? $": only small packets arrive ({acknowledged} bytes were acknowledged, and none of the full packets of {full} bytes): something on the path drops large ones and does not say so; "
              + "lower the MTU of the network interface, or set sysctl net.ipv4.tcp_mtu_probing=1"
            : "";
    }

    private static byte[]? Read(Socket socket)
    {
        const int levelTcp = 6, tcpInfo = 11;
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        try
        {
            var info = new byte[InfoBytes];
            return socket.GetRawSocketOption(levelTcp, tcpInfo, info) == InfoBytes ? info : null;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return null;
        }
    }

    private static uint UInt32At(byte[] info, int offset) => BitConverter.ToUInt32(info, offset);

    private static ulong UInt64At(byte[] info, int offset) => BitConverter.ToUInt64(info, offset);
}
