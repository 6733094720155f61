using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>What a member of the group has and wants.</summary>
internal sealed record SyncVote(PeerRecord Peer, RequestNumber Request, Revision Revision, RevisionRule Rule, SyncStrategy Strategy, StateList List)
{
    /// <summary>Whether it may send, and its content may be elected.</summary>
    public bool Sends => Strategy != SyncStrategy.ReceiveOnly;

    public string Name => $"peer {Peer.Id.ToShortString()}";
}

/// <summary>Why a member's vote does not fit, in words that follow a colon.</summary>
internal readonly record struct SyncMisfit(PeerRecord Peer, ErrorCode Code, string Reason);

/// <summary>What the last successful sync of a group has left behind.</summary>
internal readonly record struct LastSync(Revision Revision, UInt128 Digest);

/// <summary>
/// What becomes of the votes of all members. Elected one after the other: the kind of strategy, the named tensors, the revision, the content. Whoever does not fit what is elected is a
/// misfit and has no say in what follows. Members that have completed a sync in their stay decide alone, where there are any. No peer is ever sent away by the toss of an id: where two
/// camps that cannot be reconciled are equally large, nothing is elected. A function of votes and the last sync; the order of arrival plays no part.
/// </summary>
internal sealed class SyncElection
{
    private readonly LastSync? _last;
    private readonly List<SyncMisfit> _misfits = [];
    private List<SyncVote> _fitting;

    /// <param name="votes">Of all members.</param>
    /// <param name="last">The last successful sync of the group, if there was one. It counts while a member is left that took part in it.</param>
    public SyncElection(IReadOnlyList<SyncVote> votes, LastSync? last)
    {
        _fitting = [.. votes];
        _last = votes.Any(v => v.Peer.HasSynced) ? last : null;
        if (ElectStrategies() && ElectList() && ElectRevision() && ElectContent() is { } elected)
        {
            Elected = elected;
        }
    }

    /// <summary>The vote of the peer with the lowest id among those whose content is elected; null: nothing can be elected.</summary>
    public SyncVote? Elected { get; }

    /// <summary>The revision that all members have afterwards.</summary>
    public Revision Revision { get; private set; }

    /// <summary>Whose vote does not fit what is elected; if nothing is, everybody.</summary>
    public IReadOnlyList<SyncMisfit> Misfits => _misfits;

    /// <summary>Those who have synchronized before, else all; of these, those who may send, else all.</summary>
    private List<SyncVote> Deciders()
    {
        var electorate = Electorate();
        var senders = electorate.FindAll(v => v.Sends);
        return senders.Count > 0 ? senders : electorate;
    }

    private List<SyncVote> Electorate()
    {
        var veterans = _fitting.FindAll(v => v.Peer.HasSynced);
        return veterans.Count > 0 ? veterans : _fitting;
    }

    /// <summary>Enforce-popular does not mix with the others, and wins as soon as one of those who decide chooses it: that is PCCL's rule.</summary>
    private bool ElectStrategies()
    {
        var electorate = Electorate();
        var popular = electorate.Find(v => v.Strategy == SyncStrategy.EnforcePopular);
        var model = popular ?? electorate[0];
        Expel(v => (v.Strategy == SyncStrategy.EnforcePopular) == (popular is not null)
            ? null
            : (ErrorCode.Mismatch, $"it chose {v.Strategy} while {model.Name} chose {model.Strategy}: in one sync all peers choose {SyncStrategy.EnforcePopular}, or none"));
        return _fitting.Exists(v => v.Sends)
            || NothingElected(ErrorCode.Mismatch, _ => $"all peers chose {SyncStrategy.ReceiveOnly}, so nobody's content could be elected: at least one must choose {SyncStrategy.SendOnly}");
    }

    /// <summary>Keys, types and sizes: those that most name.</summary>
    private bool ElectList()
    {
        var camps = Camps(Deciders(), (a, b) => a.List == b.List || a.List.Difference(b.List) is null);
        var first = camps[0].First;
        if (camps.Count > 1 && camps[1].Count == camps[0].Count)
        {
            var second = camps[1].First;
            return NothingElected(
                ErrorCode.Mismatch,
                v => $"{Difference(v, first) ?? Difference(v, second)}; as many peers name the one as the other, so neither could be elected: all peers of a group must name the same tensors");
        }

        Expel(v => Difference(v, first) is { } difference ? (ErrorCode.Mismatch, $"{difference}: all peers of a group must name the same tensors") : null);
        return true;

        static string? Difference(SyncVote vote, SyncVote other) => vote.List == other.List ? null : vote.List.Difference(other.List, other.Name);
    }

    /// <summary>At first the highest. Later the one that most of those who decide have; of several the next one, then the highest. Whoever has less follows, whoever has more does not fit.</summary>
    private bool ElectRevision()
    {
        if (ChooseRevision() is not { } revision)
        {
            return NothingElected(
                ErrorCode.RevisionMismatch,
                v => $"its revision is {v.Revision}, the last sync of the group had {_last!.Value.Revision}, and nobody who decides has a later one that fits: "
                    + (v.Rule == RevisionRule.ByOne ? "add 1, exactly once, after each successful sync" : "give the content a higher one whenever it changes, or none"));
        }

        Revision = revision;
        Expel(v => v.Rule != RevisionRule.Counted && v.Revision.Value > revision.Value
            ? (ErrorCode.RevisionMismatch, $"its revision is {v.Revision}, and {revision} is elected: present the revision of the group, or 0 to take what the others have")
            : v.Strategy == SyncStrategy.SendOnly && !IsCurrent(v)
                ? (ErrorCode.RevisionMismatch, $"it chose {SyncStrategy.SendOnly} with revision {v.Revision}, and {revision} is elected: what is outdated cannot be sent")
                : null);
        return true;
    }

    private Revision? ChooseRevision()
    {
        if (_last is not { } last)
        {
            return new Revision(_fitting.Where(v => v.Sends).Max(v => v.Revision.Value));
        }

        var deciders = Deciders();
        var next = last.Revision.Next();
        var claims = deciders.Where(v => v.Rule != RevisionRule.Counted && v.Revision.Value > last.Revision.Value && (v.Rule != RevisionRule.ByOne || v.Revision == next));
        return claims.GroupBy(v => v.Revision).OrderByDescending(c => c.Count()).ThenByDescending(c => c.Key == next).ThenByDescending(c => c.Key.Value).FirstOrDefault()?.Key
            ?? (deciders.Exists(v => v.Rule == RevisionRule.Counted) && next != Revision.Limit ? next : deciders.Exists(IsUnchanged) ? last.Revision : null);
    }

    /// <summary>The content of the last sync, with its revision: no step has been made since.</summary>
    private bool IsUnchanged(SyncVote vote)
        => _last is { } last && vote.Rule == RevisionRule.Grows && vote.Peer.HasSynced && vote.Revision == last.Revision && vote.List.Digest == last.Digest;

    private bool IsCurrent(SyncVote vote)
        => (vote.Rule == RevisionRule.Counted && vote.Peer.HasSynced)
            || (vote.Revision == Revision && (_last is not { } last || Revision != last.Revision || IsUnchanged(vote)));

    /// <summary>Most votes of peers that are up to date, then the lowest id. Whoever is behind follows and does not decide.</summary>
    private SyncVote? ElectContent()
    {
        var candidates = Deciders().FindAll(v => v.Sends && IsCurrent(v));
        candidates = candidates.Count > 0 ? candidates : _fitting.FindAll(v => v.Sends && IsCurrent(v));
        if (candidates.Count == 0)
        {
            NothingElected(ErrorCode.RevisionMismatch, v => $"its revision is {v.Revision}, and nobody who may send has the elected one, {Revision}");
            return null;
        }

        var camps = Camps(candidates, (a, b) => a.List.Equals(b.List));
        var elected = camps[0].First;
        if (elected.Strategy == SyncStrategy.SendOnly)
        {
            if (camps.Count > 1 && camps[1].Count == camps[0].Count)
            {
                NothingElected(ErrorCode.Mismatch, _ => $"{Clash(elected, camps[1].First)}; as many peers have the one as the other, so neither could be elected");
                return null;
            }

            Expel(v => v.Strategy == SyncStrategy.SendOnly && !v.List.Equals(elected.List) ? (ErrorCode.Mismatch, Clash(v, elected)) : null);
        }

        return elected;

        static string Clash(SyncVote vote, SyncVote other)
            => $"{vote.Name}'s content of \"{StateEntries.Shorten(vote.List.DifferentContent(other.List)!)}\" is another than {other.Name}'s, and both chose {SyncStrategy.SendOnly}: their contents must be equal";
    }

    /// <summary>The largest first; of equally large ones that of the lowest id, which also names each.</summary>
    private static List<(SyncVote First, int Count)> Camps(IEnumerable<SyncVote> votes, Func<SyncVote, SyncVote, bool> agree)
    {
        var camps = new List<(SyncVote First, int Count)>();
        foreach (var vote in votes.OrderBy(v => v.Peer.Id))
        {
            var index = camps.FindIndex(c => agree(vote, c.First));
            if (index < 0)
            {
                camps.Add((vote, 1));
            }
            else
            {
                camps[index] = (camps[index].First, camps[index].Count + 1);
            }
        }

        return [.. camps.OrderByDescending(c => c.Count)]; // Stable.
    }

    /// <summary>Those of whom something is said do not fit.</summary>
    private void Expel(Func<SyncVote, (ErrorCode Code, string Reason)?> objection)
    {
        var rest = new List<SyncVote>();
        foreach (var vote in _fitting)
        {
            if (objection(vote) is { } misfit)
            {
                _misfits.Add(new SyncMisfit(vote.Peer, misfit.Code, misfit.Reason));
            }
            else
            {
                rest.Add(vote);
            }
        }

        _fitting = rest;
    }

    /// <summary>Everybody hears an error, and nobody is to go. Always false.</summary>
    private bool NothingElected(ErrorCode code, Func<SyncVote, string> reasonOf)
    {
        Expel(v => (code, reasonOf(v)));
        return false;
    }
}
