using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Collective.Hosting;
using Collective.Protocol;

namespace Collective.EndToEnd.Support;

/// <summary>
/// Many peers as the master sees them: control connections that say hello, beat as they should, acknowledge epochs and vote when told to. There is no data, and one thread for all.
/// </summary>
internal sealed class ControlPeers : IAsyncDisposable
{
    private readonly IPEndPoint _master;
    private readonly long _beatMs;
    private readonly IPoller _poller = IPoller.Create();
    private readonly Dictionary<long, ControlPeer> _peers = [];
    private readonly List<Readiness> _ready = [];
    private readonly ConcurrentQueue<Action> _orders = new();
    private readonly List<(Func<bool> Holds, TaskCompletionSource Done)> _waiting = [];
    private readonly byte[] _buffer = new byte[256 * 1024];
    private readonly Task _loop;
    private volatile bool _stopping;
    private long _last;

    public ControlPeers(IPEndPoint master, TimeSpan beat)
    {
        _master = master;
        _beatMs = (long)beat.TotalMilliseconds;
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _loop = ended.Task;
        new Thread(() => Loop(ended)) { IsBackground = true, Name = "control-peers" }.Start();
    }

    /// <summary>Of those that are connected; only to be looked at in <see cref="Until"/> and <see cref="Do"/>.</summary>
    public IReadOnlyCollection<ControlPeer> Living => _peers.Values;

    /// <summary>Why the master ended peers that did not ask for it.</summary>
    public ConcurrentQueue<string> Ended { get; } = new();

    /// <summary>So many peers connect and say hello.</summary>
    public Task Come(int count) => Do(() =>
    {
        for (var i = 0; i < count; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            socket.Connect(_master);
            var peer = new ControlPeer(++_last, socket) { BeatAtMs = Environment.TickCount64 + (_last * 37 % _beatMs) };
            _peers.Add(_last, peer);
            _poller.Add(socket, _last);
            peer.Send(new Hello(MessageCodec.Version, default, (ushort)(1000 + _last), 1));
        }
    });

    /// <summary>All members vote for a topology update.</summary>
    public Task Vote() => Do(() =>
    {
        foreach (var peer in _peers.Values.Where(p => p.Epoch != 0))
        {
            peer.Send(new TopologyVote(new RequestNumber(1)));
        }
    });

    /// <summary>Processes that end: their connections are reset.</summary>
    public Task Die(int count) => Do(() =>
    {
        foreach (var peer in _peers.Values.Take(count).ToList())
        {
            Forget(peer);
            peer.Socket.Close(0);
        }
    });

    public Task Leave() => Do(() =>
    {
        foreach (var peer in _peers.Values)
        {
            peer.Leaving = true;
            peer.Send(new Leave());
        }
    });

    /// <summary>Runs something on the thread that owns the peers.</summary>
    public Task Do(Action order)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _orders.Enqueue(() =>
        {
            try
            {
                order();
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        return done.Task;
    }

    /// <summary>Completes when this holds, looked at after each turn of the loop.</summary>
    public async Task Until(Func<bool> holds, TimeSpan deadline)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await Do(() => _waiting.Add((holds, done)));
        await done.Task.WaitAsync(deadline);
    }

    public async ValueTask DisposeAsync()
    {
        _stopping = true;
        await _loop;
    }

    private void Loop(TaskCompletionSource ended)
    {
        try
        {
            while (!_stopping)
            {
                Turn();
            }
        }
        catch (Exception e)
        {
            Ended.Enqueue($"the test's own thread ended: {e}");
            _waiting.ForEach(w => w.Done.TrySetException(e));
        }

        foreach (var peer in _peers.Values)
        {
            peer.Socket.Dispose();
        }

        _poller.Dispose();
        ended.SetResult();
    }

    private void Turn()
    {
        _poller.Wait(5, _ready);
        foreach (var (key, _, _) in _ready)
        {
            if (_peers.TryGetValue(key, out var peer))
            {
                Read(peer);
            }
        }

        while (_orders.TryDequeue(out var order))
        {
            order();
        }

        var nowMs = Environment.TickCount64;
        foreach (var peer in _peers.Values.Where(p => p.Registered && nowMs >= p.BeatAtMs))
        {
            peer.BeatAtMs = nowMs + _beatMs;
            peer.Send(new Heartbeat());
        }

        foreach (var (_, done) in _waiting.FindAll(w => w.Holds()))
        {
            done.TrySetResult();
        }

        _waiting.RemoveAll(w => w.Done.Task.IsCompleted);
    }

    private void Read(ControlPeer peer)
    {
        try
        {
            var received = peer.Socket.Receive(_buffer);
            if (received > 0)
            {
                peer.Take(_buffer.AsSpan(0, received));
                return;
            }
        }
        catch (SocketException)
        {
            // Closed, with something of ours unread.
        }

        Forget(peer);
        peer.Socket.Dispose();
        if (!peer.Leaving)
        {
            Ended.Enqueue(peer.Farewell);
        }
    }

    private void Forget(ControlPeer peer)
    {
        _peers.Remove(peer.Key);
        _poller.Remove(peer.Socket, peer.Key);
    }
}

/// <summary>One of them. Of what the master sends only what matters here is decoded.</summary>
internal sealed class ControlPeer(long key, Socket socket)
{
    private readonly byte[] _sending = new byte[4096];
    private byte[] _held = [];

    public long Key => key;

    public Socket Socket => socket;

    public long BeatAtMs { get; set; }

    public bool Leaving { get; set; }

    public bool Registered { get; private set; }

    public RunId Run { get; private set; }

    /// <summary>Whether a sync has ended for it.</summary>
    public bool Synced { get; private set; }

    /// <summary>The last epoch that the master has opened, 0 for none; and the last that stands, with the number of all members then.</summary>
    public ulong Epoch { get; private set; }

    public ulong Standing { get; private set; }

    public int WorldSize { get; private set; }

    public string Farewell { get; private set; } = "the master closed the connection without a word";

    public void Send(Message message) => Send(_sending.AsSpan(0, MessageCodec.Encode(message, 1, Run, _sending)));

    public void Send(ReadOnlySpan<byte> bytes)
    {
        try
        {
            socket.Send(bytes);
        }
        catch (SocketException)
        {
            // The reading side finds out.
        }
    }

    public void Take(ReadOnlySpan<byte> bytes)
    {
        byte[] all = _held.Length == 0 ? [] : [.. _held, .. bytes];
        var rest = _held.Length == 0 ? bytes : all;
        while (FrameHeader.Parse(rest) is { } header && rest.Length >= FrameHeader.Bytes + header.PayloadBytes)
        {
            Handle(header, rest.Slice(FrameHeader.Bytes, header.PayloadBytes));
            rest = rest[(FrameHeader.Bytes + header.PayloadBytes)..];
        }

        _held = rest.ToArray();
    }

    private void Handle(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        switch (header.Kind)
        {
            case MessageKind.Welcome:
                Run = header.Run;
                Registered = true;
                break;
            case MessageKind.EpochOpened:
                Epoch = BinaryPrimitives.ReadUInt64LittleEndian(payload);
                Send(new EpochReady(new Epoch(Epoch)));
                break;
            case MessageKind.EpochStands when MessageCodec.Decode(header.Kind, payload) is EpochStands stands:
                Standing = stands.Epoch.Value;
                WorldSize = stands.Sizes.Global;
                break;
            case MessageKind.SharedStateFinished: Synced = true; break;
            case MessageKind.Evicted or MessageKind.Refused:
                Farewell = $"{MessageCodec.Decode(header.Kind, payload)}";
                break;
        }
    }
}
