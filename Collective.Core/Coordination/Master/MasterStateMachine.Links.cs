using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>
/// What follows from links that fail between members: they are made again, then the ring order avoids the pair, and only when no order can does one of the
/// two go. By then both have been heard for longer than the heartbeat timeout since the trouble began: a neighbour that has died, and whose connection has not ended
/// here yet, must not cost the peer that reports it its place (guarantee G5).
/// </summary>
internal sealed partial class MasterStateMachine
{
    private readonly Dictionary<PeerPair, LinkTrouble> _linkTroubles = [];

    /// <summary>Failures of one pair since an attempt was committed in a ring in which the two are neighbours.</summary>
    private sealed class LinkTrouble(long sinceMs)
    {
        public long SinceMs { get; } = sinceMs;

        public long LastMs { get; set; }

        /// <summary>Start of the first survey, and end of the last, in which the two did not reach each other; null when they did in the last one.</summary>
        public long? UnreachableSinceMs { get; set; }

        public long UnreachableUntilMs { get; set; }

        public Epoch LastEpoch { get; set; }

        /// <summary>What was said about the last of them.</summary>
        public string LastDetail { get; set; } = "";

        /// <summary>Counted once an epoch: both ends may report the same failure.</summary>
        public int Epochs { get; set; }

        /// <summary>Of these, after which both ends were heard again: a death explains none of them.</summary>
        public int Survived { get; set; }
    }

    /// <summary>A dead peer would have been evicted for silence within this time.</summary>
    private long PatienceMs => Configuration.HeartbeatTimeoutMs + (2L * Configuration.HeartbeatIntervalMs);

    private void OnLinkFailed(PeerRecord peer, LinkFailed report)
    {
        var group = GroupOf(peer);
        var neighbour = group.Ring.Find(p => p.Id == report.Neighbour);
        if (neighbour is null || neighbour == peer)
        {
            return; // Gone already: that explains it.
        }

        var (from, to) = report.Outgoing ? (peer, neighbour) : (neighbour, peer);
        KeepEvidence(group, new LinkReport(from, to, peer, report.Detail));
        if (report.Epoch == group.Epoch) // Of an older epoch it is evidence for what ended that, no more.
        {
            OnLinkTrouble(group, from, to, peer, $"failed: {report.Detail} (reported by peer {peer.Id.ToShortString()})", report.Detail);
        }
    }

    private static void KeepEvidence(GroupRecord group, LinkReport report)
    {
        if (group.LinkReports.Count < Limits.LinkReportsMax && !group.LinkReports.Exists(r => r.From == report.From && r.To == report.To && r.Reporter == report.Reporter))
        {
            group.LinkReports.Add(report);
        }
    }

    private void OnLinkTrouble(GroupRecord group, PeerRecord from, PeerRecord to, PeerRecord reporter, string what, string detail)
    {
        var reason = $"the link from peer {from.Id.ToShortString()} to peer {to.Id.ToShortString()} {what}";
        var pair = PeerPair.Of(from.Id, to.Id);
        var other = reporter == from ? to : from;
        if (!_linkTroubles.TryGetValue(pair, out var trouble) || (IsOld(trouble) && !IsOfThisRecovery(trouble, group)))
        {
            _linkTroubles[pair] = trouble = new LinkTrouble(_nowMs); // What was long ago says nothing about now.
        }

        if (trouble.LastEpoch != group.Epoch)
        {
            trouble.Survived += trouble.Epochs > 0 && other.LastHeardMs > trouble.LastMs ? 1 : 0; // The reporter itself is being heard.
            trouble.Epochs++;
        }

        trouble.LastEpoch = group.Epoch;
        trouble.LastMs = _nowMs;
        trouble.LastDetail = detail;
        Report(MasterEventKind.LinkFailed, reporter, reason, group);

        group.FailedEpochs += group.FailedEpoch == group.Epoch ? 0 : 1;
        group.FailedEpoch = group.Epoch;

        // At once after a standing ring; after that with the ticks, so that a pair that cannot connect does not keep everybody busy.
        group.LinkFailures++;
        if (group.LinkFailures == 1)
        {
            OpenEpoch(group, reason, evident: true);
        }
        else
        {
            group.RetryBecause = reason;
        }
    }

    /// <summary>
    /// Both ends say what has moved. Bytes that one has sent and the other does not receive are on their way; when none of them arrives for the stall timeout they are stuck,
    /// in something between the two that took them, and neither end's system knows. Slow is not stuck: a single byte counts.
    /// </summary>
    private void OnLinkProgress(PeerRecord peer, LinkProgress progress)
    {
        var group = GroupOf(peer);
        var moved = peer.Progress is not { } last || last.Epoch != progress.Epoch || last.Bytes.Received != progress.Bytes.Received;
        peer.Progress = progress;
        peer.ProgressMs = _nowMs;
        var waits = PreviousOf(peer, group).Progress is { } sender && sender.Epoch == progress.Epoch && sender.Bytes.Sent > progress.Bytes.Received;
        peer.StuckSinceMs = moved || !waits ? null : peer.StuckSinceMs ?? _nowMs;
    }

    /// <summary>With the ticks: a master that stood still has found that out by then, and starts counting again.</summary>
    private void BreakStuckLinks()
    {
        foreach (var group in _groups.Values.Where(g => g.Standing && g.Attempts.Count > 0).ToArray())
        {
            if (group.Ring.Find(p => p.StuckSinceMs is { } since && p.Progress!.Epoch == group.Epoch && p.ProgressMs - since > p.Progress.StallTimeoutMs) is not { } to)
            {
                continue;
            }

            var from = PreviousOf(to, group);
            var (sent, received) = (from.Progress!.Bytes.Sent, to.Progress!.Bytes.Received);
            var seconds = (to.ProgressMs - to.StuckSinceMs!.Value) / 1000.0;
            KeepEvidence(group, new LinkReport(from, to, from, $"{sent} bytes sent"));
            KeepEvidence(group, new LinkReport(from, to, to, $"{received} bytes received, none for {seconds:0.0} s"));
            var detail = $"of {sent} bytes sent {received} have been received, none for {seconds:0.0} s";
            OnLinkTrouble(group, from, to, to, $"is stuck: {detail} (both ends report that)", detail);
        }
    }

    private static PeerRecord PreviousOf(PeerRecord peer, GroupRecord group) => group.Ring[(peer.Rank + group.Ring.Count - 1) % group.Ring.Count];

    private void RetryLinks()
    {
        foreach (var group in _groups.Values.Where(g => g.RetryBecause is not null && g.Survey is null).ToArray())
        {
            if (_groups.GetValueOrDefault(group.Group.Value) != group || group.RetryBecause is not { } reason)
            {
                continue;
            }

            if (group.FailedEpochs >= Limits.LinkFailuresSurveyed)
            {
                BeginSurvey(group);
            }
            else
            {
                OpenEpoch(group, reason, evident: true);
            }
        }
    }

    /// <summary>Orders the ring around pairs in trouble. When no order can, and the trouble is proven, evicts who has most of it and gives false.</summary>
    private bool ArrangeRing(GroupRecord group)
    {
        var suspects = _linkTroubles.Where(t => t.Value.Epochs >= Limits.LinkFailuresAvoided || t.Value.UnreachableSinceMs is not null).Select(t => t.Key).ToHashSet();
        var proven = ProvenPairs(group);
        var current = group.Ring.ConvertAll(p => p.Id);
        if ((RingOrder.Choose(current, current, suspects) ?? RingOrder.Choose(current, current, UnreachablePairs(group, proven)) ?? RingOrder.Choose(current, current, proven)) is { } order)
        {
            var byId = group.Ring.ToDictionary(p => p.Id);
            group.Ring = [.. order.Select(id => byId[id])];
            for (var i = 0; i < group.Ring.Count; i++)
            {
                group.Ring[i].Rank = i;
            }

            return true;
        }

        bool Blocked(PeerRecord a, PeerRecord b) => proven.Contains(PeerPair.Of(a.Id, b.Id));
        var worst = group.Ring.OrderByDescending(p => group.Ring.Count(other => Blocked(p, other))).ThenByDescending(p => p.Connection.Value).First(); // The newcomer, when in doubt.
        var unreachable = group.Ring.FindAll(p => Blocked(worst, p));
        Evict(
            worst,
            $"for {PatienceMs / 1000.0:0.0} s data cannot flow between it and {Name(unreachable)}, though both answer the master, and no ring order avoids that"
            + $"{LastError(worst, unreachable)}: check that its data port {worst.Address} is reachable from there and theirs from here");
        return false;
    }

    /// <summary>What was said last about a link between it and one of these; empty when only a survey has tried them.</summary>
    private string LastError(PeerRecord peer, List<PeerRecord> others)
    {
        var last = others.Select(o => _linkTroubles.GetValueOrDefault(PeerPair.Of(peer.Id, o.Id))).Where(t => t?.LastDetail.Length > 0).MaxBy(t => t!.LastMs);
        return last is null ? "" : $" (the last error: {StateEntries.Shorten(last.LastDetail)})";
    }

    /// <summary>
    /// It goes on, and both ends have lived through more than the time in which a dead one is noticed. As long as no ring has stood since, age means nothing: while the order
    /// tries each pair of a peer that nobody reaches, the first of them fails no more only because it is avoided.
    /// </summary>
    private HashSet<PeerPair> ProvenPairs(GroupRecord group) => _linkTroubles.Where(t => IsProven(t.Value, group)).Select(t => t.Key).ToHashSet();

    private bool IsProven(LinkTrouble trouble, GroupRecord group)
        => (trouble.UnreachableSinceMs >= group.StoodMs && trouble.UnreachableUntilMs - trouble.UnreachableSinceMs > PatienceMs) || IsProvenByFailures(trouble, group);

    private bool IsProvenByFailures(LinkTrouble trouble, GroupRecord group)
        => trouble.Survived >= Limits.LinkFailuresProven - 1 && trouble.LastMs - trouble.SinceMs > PatienceMs
            && (_nowMs - trouble.LastMs < PatienceMs || IsOfThisRecovery(trouble, group));

    private bool IsOld(LinkTrouble trouble) => _nowMs - trouble.LastMs > Limits.LinkTroubleTimeouts * (long)Configuration.HeartbeatTimeoutMs;

    private static bool IsOfThisRecovery(LinkTrouble trouble, GroupRecord group) => trouble.LastMs >= group.StoodMs;

    /// <summary>Members that within the time neither make their links nor report why, or do not say whom they reach.</summary>
    private void EvictWhoDoesNotWire()
    {
        foreach (var group in _groups.Values.Where(g => !g.Standing && _nowMs - g.OpenedMs > Configuration.WiringTimeoutMs).ToArray())
        {
            if (group.Survey is { } survey)
            {
                Evict(survey.Asked.First(), $"did not answer within {Configuration.WiringTimeoutMs / 1000} s whom it reaches, though links of its group fail");
                continue;
            }

            // Who waits for a previous peer that is late itself is not to blame; who has been reached and still is not ready, is.
            var late = group.Ring.Where(p => p.Acknowledged != group.Epoch).ToList();
            var guilty = late.Find(p => !late.Contains(PreviousOf(p, group))) ?? late[0];
            Evict(guilty, $"did not acknowledge epoch {group.Epoch} within {Configuration.WiringTimeoutMs / 1000} s");
        }
    }

    /// <summary>Data has flowed all around the ring: every link of it works.</summary>
    private void ForgetLinkTrouble(GroupRecord group)
    {
        if (_linkTroubles.Count == 0)
        {
            return;
        }

        for (var i = 0; i < group.Ring.Count; i++)
        {
            _linkTroubles.Remove(PeerPair.Of(group.Ring[i].Id, group.Ring[(i + 1) % group.Ring.Count].Id));
        }
    }

    private void ForgetLinksOf(PeerRecord peer)
    {
        foreach (var pair in _linkTroubles.Keys.Where(p => p.Contains(peer.Id)).ToArray())
        {
            _linkTroubles.Remove(pair);
        }
    }
}
