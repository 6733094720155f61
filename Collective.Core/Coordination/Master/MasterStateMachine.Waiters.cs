using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>Who waits for long is told for whom, and how many are there; the log says it too.</summary>
internal sealed partial class MasterStateMachine
{
    /// <summary>What several peers wait for.</summary>
    private readonly record struct Wait(string Name, Func<string> Text);

    private void NoteCall(PeerRecord peer)
    {
        peer.CalledMs = _nowMs;
        peer.NoticeAtMs = _nowMs + Limits.FirstWaitNoticeMs;
    }

    private void TellWaiters()
    {
        var told = new Dictionary<string, (List<PeerRecord> Peers, string Text)>();
        var due = _peers.Values.Where(p => p.NoticeAtMs <= _nowMs).ToList();
        var admissible = due.Exists(p => p.State == MasterPeerState.Pending) ? Admissible().ToHashSet() : [];
        foreach (var peer in due)
        {
            peer.NoticeAtMs = _nowMs + Limits.WaitNoticeMs;
            if (WaitOf(peer, admissible) is not { } wait || (peer.State == MasterPeerState.Pending && !admissible.Contains(peer) && EndsWithRefusal(peer)))
            {
                continue;
            }

            if (!told.TryGetValue(wait.Name, out var group))
            {
                told.Add(wait.Name, group = ([], wait.Text()));
            }

            group.Peers.Add(peer);
            Emit(new MasterOutput.Send(peer.Connection, new Waiting((uint)((_nowMs - peer.CalledMs) / 1000), group.Text)));
        }

        foreach (var (peers, text) in told.Values)
        {
            var longest = peers.MinBy(p => p.CalledMs)!;
            Report(MasterEventKind.PeersWait, longest, $"{Name(peers)} {(peers.Count == 1 ? "has" : "have")} waited {(_nowMs - longest.CalledMs) / 1000} s {text}");
        }
    }

    /// <summary>Of a peer that nobody keeps waiting: none. A ring that is being made has a time limit of its own.</summary>
    private Wait? WaitOf(PeerRecord peer, HashSet<PeerRecord> admissible) => peer switch
    {
        { State: MasterPeerState.Pending } when !admissible.Contains(peer)
            => new Wait($"company of {peer.Group}, {peer.MinimumWorldSize}", () => $"to be admitted: {Company(peer)}{RecentRefusal(peer)}"),
        { State: MasterPeerState.Pending } => new Wait("admission", () => $"to be admitted: {Absent(NotIn(_votes), "has not updated its topology", "have not updated their topology", _admitted)}"),
        { State: MasterPeerState.Voting or MasterPeerState.Asking } when _company.Contains(peer)
            => new Wait($"company of {peer.Group}", () => $"for company: {Shortage(GroupOf(peer))}{RecentRefusal(peer)}"),
        { State: MasterPeerState.Voting } when _votes.Contains(peer)
            => new Wait("update", () => $"in update topology: {Absent(NotIn(_votes), "has not voted", "have not voted", _admitted)}"),
        { State: MasterPeerState.Optimizing } when _optimizeVotes.Contains(peer)
            => new Wait("optimize", () => $"in optimize topology: {Absent(NotIn(_optimizeVotes), "has not voted", "have not voted", _admitted)}"),
        { Query: not null }
            => new Wait("question", () => $"in are peers pending: {Absent(NotIn([]).Where(p => p.Query is null), "has not asked", "have not asked", _admitted)}"),
        { State: MasterPeerState.Syncing } when GroupOf(peer) is { Sync: { Running: false } sync } group
            => new Wait($"sync of {group.Group}", () => $"in a sync of the shared state: {Absent(group.Ring.Where(p => !sync.Votes.ContainsKey(p)), "has not called it", "have not called it", group.Ring.Count)}"),
        { State: MasterPeerState.Reducing } when GroupOf(peer) is var group && group.Attempts.Values.FirstOrDefault(a => a.HasEntered(peer) && !a.AllEntered) is { } attempt
            => new Wait($"{attempt.Key} of {group.Group}", () => $"in an all-reduce with {attempt.Key.Tag}: {Absent(group.Ring.Where(p => !attempt.HasEntered(p)), "has not entered it", "have not entered it", group.Ring.Count)}"),
        _ => null,
    };

    private IEnumerable<PeerRecord> NotIn(List<PeerRecord> votes) => _peers.Values.Where(p => p.Admitted && !votes.Contains(p) && !_company.Contains(p));

    /// <summary>Who is missing, where these are, and how many of all are there.</summary>
    private string Absent(IEnumerable<PeerRecord> peers, string one, string several, int all)
    {
        var missing = peers.ToList();
        return $"{Missing(missing, one, several)}; {all - missing.Count} of {all} are there";
    }

    /// <summary>How many of those are there whom a pending peer asks for.</summary>
    private string Company(PeerRecord peer)
    {
        var group = _groups.GetValueOrDefault(peer.Group.Value);
        var there = _pending.Count(p => p.Group == peer.Group) + (group?.Ring.Count ?? 0);
        return $"{there} of the {Math.Max(peer.MinimumWorldSize, group?.KeptMinimum ?? 0)} peers that {peer.Group} must have are there";
    }

    private string RecentRefusal(PeerRecord peer)
        => _refusals.FindLast(r => r.Group == peer.Group && r.AtMs >= peer.CalledMs - Limits.RefusalRecentMs) is { Text: { } refusal } ? $"; {refusal}" : "";
}
