using Collective.Protocol;
using Collective.Transport;

namespace Collective.Simulation;

/// <summary>The links of one simulated peer: ordered within a stripe, reordered across stripes, cut by death or on demand.</summary>
internal sealed class SimulatedTransport(Simulator simulator, SimulatedPeer owner) : ITransport
{
    private readonly Dictionary<PeerId, Epoch> _arrived = [];
    private long[] _lastArrivalUs = [];
    private WirePlan? _plan;
    private SimulatedPeer? _next;
    private bool _outgoingReady;
    private bool _inboundReady;
    private bool _outgoingBroken;

    public ushort Port => owner.Address.Port;

    public SegmentRouter Router { get; } = new();

    public void Wire(WirePlan plan)
    {
        Router.SetEpoch(plan.Epoch);
        _plan = plan;
        _outgoingReady = plan.Next is null;
        _outgoingBroken = false;
        _next = null;
        _lastArrivalUs = new long[simulator.Scenario.Stripes];
        _inboundReady = plan.Previous is not { } previous || _arrived.GetValueOrDefault(previous.Id) == plan.Epoch;
        if (plan.Next is { } next)
        {
            simulator.At(simulator.DelayUs(), () => Dial(plan, next));
        }

        ReportWhenWired();
    }

    public void Send(ISegmentHandler handler, in SegmentHeader header)
    {
        if (_next is { } next && !_outgoingBroken && header.Attempt.Epoch == _plan!.Epoch)
        {
            var copy = header;
            simulator.At(simulator.HopUs(), () => Transmit(handler, copy, next));
        }
    }

    /// <summary>The connection to the next peer breaks; both ends notice in their own time.</summary>
    public void BreakNext()
    {
        if (_plan is { Next: { } next } plan && _next is { } receiver && !_outgoingBroken)
        {
            _outgoingBroken = true;
            simulator.Trace(owner.Name, () => $"link to {receiver.Name} breaks");
            simulator.At(simulator.DelayUs(), () => owner.LinkLost(plan.Epoch, next.Id, outgoing: true, "connection reset"));
            simulator.At(simulator.DelayUs(), () => receiver.LinkLost(plan.Epoch, plan.Self, outgoing: false, "connection reset"));
        }
    }

    /// <summary>The owner died: its next peer sees the end of the stream, its previous one perhaps a failed write.</summary>
    public void Die()
    {
        if (_plan is not { } plan)
        {
            return;
        }

        if (_next is { } next)
        {
            simulator.At(simulator.DelayUs(), () => next.LinkLost(plan.Epoch, plan.Self, outgoing: false, "closed by the other side"));
        }

        var previous = simulator.Peers.Find(p => p.Alive && p.Id == plan.Previous?.Id);
        if (previous is not null && simulator.Random.Next(3) > 0)
        {
            simulator.At(simulator.DelayUs(), () => previous.LinkLost(plan.Epoch, plan.Self, outgoing: true, "connection reset"));
        }
    }

    public void Dispose() => _next = null;

    private void Dial(WirePlan plan, Member next)
    {
        if (!owner.Alive || _plan != plan)
        {
            return;
        }

        var neighbour = simulator.Peers.Find(p => p.Address == next.Address)!;
        if (!neighbour.Alive || !neighbour.Transport.Hello(plan))
        {
            simulator.At(simulator.DelayUs(), () => owner.LinkLost(plan.Epoch, next.Id, outgoing: true, "connection refused"));
            return;
        }

        simulator.At(simulator.DelayUs(), () =>
        {
            if (_plan == plan && owner.Alive)
            {
                _next = neighbour;
                _outgoingReady = true;
                ReportWhenWired();
            }
        });
    }

    /// <summary>A neighbour's hello arrives; one of an older epoch than this peer's is refused.</summary>
    private bool Hello(WirePlan from)
    {
        if (_plan is { } plan && from.Epoch < plan.Epoch)
        {
            return false;
        }

        _arrived[from.Self] = from.Epoch;
        if (_plan is { } own && own.Epoch == from.Epoch && own.Previous?.Id == from.Self)
        {
            _inboundReady = true;
            ReportWhenWired();
        }

        return true;
    }

    private void ReportWhenWired()
    {
        if (_outgoingReady && _inboundReady)
        {
            owner.Wired(_plan!.Epoch);
        }
    }

    private void Transmit(ISegmentHandler handler, SegmentHeader header, SimulatedPeer receiver)
    {
        if (!owner.Alive || _outgoingBroken || _next != receiver || !handler.BeginSend(header, out var payload))
        {
            return;
        }

        var bytes = payload.ToArray();
        handler.EndSend(header, sent: true);
        var stripe = simulator.Random.Next(_lastArrivalUs.Length);
        _lastArrivalUs[stripe] = Math.Max(_lastArrivalUs[stripe], simulator.NowUs + simulator.DelayUs());
        simulator.At(_lastArrivalUs[stripe] - simulator.NowUs, () => receiver.Transport.Arrive(header, bytes));
    }

    private void Arrive(SegmentHeader header, byte[] bytes)
    {
        if (!owner.Alive)
        {
            return;
        }

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

    /// <summary>Between the first and the last byte of a segment anything may happen.</summary>
    private void Land(ISegmentHandler handler, SegmentHeader header)
    {
        if (simulator.Random.Next(4) > 0)
        {
            handler.EndReceive(header, received: true);
        }
        else
        {
            simulator.At(simulator.HopUs(), () => handler.EndReceive(header, received: true));
        }
    }
}
