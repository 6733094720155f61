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
    private readonly Dictionary<PeerGroup, ulong> _next = [];
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
            }
        }

        Judge(batch.Group, plans, ends);
    }

    /// <summary>A peer's application hears the end: what the master said, unless the peer leaves the run.</summary>
    public void Ended(SimulatedPeer peer, SimulatedSync sync, Outcome outcome, Revision revision)
    {
        var told = _ends.TryGetValue((peer.Id, sync.Request), out var end);
        if (outcome.Succeeded)
        {
            Ledger.Require(told && end.Succeeded && end.Revision == revision, $"G6: {peer.Name} takes a sync for successful that is not");
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

    private SyncModel Predict(PeerGroup group, HashSet<PeerId> members)
    {
        Ledger.Require(members.All(_votes.ContainsKey), $"sync: the sync of {group} is decided before all have voted");
        var next = members.Any(_veterans.Contains) ? _next[group] : 0;
        return new SyncModel(members.ToDictionary(id => id, id => _votes[id]), _veterans, next);
    }

    private void OnPlans(PeerGroup group, HashSet<PeerId> members, Dictionary<PeerId, SharedStatePlan> plans)
    {
        Ledger.Require(members.SetEquals(plans.Keys), $"sync: not all of {group} get a plan");
        Ledger.Require(!Runs(group, members), $"sync: {group} gets a plan while a sync runs");
        var model = Predict(group, members);
        Ledger.Require(model.Guilty.Count == 0, $"sync: the sync of {group} runs, though {string.Join(", ", model.Guilty)}");
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
            Ledger.Require(model.Guilty.Count == 0, $"sync: the sync of {group} succeeds, though {string.Join(", ", model.Guilty)}");
            Ledger.Require(ends.Values.All(e => e.Revision.Value == model.Next), $"sync: {group} is at revision {ends.Values.First().Revision}, and the model at {model.Next}");
            foreach (var id in members)
            {
                model.CheckContents(simulator.PeerOf(id), simulator.PeerOf(id).SyncOf(ends[id].Request));
            }

            _next[group] = model.Next + 1;
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

        var guilty = ends.Where(e => e.Value.Error != ErrorCode.SyncFailed).ToDictionary(e => e.Key, e => e.Value.Error);
        Ledger.Require(guilty.Count == model.Guilty.Count && guilty.All(model.Guilty.Contains), $"sync: the sync of {group} fails for {string.Join(", ", guilty)}, and the model says {string.Join(", ", model.Guilty)}");
    }
}
