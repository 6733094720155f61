using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>One inbound stripe.</summary>
internal sealed class TcpInboundStripe(InboundConnection connection)
{
    private ulong _bytesReceived;

    public InboundConnection Connection { get; } = connection;

    public Socket Socket => Connection.Socket;

    public PeerId? From { get; set; }

    public Epoch Epoch { get; set; }

    public byte Index { get; set; }

    public byte Count { get; set; }

    /// <summary>Bytes since its last hello. Counted by its thread as they come, so that a slow one shows that it moves.</summary>
    public ulong BytesReceived => Volatile.Read(ref _bytesReceived);

    public void BeginCounting() => Volatile.Write(ref _bytesReceived, 0);

    /// <summary>Fills the span; false when the other side closed before its first byte.</summary>
    public bool Receive(Span<byte> bytes)
    {
        for (var received = 0; received < bytes.Length;)
        {
            var count = Socket.Receive(bytes[received..]);
            if (count == 0)
            {
                return received == 0 ? false : throw new SocketException((int)SocketError.ConnectionReset);
            }

            received += count;
            Volatile.Write(ref _bytesReceived, _bytesReceived + (ulong)count);
        }

        return true;
    }
}
