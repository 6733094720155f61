using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>
/// Guarantee G6 and the rules of syncs, by a model of its own: it sees the votes as the peers sent them, says what must come of them, and compares that with what the master answers
/// and with what the peers hold.
/// </summary>
internal sealed class SyncJudge(Simulator simulator)
{
    private readonly Dictionary<PeerId, SharedStateVote> _votes = [];
    private readonly Dictionary<PeerGroup, HashSet<PeerId>> _members = [];
    private readonly HashSet<PeerId> _veterans = [];
    private readonly HashSet<PeerId> _gaveUp = [];
    private readonly Dictionary<PeerGroup, (ulong Revision, string Content)> _last = [];

    // Sent away in this step, for the sync that is decided next.
    private readonly Dictionary<PeerId, ErrorCode> _dismissed = [];
    private readonly Dictionary<PeerGroup, SyncModel> _running = [];
    private readonly Dictionary<(PeerId Peer, RequestNumber Request), (bool Succeeded, Revision Revision)> _ends = [];

    public int Succeeded { get; private set; }

    public int Failed { get; private set; }

    /// <summary>Tensors that were fetched.</summary>
    public int Fetched { get; private set; }

    /// <summary>A peer's message reaches the master.</summary>
    public void Received(PeerId peer, Message message)
    {
        switch (message)
        {
            case SharedStateVote vote: _votes[peer] = vote; break;
            case SharedStateDone { Ok: false } done when IsOpen(peer, done.Request): _gaveUp.Add(peer); break;
        }
    }

    /// <summary>What the master sends in one step. An epoch in between says who is a member from then on.</summary>
    public void Answered(IEnumerable<(SimulatedPeer Peer, Message Message)> sent)
    {
        var plans = new Dictionary<PeerId, SharedStatePlan>();
        var ends = new Dictionary<PeerId, SharedStateFinished>();
        (PeerGroup Group, Type? Kind) batch = default;
        foreach (var (peer, message) in sent)
        {
            if ((peer.Group, message.GetType()) != batch)
            {
                Judge(batch.Group, plans, ends);
                batch = (peer.Group, message.GetType());
            }

            switch (message)
            {
                case EpochOpened opened: _members[peer.Group] = [.. opened.Members.Select(m => m.Id)]; break;
                case SharedStatePlan plan: plans.Add(peer.Id, plan); break;
                case SharedStateFinished end: ends.Add(peer.Id, end); break;
                case Dismissed dismissed: Dismiss(peer.Id, dismissed); break;
            }
        }

        Judge(batch.Group, plans, ends);
        Ledger.Require(_dismissed.Count == 0, "sync: peers are dismissed, and the others' sync is not decided");
    }

    private void Dismiss(PeerId peer, Dismissed dismissed)
    {
        Ledger.Require(IsOpen(peer, dismissed.Request), $"G5: {peer} is dismissed from a sync that it has not voted in");
        _dismissed.Add(peer, dismissed.Error);
        _ends[(peer, dismissed.Request)] = (false, default);
    }

    /// <summary>A peer's application hears the end: what the master said, unless the peer leaves the run.</summary>
    public void Ended(SimulatedPeer peer, SimulatedSync sync, Outcome outcome, Revision revision, IReadOnlyList<LeftOutPeer> leftOut)
    {
        var told = _ends.TryGetValue((peer.Id, sync.Request), out var end);
        if (outcome.Succeeded)
        {
            Ledger.Require(told && end.Succeeded && end.Revision == revision, $"G6: {peer.Name} takes a sync for successful that is not");
            Ledger.Require(leftOut.All(p => p.Id != peer.Id), $"sync: {peer.Name} is left out and told of success");
            Fetched += sync.Fetched;
        }
        else if (outcome.Code is ErrorCode.SyncFailed or ErrorCode.TimedOut or ErrorCode.Mismatch or ErrorCode.RevisionMismatch)
        {
            Ledger.Require(told && !end.Succeeded, $"G1: {peer.Name} takes a sync for failed that is not: {outcome.Reason}");
        }
    }

    private void Judge(PeerGroup group, Dictionary<PeerId, SharedStatePlan> plans, Dictionary<PeerId, SharedStateFinished> ends)
    {
        if (plans.Count > 0)
        {
            OnPlans(group, _members[group], plans);
        }

        if (ends.Count > 0)
        {
            OnEnds(group, _members[group], ends);
        }

        plans.Clear();
        ends.Clear();
    }

    private bool IsOpen(PeerId peer, RequestNumber request) => _votes.TryGetValue(peer, out var vote) && vote.Request == request;

    /// <summary>Whether members of the group fetch. If all who did have died, nobody does.</summary>
    private bool Runs(PeerGroup group, HashSet<PeerId> members) => _running.TryGetValue(group, out var model) && model.Concerns(members);

    /// <summary>What must come of the votes of the members and of those who have just been dismissed.</summary>
    private SyncModel Predict(PeerGroup group, HashSet<PeerId> members)
    {
        PeerId[] voters = [.. members, .. _dismissed.Keys];
        Ledger.Require(voters.All(_votes.ContainsKey), $"sync: the sync of {group} is decided before all have voted");
        var model = new SyncModel(voters.ToDictionary(id => id, id => _votes[id]), _veterans, voters.Any(_veterans.Contains) ? _last[group] : null);
        if (model.Elects || _dismissed.Count > 0)
        {
            Ledger.Require(
                model.Elects && _dismissed.Count == model.Guilty.Count && _dismissed.All(model.Guilty.Contains),
                $"sync: {group} sends {string.Join(", ", _dismissed)} away, and the model {string.Join(", ", model.Guilty)}{(model.Elects ? "" : ", and nothing is elected")}");
        }

        foreach (var peer in _dismissed.Keys)
        {
            _votes.Remove(peer);
        }

        _dismissed.Clear();
        return model;
    }

    private void OnPlans(PeerGroup group, HashSet<PeerId> members, Dictionary<PeerId, SharedStatePlan> plans)
    {
        Ledger.Require(members.SetEquals(plans.Keys), $"sync: not all of {group} get a plan");
        Ledger.Require(!Runs(group, members), $"sync: {group} gets a plan while a sync runs");
        var model = Predict(group, members);
        Ledger.Require(model.Elects, $"sync: the sync of {group} runs, though {string.Join(", ", model.Guilty)}");
        foreach (var (peer, plan) in plans)
        {
            model.CheckPlan(peer, plan);
        }

        _running[group] = model;
    }

    private void OnEnds(PeerGroup group, HashSet<PeerId> members, Dictionary<PeerId, SharedStateFinished> ends)
    {
        var codes = ends.Values.Select(e => e.Error).ToHashSet();
        if (codes.SetEquals([ErrorCode.TimedOut]) && ends.Count == 1)
        {
            Ledger.Require(!Runs(group, members), $"sync: a vote of {group} is withdrawn while its sync runs");
        }
        else if (codes.Contains(ErrorCode.CrossedCalls))
        {
            Ledger.Require(!Runs(group, members) && codes.Count == 1, $"sync: a running sync of {group} crosses another call");
        }
        else
        {
            Ledger.Require(members.SetEquals(ends.Keys), $"G1: not all of {group} hear of the end of their sync");
            OnVerdict(group, members, ends);
        }

        foreach (var (peer, end) in ends)
        {
            _ends[(peer, end.Request)] = (end.Error == default, end.Revision);
            _votes.Remove(peer);
            _gaveUp.Remove(peer);
        }
    }

    private void OnVerdict(PeerGroup group, HashSet<PeerId> members, Dictionary<PeerId, SharedStateFinished> ends)
    {
        var ran = Runs(group, members);
        var model = ran ? _running[group] : Predict(group, members);
        _running.Remove(group);
        if (ends.Values.Any(e => e.Error == default))
        {
            Ledger.Require(ends.Values.All(e => e.Error == default), $"G1: a sync of {group} succeeds for some");
            Ledger.Require(model.Elects, $"sync: the sync of {group} succeeds, though {string.Join(", ", model.Guilty)}");
            Ledger.Require(ends.Values.All(e => e.Revision.Value == model.Revision), $"sync: {group} is at revision {ends.Values.First().Revision}, and the model at {model.Revision}");
            Ledger.Require(ends.Values.All(e => e.LeftOut.Count == Math.Min(model.Guilty.Count, Limits.ExclusionsMax) && e.LeftOut.All(p => model.Guilty.GetValueOrDefault(p.Id) == p.Code)), $"sync: {group} is told of others than were left out");
            foreach (var id in members)
            {
                model.CheckContents(simulator.PeerOf(id), simulator.PeerOf(id).SyncOf(ends[id].Request));
            }

            _last[group] = (model.Revision, model.Content);
            _veterans.UnionWith(members);
            Succeeded++;
            return;
        }

        Failed++;
        if (ran)
        {
            Ledger.Require(ends.Values.All(e => e.Error == ErrorCode.SyncFailed), $"sync: a running sync of {group} ends with {string.Join(", ", ends.Values)}");
            Ledger.Require(_gaveUp.Overlaps(members), $"sync: the sync of {group} fails for no reason: {ends.Values.First().Reason}");
            return;
        }

        var told = ends.ToDictionary(e => e.Key, e => e.Value.Error);
        Ledger.Require(!model.Elects && told.Count == model.Guilty.Count && told.All(model.Guilty.Contains), $"sync: the sync of {group} fails for {string.Join(", ", told)}, and the model says {string.Join(", ", model.Guilty)}");
    }
}
