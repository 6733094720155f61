using Collective.Protocol;

namespace Collective.Transport.InMemory;

/// <summary>Links between peers of one process. Behaves as TCP does, with one stripe whose delivering thread stands for the connection.</summary>
internal sealed class InMemoryTransport : ITransport
{
    private readonly InMemoryHub _hub;
    private readonly ITransportEvents _events;

    // Guarded by the hub's gate: links of other peers arrive while this peer's loop wires.
    private readonly Dictionary<PeerId, (InMemoryLink Link, Epoch Epoch)> _inbound = [];
    private WirePlan? _plan;
    private InMemoryLink? _outgoing;
    private bool _outgoingReady;
    private bool _told;
    private bool _disposed;
    private ulong _probeExpected;
    private ulong _probeArrived;
    private Action<IByteConnection>? _serve;

    public InMemoryTransport(InMemoryHub hub, ushort port, ITransportEvents events)
    {
        _hub = hub;
        _events = events;
        Port = port;
    }

    public ushort Port { get; }

    /// <summary>Its peer, once it knows; call with the hub's gate held.</summary>
    public PeerId Self => _plan?.Self ?? default;

    public LinkBytes Moved => default;

    public SegmentRouter Router { get; } = new();

    public void Wire(WirePlan plan)
    {
        Router.SetEpoch(plan.Epoch);
        InMemoryLink? outdated;
        InMemoryLink? outgoing = null;
        lock (_hub.Gate)
        {
            if (_disposed)
            {
                return;
            }

            outdated = _outgoing;
            if (plan.Next is { } next)
            {
                outgoing = outdated is { Closed: false } && outdated.Neighbour == next ? outdated : new InMemoryLink(_hub, this, plan.Self, next);
            }

            _plan = plan;
            _outgoing = outgoing;
            _outgoingReady = outgoing is null;
            _told = false;
        }

        if (outdated != outgoing)
        {
            outdated?.Break(null);
        }

        outgoing?.Wire(plan.Key, plan.Epoch);
        TellWhenWired();
    }

    public void Send(ISegmentHandler handler, in SegmentHeader header) => Volatile.Read(ref _outgoing)?.Send(handler, header);

    /// <summary>The rate is the hub's; it is told when both ends have begun.</summary>
    public void Probe(ProbePlan plan)
    {
        InMemoryTransport? target;
        bool done;
        lock (_hub.Gate)
        {
            target = plan.IsSender ? _hub.Find(plan.Self, plan.To) : this;
            _probeExpected = plan.IsSender ? _probeExpected : plan.Number;
            if (plan.IsSender && target is not null)
            {
                target._probeArrived = plan.Number;
            }

            done = target is not null && target._probeExpected == target._probeArrived;
        }

        if (target is null)
        {
            _events.ProbeDone(plan.Number, null, "connection refused");
        }
        else if (done)
        {
            target._events.ProbeDone(plan.Number, _hub.Rate, "");
        }
    }

    public void Survey(SurveyPlan plan)
    {
        ushort[] unreachable;
        lock (_hub.Gate)
        {
            unreachable = [.. plan.Targets.Where(t => !_hub.Reaches(_plan!.Self, t.Member.Address.Port)).Select(t => t.Rank)];
        }

        _events.Surveyed(plan.Epoch, unreachable);
    }

    public IByteConnection DialState(Member holder)
    {
        Action<IByteConnection>? serve;
        lock (_hub.Gate)
        {
            serve = _plan is { } plan ? _hub.Find(plan.Self, holder)?._serve : null;
        }

        if (serve is null)
        {
            throw new IOException("connection refused");
        }

        var (dialer, acceptor) = InMemoryByteConnection.Pair();
        new Thread(() => ServeGuarded(serve, acceptor)) { IsBackground = true, Name = "collective-memory-state" }.Start();
        return dialer;
    }

    public void ServeState(Action<IByteConnection> serve)
    {
        lock (_hub.Gate)
        {
            _serve = serve;
        }
    }

    /// <summary>Breaks the link to the next peer, as a cable does: both ends hear it.</summary>
    public void BreakOutgoing(string detail) => Volatile.Read(ref _outgoing)?.Break(detail);

    public void Dispose()
    {
        InMemoryLink[] inbound;
        InMemoryLink? outgoing;
        lock (_hub.Gate)
        {
            _disposed = true;
            _hub.Remove(this);
            inbound = [.. _inbound.Values.Select(i => i.Link)];
            _inbound.Clear();
            outgoing = _outgoing;
            _outgoing = null;
        }

        outgoing?.Break(null);
        foreach (var link in inbound)
        {
            link.Break("closed by the other side");
        }
    }

    /// <summary>A link says hello for an epoch; a text when it is refused. Call with the hub's gate held.</summary>
    public string? Greet(InMemoryLink link, LinkKey key, PeerId from, PeerId to, Epoch epoch)
    {
        if (_disposed || (_plan is { } plan && (key != plan.Key || to != plan.Self || epoch < plan.Epoch)))
        {
            return "hello refused";
        }

        _inbound[from] = (link, epoch);
        return null;
    }

    /// <summary>The hello of the outgoing link was accepted.</summary>
    public void OutgoingReady(InMemoryLink link, Epoch epoch)
    {
        lock (_hub.Gate)
        {
            _outgoingReady |= link == _outgoing && epoch == _plan?.Epoch;
        }

        TellWhenWired();
    }

    public void TellWhenWired()
    {
        Epoch epoch;
        lock (_hub.Gate)
        {
            if (_disposed || _told || !_outgoingReady || _plan is not { } plan || (plan.Previous is { } previous && !HasArrived(previous.Id, plan.Epoch)))
            {
                return;
            }

            _told = true;
            epoch = plan.Epoch;
        }

        _events.Wired(epoch);
    }

    /// <summary>The link to the next peer broke.</summary>
    public void OutgoingBroke(InMemoryLink link, Epoch epoch, string detail) => _events.LinkLost(epoch, link.Neighbour.Id, outgoing: true, detail);

    /// <summary>A link of another peer to this one ended; news only when it is the previous peer's, of this epoch.</summary>
    public void InboundEnded(InMemoryLink link, PeerId from, string detail)
    {
        Epoch epoch;
        lock (_hub.Gate)
        {
            if (!_inbound.TryGetValue(from, out var known) || known.Link != link)
            {
                return;
            }

            _inbound.Remove(from);
            if (_disposed || known.Epoch != _plan?.Epoch || from != _plan.Previous?.Id)
            {
                return;
            }

            epoch = known.Epoch;
        }

        _events.LinkLost(epoch, from, outgoing: false, detail);
    }

    public void Failed(Exception exception) => _events.Failed(exception);

    public void SegmentMoved(bool sent) => _events.SegmentMoved(sent);

    private void ServeGuarded(Action<IByteConnection> serve, InMemoryByteConnection connection)
    {
        try
        {
            using (connection)
            {
                serve(connection);
            }
        }
        catch (Exception e)
        {
            _events.Failed(e);
        }
    }

    private bool HasArrived(PeerId from, Epoch epoch) => _inbound.TryGetValue(from, out var known) && known.Epoch == epoch;
}
