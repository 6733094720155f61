using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>
/// Syncs of the shared state: one at a time in a group, independent of its epochs. When all members have voted the content is elected, who lacks some of it fetches it from the others,
/// and when all have promised to hold it the sync has succeeded, for all. Whoever does not fit what is elected is dismissed, and the others go on (decision 0011). If a member that fits
/// cannot finish, it fails for all: success is never a lie (guarantee G6).
/// </summary>
internal sealed partial class MasterStateMachine
{
    private void OnSharedStateVote(PeerRecord peer, SharedStateVote vote)
    {
        if (peer.Query is not null)
        {
            Evict(peer, "voted for the shared state before its question whether peers are pending was answered");
            return;
        }

        var group = GroupOf(peer);
        var sync = group.Sync ?? new SyncRecord();
        if (StateList.Of(vote.Entries, sync.Lists) is not { } list)
        {
            Evict(peer, "voted for a shared state that names no tensor, or one twice");
            return;
        }

        Invariant.Holds(!sync.Running); // All members have voted then, and nobody can be admitted.
        group.Sync = sync;
        group.ChangedMs = _nowMs;
        peer.Request = vote.Request;
        sync.Votes.Add(peer, new SyncVote(peer, vote.Request, vote.Revision, vote.Rule, vote.Strategy, list));
        if (!EndCrossedSync(group))
        {
            SettleSync(group);
        }
    }

    /// <summary>Goes on as far as the members' votes and promises allow; of lost members neither counts.</summary>
    private void SettleSync(GroupRecord group)
    {
        if (group.Sync is not { } sync || sync.Votes.Count < group.Ring.Count)
        {
            return;
        }

        if (!sync.Running)
        {
            DecideSync(group, sync);
        }
        else if (sync.Promised.Count == group.Ring.Count)
        {
            SucceedSync(group, sync);
        }
    }

    private void DecideSync(GroupRecord group, SyncRecord sync)
    {
        SyncVote[] votes = [.. group.Ring.Select(p => sync.Votes[p])];
        var election = new SyncElection(votes, group.LastSync);
        if (election.Elected is not { } elected)
        {
            var reasons = election.Misfits.ToDictionary(m => m.Peer);
            var one = election.Misfits[^1];
            FailSync(group, $"nothing could be elected; of peer {one.Peer.Id.ToShortString()}: {one.Reason}", p => (reasons[p].Code, NothingElected(reasons[p].Reason)));
            return;
        }

        if (election.Misfits.Count > 0)
        {
            Dismiss(sync, election.Misfits); // When they have gone the others' votes are counted again.
            return;
        }

        sync.Elected = new LastSync(election.Revision, elected.List.Digest);
        var planner = new SyncPlanner(votes, election);
        if (!planner.AnythingMoves)
        {
            SucceedSync(group, sync);
            return;
        }

        sync.Run();
        for (var i = 0; i < votes.Length; i++)
        {
            var plan = planner.PlanOf(votes[i], i);
            if (plan.Fetches.Count > 0)
            {
                sync.Fetchers.Add(votes[i].Peer);
                sync.Holders.UnionWith(plan.Holders.Select(h => h.Id));
            }

            Emit(new MasterOutput.Send(votes[i].Peer.Connection, plan));
        }
    }

    /// <summary>Whoever does not fit leaves the run, with what is wrong.</summary>
    private void Dismiss(SyncRecord sync, IReadOnlyList<SyncMisfit> misfits)
    {
        foreach (var misfit in misfits)
        {
            sync.Votes.Remove(misfit.Peer);
            sync.LeftOut.Add(new LeftOutPeer(misfit.Peer.Id, misfit.Code, misfit.Reason));
        }

        LoseTogether(() =>
        {
            foreach (var (peer, code, reason) in misfits)
            {
                var text = $"it does not fit the sync of the shared state: {reason}";
                Emit(new MasterOutput.Send(peer.Connection, new Dismissed(peer.Request, code, reason)));
                Emit(new MasterOutput.Close(peer.Connection));
                Report(MasterEventKind.PeerDismissed, peer, $"{peer} of {peer.Group} dismissed: {text}");
                Remove(peer, $"peer {peer.Id.ToShortString()} was dismissed: {text}");
            }
        });
    }

    private void OnSharedStateDone(PeerRecord peer, SharedStateDone done)
    {
        var group = GroupOf(peer);
        if (!IsOpenSync(peer, done.Request) || group.Sync is not { } sync)
        {
            return; // It has ended, which is under way to the peer.
        }

        if (!sync.Running)
        {
            Evict(peer, "finished a sync for which it has no plan");
            return;
        }

        group.ChangedMs = _nowMs;
        if (!done.Ok)
        {
            var cause = $"peer {peer.Id.ToShortString()} could not finish: {done.Detail}";
            FailSync(group, cause, p => (ErrorCode.SyncFailed, p == peer
                ? $"this peer could not finish the sync: {done.Detail}; it failed for all peers of the group, and nothing was changed: call it again"
                : OthersFault(cause)));
            return;
        }

        if (!sync.Promised.Add(peer))
        {
            Evict(peer, "promised twice in one sync");
            return;
        }

        SettleSync(group);
    }

    /// <summary>One peer's word against another's removes nobody. Two that say the same of the bytes of a third do.</summary>
    private void OnHolderFailed(PeerRecord peer, HolderFailed report)
    {
        var group = GroupOf(peer);
        if (!IsOpenSync(peer, report.Request) || group.Sync is not { } sync)
        {
            return;
        }

        if (!sync.Running || !sync.Holders.Contains(report.Holder) || report.Holder == peer.Id)
        {
            Evict(peer, $"complains about peer {report.Holder.ToShortString()}, which holds nothing for it");
            return;
        }

        if (group.Ring.Find(p => p.Id == report.Holder) is not { } holder || !sync.Complaints.Add((peer.Id, report.Holder, report.WrongBytes)))
        {
            return; // It has gone, or this is known.
        }

        Report(MasterEventKind.HolderFailed, peer, $"in the sync of {group.Group} peer {holder.Id.ToShortString()} {(report.WrongBytes ? "gave wrong bytes to" : "failed")} peer {peer.Id.ToShortString()}: {report.Detail}", group);
        var accusers = sync.Complaints.Where(c => c.Holder == holder.Id && c.WrongBytes).Select(c => c.Peer.ToShortString()).Order(StringComparer.Ordinal).ToList();
        if (accusers.Count >= Limits.AccusersConvincing)
        {
            Evict(holder, $"peers {string.Join(" and ", accusers)} both got bytes from it that are not what it voted for: its memory is faulty, or its program wrote to the tensors while they were synchronised");
        }
    }

    /// <summary>Takes a vote back. Once the plan is out it stands: the peer then says that it cannot finish.</summary>
    private void WithdrawFromSync(PeerRecord peer)
    {
        var group = GroupOf(peer);
        if (group.Sync is not { Running: false } sync || !sync.Votes.Remove(peer))
        {
            return;
        }

        var missing = Missing(group.Ring.Where(p => p != peer && !sync.Votes.ContainsKey(p)), "has not called it", "have not called it");
        group.Sync = sync.Votes.Count == 0 ? null : sync;
        FinishSync(peer, new SharedStateFinished(peer.Request, ErrorCode.TimedOut, missing, default, []));
    }

    private static void LeaveSync(GroupRecord group, PeerRecord lost)
    {
        if (group.Sync is { } sync && sync.Votes.Remove(lost))
        {
            sync.Promised.Remove(lost);
            group.Sync = sync.Votes.Count == 0 ? null : sync;
        }
    }

    private void SucceedSync(GroupRecord group, SyncRecord sync)
    {
        var (revision, leftOut) = (sync.Elected.Revision, sync.LeftOut.Take(Limits.ExclusionsMax).ToArray());
        if (sync.Running || leftOut.Length > 0)
        {
            var without = leftOut.Length > 0 ? $"; without {string.Join(", ", leftOut.Take(Limits.PeersNamedMax).Select(p => $"peer {p.Id.ToShortString()}"))}{Others(leftOut.Length)}" : "";
            var fetched = group.Ring.Count(sync.Fetchers.Contains);
            var moved = fetched == 0 ? "no peer lacked anything" : $"{fetched} of its {group.Ring.Count} peers lacked something and fetched it";
            Report(MasterEventKind.SharedStateSynchronised, null, $"shared state of {group.Group} synchronised at revision {revision}: {moved}{without}", group);
        }

        group.Sync = null;
        group.LastSync = sync.Elected;
        foreach (var member in group.Ring)
        {
            member.HasSynced = true;
            FinishSync(member, new SharedStateFinished(member.Request, default, "", revision, leftOut));
        }
    }

    /// <summary>Ends the sync for all that have voted. The last revision stays: nothing has happened.</summary>
    private void FailSync(GroupRecord group, string cause, Func<PeerRecord, (ErrorCode Code, string Reason)> endOf)
    {
        Report(MasterEventKind.SyncFailed, null, $"the sync of {group.Group} failed: {cause}", group);
        var voters = group.Ring.FindAll(group.Sync!.Votes.ContainsKey);
        group.Sync = null;
        foreach (var voter in voters)
        {
            var (code, reason) = endOf(voter);
            FinishSync(voter, new SharedStateFinished(voter.Request, code, reason, default, []));
        }
    }

    private void FinishSync(PeerRecord member, SharedStateFinished message)
    {
        Move(member, MasterPeerEvent.SyncEnded);
        Emit(new MasterOutput.Send(member.Connection, message));
    }

    private static bool IsOpenSync(PeerRecord peer, RequestNumber request) => peer.State == MasterPeerState.Syncing && peer.Request == request;

    private static string NothingElected(string reason) => $"nothing could be elected, so the sync failed for all peers of the group, and nothing was changed; of this peer: {reason}";

    private static string OthersFault(string cause) => $"the sync failed for all peers of the group, because {cause}; nothing was changed: call it again";
}
