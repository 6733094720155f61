using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Collective.Stress.BenchSync;

/// <summary>The yardstick: the same bytes through one blocking loopback connection, from memory to memory that exists, and nothing else.</summary>
internal sealed class RawCopy : IDisposable
{
    private const int CallBytes = 1 << 20;

    private readonly Socket _sender = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly Socket _receiver;
    private readonly byte[] _source;
    private readonly byte[] _target;

    public RawCopy(long bytes)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        _sender.Connect(listener.LocalEndPoint!);
        _receiver = listener.Accept();
        _receiver.NoDelay = true;
        (_source, _target) = (new byte[bytes], new byte[bytes]);
        new Random(1).NextBytes(_source);
        _target.AsSpan().Fill(1);
    }

    /// <summary>Milliseconds of one copy.</summary>
    public double Measure()
    {
        var started = Stopwatch.GetTimestamp();
        var sending = new Thread(() => Send(_sender, _source));
        sending.Start();
        Receive(_receiver, _target);
        sending.Join();
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }

    public void Dispose()
    {
        _sender.Dispose();
        _receiver.Dispose();
    }

    private static void Send(Socket socket, byte[] source)
    {
        for (var sent = 0; sent < source.Length;)
        {
            sent += socket.Send(source.AsSpan(sent, Math.Min(CallBytes, source.Length - sent)));
        }

        var acknowledgement = new byte[1];
        _ = socket.Receive(acknowledgement);
    }

    private static void Receive(Socket socket, byte[] target)
    {
        for (var received = 0; received < target.Length;)
        {
            received += socket.Receive(target.AsSpan(received, Math.Min(CallBytes, target.Length - received)));
        }

        _ = socket.Send([1]);
    }
}
