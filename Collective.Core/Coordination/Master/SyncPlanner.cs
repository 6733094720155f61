using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>Who fetches what from whom. Everybody who has a tensor as elected may send it, however outdated the rest of it is.</summary>
internal sealed class SyncPlanner
{
    private readonly SyncElection _election;
    private readonly SyncVote[] _votes;
    private readonly SyncVote[] _senders;

    /// <summary>Of those whose whole content is elected, the ones that have done a sync before: what may differ comes from them.</summary>
    private readonly ushort[] _veterans;

    // Many tensors have the same holders.
    private readonly Dictionary<string, ushort[]> _sets = [];
    private readonly ushort[]?[] _holders;
    private readonly bool _anyMayDiffer;

    public SyncPlanner(IReadOnlyList<SyncVote> votes, SyncElection election)
    {
        _election = election;
        _votes = [.. votes];
        _senders = [.. votes.Where(v => v.Sends)];
        _veterans = IndexesOf(v => v.Peer.HasSynced && v.List.Equals(election.Elected!.List));
        _holders = new ushort[]?[election.Elected!.List.Sorted.Length];
        _anyMayDiffer = election.Elected.List.Sorted.Any(e => e.MayDiffer);
    }

    /// <summary>Whether anybody lacks anything.</summary>
    public bool AnythingMoves => _votes.Any(v => MayLack(v) && Enumerable.Range(0, _holders.Length).Any(i => Lacks(v, i)));

    /// <summary>The plan of one peer; <paramref name="start"/> tells fetchers apart, so that they do not all begin with the same holder.</summary>
    public SharedStatePlan PlanOf(SyncVote vote, int start)
    {
        var fetches = new List<StateFetch>();
        var sets = new List<ushort[]>();
        var known = new Dictionary<ushort[], ushort>(ReferenceEqualityComparer.Instance);
        var elected = _election.Elected!.List.Sorted;
        for (var i = 0; i < elected.Length && MayLack(vote); i++)
        {
            if (!Lacks(vote, i))
            {
                continue;
            }

            var having = HoldersOf(i);
            if (!known.TryGetValue(having, out var set))
            {
                known.Add(having, set = (ushort)sets.Count);
                sets.Add(having);
            }

            fetches.Add(new StateFetch((ushort)vote.List.Positions[i], elected[i].Hash, set));
        }

        var (holders, positions) = NameHolders(vote.Peer, Rotate(sets, start));
        return new SharedStatePlan(vote.Request, _election.Revision, holders, positions, fetches);
    }

    /// <summary>Only members that hold something for this peer, in the order in which it had best begin with them.</summary>
    private (List<Member> Holders, ushort[][] Positions) NameHolders(PeerRecord recipient, ushort[][] sets)
    {
        var holders = new List<Member>();
        var known = new ushort?[_senders.Length];
        return (holders, [.. sets.Select(set => Array.ConvertAll(set, PositionOf))]);

        ushort PositionOf(ushort sender)
        {
            if (known[sender] is not { } position)
            {
                known[sender] = position = (ushort)holders.Count;
                holders.Add(MasterStateMachine.MemberFor(recipient, _senders[sender].Peer));
            }

            return position;
        }
    }

    /// <summary>The same holders, each fetcher beginning with another; where too many sets are too large, as many holders of each as fit.</summary>
    private static ushort[][] Rotate(List<ushort[]> sets, int start)
    {
        var all = sets.Sum(s => s.Length) <= Limits.HolderIndexesMax;
        return [.. sets.Select(set => Enumerable.Range(0, all ? set.Length : Math.Min(set.Length, Limits.HoldersPerSetMin)).Select(i => set[(start + i) % set.Length]).ToArray())];
    }

    /// <summary>Saves comparing what is the same list.</summary>
    private bool MayLack(SyncVote vote) => _anyMayDiffer || vote.List != _election.Elected!.List;

    /// <summary>The lists name the same tensors, so the same position is the same key.</summary>
    private bool Lacks(SyncVote vote, int i)
    {
        var (own, elected) = (vote.List.Sorted[i], _election.Elected!.List.Sorted[i]);
        return elected.MayDiffer
            ? _veterans.Length > 0 && !vote.Peer.HasSynced && vote.Strategy != SyncStrategy.SendOnly
            : own.Hash != elected.Hash;
    }

    private ushort[] HoldersOf(int i)
    {
        var elected = _election.Elected!.List.Sorted[i];
        return elected.MayDiffer ? _veterans : _holders[i] ??= Intern(IndexesOf(v => v.List.Sorted[i].Hash == elected.Hash));
    }

    private ushort[] IndexesOf(Func<SyncVote, bool> holds) => [.. Enumerable.Range(0, _senders.Length).Where(n => holds(_senders[n])).Select(n => (ushort)n)];

    private ushort[] Intern(ushort[] set)
    {
        var text = string.Concat(set.Select(index => (char)index));
        return _sets.TryGetValue(text, out var known) ? known : _sets[text] = set;
    }
}
