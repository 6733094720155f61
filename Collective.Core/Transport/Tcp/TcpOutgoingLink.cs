using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>
/// The stripes to the next peer: one TCP connection and one sending thread each. All take segments from one queue, so that a slow stripe
/// takes fewer. A stripe moves to a new epoch by a hello on the connection it has, or on a new one when that is broken.
/// </summary>
internal sealed class TcpOutgoingLink : ILink, IDisposable
{
    /// <summary>One connection. Socket and buffer belong to its thread, or to whoever it is lent to while that thread waits.</summary>
    private sealed class Stripe(byte index)
    {
        public byte Index { get; } = index;

        public byte[] Buffer { get; } = GC.AllocateUninitializedArray<byte>(SegmentHeader.Bytes + Limits.JoinedBytesMax, pinned: true);

        public Socket? Socket { get; set; }

        public Epoch Wired { get; set; }

        /// <summary>Of segments, in this epoch. Written by whoever sends on the stripe.</summary>
        public ulong BytesSent { get; set; }

        public bool Waiting { get; set; }

        public bool Lent { get; set; }
    }

    // Guards the queue and the states below between the stripes' threads, the operations that post and the peer's loop.
    private readonly object _gate = new();
    private readonly SegmentQueue _queue = new();
    private readonly Member _neighbour;
    private readonly PeerId _self;
    private readonly TcpTransportOptions _options;
    private readonly ITransportEvents _events;
    private readonly Action<Epoch> _ready;
    private readonly HashSet<Socket> _sockets = [];
    private readonly Stripe?[] _stripes;
    private readonly TimeSpan _idleCheck;
    private readonly int _connectTimeoutMs;
    private LinkKey _key;
    private Epoch _epoch;
    private int _stripesReady;
    private bool _closed;

    public TcpOutgoingLink(PeerId self, Member neighbour, TcpTransportOptions options, ITransportEvents events, Action<Epoch> ready)
    {
        _self = self;
        _neighbour = neighbour;
        _stripes = new Stripe[options.StripeCount];
        _connectTimeoutMs = (int)options.ConnectTimeout.TotalMilliseconds;
        _idleCheck = options.StallTimeout / Limits.IdleChecksPerStallTimeout;
        _options = options;
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

    /// <summary>Bytes of segments that the stripes have taken to send in the present epoch.</summary>
    public ulong BytesSent
    {
        get
        {
            lock (_gate)
            {
                var bytes = 0UL;
                foreach (var stripe in _stripes)
                {
                    bytes += stripe is not null && stripe.Wired == _epoch ? stripe.BytesSent : 0;
                }

                return bytes;
            }
        }
    }

    /// <summary>
    /// Moves all stripes to an epoch; what is still queued belongs to an older one and is dropped. A link that broke a moment ago, for the epoch
    /// before, says so again: else this epoch would never be wired and nobody would know.
    /// </summary>
    public void Wire(LinkKey key, Epoch epoch)
    {
        bool first, closed;
        lock (_gate)
        {
            closed = _closed;
            first = _epoch == Epoch.None;
            _key = key;
            _epoch = epoch;
            _stripesReady = 0;
            _queue.Clear();
            Monitor.PulseAll(_gate);
        }

        if (closed)
        {
            _events.LinkLost(epoch, _neighbour.Id, outgoing: true, $"broken before it could move to the epoch (to {_neighbour.Address})");
            return;
        }

        for (var i = 0; first && i < _options.StripeCount; i++)
        {
            var stripe = _stripes[i] = new Stripe((byte)i);
            new Thread(() => Run(stripe), maxStackSize: 256 * 1024) { IsBackground = true, Name = $"collective-send-{i}" }.Start();
        }
    }

    /// <summary>
    /// A small segment leaves on the calling thread when a stripe is idle and its socket takes it at once, which saves waking the stripe's thread:
    /// that costs more than the segment. Everything else waits in the queue for the next free stripe.
    /// </summary>
    public void Send(ISegmentHandler handler, in SegmentHeader header)
    {
        Stripe? idle;
        lock (_gate)
        {
            if (_closed || header.Attempt.Epoch != _epoch)
            {
                return;
            }

            idle = _queue.Count == 0 && header.PayloadBytes <= Limits.InlineBytesMax ? FindIdle() : null;
            if (idle is null)
            {
                _queue.Enqueue(handler, header);
                Monitor.Pulse(_gate);
                return;
            }

            idle.Lent = true;
        }

        SendInline(idle, new SegmentQueue.Item(handler, header));
    }

    public void Dispose() => Close(null);

    /// <summary>A stripe whose thread waits for work, and whose socket has room for more than an inline segment.</summary>
    private Stripe? FindIdle()
    {
        foreach (var stripe in _stripes)
        {
            if (stripe is { Waiting: true, Lent: false, Socket: { } socket } && stripe.Wired == _epoch)
            {
                return socket.Poll(0, SelectMode.SelectWrite) ? stripe : null;
            }
        }

        return null;
    }

    private void SendInline(Stripe stripe, in SegmentQueue.Item item)
    {
        try
        {
            Transmit(stripe, item);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Close($"{Describe(e, stripe)} (to {_neighbour.Address}, stripe {stripe.Index})");
        }
        finally
        {
            lock (_gate)
            {
                stripe.Lent = false;
                if (_closed || _queue.Count > 0 || _epoch != stripe.Wired)
                {
                    Monitor.PulseAll(_gate); // A thread that was woken for it while its stripe was lent went back to sleep.
                }
            }
        }
    }

    private void Run(Stripe stripe)
    {
        try
        {
            while (Take(stripe, out var target, out var item))
            {
                if (target != stripe.Wired)
                {
                    // If it failed and a newer epoch has come meanwhile, that one counts.
                    if (Handshake(stripe, target))
                    {
                        OnStripeReady(stripe, target);
                    }
                }
                else
                {
                    Transmit(stripe, item);
                }
            }
        }
        catch (Exception e) when (Shortage.Of(e) is not null)
        {
            Close(null); // Nothing is wrong with the link.
            _events.Failed(e);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Close($"{Describe(e, stripe)} (to {_neighbour.Address}, stripe {stripe.Index})");
        }
        catch (Exception e)
        {
            _events.Failed(e);
        }
        finally
        {
            Forget(stripe.Socket);
        }
    }

    /// <summary>
    /// Waits for work: a new epoch to move to (<paramref name="target"/> is not the stripe's) or a segment. False when closed. While there is none it looks at
    /// the connection now and then: what was sent last may never arrive, and the system tells only who asks.
    /// </summary>
    private bool Take(Stripe stripe, out Epoch target, out SegmentQueue.Item item)
    {
        lock (_gate)
        {
            stripe.Waiting = true;
            while (stripe.Lent || (!_closed && _epoch == stripe.Wired && _queue.Count == 0))
            {
                if (!Monitor.Wait(_gate, _idleCheck) && !stripe.Lent)
                {
                    stripe.Socket!.ThrowIfBroken();
                }
            }

            stripe.Waiting = false;
            target = _epoch;
            item = !_closed && target == stripe.Wired ? _queue.Dequeue() : default;
            return !_closed;
        }
    }

    private void Transmit(Stripe stripe, in SegmentQueue.Item item)
    {
        if (!item.Handler.BeginSend(item.Header, out var payload))
        {
            return;
        }

        var sent = false;
        stripe.BytesSent += (ulong)(SegmentHeader.Bytes + payload.Length);
        try
        {
            var buffer = stripe.Buffer.AsSpan();
            item.Header.Write(buffer);
            if (payload.Length <= Limits.JoinedBytesMax)
            {
                payload.CopyTo(buffer[SegmentHeader.Bytes..]);
                stripe.Socket!.SendAll(buffer[..(SegmentHeader.Bytes + payload.Length)]);
            }
            else
            {
                stripe.Socket!.SendAll(buffer[..SegmentHeader.Bytes]);
                stripe.Socket!.SendAll(payload);
            }

            sent = true;
        }
        finally
        {
            item.Handler.EndSend(item.Header, sent);
        }

        _events.SegmentMoved(sent: true);
    }

    /// <summary>Moves a stripe to an epoch, on the connection it has or on a new one; false when it failed but the link has moved on to a newer epoch.</summary>
    private bool Handshake(Stripe stripe, Epoch epoch)
    {
        if (stripe.Socket is { } kept)
        {
            try
            {
                Greet(stripe, epoch, Math.Min(_connectTimeoutMs, Limits.LinkConnectMsMax));
                return true;
            }
            catch (SocketException)
            {
                Forget(kept); // Closed by the other side between two epochs, or stuck: dial again.
            }
        }

        try
        {
            Dial(stripe);
            Greet(stripe, epoch, _connectTimeoutMs);
            return true;
        }
        catch (SocketException) when (IsOutdated(epoch))
        {
            Forget(stripe.Socket);
            stripe.Socket = null;
            return false;
        }
    }

    private void Dial(Stripe stripe)
    {
        var socket = Dialing.Dial(_neighbour, TimeSpan.FromMilliseconds(Math.Min(_connectTimeoutMs, Limits.LinkConnectMsMax)), socket => Keep(stripe, socket));
        EndPoints.BreakWhenStalled(socket, _options.StallTimeout);
    }

    private void Keep(Stripe stripe, Socket socket)
    {
        Forget(stripe.Socket); // The first address has failed.
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            _sockets.Add(socket); // So that closing ends the attempt to connect, too.
            stripe.Socket = socket;
        }
    }

    private bool IsOutdated(Epoch epoch)
    {
        lock (_gate)
        {
            return !_closed && _epoch != epoch;
        }
    }

    private void Greet(Stripe stripe, Epoch epoch, int timeoutMs)
    {
        var socket = stripe.Socket!;
        var buffer = stripe.Buffer.AsSpan();
        socket.SendTimeout = socket.ReceiveTimeout = timeoutMs;
        new LinkHello(MessageCodec.Version, _key, epoch, _self, _neighbour.Id, stripe.Index, (byte)_options.StripeCount).Write(buffer);
        socket.SendAll(buffer[..LinkHello.Bytes]);
        var reply = buffer[..LinkReplyCodec.Bytes];
        if (!socket.ReceiveAll(reply))
        {
            throw new SocketException((int)SocketError.ConnectionReset);
        }

        socket.SendTimeout = 0; // From here on progress counts, not time.
        var answer = LinkReplyCodec.Parse(reply);
        if (answer is not LinkReply.Accepted)
        {
            throw new SocketException((int)SocketError.ConnectionRefused, $"hello refused: {(answer is null ? "no reply of the protocol" : answer)}");
        }
    }

    private void OnStripeReady(Stripe stripe, Epoch epoch)
    {
        bool complete;
        lock (_gate)
        {
            stripe.Wired = epoch;
            stripe.BytesSent = 0;
            complete = epoch == _epoch && ++_stripesReady == _options.StripeCount;
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

    private static string Describe(Exception exception, Stripe stripe)
        => exception is SocketException error ? error.Message + PathMtu.Suspicion(stripe.Socket, error) : "closed";
}
