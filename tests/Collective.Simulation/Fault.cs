namespace Collective.Simulation;

/// <summary>What may happen to a peer, to the master or to what connects them. Short: nobody may be taken for lost. Long: somebody must be.</summary>
internal enum FaultKind
{
    Kill,
    Leave,
    FreezeShort,
    FreezeLong,
    ResetControl,

    /// <summary>The process finds that it cannot do its part: it has no descriptors, threads or memory.</summary>
    LocalFault,

    /// <summary>Packets between the peer and the master stop, and come through in time.</summary>
    CutControlShort,

    /// <summary>Both sides of the control connection wait for the other until their patience ends; nobody sends the end of a stream.</summary>
    CutControlLong,

    /// <summary>As above; meanwhile the process dies, and nobody hears of that either.</summary>
    CutControlAndKill,
    ResetLink,

    /// <summary>The link breaks, and only its sender hears of it: half-open.</summary>
    ResetLinkForSender,
    ResetLinkForReceiver,

    /// <summary>Something between the two takes what is sent and keeps it: neither hears of anything.</summary>
    SwallowLink,

    /// <summary>Bytes of one stripe stop and go on.</summary>
    StallStripe,

    /// <summary>Bytes of all stripes stop, and later the connections break.</summary>
    StallLinkAndReset,

    /// <summary>Data between the peer and its next one stops in both directions, for a moment.</summary>
    CutPairShort,

    /// <summary>The two can never connect again. The ring avoids that, if any order can.</summary>
    CutPairForever,

    /// <summary>The master reaches the peer, and nobody else does.</summary>
    IsolateData,

    /// <summary>Some peers are cut from the others and, perhaps, from the master.</summary>
    PartitionShort,
    PartitionLong,
    FreezeMasterShort,
    FreezeMasterLong,
    KillMaster,

    /// <summary>All peers die within a moment.</summary>
    KillAll,

    /// <summary>A new peer of the victim's group starts.</summary>
    Join,
}

/// <summary>One fault: of what kind, whom it hits, and when: at the victim's n-th point, or at a time.</summary>
internal sealed record Fault(FaultKind Kind, int Victim, int AtPoint, long AtUs = 0);

/// <summary>Lets faults happen.</summary>
internal sealed class Faults(Simulator simulator)
{
    private const long Second = 1_000_000;
    private const long Forever = 20L * 60 * Second;

    /// <summary>Those that have happened.</summary>
    public List<Fault> Struck { get; } = [];

    /// <summary>When the world is whole again.</summary>
    public long EndUs { get; private set; }

    public void Plan()
    {
        foreach (var fault in simulator.Scenario.Faults)
        {
            var victim = simulator.Peers[fault.Victim];
            if (fault.AtPoint > 0)
            {
                victim.Strikes.Add((fault.AtPoint, () => Strike(fault, victim)));
            }
            else
            {
                simulator.At(fault.AtUs, () => Strike(fault, victim));
            }
        }
    }

    private void Strike(Fault fault, SimulatedPeer victim)
    {
        if (!victim.Alive && fault.Kind is not (FaultKind.FreezeMasterShort or FaultKind.FreezeMasterLong or FaultKind.KillMaster or FaultKind.KillAll))
        {
            return;
        }

        Struck.Add(fault);
        EndUs = Math.Max(EndUs, simulator.NowUs);
        simulator.Trace(victim.Name, () => $"FAULT {fault.Kind}");
        switch (fault.Kind)
        {
            case FaultKind.Kill: victim.Kill(); break;
            case FaultKind.Leave: victim.Leave(); break;
            case FaultKind.FreezeShort: victim.Freeze(Lasting(Short())); break;
            case FaultKind.FreezeLong: victim.Freeze(Lasting(Long())); break;
            case FaultKind.ResetControl: victim.ResetControl(); break;
            case FaultKind.LocalFault: victim.FindShortage(); break;
            case FaultKind.CutControlShort: CutFromMaster(victim, Short()); break;
            case FaultKind.CutControlLong: CutFromMaster(victim, Long()); break;
            case FaultKind.CutControlAndKill:
                CutFromMaster(victim, Long());
                simulator.At(simulator.Random.NextInt64(2 * Second), victim.Kill);
                break;
            case FaultKind.FreezeMasterShort: simulator.Master.Freeze(Lasting(Short())); break;
            case FaultKind.FreezeMasterLong: simulator.Master.Freeze(Lasting(Long())); break;
            case FaultKind.KillMaster: simulator.Master.Kill(); break;
            case FaultKind.KillAll: KillAll(); break;
            case FaultKind.Join: simulator.Join(victim.Group); break;
            default: StrikeData(fault.Kind, victim); break;
        }
    }

    private void StrikeData(FaultKind kind, SimulatedPeer victim)
    {
        var link = victim.Transport.Outgoing;
        switch (kind)
        {
            case FaultKind.ResetLink: link?.Reset(senderHears: true, receiverHears: true); break;
            case FaultKind.ResetLinkForSender: link?.Reset(senderHears: true, receiverHears: false); break;
            case FaultKind.ResetLinkForReceiver: link?.Reset(senderHears: false, receiverHears: true); break;
            case FaultKind.SwallowLink: link?.Swallow(); break;
            case FaultKind.StallStripe: link?.Stall(Lasting(Short()), all: false, breaks: false); break;
            case FaultKind.StallLinkAndReset: link?.Stall(Lasting(Short()), all: true, breaks: true); break;
            case FaultKind.CutPairShort: CutData(victim, [Other(victim)], Short()); break;
            case FaultKind.CutPairForever: CutData(victim, [Other(victim)], Forever); break;
            case FaultKind.IsolateData: CutData(victim, simulator.Peers.Where(p => p != victim), Forever); break;
            case FaultKind.PartitionShort: Partition(Short()); break;
            case FaultKind.PartitionLong: Partition(Long()); break;
            default: throw new SimulationException($"nobody knows how to {kind}");
        }
    }

    private void Partition(long durationUs)
    {
        var apart = simulator.Peers.Where(p => p.Alive && simulator.Random.Next(2) == 0).ToList();
        var others = simulator.Peers.Except(apart).ToList();
        var fromMaster = simulator.Random.Next(2) == 0;
        foreach (var peer in apart)
        {
            CutData(peer, others, durationUs);
            if (fromMaster)
            {
                CutFromMaster(peer, durationUs);
            }
        }
    }

    private void KillAll()
    {
        foreach (var peer in simulator.Peers.Where(p => p.Alive))
        {
            simulator.At(simulator.Random.NextInt64(simulator.Random.Next(2) == 0 ? 1000 : 2 * Second), peer.Kill);
        }
    }

    private void CutFromMaster(SimulatedPeer peer, long durationUs)
    {
        simulator.Network.Cut(peer.Index, Network.Master, Lasting(durationUs));
        peer.Silent.Add(simulator.NowUs, simulator.NowUs + durationUs);
    }

    private void CutData(SimulatedPeer peer, IEnumerable<SimulatedPeer> others, long durationUs)
    {
        foreach (var other in others)
        {
            simulator.Network.Cut(peer.Index, other.Index, durationUs);
        }

        _ = durationUs == Forever ? 0 : Lasting(durationUs);
    }

    private SimulatedPeer Other(SimulatedPeer victim)
    {
        var living = simulator.Peers.Where(p => p.Alive && p != victim && p.Group == victim.Group).ToList();
        return living.Count > 0 ? living[simulator.Random.Next(living.Count)] : simulator.Peers.First(p => p != victim);
    }

    private long Lasting(long durationUs)
    {
        EndUs = Math.Max(EndUs, simulator.NowUs + durationUs);
        return durationUs;
    }

    /// <summary>Not long enough to be taken for dead, even with the heartbeat that was just due.</summary>
    private long Short() => simulator.Random.NextInt64(1000, simulator.Random.Next(2) == 0 ? 100_000 : 3 * Second);

    private long Long() => simulator.Random.NextInt64(8 * Second, 20 * Second);
}
