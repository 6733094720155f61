using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>What must come of a set of votes, written down once more and naively.</summary>
internal sealed class SyncModel
{
    private readonly Dictionary<PeerId, SharedStateVote> _votes;
    private readonly HashSet<PeerId> _veterans;
    private readonly (ulong Revision, string Content)? _last;
    private readonly Dictionary<string, StateEntry> _elected = [];
    private ErrorCode _failure;

    /// <param name="votes">Of all members.</param>
    /// <param name="veterans">Peers that have completed a sync.</param>
    /// <param name="last">The last sync that succeeded, if one of these took part in it.</param>
    public SyncModel(IReadOnlyDictionary<PeerId, SharedStateVote> votes, IEnumerable<PeerId> veterans, (ulong Revision, string Content)? last)
    {
        _votes = votes.ToDictionary();
        _veterans = [.. veterans];
        _last = last;
        Elects = Judge();
        if (Elects)
        {
            return;
        }

        foreach (var peer in votes.Keys.Except(Guilty.Keys))
        {
            Guilty[peer] = _failure;
        }
    }

    /// <summary>Whether it can go on, without those who do not fit. Else all of them are told.</summary>
    public bool Elects { get; }

    /// <summary>The revision that all have if it succeeds.</summary>
    public ulong Revision { get; private set; }

    /// <summary>What they then hold.</summary>
    public string Content { get; private set; } = "";

    public Dictionary<PeerId, ErrorCode> Guilty { get; } = [];

    /// <summary>Whether any of these has taken part.</summary>
    public bool Concerns(IEnumerable<PeerId> peers) => peers.Any(_votes.ContainsKey);

    /// <summary>Exactly what the peer lacks, from exactly those who have it; and it knows of nobody else.</summary>
    public void CheckPlan(PeerId peer, SharedStatePlan plan)
    {
        var vote = _votes[peer];
        Ledger.Require(plan.Revision.Value == Revision && plan.Request == vote.Request, $"sync: the plan {plan} is not for {vote}");
        var named = plan.HolderSets.SelectMany(s => s).Select(n => plan.Holders[n].Id).ToHashSet();
        Ledger.Require(plan.Holders.Count == named.Count && named.SetEquals(plan.Holders.Select(h => h.Id)) && !named.Contains(peer), $"sync: {peer} is given holders that have nothing for it");
        var fetches = plan.Fetches.ToDictionary(f => vote.Entries[f.Index].Key);
        foreach (var own in vote.Entries)
        {
            var elected = _elected[own.Key];
            var holders = elected.MayDiffer
                ? _votes.Where(v => v.Value.Strategy != SyncStrategy.ReceiveOnly && _veterans.Contains(v.Key) && Text(v.Value) == Content).Select(v => v.Key).ToHashSet()
                : _votes.Where(v => v.Value.Strategy != SyncStrategy.ReceiveOnly && v.Value.Entries.Single(e => e.Key == own.Key).Hash == elected.Hash).Select(v => v.Key).ToHashSet();
            var lacks = elected.MayDiffer ? !_veterans.Contains(peer) && vote.Strategy != SyncStrategy.SendOnly && holders.Count > 0 : own.Hash != elected.Hash;
            Ledger.Require(lacks == fetches.Remove(own.Key, out var fetch), $"sync: {peer} {(lacks ? "lacks" : "has")} {own.Key}");
            if (lacks)
            {
                Ledger.Require(fetch.Hash == elected.Hash, $"sync: {peer} fetches another {own.Key} than the elected one");
                Ledger.Require(holders.SetEquals(plan.HolderSets[fetch.HolderSet].Select(n => plan.Holders[n].Id)), $"sync: {peer} fetches {own.Key} from others than have it");
            }
        }

        Ledger.Require(fetches.Count == 0, $"sync: {peer} fetches what is not there");
    }

    /// <summary>G6: success is never a lie.</summary>
    public void CheckContents(SimulatedPeer peer, SimulatedSync sync)
    {
        foreach (var entry in _elected.Values.Where(e => !e.MayDiffer))
        {
            Ledger.Require(SimulatedState.HashOf(sync.ResultOf(entry.Key)) == entry.Hash, $"G6: a sync succeeds while {peer.Name} lacks {entry.Key}");
        }
    }

    private bool Judge()
    {
        var popular = Upper(_votes).Any(v => v.Value.Strategy == SyncStrategy.EnforcePopular);
        Blame(ErrorCode.Mismatch, v => (v.Strategy == SyncStrategy.EnforcePopular) != popular);
        if (!_votes.Values.Any(Sends))
        {
            return Fails(ErrorCode.Mismatch);
        }

        if (Most(UpperSenders(), v => Names(v.Entries)) is not { } names)
        {
            return Fails(ErrorCode.Mismatch);
        }

        Blame(ErrorCode.Mismatch, v => Names(v.Entries) != names);
        if (RevisionOf() is not { } revision)
        {
            return Fails(ErrorCode.RevisionMismatch);
        }

        Revision = revision;
        Blame(ErrorCode.RevisionMismatch, (p, v) => (v.Revision.Value > revision && v.Rule != RevisionRule.Counted) || (v.Strategy == SyncStrategy.SendOnly && !IsCurrent(p, v)));
        var candidates = UpperSenders().Where(v => Sends(v.Value) && IsCurrent(v.Key, v.Value)).ToDictionary();
        candidates = candidates.Count > 0 ? candidates : _votes.Where(v => Sends(v.Value) && IsCurrent(v.Key, v.Value)).ToDictionary();
        if (candidates.Count == 0)
        {
            return Fails(ErrorCode.RevisionMismatch);
        }

        if (popular)
        {
            Content = candidates.GroupBy(v => Text(v.Value)).OrderByDescending(c => c.Count()).ThenBy(c => c.Min(v => v.Key)).First().Key;
        }
        else if (Most(candidates, Text) is { } content)
        {
            Content = content;
        }
        else
        {
            return Fails(ErrorCode.Mismatch);
        }

        foreach (var entry in candidates.Values.First(v => Text(v) == Content).Entries)
        {
            _elected[entry.Key] = entry;
        }

        Blame(ErrorCode.Mismatch, v => v.Strategy == SyncStrategy.SendOnly && Text(v) != Content);
        return true;
    }

    private ulong? RevisionOf()
    {
        if (_last is not { } last)
        {
            return _votes.Values.Where(Sends).Max(v => v.Revision.Value);
        }

        var upper = UpperSenders();
        var given = upper.Values.Where(v => v.Rule != RevisionRule.Counted).Select(v => (v.Rule, v.Revision.Value))
            .Where(v => v.Value > last.Revision && (v.Rule == RevisionRule.Grows || v.Value == last.Revision + 1)).Select(v => v.Value).ToList();
        if (given.Count > 0)
        {
            var most = given.Max(r => given.Count(other => other == r));
            var tied = given.Where(r => given.Count(other => other == r) == most).ToList();
            return tied.Contains(last.Revision + 1) ? last.Revision + 1 : tied.Max();
        }

        return upper.Values.Any(v => v.Rule == RevisionRule.Counted) ? last.Revision + 1
            : upper.Any(v => HasLast(v.Key, v.Value)) ? last.Revision
            : null;
    }

    private bool HasLast(PeerId peer, SharedStateVote vote)
        => _last is { } last && _veterans.Contains(peer) && vote.Rule == RevisionRule.Grows && vote.Revision.Value == last.Revision && Text(vote) == last.Content;

    private bool IsCurrent(PeerId peer, SharedStateVote vote)
        => vote.Rule == RevisionRule.Counted && _veterans.Contains(peer) ? true
            : Revision == _last?.Revision ? HasLast(peer, vote)
            : vote.Revision.Value == Revision;

    private Dictionary<PeerId, SharedStateVote> Upper(Dictionary<PeerId, SharedStateVote> votes)
        => votes.Keys.Any(_veterans.Contains) ? votes.Where(v => _veterans.Contains(v.Key)).ToDictionary() : votes;

    private Dictionary<PeerId, SharedStateVote> UpperSenders()
    {
        var upper = Upper(_votes);
        return upper.Values.Any(Sends) ? upper.Where(v => Sends(v.Value)).ToDictionary() : upper;
    }

    private void Blame(ErrorCode code, Func<SharedStateVote, bool> guilty) => Blame(code, (_, vote) => guilty(vote));

    private void Blame(ErrorCode code, Func<PeerId, SharedStateVote, bool> guilty)
    {
        foreach (var (peer, _) in _votes.Where(v => guilty(v.Key, v.Value)).ToList())
        {
            Guilty[peer] = code;
            _votes.Remove(peer);
        }
    }

    private bool Fails(ErrorCode code)
    {
        _failure = code;
        return false;
    }

    /// <summary>What more of them say than anything else.</summary>
    private static string? Most(Dictionary<PeerId, SharedStateVote> votes, Func<SharedStateVote, string> textOf)
    {
        var counts = votes.Values.CountBy(textOf).ToList();
        var most = counts.Max(c => c.Value);
        return counts.Count(c => c.Value == most) == 1 ? counts.Single(c => c.Value == most).Key : null;
    }

    private static bool Sends(SharedStateVote vote) => vote.Strategy != SyncStrategy.ReceiveOnly;

    private static string Text(SharedStateVote vote) => string.Join(';', vote.Entries.OrderBy(e => e.Key, StringComparer.Ordinal));

    private static string Names(IEnumerable<StateEntry> entries) => string.Join(';', entries.OrderBy(e => e.Key, StringComparer.Ordinal).Select(e => (e.Key, e.DataType, e.Count, e.MayDiffer)));
}
