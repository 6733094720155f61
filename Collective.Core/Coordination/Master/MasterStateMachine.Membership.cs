using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>Who is in which epoch: admission, loss, acknowledgement.</summary>
internal sealed partial class MasterStateMachine
{
    private readonly List<PeerRecord> _pending = [];
    private readonly List<PeerRecord> _votes = [];
    private readonly List<(GroupRecord Group, string Reason)> _losses = [];
    private Epoch _lastEpoch;
    private bool _losesTogether;
    private int _queries;

    private void OnTopologyVote(PeerRecord peer, TopologyVote vote)
    {
        peer.Request = vote.Request;
        GroupOf(peer).ChangedMs = _nowMs;
        if (GroupOf(peer).IsShort)
        {
            WaitForCompany(peer);
            return;
        }

        _votes.Add(peer);
        if (!RefuseCrossedVote(peer) && !RefuseCrossedBarriers() && !EndCrossedSync(GroupOf(peer)))
        {
            TryUpdateTopology();
        }
    }

    /// <summary>Updates the topology when all admitted peers have voted, or none is left. Who waits for company holds nobody up.</summary>
    private void TryUpdateTopology()
    {
        if (_votes.Count + _company.Count < _admitted)
        {
            return;
        }

        var newcomers = Admissible();
        while (RefuseUnlikeFounders(newcomers))
        {
            newcomers = Admissible();
        }

        if (_votes.Count == 0 && newcomers.Count == 0)
        {
            return;
        }

        var voters = _votes.ToList();
        _votes.Clear();
        Decide(voters, newcomers);
    }

    /// <summary>
    /// Admits the newcomers. A group hears the answer at the moment when its ring stands, which its newcomers hear too: so all of them see the same world, whatever goes on in other groups.
    /// </summary>
    private void Decide(List<PeerRecord> voters, List<PeerRecord> newcomers)
    {
        foreach (var voter in voters)
        {
            var group = GroupOf(voter);
            group.Decided.Add(voter);
            group.DecidedNewcomers = newcomers.Count > 0;
        }

        Admit(newcomers);
        foreach (var group in _groups.Values.Where(g => g.Decided.Count > 0).ToArray())
        {
            AnswerDecided(group);
        }
    }

    private void AnswerDecided(GroupRecord group)
    {
        if (!group.Standing)
        {
            return;
        }

        foreach (var voter in group.Decided)
        {
            Move(voter, MasterPeerEvent.VoteDecided);
            Emit(new MasterOutput.Send(voter.Connection, new TopologyUpdated(voter.Request, default, "", Sizes(), group.DecidedNewcomers)));
        }

        group.Decided.Clear();
    }

    /// <summary>The pending peers whose groups would have the size that they and the members ask for if all of these were admitted: as many as possible.</summary>
    private List<PeerRecord> Admissible()
    {
        var admissible = _pending.FindAll(p => p.Rival is null);
        while (true)
        {
            var newcomers = admissible.CountBy(p => p.Group.Value).ToDictionary();
            bool StaysShort(PeerRecord peer)
            {
                var group = _groups.GetValueOrDefault(peer.Group.Value);
                return Math.Max(peer.MinimumWorldSize, group?.KeptMinimum ?? 0) > newcomers[peer.Group.Value] + (group?.Ring.Count ?? 0);
            }

            if (admissible.RemoveAll(StaysShort) == 0)
            {
                return admissible;
            }
        }
    }

    /// <summary>Makes pending peers members and opens their groups' epochs.</summary>
    private void Admit(List<PeerRecord> newcomers)
    {
        var groups = new List<GroupRecord>();
        foreach (var peer in newcomers)
        {
            _pending.Remove(peer);
            Move(peer, MasterPeerEvent.Admit);
            _admitted++;
            if (!_groups.TryGetValue(peer.Group.Value, out var group))
            {
                _groups.Add(peer.Group.Value, group = new GroupRecord(peer.Group));
            }

            peer.Rank = group.Ring.Count;
            group.Ring.Add(peer);
            if (!groups.Contains(group))
            {
                groups.Add(group);
            }

            Report(MasterEventKind.PeerAdmitted, peer, $"{peer} admitted to {peer.Group}");
        }

        foreach (var group in groups)
        {
            group.CountKeptMinimum();
            var admitted = newcomers.FindAll(p => p.Group == group.Group);
            OpenEpoch(group, $"admitted {string.Join(", ", admitted.Take(Limits.PeersNamedMax).Select(p => p.Id.ToShortString()))}{Others(admitted.Count)}");
            RefuseMisfits(group.Group);
        }
    }

    /// <summary>A lone peer consents to company by wanting to reduce; nobody else of its group has to be asked.</summary>
    private void OnAdmitWhenAlone(PeerRecord peer, AdmitWhenAlone question)
    {
        peer.Request = question.Request;
        var group = GroupOf(peer);
        if (group.IsShort)
        {
            WaitForCompany(peer);
            return;
        }

        var newcomers = Admissible().FindAll(p => p.Group == peer.Group);
        if (group.Ring.Count == 1 && newcomers.Count > 0)
        {
            Admit(newcomers);
        }
        else if (group.Standing)
        {
            AnswerLonePeer(peer);
        }
    }

    private void AnswerLonePeer(PeerRecord peer, ErrorCode code = default, string reason = "", bool newcomers = false)
    {
        Move(peer, MasterPeerEvent.AskAnswered);
        Emit(new MasterOutput.Send(peer.Connection, new TopologyUpdated(peer.Request, code, reason, Sizes(), newcomers)));
    }

    private void OnPendingQuery(PeerRecord peer, PendingQuery query)
    {
        if (peer.Query is not null)
        {
            Evict(peer, "asked whether peers are pending before its first question was answered");
            return;
        }

        peer.Query = query.Request;
        _queries++;
        GroupOf(peer).ChangedMs = _nowMs;
        if (!RefuseCrossedBarriers() && !EndCrossedSync(GroupOf(peer)))
        {
            TryAnswerQueries();
        }
    }

    private void TryAnswerQueries()
    {
        if (_queries == 0 || _queries + _company.Count(p => p.Query is null) < _admitted)
        {
            return;
        }

        _queries = 0;
        var pending = Admissible().Count > 0;
        foreach (var peer in _peers.Values.Where(p => p.Query is not null))
        {
            Emit(new MasterOutput.Send(peer.Connection, new PendingReply(peer.Query!.Value, pending, default, "")));
            peer.Query = null;
        }
    }

    /// <summary>A vote or query that is still open is let go; of one that is decided the answer is on its way.</summary>
    private void OnWithdraw(PeerRecord peer, Withdraw withdraw)
    {
        if (peer.Query == withdraw.Request)
        {
            FailQuery(peer, ErrorCode.TimedOut, Missing(_peers.Values.Where(p => p.Admitted && p.Query is null), "has not asked", "have not asked"));
        }
        else if (peer.State == MasterPeerState.Voting && peer.Request == withdraw.Request && _votes.Contains(peer))
        {
            FailVote(peer, ErrorCode.TimedOut, Missing(_peers.Values.Where(p => p.Admitted && !_votes.Contains(p)), "has not voted", "have not voted"));
        }
        else if (_company.Contains(peer) && peer.Request == withdraw.Request)
        {
            EndWaitForCompany(peer, ErrorCode.TimedOut, Shortage(GroupOf(peer)));
        }
        else if (peer.State == MasterPeerState.Optimizing && peer.Request == withdraw.Request)
        {
            OnOptimizeWithdrawn(peer);
        }
        else if (IsOpenSync(peer, withdraw.Request))
        {
            WithdrawFromSync(peer);
        }
    }

    private void FailVote(PeerRecord voter, ErrorCode code, string reason)
    {
        Move(voter, MasterPeerEvent.VoteDecided);
        ForgetVote(voter);
        Emit(new MasterOutput.Send(voter.Connection, new TopologyUpdated(voter.Request, code, reason, Sizes())));
    }

    private void ForgetVote(PeerRecord voter)
    {
        _votes.Remove(voter);
        _optimizeVotes.Remove(voter);
        _company.Remove(voter);
    }

    private void FailQuery(PeerRecord peer, ErrorCode code, string reason)
    {
        Emit(new MasterOutput.Send(peer.Connection, new PendingReply(peer.Query!.Value, false, code, reason)));
        peer.Query = null;
        _queries--;
    }

    /// <summary>Takes a peer out of everything, opens an epoch without it and re-evaluates every open vote: at once, or for all of those that are lost together.</summary>
    private void Remove(PeerRecord peer, string reason)
    {
        _peers.Remove(peer.Connection);
        if (peer.State == MasterPeerState.Unregistered)
        {
            ForgetStranger(peer);
            return;
        }

        if (_pending.Remove(peer))
        {
            return;
        }

        _admitted--;
        ForgetVote(peer);
        _queries -= peer.Query is null ? 0 : 1;
        ForgetLinksOf(peer);
        ForgetProbesOf(peer);
        var group = GroupOf(peer);
        EndAttempts(group, reason, default);
        LeaveSync(group, peer);
        group.Ring.Remove(peer);
        group.CountKeptMinimum();
        group.Decided.Remove(peer);
        group.Excluded.Add(new Exclusion(peer.Id, reason));
        if (group.Ring.Count == 0)
        {
            _groups.Remove(group.Group.Value);
        }

        _losses.Add((group, reason));
        if (!_losesTogether)
        {
            SettleLosses();
        }
    }

    /// <summary>What is lost in the course of this is settled at its end.</summary>
    private void LoseTogether(Action lose)
    {
        _losesTogether = true;
        lose();
        _losesTogether = false;
        SettleLosses();
    }

    private void SettleLosses()
    {
        if (_losses.Count == 0)
        {
            return;
        }

        var losses = _losses.GroupBy(l => l.Group, l => l.Reason).Select(l => (Group: l.Key, Reasons: l.ToList())).ToList();
        _losses.Clear();
        foreach (var (group, reasons) in losses)
        {
            if (_groups.GetValueOrDefault(group.Group.Value) == group) // It may be gone with a peer that was evicted here.
            {
                OpenEpoch(group, reasons.Count == 1 ? reasons[0] : $"{reasons[0]}; {reasons.Count - 1} more went at the same time", evident: true);
                SettleSync(group);
                SortVotes(group);
                RefuseMisfits(group.Group);
                TryAdmitCompany(group);
            }
        }

        TryAnswerQueries();
        TryUpdateTopology();
        TryOptimizeTopology();
        MeasureNextRoundWhenDone();
        TryFinishOptimization();
    }

    /// <summary>Ends every open attempt, fixes the ring and tells the members. The epoch stands when all have acknowledged it.</summary>
    private void OpenEpoch(GroupRecord group, string reason, AttemptEnd end = default, bool evident = false)
    {
        var decisions = EndAttempts(group, reason, end); // First: attempts know their members by the ranks of the old ring.
        if (!ArrangeRing(group))
        {
            return; // Somebody had to be evicted; that opened a later epoch.
        }

        group.Cause = evident || group.Cause.Length > 0 ? group.Cause : reason;
        group.Epoch = _lastEpoch = _lastEpoch == Epoch.None ? Epoch.First(Configuration.Term) : _lastEpoch.Next();
        group.StoodMs = group.Standing ? _nowMs : group.StoodMs;
        group.Standing = false;
        group.OpenedMs = _nowMs;
        group.RetryBecause = null;
        group.Survey = null;
        group.Acknowledgements = 0;
        var excluded = group.Excluded.TakeLast(Limits.ExclusionsMax).ToArray();
        Report(MasterEventKind.EpochOpened, null, $"epoch {group.Epoch} of {group.Group}: {group.Ring.Count} peers, because {reason}", group, reason);
        SendEpoch(group, new EpochOpened(group.Epoch, Configuration.Key, reason, [], excluded, decisions));
    }

    private void OnEpochReady(PeerRecord peer, EpochReady ready)
    {
        var group = GroupOf(peer);
        if (ready.Epoch > group.Epoch)
        {
            Evict(peer, $"acknowledged epoch {ready.Epoch}, which does not exist");
            return;
        }

        if (ready.Epoch < group.Epoch || peer.Acknowledged == group.Epoch)
        {
            return; // A later epoch is already on its way to it.
        }

        peer.Acknowledged = ready.Epoch;
        group.Acknowledgements++;
        if (group.Acknowledgements < group.Ring.Count)
        {
            return;
        }

        if (group.RetryBecause is { } reason)
        {
            OpenEpoch(group, reason, evident: true); // A link broke after one end had acknowledged it.
        }
        else
        {
            Stand(group);
        }
    }

    private void Stand(GroupRecord group)
    {
        var established = Established(group);
        group.Standing = true;
        group.ChangedMs = _nowMs;
        group.Cause = "";
        group.LinkReports.Clear();
        group.Excluded.Clear();
        group.LinkFailures = group.FailedEpochs = 0;
        group.RetryBecause = null;
        Report(MasterEventKind.EpochStands, null, $"epoch {group.Epoch} of {group.Group} stands with {group.Ring.Count} peers after {_nowMs - group.OpenedMs} ms, because {established}", group, established);
        SendToAll(group, new EpochStands(group.Epoch, Sizes(), established) { KeptMinimum = group.KeptMinimum });
        AnswerDecided(group);
        AnswerAsking(group);
        TryFinishOptimization();
    }

    private GroupRecord GroupOf(PeerRecord peer) => _groups[peer.Group.Value];

    private WorldSizes Sizes() => new(_admitted, _groups.Count, _groups.Values.Select(g => g.Ring.Count).DefaultIfEmpty().Max());
}
