using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>Who waits where: calls that can never meet, and what an error says about them and about what was lost.</summary>
internal sealed partial class MasterStateMachine
{
    /// <summary>A peer that votes cannot enter attempts, and who is in an attempt cannot vote: such calls never meet.</summary>
    private bool RefuseCrossedVote(PeerRecord voter)
    {
        var group = GroupOf(voter);
        if (group.Attempts.Values.FirstOrDefault(a => !a.HasEntered(voter)) is not { } attempt)
        {
            return false;
        }

        EndCrossedCalls(group, voter, attempt, attempt.First);
        return true;
    }

    private PeerRecord? FindVoter(GroupRecord group, AttemptRecord attempt)
    {
        bool IsMissing(PeerRecord voter) => voter.Group == group.Group && !attempt.HasEntered(voter);
        return _votes.Find(IsMissing) ?? _optimizeVotes.Find(IsMissing);
    }

    private static string CallOf(PeerRecord voter) => voter.State == MasterPeerState.Optimizing ? "optimize topology" : "update topology";

    private void EndCrossedCalls(GroupRecord group, PeerRecord voter, AttemptRecord attempt, PeerRecord waiting)
    {
        var reason = $"peer {voter.Id.ToShortString()} waits in {CallOf(voter)} while peer {waiting.Id.ToShortString()} waits in an all-reduce with {attempt.Key.Tag}: all peers must make the same sequence of calls";
        Report(MasterEventKind.CallsCrossed, voter, reason, group);
        Move(voter, MasterPeerEvent.VoteDecided);
        ForgetVote(voter);
        OpenEpoch(group, reason, new AttemptEnd(attempt, ErrorCode.CrossedCalls, reason));

        // After the epoch: what the voter calls next must not be taken for the attempt that just ended.
        if (_peers.ContainsKey(voter.Connection))
        {
            Emit(new MasterOutput.Send(voter.Connection, new TopologyUpdated(voter.Request, ErrorCode.CrossedCalls, reason, Sizes())));
        }
    }

    /// <summary>One call of a peer excludes the others, and each needs all peers: different votes, or a vote and a query, never meet.</summary>
    private bool RefuseCrossedBarriers()
    {
        if ((_votes.Count > 0 ? 1 : 0) + (_optimizeVotes.Count > 0 ? 1 : 0) + (_queries > 0 ? 1 : 0) < 2)
        {
            return false;
        }

        var voters = _votes.Concat(_optimizeVotes).ToList();
        var askers = _peers.Values.Where(p => p.Query is not null).ToList();
        var reason = $"{string.Join(" while ", new[] { Waiting(_votes), Waiting(_optimizeVotes), Waiting(askers) }.Where(w => w.Length > 0))}: all peers must make the same sequence of calls";
        Report(MasterEventKind.CallsCrossed, voters[0], reason);
        voters.ForEach(p => FailVote(p, ErrorCode.CrossedCalls, reason));
        askers.ForEach(p => FailQuery(p, ErrorCode.CrossedCalls, reason));
        return true;
    }

    /// <summary>Peers in one and the same call.</summary>
    private string Waiting(List<PeerRecord> peers) => peers.Count == 0 ? "" : $"{Name(peers)} {(peers.Count == 1 ? Whereabouts(peers[0]) : Whereabouts(peers[0]).Replace("waits", "wait", StringComparison.Ordinal))}";

    /// <summary>A sync takes all members of the group, and excludes every other call: who of them is in another call never comes.</summary>
    private bool EndCrossedSync(GroupRecord group)
    {
        if (group.Sync is not { Running: false } sync)
        {
            return false;
        }

        var waiting = _company.FindAll(p => p.Group == group.Group);
        var voters = _votes.Concat(_optimizeVotes).Where(p => p.Group == group.Group).ToList();
        var askers = group.Ring.FindAll(p => p.Query is not null);
        var attempt = group.Attempts.Values.FirstOrDefault();
        var others = voters.Count > 0 ? voters : askers.Count > 0 ? askers : waiting.Count > 0 ? waiting : attempt is null ? [] : [attempt.First];
        if (others.Count == 0)
        {
            return false;
        }

        var syncing = group.Ring.FindAll(sync.Votes.ContainsKey);
        var reason = $"{Name(syncing)} {(syncing.Count == 1 ? "waits" : "wait")} in a sync of the shared state while peer {others[0].Id.ToShortString()} {Whereabouts(others[0])}: all peers must make the same sequence of calls";
        Report(MasterEventKind.CallsCrossed, syncing[0], reason, group);
        group.Sync = null;
        syncing.ForEach(p => Move(p, MasterPeerEvent.SyncEnded));
        voters.ForEach(p => FailVote(p, ErrorCode.CrossedCalls, reason));
        askers.ForEach(p => FailQuery(p, ErrorCode.CrossedCalls, reason));
        waiting.ForEach(p => EndWaitForCompany(p, ErrorCode.CrossedCalls, reason));
        if (attempt is not null)
        {
            OpenEpoch(group, reason, new AttemptEnd(null, ErrorCode.CrossedCalls, reason, All: true));
        }

        // After the epoch: what they call next must not be taken for what has just ended.
        foreach (var peer in syncing.Where(p => _peers.ContainsKey(p.Connection)))
        {
            Emit(new MasterOutput.Send(peer.Connection, new SharedStateFinished(peer.Request, ErrorCode.CrossedCalls, reason, default, [])));
        }

        return true;
    }

    /// <summary>
    /// All members of a group wait, each in a collective that another has not entered, and none has done anything for long. It cannot be known that none of them
    /// will yet launch what the others wait for on another thread, hence the patience; a member that is in no call at all is not waited out.
    /// </summary>
    private void EndWaitsWithoutEnd()
    {
        foreach (var group in _groups.Values.Where(g => g.Standing && g.Attempts.Count > 0 && _nowMs - g.ChangedMs > Configuration.CrossedCallsTimeoutMs).ToArray())
        {
            // A question that another group has not joined in is not waiting for this one alone.
            var othersAsked = _peers.Values.All(p => !p.Admitted || p.Group == group.Group || p.Query is not null);
            if (group.Attempts.Values.Any(a => a.AllEntered) || !group.Ring.TrueForAll(p => IsWaitedOut(group, p) || (p.Query is not null && othersAsked)))
            {
                continue;
            }

            var places = group.Ring.Take(Limits.PeersNamedMax).Select(p => $"peer {p.Id.ToShortString()} {Whereabouts(p)}");
            var reason = $"for {(_nowMs - group.ChangedMs) / 1000} s all peers of the group have waited for each other in different calls: {string.Join(", ", places)}{Others(group.Ring.Count)}";
            Report(MasterEventKind.CallsCrossed, null, reason, group);
            OpenEpoch(group, reason, new AttemptEnd(null, ErrorCode.CrossedCalls, reason, All: true));
        }
    }

    /// <summary>Whether a member is in collectives, and has nothing to add to them: who has not launched all tensors of one yet computes them.</summary>
    private static bool IsWaitedOut(GroupRecord group, PeerRecord peer)
        => peer.OpenAttempts > 0 && group.Attempts.Values.All(a => !a.HasEntered(peer) || a.HasEnteredAll(peer));

    /// <summary>In one sentence: who or what ended the epochs since the ring last stood, how that was established, and what was done.</summary>
    private static string Established(GroupRecord group)
    {
        string[] parts = [group.Cause, LostPeers(group), group.Excluded.Count > 0 ? "" : FailedLinks(group)];
        return string.Join("; ", parts.Where(p => p.Length > 0));
    }

    private static string LostPeers(GroupRecord group)
        => group.Excluded.Count == 0
            ? ""
            : $"{string.Join("; ", group.Excluded.Take(Limits.PeersNamedMax).Select(e => e.Reason))}{Others(group.Excluded.Count)}; {Left(group)}";

    /// <summary>Only links between peers that are still there: of the others their loss says it all.</summary>
    private static string FailedLinks(GroupRecord group)
    {
        var links = group.LinkReports.Where(r => group.Ring.Contains(r.From) && group.Ring.Contains(r.To)).GroupBy(r => (r.From, r.To)).ToList();
        var failures = links.Take(2).Select(l => $"the link from peer {l.Key.From.Id.ToShortString()} to peer {l.Key.To.Id.ToShortString()} failed: {string.Join(", ", l.Select(r => $"peer {r.Reporter.Id.ToShortString()} reports \"{r.Detail}\""))}{(l.Count() == 1 ? ", its other end reports nothing" : "")}");
        return links.Count == 0 ? "" : $"{string.Join("; ", failures)}; both ends answer the master, so both keep their place and the ring was made again";
    }

    private static string Left(GroupRecord group) => group.Ring.Count == 1 ? "one peer is left in the group" : $"the other {group.Ring.Count} peers go on in a new ring";

    /// <summary>Why an attempt is not done: which others have not entered it, or else have not finished it, and where these are.</summary>
    private string Unfinished(GroupRecord group, AttemptRecord attempt, PeerRecord except)
    {
        var missing = group.Ring.FindAll(p => p != except && !(attempt.AllEntered ? attempt.HasPromised(p) : attempt.HasEnteredAll(p)));
        var text = attempt.AllEntered ? "had not finished it" : attempt.AllBegun ? "had not launched all tensors of it" : "had not entered it";
        return missing.Count == 0 ? "" : $": {Missing(missing, text, text)}";
    }

    private string Missing(IEnumerable<PeerRecord> peers, string one, string several)
    {
        var missing = peers.ToList();
        var named = missing.Take(Limits.PeersNamedMax).Select(p => $"peer {p.Id.ToShortString()} ({Whereabouts(p)})");
        return missing.Count == 0 ? "the topology update before it is not done yet" : $"{string.Join(", ", named)}{Others(missing.Count)} {(missing.Count == 1 ? one : several)}";
    }

    private static string Name(List<PeerRecord> peers) => $"{(peers.Count == 1 ? "peer" : "peers")} {string.Join(", ", peers.Take(Limits.PeersNamedMax).Select(p => p.Id.ToShortString()))}{Others(peers.Count)}";

    private static string Others(int count) => count > Limits.PeersNamedMax ? $" and {count - Limits.PeersNamedMax} more" : "";

    private string Whereabouts(PeerRecord peer) => peer switch
    {
        { Query: not null } => "waits in are peers pending",
        { State: MasterPeerState.Syncing } => "is in a sync of the shared state",
        { State: MasterPeerState.Voting or MasterPeerState.Optimizing } => $"waits in {CallOf(peer)}",
        { State: MasterPeerState.Asking } => "waits for company to reduce with",
        { State: MasterPeerState.Reducing } => $"is in {string.Join(", ", GroupOf(peer).Attempts.Values.Where(a => a.HasEntered(peer)).Take(Limits.PeersNamedMax).Select(a => a.Key.Tag))}",
        _ => "is in no call",
    };
}
