using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>
/// Groups that keep a minimum size. When members are lost and too few are left, the members that step or want to reduce wait for company; newcomers are let in as soon as all members wait and
/// there are enough of them. Meanwhile the members take part in nothing else, and no other group waits for theirs.
/// </summary>
internal sealed partial class MasterStateMachine
{
    /// <summary>Voters, and peers with collectives that cannot begin.</summary>
    private readonly List<PeerRecord> _company = [];

    private void WaitForCompany(PeerRecord peer)
    {
        _company.Add(peer);
        var group = GroupOf(peer);
        if (!RefuseCrossedCompany(group) && !EndCrossedSync(group))
        {
            TryAdmitCompany(group);
            TryAnswerQueries();
            TryUpdateTopology();
            TryOptimizeTopology();
        }
    }

    /// <summary>Some step while others want to reduce: company would not bring them together.</summary>
    private bool RefuseCrossedCompany(GroupRecord group)
    {
        var waiting = _company.FindAll(p => p.Group == group.Group);
        var (voters, askers) = (waiting.FindAll(p => p.State == MasterPeerState.Voting), waiting.FindAll(p => p.State == MasterPeerState.Asking));
        if (voters.Count == 0 || askers.Count == 0)
        {
            return false;
        }

        var reason = $"{Waiting(voters)} while {Waiting(askers)}: all peers must make the same sequence of calls";
        Report(MasterEventKind.CallsCrossed, voters[0], reason, group);
        waiting.ForEach(p => EndWaitForCompany(p, ErrorCode.CrossedCalls, reason));
        return true;
    }

    /// <summary>With the consent of all members, which lies in their waiting.</summary>
    private void TryAdmitCompany(GroupRecord group)
    {
        if (!group.IsShort)
        {
            return;
        }

        var waiting = _company.FindAll(p => p.Group == group.Group);
        if (waiting.Count < group.Ring.Count || Admissible().FindAll(p => p.Group == group.Group) is not { Count: > 0 } newcomers)
        {
            return;
        }

        _company.RemoveAll(waiting.Contains);
        group.CompanyCame = true;
        Decide(waiting.FindAll(p => p.State == MasterPeerState.Voting), newcomers);
    }

    /// <summary>The ring stands. Who wants to reduce may, unless newcomers have come who lack the shared state: then it goes back to the top of its loop.</summary>
    private void AnswerAsking(GroupRecord group)
    {
        var companyCame = group.CompanyCame;
        var needState = companyCame && group.Ring.Exists(p => p.HasSynced);
        group.CompanyCame = false;
        foreach (var peer in group.Ring.FindAll(p => p.State == MasterPeerState.Asking))
        {
            if (group.IsShort && !companyCame)
            {
                if (!_company.Contains(peer))
                {
                    WaitForCompany(peer); // It asked when there were enough.
                }
            }
            else if (needState)
            {
                AnswerLonePeer(peer, ErrorCode.TooFewPeers, $"{peer.Group} had too few members, and newcomers have been let in that lack the shared state: step, synchronize, then reduce again", newcomers: true);
            }
            else
            {
                AnswerLonePeer(peer);
            }
        }
    }

    /// <summary>Members that were lost make a group short, and one that kept the minimum may have been among them: those who wait for all do so for company now, and the other way round.</summary>
    private void SortVotes(GroupRecord group)
    {
        var (from, to) = group.IsShort ? (_votes, _company) : (_company, _votes);
        var moved = from.FindAll(p => p.Group == group.Group && p.State == MasterPeerState.Voting);
        from.RemoveAll(moved.Contains);
        to.AddRange(moved);
        if (!group.IsShort)
        {
            _company.RemoveAll(p => p.Group == group.Group); // They are answered when the ring stands.
        }
    }

    private void EndWaitForCompany(PeerRecord peer, ErrorCode code, string reason)
    {
        if (peer.State == MasterPeerState.Voting)
        {
            FailVote(peer, code, reason);
        }
        else
        {
            _company.Remove(peer);
            AnswerLonePeer(peer, code, reason);
        }
    }

    private static string Shortage(GroupRecord group) => $"{group.Group} has {group.Ring.Count} of the {group.KeptMinimum} peers that it must have";
}
