using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>
/// The stripes to the next peer: one TCP connection and one sending thread each. All take segments from one queue, so that a slow stripe
/// takes fewer. A stripe moves to a new epoch by a hello on the connection it has, or on a new one when that is broken.
/// </summary>
internal sealed class TcpOutgoingLink : ILink, IDisposable
{
    /// <summary>Payloads up to this size leave in one write with their header.</summary>
    private const int JoinedBytesMax = 16 * 1024;

    // Guards the queue and the states below between the stripes' threads, the operations that post and the peer's loop.
    private readonly object _gate = new();
    private readonly SegmentQueue _queue = new();
    private readonly Member _neighbour;
    private readonly PeerId _self;
    private readonly int _stripeCount;
    private readonly TimeSpan _connectTimeout;
    private readonly ITransportEvents _events;
    private readonly Action<Epoch> _ready;
    private readonly HashSet<Socket> _sockets = [];
    private RunId _run;
    private Epoch _epoch;
    private int _stripesReady;
    private bool _closed;

    public TcpOutgoingLink(PeerId self, Member neighbour, int stripeCount, TimeSpan connectTimeout, ITransportEvents events, Action<Epoch> ready)
    {
        _self = self;
        _neighbour = neighbour;
        _stripeCount = stripeCount;
        _connectTimeout = connectTimeout;
        _events = events;
        _ready = ready;
    }

    public Member Neighbour => _neighbour;

    /// <summary>Whether the link broke or was closed: a new one is needed.</summary>
    public bool Closed
    {
        get
        {
            lock (_gate)
            {
                return _closed;
            }
        }
    }

    /// <summary>Moves all stripes to an epoch; what is still queued belongs to an older one and is dropped.</summary>
    public void Wire(RunId run, Epoch epoch)
    {
        bool first;
        lock (_gate)
        {
            first = _epoch == Epoch.None;
            _run = run;
            _epoch = epoch;
            _stripesReady = 0;
            _queue.Clear();
            Monitor.PulseAll(_gate);
        }

        for (var i = 0; first && i < _stripeCount; i++)
        {
            var stripe = (byte)i;
            var thread = new Thread(() => Run(stripe), maxStackSize: 256 * 1024) { IsBackground = true, Name = $"collective-send-{i}" };
            thread.Start();
        }
    }

    public void Send(ISegmentHandler handler, in SegmentHeader header)
    {
        lock (_gate)
        {
            if (!_closed && header.Attempt.Epoch == _epoch)
            {
                _queue.Enqueue(handler, header);
                Monitor.Pulse(_gate);
            }
        }
    }

    public void Dispose() => Close(null);

    private void Run(byte stripe)
    {
        Socket? socket = null;
        var buffer = GC.AllocateUninitializedArray<byte>(SegmentHeader.Bytes + JoinedBytesMax, pinned: true);
        var wired = Epoch.None;
        try
        {
            while (Take(wired, out var target, out var item))
            {
                if (target != wired)
                {
                    socket = Handshake(socket, stripe, target, buffer);
                    if (socket is null)
                    {
                        continue; // A newer epoch has come meanwhile: that one counts.
                    }

                    wired = target;
                    OnStripeReady(target);
                }
                else
                {
                    Transmit(socket!, item, buffer);
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Close($"{Describe(e)} (to {_neighbour.Address}, stripe {stripe})");
        }
        finally
        {
            Forget(socket);
        }
    }

    /// <summary>Waits for work: a new epoch to move to (<paramref name="target"/> differs from <paramref name="wired"/>) or a segment. False when closed.</summary>
    private bool Take(Epoch wired, out Epoch target, out SegmentQueue.Item item)
    {
        lock (_gate)
        {
            while (!_closed && _epoch == wired && _queue.Count == 0)
            {
                Monitor.Wait(_gate);
            }

            target = _epoch;
            item = !_closed && target == wired ? _queue.Dequeue() : default;
            return !_closed;
        }
    }

    private void Transmit(Socket socket, in SegmentQueue.Item item, byte[] buffer)
    {
        if (!item.Handler.BeginSend(item.Header, out var payload))
        {
            return;
        }

        var sent = false;
        try
        {
            item.Header.Write(buffer);
            if (payload.Length <= JoinedBytesMax)
            {
                payload.CopyTo(buffer.AsSpan(SegmentHeader.Bytes));
                socket.SendAll(buffer.AsSpan(0, SegmentHeader.Bytes + payload.Length));
            }
            else
            {
                socket.SendAll(buffer.AsSpan(0, SegmentHeader.Bytes));
                socket.SendAll(payload);
            }

            sent = true;
        }
        finally
        {
            item.Handler.EndSend(item.Header, sent);
        }

        _events.SegmentMoved(sent: true);
    }

    /// <summary>Moves a stripe to an epoch, on the connection it has or on a new one; null when it failed but the link has moved on to a newer epoch.</summary>
    private Socket? Handshake(Socket? socket, byte stripe, Epoch epoch, byte[] buffer)
    {
        if (socket is not null)
        {
            try
            {
                Greet(socket, stripe, epoch, buffer);
                return socket;
            }
            catch (SocketException)
            {
                Forget(socket); // Closed by the other side between two epochs: dial again.
                socket = null;
            }
        }

        try
        {
            socket = Dial();
            Greet(socket, stripe, epoch, buffer);
            return socket;
        }
        catch (SocketException) when (IsOutdated(epoch))
        {
            Forget(socket);
            return null;
        }
        catch
        {
            Forget(socket);
            throw;
        }
    }

    private Socket Dial()
    {
        var socket = EndPoints.Connect(_neighbour.Address.ToEndPoint(), _connectTimeout, () => Closed);
        lock (_gate)
        {
            if (_closed)
            {
                socket.Dispose();
                throw new ObjectDisposedException(nameof(TcpOutgoingLink));
            }

            _sockets.Add(socket);
        }

        return socket;
    }

    private bool IsOutdated(Epoch epoch)
    {
        lock (_gate)
        {
            return !_closed && _epoch != epoch;
        }
    }

    private void Greet(Socket socket, byte stripe, Epoch epoch, byte[] buffer)
    {
        socket.ReceiveTimeout = (int)_connectTimeout.TotalMilliseconds;
        new LinkHello(MessageCodec.Version, _run, epoch, _self, _neighbour.Id, stripe, (byte)_stripeCount).Write(buffer);
        socket.SendAll(buffer.AsSpan(0, LinkHello.Bytes));
        var reply = buffer.AsSpan(0, LinkReplyCodec.Bytes);
        if (!socket.ReceiveAll(reply))
        {
            throw new SocketException((int)SocketError.ConnectionReset);
        }

        var answer = LinkReplyCodec.Parse(reply);
        if (answer is not LinkReply.Accepted)
        {
            throw new SocketException((int)SocketError.ConnectionRefused, $"hello refused: {(answer is null ? "no reply of the protocol" : answer)}");
        }
    }

    private void OnStripeReady(Epoch epoch)
    {
        bool complete;
        lock (_gate)
        {
            complete = epoch == _epoch && ++_stripesReady == _stripeCount;
        }

        if (complete)
        {
            _ready(epoch);
        }
    }

    /// <summary>Closes all stripes; with a <paramref name="failure"/>, says so once.</summary>
    private void Close(string? failure)
    {
        Epoch epoch;
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            _closed = true;
            epoch = _epoch;
            _queue.Clear();
            foreach (var socket in _sockets)
            {
                socket.Dispose();
            }

            Monitor.PulseAll(_gate);
        }

        if (failure is not null)
        {
            _events.LinkLost(epoch, _neighbour.Id, outgoing: true, failure);
        }
    }

    private void Forget(Socket? socket)
    {
        if (socket is null)
        {
            return;
        }

        lock (_gate)
        {
            _sockets.Remove(socket);
        }

        socket.Dispose();
    }

    private static string Describe(Exception exception) => exception is SocketException socketError ? socketError.Message : "closed";
}
