using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>What must come of a set of votes, written down once more and naively.</summary>
internal sealed class SyncModel
{
    private readonly IReadOnlyDictionary<PeerId, SharedStateVote> _votes;
    private readonly HashSet<PeerId> _veterans;
    private readonly Dictionary<string, StateEntry> _elected = [];
    private readonly string _winner = "";

    public SyncModel(IReadOnlyDictionary<PeerId, SharedStateVote> votes, IEnumerable<PeerId> veterans, ulong expected)
    {
        _votes = votes;
        _veterans = [.. veterans];
        Next = expected > 0 ? expected : votes.Values.Max(v => v.Revision.Value);
        foreach (var (peer, vote) in votes)
        {
            if (GuiltOf(vote) is { } code)
            {
                Guilty[peer] = code;
            }
        }

        if (Guilty.Count > 0)
        {
            return;
        }

        var candidates = votes.Where(v => v.Value.Strategy != SyncStrategy.ReceiveOnly && v.Value.Revision.Value == Next).GroupBy(v => Text(v.Value)).ToList();
        if (candidates.Count == 0)
        {
            Guilty = votes.Keys.ToDictionary(p => p, _ => ErrorCode.RevisionMismatch);
            return;
        }

        var winner = candidates.OrderByDescending(c => c.Count()).ThenBy(c => c.Min(v => v.Key)).First();
        _winner = winner.Key;
        _elected = winner.First().Value.Entries.ToDictionary(e => e.Key);
        foreach (var (peer, vote) in votes)
        {
            if (Names(vote.Entries) != Names(_elected.Values) || (vote.Strategy == SyncStrategy.SendOnly && Text(vote) != _winner))
            {
                Guilty[peer] = ErrorCode.Mismatch;
            }
        }
    }

    /// <summary>The revision that all have if it succeeds.</summary>
    public ulong Next { get; }

    public Dictionary<PeerId, ErrorCode> Guilty { get; } = [];

    /// <summary>Whether any of these has taken part.</summary>
    public bool Concerns(IEnumerable<PeerId> peers) => peers.Any(_votes.ContainsKey);

    /// <summary>Exactly what the peer lacks, from exactly those who have it.</summary>
    public void CheckPlan(PeerId peer, SharedStatePlan plan)
    {
        var vote = _votes[peer];
        Ledger.Require(plan.Revision.Value == Next && plan.Request == vote.Request, $"sync: the plan {plan} is not for {vote}");
        var fetches = plan.Fetches.ToDictionary(f => vote.Entries[f.Index].Key);
        foreach (var own in vote.Entries)
        {
            var elected = _elected[own.Key];
            var holders = elected.MayDiffer
                ? _votes.Where(v => v.Value.Strategy != SyncStrategy.ReceiveOnly && _veterans.Contains(v.Key) && Text(v.Value) == _winner).Select(v => v.Key).ToHashSet()
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

    private ErrorCode? GuiltOf(SharedStateVote vote)
    {
        var popular = _votes.Values.Any(v => v.Strategy == SyncStrategy.EnforcePopular);
        var sending = _votes.Values.Any(v => v.Strategy == SyncStrategy.SendOnly);
        return !popular && !sending ? ErrorCode.Mismatch
            : vote.Revision.Value > Next ? ErrorCode.RevisionMismatch
            : popular && vote.Strategy != SyncStrategy.EnforcePopular ? ErrorCode.Mismatch
            : vote.Strategy == SyncStrategy.SendOnly && vote.Revision.Value < Next ? ErrorCode.RevisionMismatch
            : null;
    }

    private static string Text(SharedStateVote vote) => string.Join(';', vote.Entries.OrderBy(e => e.Key, StringComparer.Ordinal));

    private static string Names(IEnumerable<StateEntry> entries) => string.Join(';', entries.OrderBy(e => e.Key, StringComparer.Ordinal).Select(e => (e.Key, e.DataType, e.Count, e.MayDiffer)));
}
