using System.Buffers;
using Collective.Protocol;

namespace Collective.Transport.InMemory;

/// <summary>One direction between two peers of a process: a queue and the thread that moves its segments from memory to memory.</summary>
internal sealed class InMemoryLink : ILink
{
    private readonly InMemoryHub _hub;
    private readonly InMemoryTransport _owner;
    private readonly PeerId _self;

    // Guards the queue and the states below between who posts, the delivering thread and the peer's loop.
    private readonly object _gate = new();
    private readonly SegmentQueue _queue = new();
    private InMemoryTransport? _receiver;
    private LinkKey _key;
    private Epoch _epoch;
    private bool _closed;

    public InMemoryLink(InMemoryHub hub, InMemoryTransport owner, PeerId self, Member neighbour)
    {
        _hub = hub;
        _owner = owner;
        _self = self;
        Neighbour = neighbour;
    }

    public Member Neighbour { get; }

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

    /// <summary>Moves the link to an epoch; what is still queued belongs to an older one and is dropped. A link that has just broken says so again, for the new epoch.</summary>
    public void Wire(LinkKey key, Epoch epoch)
    {
        bool first, closed;
        lock (_gate)
        {
            closed = _closed;
            first = _epoch == Epoch.None;
            _key = key;
            _epoch = epoch;
            _queue.Clear();
            Monitor.PulseAll(_gate);
        }

        if (closed)
        {
            _owner.OutgoingBroke(this, epoch, "broken");
        }
        else if (first)
        {
            new Thread(RunGuarded) { IsBackground = true, Name = "collective-memory-link" }.Start();
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

    /// <summary>Ends the link: the other end hears it, this end when there is a <paramref name="failure"/>.</summary>
    public void Break(string? failure)
    {
        Epoch epoch;
        InMemoryTransport? receiver;
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            _closed = true;
            epoch = _epoch;
            receiver = _receiver;
            _queue.Clear();
            Monitor.PulseAll(_gate);
        }

        receiver?.InboundEnded(this, _self, failure ?? "closed by the other side");
        if (failure is not null)
        {
            _owner.OutgoingBroke(this, epoch, failure);
        }
    }

    private void RunGuarded()
    {
        try
        {
            Run();
        }
        catch (Exception e)
        {
            _owner.Failed(e);
        }
    }

    private void Run()
    {
        var wired = Epoch.None;
        while (Take(wired, out var key, out var target, out var item))
        {
            if (target == wired)
            {
                Deliver(item);
            }
            else if (Greet(key, target) is { } refusal)
            {
                Break($"{refusal} (to {Neighbour.Address})");
            }
            else
            {
                wired = target;
                _owner.OutgoingReady(this, target);
                _receiver!.TellWhenWired();
            }
        }
    }

    /// <summary>Waits for a new epoch to move to (<paramref name="target"/> differs from <paramref name="wired"/>) or a segment. False when closed.</summary>
    private bool Take(Epoch wired, out LinkKey key, out Epoch target, out SegmentQueue.Item item)
    {
        lock (_gate)
        {
            while (!_closed && _epoch == wired && _queue.Count == 0)
            {
                Monitor.Wait(_gate);
            }

            key = _key;
            target = _epoch;
            item = !_closed && target == wired ? _queue.Dequeue() : default;
            return !_closed;
        }
    }

    private string? Greet(LinkKey key, Epoch epoch)
    {
        lock (_hub.Gate)
        {
            if (_hub.Find(_self, Neighbour) is not { } receiver)
            {
                return "connection refused";
            }

            lock (_gate)
            {
                _receiver = receiver;
                return _closed ? "closed" : receiver.Greet(this, key, _self, Neighbour.Id, epoch);
            }
        }
    }

    private void Deliver(in SegmentQueue.Item item)
    {
        if (!item.Handler.BeginSend(item.Header, out var payload))
        {
            return;
        }

        var route = _receiver!.Router.Find(item.Header, out var handler);
        var verdict = SegmentVerdict.Discard;
        byte[]? early = null;
        switch (route)
        {
            case SegmentRoute.Handler:
                verdict = handler!.BeginReceive(item.Header, out var target);
                if (verdict == SegmentVerdict.Receive)
                {
                    payload.CopyTo(target);
                }

                break;
            case SegmentRoute.Early:
                early = ArrayPool<byte>.Shared.Rent(payload.Length);
                payload.CopyTo(early);
                break;
        }

        item.Handler.EndSend(item.Header, sent: true);
        _owner.SegmentMoved(sent: true);
        if (verdict == SegmentVerdict.Receive)
        {
            handler!.EndReceive(item.Header, received: true);
            _receiver.SegmentMoved(sent: false);
        }
        else if (early is not null)
        {
            _receiver.Router.KeepEarly(item.Header, early);
            _receiver.SegmentMoved(sent: false);
        }
        else if (route == SegmentRoute.Violation || verdict == SegmentVerdict.Violation)
        {
            Break($"sent a segment of {item.Header.Attempt} that cannot be");
        }
    }
}
