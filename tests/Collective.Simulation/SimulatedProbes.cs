using Collective.Transport;

namespace Collective.Simulation;

/// <summary>One peer's part in probes. What a pair carries is decided by who they are; what becomes of a probe, by what happens to them meanwhile.</summary>
internal sealed class SimulatedProbes(Simulator simulator, SimulatedPeer owner)
{
    private const long ConnectTimeoutUs = 3_000_000;
    private const long HandshakeTimeoutUs = 5_000_000;
    private const long StableUs = 300_000;
    private const long ProbeUs = 2_000_000;

    private ulong _sending;
    private ulong _expected;
    private (ulong Number, SimulatedPeer From)? _arrived;

    public void Start(ProbePlan plan)
    {
        if (!plan.IsSender)
        {
            _expected = plan.Number;
            TryMeasure();
            return;
        }

        _sending = plan.Number;
        var target = simulator.PeerAt(plan.To.Address);
        owner.After(simulator.DelayUs(), () => Dial(plan.Number, target));
    }

    /// <summary>The sender's connections arrive.</summary>
    private void Arrive(ulong number, SimulatedPeer from)
    {
        _arrived = (number, from);
        TryMeasure();
    }

    private void Dial(ulong number, SimulatedPeer target)
    {
        if (!simulator.Network.Passes(owner.Index, target.Index))
        {
            owner.After(ConnectTimeoutUs, () => Fail(number, "no answer"));
        }
        else if (!target.Alive)
        {
            Fail(number, "connection refused");
        }
        else
        {
            target.After(simulator.DelayUs(), () => target.Interruptible(() => target.Transport.Probes.Arrive(number, owner)));
            owner.After(HandshakeTimeoutUs, () => Fail(number, "no answer to the hello"));
        }
    }

    private void TryMeasure()
    {
        if (_arrived is not { } arrived || arrived.Number != _expected)
        {
            return;
        }

        _arrived = null;
        var (number, from) = arrived;
        from.Transport.Probes._sending = 0; // Accepted: what becomes of it is for the target to tell.
        owner.After(simulator.Random.NextInt64(200_000, simulator.Random.Next(8) == 0 ? ProbeUs : StableUs), () => owner.Interruptible(() => End(number, from)));
    }

    private void End(ulong number, SimulatedPeer from)
    {
        if (from.Alive && simulator.Network.Passes(from.Index, owner.Index))
        {
            owner.ProbeDone(number, 1_000_000UL * (ulong)(1 + (((from.Index * 31) + (owner.Index * 17)) % 23)), "");
        }
        else
        {
            owner.ProbeDone(number, null, "the sender closed the connection");
        }
    }

    private void Fail(ulong number, string detail)
    {
        if (_sending == number)
        {
            _sending = 0;
            owner.ProbeDone(number, null, detail);
        }
    }
}
