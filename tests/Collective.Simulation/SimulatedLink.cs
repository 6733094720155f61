using Collective.Protocol;
using Collective.Transport;

namespace Collective.Simulation;

/// <summary>The stripes from one peer to the next in one epoch. Each is ordered; nothing is ordered across them.</summary>
internal sealed class SimulatedLink
{
    /// <summary>Segments that fit into the buffers of a connection whose other end does not take them.</summary>
    private const int Window = 3;

    private const long ConnectTimeoutUs = 5_000_000;

    private readonly Simulator _simulator;
    private readonly SimulatedPeer _sender;
    private readonly SimulatedPeer _receiver;
    private readonly Channel[] _stripes;
    private readonly (ISegmentHandler Handler, SegmentHeader Header, byte[] Bytes)?[] _blocked;
    private readonly Queue<(ISegmentHandler Handler, SegmentHeader Header)> _queue = new();
    private readonly Channel _back;
    private bool _broken;
    private bool _ready;
    private bool _receiverClosed;
    private bool _endsUnheard;

    public SimulatedLink(Simulator simulator, SimulatedPeer sender, SimulatedPeer receiver, WirePlan plan)
    {
        _simulator = simulator;
        _sender = sender;
        _receiver = receiver;
        Plan = plan;
        _back = new Channel(simulator, receiver.Index, sender.Index);
        _stripes = new Channel[simulator.Scenario.Stripes];
        _blocked = new (ISegmentHandler, SegmentHeader, byte[])?[_stripes.Length];
        for (var i = 0; i < _stripes.Length; i++)
        {
            var stripe = i;
            _stripes[i] = new Channel(simulator, sender.Index, receiver.Index)
            {
                GaveUp = () => sender.Run(() => Fail("connection timed out")),
                Flushed = () => sender.Run(() => OnFlushed(stripe)),
            };
        }
    }

    public WirePlan Plan { get; }

    public bool Ready => _ready && !_broken;

    /// <summary>Whether something between the two takes what is sent and keeps it.</summary>
    public bool Swallows { get; private set; }

    public string ReceiverName => _receiver.Name;

    public void Dial()
    {
        _sender.After(ConnectTimeoutUs, () =>
        {
            if (!_ready)
            {
                Fail("connect timed out");
            }
        });
        _stripes[0].Send(() =>
        {
            if (!_receiver.Alive)
            {
                Reply(() => Fail("connection refused"));
                return;
            }

            _receiver.Run(() =>
            {
                var accepted = _receiver.Alive && _receiver.Transport.Hello(this);
                Reply(accepted ? OnAccepted : () => Fail("connection refused"));
            });
        });
    }

    public void Send(ISegmentHandler handler, SegmentHeader header) => _sender.After(_simulator.HopUs(), () => _sender.Interruptible(() => Transmit(handler, header)));

    /// <summary>The sender has no use for it any more, or has died.</summary>
    public void Dispose(bool abrupt)
    {
        if (!_broken)
        {
            Break();
            Close(abrupt);
        }
    }

    /// <summary>Its connections go on to serve the next epoch: as another link, of which this one's end is no sign.</summary>
    public void Retire() => Break();

    /// <summary>The receiver's process died; its kernel says so, if the sender is lucky.</summary>
    public void ReceiverDied() => Reply(() => Fail("connection reset"));

    /// <summary>The connection breaks. Both ends hear of it in their own time, or only one does.</summary>
    public void Reset(bool senderHears, bool receiverHears)
    {
        _endsUnheard = true;
        foreach (var stripe in _stripes)
        {
            stripe.Kill();
        }

        if (senderHears)
        {
            _sender.After(_simulator.DelayUs(), () => Fail("connection reset"));
        }

        if (receiverHears)
        {
            _receiver.After(_simulator.DelayUs(), Lost);
        }
    }

    /// <summary>What is sent from now on is taken, but never arrives. Neither end can know.</summary>
    public void Swallow()
    {
        Swallows = true;
        Reset(senderHears: false, receiverHears: false);
    }

    /// <summary>Bytes stop on one stripe or all, and go on later or the connection breaks.</summary>
    public void Stall(long durationUs, bool all, bool breaks)
    {
        var chosen = all ? _stripes : [_stripes[_simulator.Random.Next(_stripes.Length)]];
        foreach (var stripe in chosen)
        {
            stripe.Stall();
        }

        _simulator.At(durationUs, () =>
        {
            if (breaks)
            {
                Reset(senderHears: true, receiverHears: true);
                return;
            }

            foreach (var stripe in chosen)
            {
                stripe.Resume();
            }
        });
    }

    private void OnAccepted()
    {
        if (!_broken)
        {
            _ready = true;
            _sender.Transport.OutgoingReady(this);
        }
    }

    private void Reply(Action action) => _back.Send(() => _sender.Run(action));

    private void Fail(string detail)
    {
        if (!_broken && _sender.Alive)
        {
            Break();
            Close(abrupt: _simulator.Random.Next(2) == 0);
            if (_sender.Transport.IsCurrent(this))
            {
                _sender.LinkLost(Plan.Epoch, Plan.Next!.Value.Id, outgoing: true, detail);
            }
        }
    }

    private void Break()
    {
        _broken = true;
        _queue.Clear();
        for (var i = 0; i < _blocked.Length; i++)
        {
            if (_blocked[i] is { } item)
            {
                _blocked[i] = null;
                item.Handler.EndSend(item.Header, sent: false);
            }
        }
    }

    private void Close(bool abrupt)
    {
        foreach (var stripe in _stripes)
        {
            stripe.Close(() => _receiver.Run(_endsUnheard ? () => { } : Lost), abrupt);
        }
    }

    private void Lost()
    {
        if (_receiver.Alive && !_receiverClosed)
        {
            _receiverClosed = true;
            _receiver.Transport.InboundLost(this);
        }
    }

    private void Transmit(ISegmentHandler handler, SegmentHeader header)
    {
        if (!_sender.Alive || _broken || !_sender.Transport.IsCurrent(this))
        {
            return;
        }

        var stripe = FreeStripe();
        if (stripe < 0)
        {
            _queue.Enqueue((handler, header));
            return;
        }

        if (!handler.BeginSend(header, out var payload))
        {
            return;
        }

        var bytes = payload.ToArray();
        _sender.Transport.Sends(bytes.Length);
        if (_stripes[stripe].Waiting >= Window)
        {
            _blocked[stripe] = (handler, header, bytes); // The thread waits in its write.
            return;
        }

        handler.EndSend(header, sent: true);
        _stripes[stripe].Send(() => Arrive(header, bytes));
    }

    private int FreeStripe()
    {
        var first = _simulator.Random.Next(_stripes.Length);
        for (var i = 0; i < _stripes.Length; i++)
        {
            var stripe = (first + i) % _stripes.Length;
            if (_blocked[stripe] is null)
            {
                return stripe;
            }
        }

        return -1;
    }

    private void OnFlushed(int stripe)
    {
        if (_broken)
        {
            return;
        }

        if (_blocked[stripe] is { } item)
        {
            _blocked[stripe] = null;
            item.Handler.EndSend(item.Header, sent: true);
            _stripes[stripe].Send(() => Arrive(item.Header, item.Bytes));
        }

        for (var i = _queue.Count; i > 0; i--)
        {
            var (handler, header) = _queue.Dequeue();
            Transmit(handler, header);
        }
    }

    private void Arrive(SegmentHeader header, byte[] bytes)
    {
        if (!_receiver.Alive || _receiverClosed)
        {
            Reply(() => Fail("connection reset"));
            return;
        }

        _receiver.Run(() => _receiver.Interruptible(() => _receiver.Transport.Arrive(header, bytes)));
    }
}
