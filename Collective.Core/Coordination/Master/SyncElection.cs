using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>What a member of the group has and wants.</summary>
internal sealed record SyncVote(PeerRecord Peer, RequestNumber Request, Revision Revision, SyncStrategy Strategy, StateList List)
{
    /// <summary>Whether it may send, and its content may be elected.</summary>
    public bool Sends => Strategy != SyncStrategy.ReceiveOnly;
}

/// <summary>Why a member's vote makes the sync impossible, in words that follow "because".</summary>
internal readonly record struct SyncObstacle(PeerRecord Peer, ErrorCode Code, string Reason);

/// <summary>
/// What becomes of the votes of all members: obstacles, or an elected list and revision. A function of votes and expected revision; the order of arrival plays no part.
/// </summary>
internal sealed class SyncElection
{
    private readonly IReadOnlyList<SyncVote> _votes;
    private readonly List<SyncObstacle> _obstacles = [];

    /// <param name="votes">Of all members.</param>
    /// <param name="expected">The revision after that of the last successful sync; 0: any.</param>
    public SyncElection(IReadOnlyList<SyncVote> votes, Revision expected)
    {
        _votes = votes;
        Revision = expected.Value > 0 ? expected : new Revision(votes.Max(v => v.Revision.Value));
        CheckRevisionsAndStrategies();
        if (_obstacles.Count == 0 && Elect() is { } elected)
        {
            Elected = elected;
            CheckLists();
        }
    }

    /// <summary>The revision that all members have afterwards.</summary>
    public Revision Revision { get; }

    /// <summary>Who makes it impossible. Empty: everybody can have the elected content.</summary>
    public IReadOnlyList<SyncObstacle> Obstacles => _obstacles;

    /// <summary>The vote of the peer with the lowest id among those whose content is elected. Only without obstacles.</summary>
    public SyncVote? Elected { get; private set; }

    private bool IsCurrent(SyncVote vote) => vote.Revision == Revision;

    private void CheckRevisionsAndStrategies()
    {
        if (!_votes.Any(v => v.Sends))
        {
            ObjectToAll(ErrorCode.Mismatch, _ => $"all peers chose {SyncStrategy.ReceiveOnly}, so nobody's content could be elected: at least one must choose {SyncStrategy.SendOnly}");
            return;
        }

        var popular = _votes.FirstOrDefault(v => v.Strategy == SyncStrategy.EnforcePopular)?.Peer.Id.ToShortString();
        foreach (var vote in _votes)
        {
            if (vote.Revision.Value > Revision.Value)
            {
                Object(vote, ErrorCode.RevisionMismatch, $"its revision is {vote.Revision}, the next one of the group is {Revision}: add 1 exactly once between two syncs, or set it to 0 to take what the others have");
            }
            else if (popular is not null && vote.Strategy != SyncStrategy.EnforcePopular)
            {
                Object(vote, ErrorCode.Mismatch, $"it chose {vote.Strategy} while peer {popular} chose {SyncStrategy.EnforcePopular}: in one sync all peers choose that, or none");
            }
            else if (vote.Strategy == SyncStrategy.SendOnly && !IsCurrent(vote))
            {
                Object(vote, ErrorCode.RevisionMismatch, $"it chose {SyncStrategy.SendOnly} with revision {vote.Revision}, the next one of the group is {Revision}: what is outdated cannot be sent");
            }
        }
    }

    /// <summary>Most votes of peers that are up to date, then the lowest id. Who is behind follows and does not decide.</summary>
    private SyncVote? Elect()
    {
        var candidates = new List<(StateList List, SyncVote First, int Count)>();
        foreach (var vote in _votes.Where(v => v.Sends && IsCurrent(v)).OrderBy(v => v.Peer.Id))
        {
            var index = candidates.FindIndex(c => c.List.Equals(vote.List));
            if (index < 0)
            {
                candidates.Add((vote.List, vote, 1));
            }
            else
            {
                candidates[index] = candidates[index] with { Count = candidates[index].Count + 1 };
            }
        }

        if (candidates.Count > 0)
        {
            return candidates.MaxBy(c => c.Count).First; // Of equal ones the first.
        }

        ObjectToAll(ErrorCode.RevisionMismatch, v => $"its revision is {v.Revision}, and nobody has the next one of the group, {Revision}: add 1 after each successful sync");
        return null;
    }

    private void CheckLists()
    {
        var elected = Elected!;
        var who = $"peer {elected.Peer.Id.ToShortString()}'s list is elected";
        foreach (var vote in _votes.Where(v => !v.List.Equals(elected.List)))
        {
            if (vote.List.Difference(elected.List) is { } difference)
            {
                Object(vote, ErrorCode.Mismatch, $"{difference} ({who}): all peers of a group must name the same tensors");
            }
            else if (vote.Strategy == SyncStrategy.SendOnly)
            {
                Object(vote, ErrorCode.Mismatch, $"its content of \"{StateEntries.Shorten(vote.List.DifferentContent(elected.List)!)}\" is another than peer {elected.Peer.Id.ToShortString()}'s, and both chose {SyncStrategy.SendOnly}: their contents must be equal");
            }
        }
    }

    private void ObjectToAll(ErrorCode code, Func<SyncVote, string> reasonOf)
    {
        foreach (var vote in _votes)
        {
            Object(vote, code, reasonOf(vote));
        }
    }

    private void Object(SyncVote vote, ErrorCode code, string reason) => _obstacles.Add(new SyncObstacle(vote.Peer, code, reason));
}
