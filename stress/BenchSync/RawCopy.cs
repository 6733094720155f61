using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Collective.Stress.BenchSync;

/// <summary>The yardstick: the same bytes through one blocking loopback connection, from memory to memory that exists, and nothing else.</summary>
internal static class RawCopy
{
    private const int CallBytes = 1 << 20;

    /// <summary>Milliseconds of each of several copies, sorted.</summary>
    public static double[] Measure(long bytes, int times)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(1);
        using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        sender.Connect(listener.LocalEndPoint!);
        using var receiver = listener.Accept();
        receiver.NoDelay = true;
        var (source, target) = (new byte[bytes], new byte[bytes]);
        new Random(1).NextBytes(source);
        target.AsSpan().Fill(1);
        var results = new double[times];
        for (var i = -1; i < times; i++) // The first one warms up.
        {
            var started = Stopwatch.GetTimestamp();
            var sending = new Thread(() => Send(sender, source));
            sending.Start();
            Receive(receiver, target);
            sending.Join();
            results[Math.Max(i, 0)] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }

        Array.Sort(results);
        return results;
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
