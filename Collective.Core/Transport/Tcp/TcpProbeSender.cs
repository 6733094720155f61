using System.Diagnostics;
using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>The sending end of one probe: as many connections as a link has stripes, each as fast as it goes, until the target closes them.</summary>
internal sealed class TcpProbeSender : IDisposable
{
    private const int ChunkBytes = 128 * 1024;
    private const int PacedChunkBytes = 4 * 1024;

    private static readonly byte[] s_noise = MakeNoise();

    private readonly ProbePlan _plan;
    private readonly TcpTransportOptions _options;
    private readonly ITransportEvents _events;
    private readonly double? _bytesPerSecond;

    // Guards the fields below between the connections' threads and the peer's loop.
    private readonly object _gate = new();
    private readonly List<Socket> _sockets = [];
    private int _accepted;
    private bool _over;

    public TcpProbeSender(ProbePlan plan, TcpTransportOptions options, ITransportEvents events)
    {
        _plan = plan;
        _options = options;
        _events = events;
        _bytesPerSecond = options.ProbeLimit?.Invoke(plan.To.Id);
    }

    public void Start()
    {
        try
        {
            for (var i = 0; i < _options.StripeCount; i++)
            {
                var index = (byte)i;
                new Thread(() => Run(index), maxStackSize: 256 * 1024) { IsBackground = true, Name = $"collective-probe-{i}" }.Start();
            }
        }
        catch (OutOfMemoryException e)
        {
            Fail(Shortage.Of(e) ?? e.Message);
        }
    }

    public void Dispose() => Close();

    private void Run(byte index)
    {
        try
        {
            var socket = Open(index);
            if (AwaitAll())
            {
                SendAll(socket);
                Close(); // The target is slow to end it, or gone.
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Fail(e.Message);
        }
        catch (Exception e)
        {
            _events.Failed(e);
        }
    }

    private Socket Open(byte index)
    {
        var clock = new Stopwatch();
        var socket = Dialing.Dial(_plan.To, TimeSpan.FromMilliseconds(Math.Min(_options.ConnectTimeout.TotalMilliseconds, Limits.LinkConnectMsMax)), socket => Keep(socket, clock));
        var roundTripUs = (ulong)clock.Elapsed.TotalMicroseconds;
        socket.ReceiveTimeout = Limits.HandshakeMsMax;
        socket.SendTimeout = Limits.ProbeMsMax;
        Span<byte> hello = stackalloc byte[DataHello.Bytes];
        new DataHello(TcpProbes.ProbeMagic, MessageCodec.Version, index, (byte)_options.StripeCount, _plan.Key, _plan.Number, _plan.Self, _plan.To.Id, roundTripUs).Write(hello);
        socket.SendAll(hello);
        var reply = hello[..LinkReplyCodec.Bytes];
        var answer = socket.ReceiveAll(reply) ? LinkReplyCodec.Parse(reply) : null;
        return answer == LinkReply.Accepted ? socket : throw new SocketException((int)SocketError.ConnectionRefused, $"probe refused: {(answer is null ? "no reply of the protocol" : answer)}");
    }

    private void Keep(Socket socket, Stopwatch clock)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_over, this);
            _sockets.Add(socket);
        }

        clock.Restart(); // At the second address, if the first has failed.
    }

    /// <summary>Waits until all connections are accepted: from then on they end because the target ends them.</summary>
    private bool AwaitAll()
    {
        lock (_gate)
        {
            _accepted++;
            Monitor.PulseAll(_gate);
            while (_accepted < _options.StripeCount && !_over)
            {
                Monitor.Wait(_gate);
            }

            return !_over;
        }
    }

    private void SendAll(Socket socket)
    {
        var clock = Stopwatch.StartNew();
        for (var sent = 0L; clock.ElapsedMilliseconds < 2 * Limits.ProbeMsMax; sent += PacedChunkBytes)
        {
            socket.SendAll(s_noise.AsSpan(0, _bytesPerSecond is null ? ChunkBytes : PacedChunkBytes));
            if (_bytesPerSecond is { } limit && !Pace(sent * _options.StripeCount / limit, clock))
            {
                return;
            }
        }
    }

    /// <summary>Waits until so many seconds have passed; false when it is over.</summary>
    private bool Pace(double seconds, Stopwatch clock)
    {
        lock (_gate)
        {
            for (var left = (int)((seconds * 1000) - clock.ElapsedMilliseconds); left > 0 && !_over; left = (int)((seconds * 1000) - clock.ElapsedMilliseconds))
            {
                Monitor.Wait(_gate, left);
            }

            return !_over;
        }
    }

    /// <summary>Before all connections were accepted: the target cannot know, so this end tells.</summary>
    private void Fail(string detail)
    {
        bool tells;
        lock (_gate)
        {
            tells = !_over && _accepted < _options.StripeCount;
        }

        Close();
        if (tells)
        {
            _events.ProbeDone(_plan.Number, null, $"{detail} (to {_plan.To.Address})");
        }
    }

    private void Close()
    {
        lock (_gate)
        {
            _over = true;
            _sockets.ForEach(s => s.Dispose());
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Bytes that nothing on the way can compress.</summary>
    private static byte[] MakeNoise()
    {
        var noise = GC.AllocateUninitializedArray<byte>(ChunkBytes, pinned: true);
        new Random(1).NextBytes(noise);
        return noise;
    }
}
