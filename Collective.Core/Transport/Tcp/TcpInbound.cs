using System.Buffers;
using System.Net.Sockets;
using Collective.Protocol;

namespace Collective.Transport.Tcp;

/// <summary>The stripes of the previous peer's link: answers their hellos and receives their segments.</summary>
internal sealed class TcpInbound : IInboundKind, IDisposable
{
    private readonly SegmentRouter _router;
    private readonly ITransportEvents _events;
    private readonly Action<Epoch> _ready;

    // Guards the stripes and the plan between the receiving threads and the peer's loop.
    private readonly object _gate = new();
    private readonly List<TcpInboundStripe> _stripes = [];
    private WirePlan? _plan;
    private bool _broken;
    private (PeerId From, Epoch Epoch) _lostAhead;
    private bool _closed;

    public TcpInbound(SegmentRouter router, ITransportEvents events, Action<Epoch> ready)
    {
        _router = router;
        _events = events;
        _ready = ready;
    }

    public uint Magic => MessageCodec.Magic;

    public int ConnectionsMax => Limits.InboundStripesMax;

    /// <summary>Bytes of segments that have come from the previous peer in the present epoch.</summary>
    public ulong BytesReceived
    {
        get
        {
            lock (_gate)
            {
                var bytes = 0UL;
                foreach (var stripe in _stripes)
                {
                    bytes += _plan is { } plan && stripe.From == plan.Previous?.Id && stripe.Epoch == plan.Epoch ? stripe.BytesReceived : 0;
                }

                return bytes;
            }
        }
    }

    /// <summary>The epoch to accept for. Stripes of peers that are not the previous one any more are closed.</summary>
    public void Wire(WirePlan plan)
    {
        bool complete, broken;
        lock (_gate)
        {
            _plan = plan;
            _broken = broken = plan.Previous?.Id == _lostAhead.From && plan.Epoch == _lostAhead.Epoch;
            foreach (var stripe in _stripes.Where(s => s.From is { } from && from != plan.Previous?.Id && s.Epoch <= plan.Epoch))
            {
                stripe.Socket.Dispose();
            }

            complete = Complete();
            Monitor.PulseAll(_gate); // Hellos that came before this peer knew its own id.
        }

        if (broken)
        {
            _events.LinkLost(plan.Epoch, plan.Previous!.Value.Id, outgoing: false, $"closed before this peer heard of the epoch (from {plan.Previous.Value.Address})");
        }
        else if (complete)
        {
            _ready(plan.Epoch);
        }
    }

    /// <summary>What ends from now on is no news. The acceptor closes the connections.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.PulseAll(_gate);
        }
    }

    public void Serve(InboundConnection connection, byte[] hello)
    {
        var stripe = new TcpInboundStripe(connection);
        var detail = "";
        try
        {
            detail = ReceiveHello(stripe, hello);
            var scrap = Array.Empty<byte>();
            while (detail.Length == 0)
            {
                detail = stripe.Receive(hello.AsSpan(0, SegmentHeader.Bytes)) ? ReceiveRecord(stripe, hello, ref scrap) : "closed by the other side";
            }
        }
        catch (SocketException e)
        {
            detail = e.Message;
        }
        catch (ObjectDisposedException)
        {
            detail = "closed";
        }
        finally
        {
            Forget(stripe, detail);
        }
    }

    /// <summary>Handles one hello or segment; a text when the connection must close.</summary>
    private string ReceiveRecord(TcpInboundStripe stripe, byte[] header, ref byte[] scrap)
    {
        if (SegmentHeader.Parse(header.AsSpan(0, SegmentHeader.Bytes)) is { } segment)
        {
            if (stripe.From is null || segment.Attempt.Epoch != stripe.Epoch)
            {
                return $"sent a segment of epoch {segment.Attempt.Epoch} on a stripe of epoch {stripe.Epoch}";
            }

            return ReceiveSegment(stripe, segment, ref scrap);
        }

        return stripe.Socket.ReceiveAll(header.AsSpan(SegmentHeader.Bytes)) ? ReceiveHello(stripe, header) : "closed within a record";
    }

    private string ReceiveHello(TcpInboundStripe stripe, byte[] bytes)
    {
        if (LinkHello.Parse(bytes) is not { } hello)
        {
            return "sent bytes that are no record of the protocol";
        }

        var reply = Greet(stripe, hello, out var completed);
        if (reply is null)
        {
            return "one stripe too many";
        }

        stripe.Connection.Answer(reply.Value);
        if (reply != LinkReply.Accepted)
        {
            return $"hello refused: {reply}";
        }

        stripe.Socket.ReceiveTimeout = 0;
        if (completed)
        {
            _ready(hello.Epoch);
        }

        return "";
    }

    private string ReceiveSegment(TcpInboundStripe stripe, in SegmentHeader header, ref byte[] scrap)
    {
        switch (_router.Find(header, out var handler))
        {
            case SegmentRoute.Handler:
                var verdict = handler!.BeginReceive(header, out var target);
                if (verdict == SegmentVerdict.Violation)
                {
                    return $"sent a segment that {header.Attempt} does not have (step {header.Step}, segment {header.Segment}, {header.PayloadBytes} bytes)";
                }

                if (verdict == SegmentVerdict.Receive)
                {
                    ReceiveInto(stripe, handler, header, target);
                    _events.SegmentMoved(sent: false);
                    return "";
                }

                break;
            case SegmentRoute.Early:
                var payload = ArrayPool<byte>.Shared.Rent(header.PayloadBytes);
                Require(stripe.Receive(payload.AsSpan(0, header.PayloadBytes)));
                _router.KeepEarly(header, payload);
                _events.SegmentMoved(sent: false);
                return "";
            case SegmentRoute.Violation:
                return $"sent a segment of {header.Attempt}, which cannot be, or too much of it before this peer entered";
        }

        if (scrap.Length < header.PayloadBytes)
        {
            scrap = GC.AllocateUninitializedArray<byte>(header.PayloadBytes);
        }

        Require(stripe.Receive(scrap.AsSpan(0, header.PayloadBytes)));
        return "";
    }

    private static void ReceiveInto(TcpInboundStripe stripe, ISegmentHandler handler, in SegmentHeader header, Span<byte> target)
    {
        var received = false;
        try
        {
            Require(stripe.Receive(target));
            received = true;
        }
        finally
        {
            handler.EndReceive(header, received);
        }
    }

    private static void Require(bool open)
    {
        if (!open)
        {
            throw new SocketException((int)SocketError.ConnectionReset);
        }
    }

    /// <summary>The answer to a hello; null: none, there are too many.</summary>
    private LinkReply? Greet(TcpInboundStripe stripe, LinkHello hello, out bool completed)
    {
        completed = false;
        if (hello.Version != MessageCodec.Version)
        {
            return LinkReply.WrongVersion;
        }

        lock (_gate)
        {
            // The master may tell the neighbour of this peer before it tells this peer of itself.
            var deadline = Environment.TickCount64 + Limits.HandshakeMsMax;
            while (_plan is null && !_closed && Environment.TickCount64 < deadline)
            {
                Monitor.Wait(_gate, Limits.HandshakeMsMax);
            }

            if (_plan is not { } plan || hello.Key != plan.Key)
            {
                return LinkReply.WrongKey;
            }

            if (hello.To != plan.Self || (stripe.From is { } from && from != hello.From))
            {
                return LinkReply.WrongPeer;
            }

            var overtaken = _stripes.Exists(s => s.From == hello.From && s.Index == hello.Stripe && s.Epoch > hello.Epoch); // By one on another connection.
            if (hello.Epoch < plan.Epoch || overtaken)
            {
                return LinkReply.StaleEpoch;
            }

            if (hello.Epoch == plan.Epoch && hello.From != plan.Previous?.Id)
            {
                return LinkReply.WrongPeer; // Of a newer epoch this peer cannot know: Wire closes who turns out to be wrong.
            }

            if (hello.StripeCount is 0 or > Limits.StripesMax || hello.Stripe >= hello.StripeCount)
            {
                return LinkReply.BadStripe;
            }

            if (!stripe.Connection.TryAdmit())
            {
                return null;
            }

            foreach (var old in _stripes.Where(s => s != stripe && s.From == hello.From && s.Index == hello.Stripe))
            {
                old.Epoch = Epoch.None; // Replaced: its end is no news.
                old.Socket.Dispose();
            }

            if (stripe.From is null)
            {
                _stripes.Add(stripe);
            }

            stripe.From = hello.From;
            stripe.Epoch = hello.Epoch;
            stripe.Index = hello.Stripe;
            stripe.Count = hello.StripeCount;
            stripe.BeginCounting();
            completed = Complete();
            return LinkReply.Accepted;
        }
    }

    /// <summary>Whether all stripes of the previous peer's link have arrived in the plan's epoch.</summary>
    private bool Complete()
    {
        var plan = _plan!;
        if (plan.Previous is not { } previous)
        {
            return true;
        }

        var arrived = 0;
        var wanted = 0;
        foreach (var stripe in _stripes)
        {
            if (stripe.From == previous.Id && stripe.Epoch == plan.Epoch)
            {
                arrived++;
                wanted = stripe.Count;
            }
        }

        return wanted > 0 && arrived == wanted;
    }

    private void Forget(TcpInboundStripe stripe, string detail)
    {
        WirePlan? plan = null;
        lock (_gate)
        {
            _stripes.Remove(stripe);
            if (stripe.From is { } from && _plan is { } known && stripe.Epoch > known.Epoch)
            {
                _lostAhead = (from, stripe.Epoch); // Its opener believes it stands: to be said when this peer gets there.
            }

            if (!_closed && !_broken && _plan is { } current && stripe.Epoch == current.Epoch && stripe.From == current.Previous?.Id)
            {
                _broken = true;
                plan = current;
            }
        }

        stripe.Socket.Dispose();
        if (plan is not null)
        {
            _events.LinkLost(plan.Epoch, plan.Previous!.Value.Id, outgoing: false, $"{detail} (from {plan.Previous.Value.Address}, stripe {stripe.Index})");
        }
    }
}
