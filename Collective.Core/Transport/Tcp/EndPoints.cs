using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>Wire addresses to socket addresses and back; an IPv4 address seen through an IPv6 socket is IPv4.</summary>
internal static class EndPoints
{
    public static IPEndPoint ToEndPoint(this PeerAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (address.IsIPv6)
        {
            BinaryPrimitives.WriteUInt128BigEndian(bytes, address.Address);
            return new IPEndPoint(new IPAddress(bytes), address.Port);
        }

        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)address.Address);
        return new IPEndPoint(new IPAddress(bytes[..4]), address.Port);
    }

    public static PeerAddress ToPeerAddress(IPEndPoint endPoint)
    {
        var address = endPoint.Address.IsIPv4MappedToIPv6 ? endPoint.Address.MapToIPv4() : endPoint.Address;
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var length);
        return length == 4
            ? new PeerAddress(BinaryPrimitives.ReadUInt32BigEndian(bytes), IsIPv6: false, (ushort)endPoint.Port)
            : new PeerAddress(BinaryPrimitives.ReadUInt128BigEndian(bytes), IsIPv6: true, (ushort)endPoint.Port);
    }

    /// <summary>
    /// Breaks the connection when bytes wait to be sent and the other side has taken none for this long: Linux counts the progress (RFC 5482, option TCP_USER_TIMEOUT),
    /// whoever is slow but takes bytes keeps it. Elsewhere the system's own, longer, timeout counts.
    /// </summary>
    public static void BreakWhenStalled(Socket socket, TimeSpan timeout)
    {
        const int levelTcp = 6, userTimeout = 18;
        if (OperatingSystem.IsLinux())
        {
            var milliseconds = (int)timeout.TotalMilliseconds;
            socket.SetRawSocketOption(levelTcp, userTimeout, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(ref milliseconds)));
        }
    }

    /// <summary>For a connection on which nothing is due to arrive: throws when it was closed, reset or given up by the system.</summary>
    public static void ThrowIfBroken(this Socket socket)
    {
        if (socket.Poll(0, SelectMode.SelectRead))
        {
            Span<byte> nothing = stackalloc byte[1];
            _ = socket.Receive(nothing, SocketFlags.Peek); // Throws what the system knows.
            throw new SocketException((int)SocketError.ConnectionReset);
        }
    }

    public static void SendAll(this Socket socket, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[socket.Send(bytes)..];
        }
    }

    /// <summary>Fills the span; false when the other side closed before its first byte.</summary>
    public static bool ReceiveAll(this Socket socket, Span<byte> bytes)
    {
        var received = 0;
        while (received < bytes.Length)
        {
            var count = socket.Receive(bytes[received..]);
            if (count == 0)
            {
                return received == 0 ? false : throw new SocketException((int)SocketError.ConnectionReset);
            }

            received += count;
        }

        return true;
    }
}
