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

        public Epoch LastEpoch { get; set; }

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
        if (group.LinkReports.Count < Limits.LinkReportsMax && !group.LinkReports.Exists(r => r.From == from && r.To == to && r.Reporter == peer))
        {
            group.LinkReports.Add(new LinkReport(from, to, peer, report.Detail));
        }

        if (report.Epoch != group.Epoch)
        {
            return; // Of an older epoch: evidence for what ended it, no more.
        }

        var pair = PeerPair.Of(peer.Id, neighbour.Id);
        if (!_linkTroubles.TryGetValue(pair, out var trouble) || (IsOld(trouble) && !IsOfThisRecovery(trouble, group)))
        {
            _linkTroubles[pair] = trouble = new LinkTrouble(_nowMs); // What was long ago says nothing about now.
        }

        if (trouble.LastEpoch != group.Epoch)
        {
            trouble.Survived += trouble.Epochs > 0 && neighbour.LastHeardMs > trouble.LastMs ? 1 : 0; // The reporter itself is being heard.
            trouble.Epochs++;
        }

        trouble.LastEpoch = group.Epoch;
        trouble.LastMs = _nowMs;
        var reason = $"the link from peer {from.Id.ToShortString()} to peer {to.Id.ToShortString()} failed: {report.Detail} (reported by peer {peer.Id.ToShortString()})";
        Report(MasterEventKind.LinkFailed, peer, reason, group);

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

    private void RetryLinks()
    {
        foreach (var group in _groups.Values.Where(g => g.RetryBecause is not null).ToArray())
        {
            if (_groups.GetValueOrDefault(group.Group.Value) == group && group.RetryBecause is { } reason)
            {
                OpenEpoch(group, reason, evident: true);
            }
        }
    }

    /// <summary>Orders the ring around pairs in trouble. When no order can, and the trouble is proven, evicts who has most of it and gives false.</summary>
    private bool ArrangeRing(GroupRecord group)
    {
        var suspects = _linkTroubles.Where(t => t.Value.Epochs >= Limits.LinkFailuresAvoided).Select(t => t.Key).ToHashSet();
        var proven = _linkTroubles.Where(t => IsProven(t.Value, group)).Select(t => t.Key).ToHashSet();
        var current = group.Ring.ConvertAll(p => p.Id);
        if ((RingOrder.Choose(current, current, suspects) ?? RingOrder.Choose(current, current, proven)) is { } order)
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
        var unreachable = string.Join(", ", group.Ring.Where(p => Blocked(worst, p)).Select(p => p.ToString()));
        Evict(worst, $"for {PatienceMs / 1000.0:0.0} s data cannot flow between it and {unreachable}, though both answer the master, and no ring order avoids that: check that its data port {worst.Address} is reachable from there and theirs from here");
        return false;
    }

    /// <summary>
    /// It goes on, and both ends have lived through more than the time in which a dead one is noticed. As long as no ring has stood since, age means nothing: while the order
    /// tries each pair of a peer that nobody reaches, the first of them fails no more only because it is avoided.
    /// </summary>
    private bool IsProven(LinkTrouble trouble, GroupRecord group)
        => trouble.Survived >= Limits.LinkFailuresProven - 1 && trouble.LastMs - trouble.SinceMs > PatienceMs
            && (_nowMs - trouble.LastMs < PatienceMs || IsOfThisRecovery(trouble, group));

    private bool IsOld(LinkTrouble trouble) => _nowMs - trouble.LastMs > Limits.LinkTroubleTimeouts * (long)Configuration.HeartbeatTimeoutMs;

    private static bool IsOfThisRecovery(LinkTrouble trouble, GroupRecord group) => trouble.LastMs >= group.StoodMs;

    /// <summary>Members that neither make their links nor report why within the time.</summary>
    private void EvictWhoDoesNotWire()
    {
        foreach (var group in _groups.Values.Where(g => !g.Standing && _nowMs - g.OpenedMs > Configuration.WiringTimeoutMs).ToArray())
        {
            // Who waits for a previous peer that is late itself is not to blame; who has been reached and still is not ready, is.
            var late = group.Ring.Where(p => p.Acknowledged != group.Epoch).ToList();
            var guilty = late.Find(p => !late.Contains(group.Ring[(p.Rank + group.Ring.Count - 1) % group.Ring.Count])) ?? late[0];
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
