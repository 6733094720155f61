using Collective.Protocol;
using Collective.Transport;

namespace Collective.Simulation;

/// <summary>The data links of one simulated peer: one to the next, made again for each epoch, and those that come from others.</summary>
internal sealed class SimulatedTransport(Simulator simulator, SimulatedPeer owner) : ITransport
{
    /// <summary>The newest link of each peer that has opened one to this peer.</summary>
    private readonly Dictionary<PeerId, (SimulatedLink Link, bool Broken)> _inbound = [];
    private WirePlan? _plan;
    private SimulatedLink? _outgoing;
    private bool _inboundReady;
    private bool _reported;
    private bool _inboundReported;
    private ulong _sentBytes;
    private ulong _receivedBytes;
    private readonly SimulatedProbes _probes = new(simulator, owner);

    public ushort Port => owner.Address.Port;

    public LinkBytes Moved => new(_sentBytes, _receivedBytes);

    public SegmentRouter Router { get; } = new();

    /// <summary>The link to the next peer, when it stands.</summary>
    public SimulatedLink? Outgoing => _outgoing is { Ready: true } link ? link : null;

    public void Wire(WirePlan plan)
    {
        Router.SetEpoch(plan.Epoch);
        _plan = plan;
        _sentBytes = _receivedBytes = 0;
        var silent = _outgoing is { Swallows: true } && _outgoing.Plan.Next == plan.Next;
        if (_outgoing is { Ready: true } kept && kept.Plan.Next == plan.Next)
        {
            kept.Retire();
        }
        else
        {
            _outgoing?.Dispose(abrupt: false);
        }

        _outgoing = null;
        _reported = _inboundReported = false;
        _inboundReady = plan.Previous is null;
        if (plan.Next is { } next)
        {
            _outgoing = new SimulatedLink(simulator, owner, simulator.PeerAt(next.Address), plan);
            owner.After(simulator.DelayUs() + (silent ? Limits.LinkConnectMsMax * 1000L : 0), () => DialNext(plan)); // A hello on connections that swallow it is not answered.
        }

        if (plan.Previous is { } previous && _inbound.TryGetValue(previous.Id, out var inbound) && inbound.Link.Plan.Epoch == plan.Epoch)
        {
            if (inbound.Broken)
            {
                ReportInboundLost("closed before this peer heard of the epoch");
            }
            else
            {
                _inboundReady = true;
            }
        }

        ReportWhenWired();
    }

    public void Probe(ProbePlan plan) => _probes.Start(plan);

    public SimulatedProbes Probes => _probes;

    public void Send(ISegmentHandler handler, in SegmentHeader header)
    {
        if (_outgoing is { Ready: true } link && header.Attempt.Epoch == _plan!.Epoch)
        {
            link.Send(handler, header);
        }
    }

    /// <summary>A packet there and one back; who is frozen answers, too: its system does.</summary>
    public void Survey(SurveyPlan plan)
    {
        var unreachable = plan.Targets.Select(t => t.Rank).ToHashSet();
        foreach (var (rank, member) in plan.Targets)
        {
            var target = simulator.PeerAt(member.Address);
            new Channel(simulator, owner.Index, target.Index).Send(() =>
            {
                if (target.Alive)
                {
                    new Channel(simulator, target.Index, owner.Index).Send(() => unreachable.Remove(rank));
                }
            });
        }

        owner.After(Limits.LinkConnectMsMax * 1000L, () => owner.Interruptible(() => owner.Surveyed(plan.Epoch, [.. unreachable.Order()])));
    }

    public void Sends(int bytes) => _sentBytes += (ulong)bytes;

    /// <summary>The simulator fetches shared state by itself.</summary>
    public IByteConnection DialState(Member holder) => throw new NotSupportedException();

    public void ServeState(Action<IByteConnection> serve) => throw new NotSupportedException();

    public bool IsCurrent(SimulatedLink link) => _outgoing == link;

    public void OutgoingReady(SimulatedLink link)
    {
        if (IsCurrent(link))
        {
            ReportWhenWired();
        }
    }

    /// <summary>A neighbour's hello arrives; one of an older epoch than this peer's is refused.</summary>
    public bool Hello(SimulatedLink link)
    {
        var from = link.Plan;
        if (_plan is { } plan && (from.Epoch < plan.Epoch || (from.Epoch == plan.Epoch && plan.Previous?.Id != from.Self)))
        {
            return false;
        }

        if (_inbound.TryGetValue(from.Self, out var known) && known.Link.Plan.Epoch > from.Epoch)
        {
            return false; // It was overtaken by a later one on another connection.
        }

        _inbound[from.Self] = (link, false);
        if (_plan is { } own && own.Epoch == from.Epoch)
        {
            _inboundReady = true;
            ReportWhenWired();
        }

        return true;
    }

    public void InboundLost(SimulatedLink link)
    {
        var from = link.Plan.Self;
        if (!_inbound.TryGetValue(from, out var inbound) || inbound.Link != link)
        {
            return; // Replaced meanwhile: its end is no news.
        }

        _inbound[from] = (link, true);
        if (_plan is { } plan && plan.Epoch == link.Plan.Epoch && plan.Previous?.Id == from)
        {
            ReportInboundLost("closed by the other side");
        }
    }

    /// <summary>The owner died: its next peer sees the end of the stream, its previous one perhaps a failed write.</summary>
    public void Die()
    {
        _outgoing?.Dispose(abrupt: simulator.Random.Next(2) == 0);
        foreach (var (link, _) in _inbound.Values)
        {
            if (simulator.Random.Next(3) > 0)
            {
                link.ReceiverDied();
            }
        }
    }

    public void Dispose() => _outgoing = null;

    public void Arrive(SegmentHeader header, byte[] bytes)
    {
        if (!owner.Alive)
        {
            return;
        }

        _receivedBytes += header.Attempt.Epoch == _plan?.Epoch ? (ulong)bytes.Length : 0;
        switch (Router.Find(header, out var handler))
        {
            case SegmentRoute.Violation: throw new SimulationException($"{owner} takes {header} for a violation");
            case SegmentRoute.Early:
                var rented = System.Buffers.ArrayPool<byte>.Shared.Rent(bytes.Length);
                bytes.CopyTo(rented, 0);
                Router.KeepEarly(header, rented);
                break;
            case SegmentRoute.Handler:
                var verdict = handler!.BeginReceive(header, out var target);
                Ledger.Require(verdict != SegmentVerdict.Violation, $"the ring of {owner} takes {header} for a violation");
                if (verdict == SegmentVerdict.Receive)
                {
                    bytes.CopyTo(target);
                    Land(handler, header);
                }

                break;
        }
    }

    private void DialNext(WirePlan plan)
    {
        if (owner.Alive && _plan == plan)
        {
            _outgoing?.Dial();
        }
    }

    private void ReportInboundLost(string detail)
    {
        if (!_inboundReported)
        {
            _inboundReported = true;
            owner.LinkLost(_plan!.Epoch, _plan.Previous!.Value.Id, outgoing: false, detail);
        }
    }

    private void ReportWhenWired()
    {
        if (!_reported && _inboundReady && _outgoing is null or { Ready: true })
        {
            _reported = true;
            owner.Wired(_plan!.Epoch);
        }
    }

    /// <summary>Between the first and the last byte of a segment anything may happen.</summary>
    private void Land(ISegmentHandler handler, SegmentHeader header)
    {
        if (simulator.Random.Next(4) > 0)
        {
            handler.EndReceive(header, received: true);
        }
        else
        {
            owner.After(simulator.HopUs(), () => owner.Interruptible(() => handler.EndReceive(header, received: true)));
        }
    }
}
