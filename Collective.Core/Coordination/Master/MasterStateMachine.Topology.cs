using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>
/// Optimise topology: when all admitted peers have voted, the pairs whose rate is not known are measured, in rounds of which each has a peer in one pair at most;
/// then each group gets the ring whose slowest link is fastest. Whoever is lost meanwhile is left out, and a probe that fails only leaves its pair unmeasured.
/// </summary>
internal sealed partial class MasterStateMachine
{
    private readonly List<PeerRecord> _optimizeVotes = [];
    private Optimization? _optimization;
    private ulong _lastProbe = Epoch.First(configuration.Term).Value - 1; // Numbers grow from one master to the next, as epochs do.

    private enum OptimizationState
    {
        Measuring,
        Choosing,
        Wiring,
    }

    private readonly record struct Probe(PeerRecord From, PeerRecord To);

    /// <summary>An optimisation that all have voted for.</summary>
    private sealed class Optimization(List<PeerRecord> voters, long startedMs)
    {
        public List<PeerRecord> Voters { get; } = voters;

        public long StartedMs { get; } = startedMs;

        public OptimizationState State { get; set; }

        /// <summary>Whom each peer has still to be measured with, as the sender.</summary>
        public List<(PeerRecord From, List<PeerRecord> To)> Missing { get; } = [];

        /// <summary>Those of the round that goes on.</summary>
        public Dictionary<ulong, Probe> Probes { get; } = [];

        /// <summary>Ends of pairs that were measured, and how many failed for those that were in none.</summary>
        public HashSet<PeerRecord> Reached { get; } = [];

        public Dictionary<PeerRecord, int> Failures { get; } = [];

        public long RoundMs { get; set; }

        public int Rounds { get; set; }

        public int Measured { get; set; }
    }

    private void OnOptimizeVote(PeerRecord peer, OptimizeVote vote)
    {
        peer.Request = vote.Request;
        _optimizeVotes.Add(peer);
        GroupOf(peer).ChangedMs = _nowMs;
        if (!RefuseCrossedVote(peer) && !RefuseCrossedBarriers() && !EndCrossedSync(GroupOf(peer)))
        {
            TryOptimizeTopology();
        }
    }

    /// <summary>Begins when all admitted peers have voted.</summary>
    private void TryOptimizeTopology()
    {
        if (_optimization is not null || _optimizeVotes.Count == 0 || _optimizeVotes.Count + _company.Count < _admitted)
        {
            return;
        }

        _optimization = new Optimization(_optimizeVotes.ToList(), _nowMs);
        _optimizeVotes.Clear();
        foreach (var group in _groups.Values.Where(g => g.Ring.Count > 2)) // Of two peers there is one ring.
        {
            foreach (var from in group.Ring)
            {
                // Neighbours first, and in an order in which many pairs of a round are apart.
                var others = Enumerable.Range(1, group.Ring.Count - 1).Select(i => group.Ring[(from.Rank + i) % group.Ring.Count]);
                _optimization.Missing.Add((from, [.. others.Where(to => !from.Rates.ContainsKey(to.Id) && !IsAvoided(from, to))]));
            }
        }

        MeasureNextRound();
    }

    private bool IsAvoided(PeerRecord a, PeerRecord b) => _linkTroubles.Count > 0 && _linkTroubles.TryGetValue(PeerPair.Of(a.Id, b.Id), out var trouble) && trouble.Epochs >= Limits.LinkFailuresAvoided;

    /// <summary>Two peers behind one address share what is measured: an address has a part in one probe at a time.</summary>
    private static (UInt128 Address, int Port) PlaceOf(PeerRecord peer) => (peer.Address.Address, peer.Address.IsLoopback ? peer.Address.Port : 0);

    private void MeasureNextRound()
    {
        var optimization = _optimization!;
        var busy = new HashSet<(UInt128, int)>();
        var sources = optimization.Missing;
        for (var i = 0; i < sources.Count && _nowMs - optimization.StartedMs < Limits.MeasuringMsMax; i++)
        {
            var (from, targets) = sources[(i + optimization.Rounds) % sources.Count];
            var next = busy.Contains(PlaceOf(from)) ? -1 : targets.FindIndex(t => !busy.Contains(PlaceOf(t)));
            if (next >= 0)
            {
                var to = targets[next];
                targets.RemoveAt(next);
                busy.Add(PlaceOf(from));
                busy.Add(PlaceOf(to));
                optimization.Probes.Add(++_lastProbe, new Probe(from, to));
                Emit(new MasterOutput.Send(to.Connection, new ProbeLink(_lastProbe, MemberFor(to, from), MemberFor(to, to))));
                Emit(new MasterOutput.Send(from.Connection, new ProbeLink(_lastProbe, MemberFor(from, from), MemberFor(from, to))));
            }
        }

        if (optimization.Probes.Count == 0)
        {
            ChooseRings();
            return;
        }

        optimization.RoundMs = _nowMs;
        optimization.Rounds++;
    }

    private void OnProbeDone(PeerRecord peer, ProbeDone done)
    {
        if (_optimization is not { } optimization || !optimization.Probes.TryGetValue(done.Number, out var probe) || (done.Ok ? peer != probe.To : peer != probe.To && peer != probe.From))
        {
            return; // It came late, or the other end has told already.
        }

        optimization.Probes.Remove(done.Number);
        if (done.Ok && done.BytesPerSecond > 0)
        {
            probe.From.Rates[probe.To.Id] = done.BytesPerSecond;
            optimization.Measured++;
            optimization.Reached.Add(probe.From);
            optimization.Reached.Add(probe.To);
        }
        else
        {
            Fail(optimization, probe, $"{done.Detail} (reported by peer {peer.Id.ToShortString()})");
        }

        MeasureNextRoundWhenDone();
    }

    /// <summary>The pair stays unmeasured. A peer that nobody has reached after a few tries does not keep the others waiting for all its pairs.</summary>
    private void Fail(Optimization optimization, Probe probe, string detail)
    {
        Report(MasterEventKind.ProbeFailed, probe.From, $"the link from peer {probe.From.Id.ToShortString()} to peer {probe.To.Id.ToShortString()} could not be measured: {detail}", GroupOf(probe.From));
        foreach (var end in new[] { probe.From, probe.To })
        {
            var failures = optimization.Failures[end] = optimization.Failures.GetValueOrDefault(end) + 1;
            if (failures >= Limits.ProbeFailuresMax && !optimization.Reached.Contains(end))
            {
                MeasureNoMore(optimization, end);
            }
        }
    }

    private static void MeasureNoMore(Optimization optimization, PeerRecord peer)
    {
        optimization.Missing.RemoveAll(m => m.From == peer);
        optimization.Missing.ForEach(m => m.To.Remove(peer));
    }

    private void MeasureNextRoundWhenDone()
    {
        if (_optimization is { State: OptimizationState.Measuring, Probes.Count: 0 })
        {
            MeasureNextRound();
        }
    }

    /// <summary>Ends that live and say nothing must not hold up everybody.</summary>
    private void EndLateProbes()
    {
        if (_optimization is { State: OptimizationState.Measuring } optimization && _nowMs - optimization.RoundMs > Limits.ProbeReplyMsMax)
        {
            foreach (var probe in optimization.Probes.Values)
            {
                Fail(optimization, probe, $"neither end has told of it within {Limits.ProbeReplyMsMax / 1000} s");
            }

            optimization.Probes.Clear();
            MeasureNextRoundWhenDone();
        }
    }

    private void ForgiveLateProbes()
    {
        if (_optimization is { } optimization)
        {
            optimization.RoundMs = _nowMs;
        }
    }

    /// <summary>A vote that is open is taken back. Once all have voted, it cuts the measuring short for all: the rings are ordered by what is known, and all calls end with that.</summary>
    private void OnOptimizeWithdrawn(PeerRecord peer)
    {
        if (_optimizeVotes.Contains(peer))
        {
            FailVote(peer, ErrorCode.TimedOut, Missing(_peers.Values.Where(p => p.Admitted && !_optimizeVotes.Contains(p)), "has not voted", "have not voted"));
        }
        else if (_optimization is { State: OptimizationState.Measuring } optimization)
        {
            optimization.Probes.Clear();
            ChooseRings();
        }
    }

    private void ForgetProbesOf(PeerRecord peer)
    {
        foreach (var other in _peers.Values)
        {
            other.Rates.Remove(peer.Id);
        }

        if (_optimization is not { } optimization)
        {
            return;
        }

        optimization.Voters.Remove(peer);
        MeasureNoMore(optimization, peer);
        foreach (var number in optimization.Probes.Where(p => p.Value.From == peer || p.Value.To == peer).Select(p => p.Key).ToArray())
        {
            optimization.Probes.Remove(number);
        }
    }

    private void ChooseRings()
    {
        var optimization = _optimization!;
        optimization.State = OptimizationState.Choosing;
        foreach (var group in _groups.Values.ToArray())
        {
            if (_groups.GetValueOrDefault(group.Group.Value) == group) // It may be gone with one who was evicted here.
            {
                ChooseRing(group, optimization);
            }
        }

        optimization.State = OptimizationState.Wiring;
        TryFinishOptimization();
    }

    /// <summary>A new epoch, if the group's best ring is another one. What could not be measured counts as slower than all that was; a pair in trouble is avoided at any cost.</summary>
    private void ChooseRing(GroupRecord group, Optimization optimization)
    {
        var ring = group.Ring;
        if (ring.Count < 3)
        {
            return; // There is no other.
        }

        var rates = new double[ring.Count, ring.Count];
        for (var i = 0; i < ring.Count; i++)
        {
            for (var j = 0; j < ring.Count; j++)
            {
                rates[i, j] = IsAvoided(ring[i], ring[j]) ? RingSolver.Avoided : ring[i].Rates.GetValueOrDefault(ring[j].Id, RingSolver.Unknown);
            }
        }

        var solver = new RingSolver(rates);
        var order = solver.Improve();
        var before = solver.SlowestOf([.. Enumerable.Range(0, ring.Count)]);
        var what = order is null ? $"the ring of {group.Group} stays: its slowest link carries {Speed(before)}" : $"the ring order is optimised: the slowest link carries {Speed(solver.SlowestOf(order))}, not {Speed(before)} as before";
        Report(MasterEventKind.TopologyOptimized, null, $"{what} ({optimization.Measured} pairs measured in {optimization.Rounds} rounds, {_nowMs - optimization.StartedMs} ms)", group);
        if (order is not null)
        {
            group.Ring = [.. order.Select(i => ring[i])];
            OpenEpoch(group, what);
        }
    }

    private static string Speed(double bytesPerSecond) => bytesPerSecond > 0 ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytesPerSecond / 125_000:0.#} Mbit/s") : "an unknown rate";

    /// <summary>All are answered in the world that they can use.</summary>
    private void TryFinishOptimization()
    {
        if (_optimization is not { State: OptimizationState.Wiring } optimization || !optimization.Voters.TrueForAll(v => GroupOf(v).Standing))
        {
            return;
        }

        _optimization = null;
        foreach (var voter in optimization.Voters)
        {
            Move(voter, MasterPeerEvent.VoteDecided);
            Emit(new MasterOutput.Send(voter.Connection, new TopologyUpdated(voter.Request, default, "", Sizes())));
        }
    }
}
