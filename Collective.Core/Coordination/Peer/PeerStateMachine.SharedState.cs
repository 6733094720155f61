using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>The sync of the shared state on this peer: vote, fetch, promise, end. It goes on whatever epochs come meanwhile.</summary>
internal sealed partial class PeerStateMachine
{
    private LocalSync? _sync;

    /// <summary>Where this peer is in a sync, for the simulator's checks.</summary>
    public SyncState? Sync => _sync?.State;

    private void OnSynchronise(PeerInput.Synchronise input)
    {
        _justAdmitted = false;
        Outcome? refusal = State is not (PeerState.Ready or PeerState.Wiring) ? NotConnected
            : _sync is not null ? new Outcome(ErrorCode.InvalidUsage, "this peer is already in a sync of the shared state")
            : _attempts.Count > 0 ? new Outcome(ErrorCode.PendingOperations, $"{_attempts.Count} collectives are in flight: await them before synchronising the shared state")
            : _vote is not null ? new Outcome(ErrorCode.InvalidUsage, $"this peer waits in {_vote.Call}: await that before synchronising the shared state")
            : _query is not null ? new Outcome(ErrorCode.InvalidUsage, "this peer waits in are peers pending: await that before synchronising the shared state")
            : input.Strategy is < SyncStrategy.EnforcePopular or > SyncStrategy.SendOnly ? new Outcome(ErrorCode.InvalidArgument, $"{(int)input.Strategy} is no sync strategy")
            : input.Revision == Revision.Limit ? new Outcome(ErrorCode.InvalidArgument, $"the revision is {input.Revision}: there must be a next one")
            : StateEntries.Refusal([.. input.Entries.Select(e => e.Key)]) is { } text ? new Outcome(ErrorCode.InvalidArgument, text)
            : null;
        if (refusal is { } outcome)
        {
            EndSync(input.Request, outcome);
            return;
        }

        _newcomersWait = true; // They must take part in the next sync: no all-reduce admits them before it.
        _sync = new LocalSync(new SharedStateVote(input.Request, input.Revision, input.Rule, input.Strategy, input.Entries), SetDeadline(input.TimeoutMs));
        if (_question is null)
        {
            VoteIn(_sync); // Else after its answer: the master takes one question of a peer at a time.
        }
    }

    private void VoteIn(LocalSync sync)
    {
        sync.Move(SyncEvent.Vote);
        Send(sync.Vote);
    }

    /// <summary>Whether the plan is one for this peer's vote.</summary>
    private bool Fits(SharedStatePlan plan)
        => _sync is { State: SyncState.Voting } sync && sync.Request == plan.Request
            && plan.Fetches.All(f => f.Index < sync.Vote.Entries.Count && plan.HolderSets[f.HolderSet].Count > 0)
            && plan.Holders.All(h => h.Id != _self);

    private void OnSharedStatePlan(SharedStatePlan plan)
    {
        var sync = _sync!;
        sync.Move(SyncEvent.Plan);
        if (!sync.Wish.Succeeded)
        {
            GiveUp(sync, sync.Wish.Reason); // The caller's patience ended while the plan was under way.
            return;
        }

        sync.Holders.UnionWith(plan.Holders.Select(h => h.Id));
        Emit(new PeerOutput.FetchState(sync.Request, plan));
    }

    private void OnStateFetched(PeerInput.StateFetched input)
    {
        if (_sync is not { State: SyncState.Fetching } sync || sync.Request != input.Request)
        {
            return; // It has ended or was given up.
        }

        if (!input.Ok)
        {
            GiveUp(sync, input.Detail);
            return;
        }

        sync.Move(SyncEvent.Fetched);
        Send(new SharedStateDone(sync.Request, Ok: true, ""));
    }

    private void OnHolderFailed(PeerInput.HolderFailed input)
    {
        // Of a peer that is lost the master knows.
        if (_sync is { State: SyncState.Fetching } sync && sync.Request == input.Request && sync.Holders.Contains(input.Holder))
        {
            Send(new HolderFailed(input.Request, input.Holder, input.WrongBytes, input.Detail));
        }
    }

    private void ForgetLostHolders(EpochOpened opened)
    {
        if (_sync is not { Holders.Count: > 0 } sync)
        {
            return;
        }

        foreach (var lost in sync.Holders.Except(opened.Members.Select(m => m.Id)).Order().ToArray())
        {
            sync.Holders.Remove(lost);
            Emit(new PeerOutput.HolderLost(sync.Request, lost));
        }
    }

    /// <summary>Whether the end is one that the sync of this peer can have: it cannot succeed while this peer lacks something.</summary>
    private bool Fits(SharedStateFinished finished)
        => _sync is { } sync && sync.Request == finished.Request
            && PeerTables.Next(sync.State, finished.Error == default ? SyncEvent.Succeed : SyncEvent.Fail) is not null;

    private void OnSharedStateFinished(SharedStateFinished finished)
    {
        var sync = _sync!;
        sync.Move(finished.Error == default ? SyncEvent.Succeed : SyncEvent.Fail);
        _sync = null;
        if (finished.Error == default)
        {
            BeginStep();
        }

        var reason = sync.Wish.Succeeded || finished.Reason.Contains(sync.Wish.Reason, StringComparison.Ordinal) ? finished.Reason : $"{sync.Wish.Reason}: {finished.Reason}";
        var told = finished.Error is ErrorCode.TimedOut or ErrorCode.SyncFailed && !sync.Wish.Succeeded ? sync.Wish with { Reason = reason } : new Outcome(finished.Error, finished.Reason);
        EndSync(sync.Request, told, finished);
    }

    /// <summary>This peer's vote did not fit: its call ends with what is wrong, and this peer leaves the run.</summary>
    private void OnDismissed(Dismissed dismissed)
    {
        _sync!.Move(SyncEvent.Fail);
        _sync = null;
        const string What = "does not fit the sync of the shared state";
        EndSync(dismissed.Request, new Outcome(dismissed.Error, $"this peer {What}: {dismissed.Reason}; it was left out and has left the run: mend the call, then connect again"));
        Die(new Outcome(ErrorCode.Evicted, $"the master removed this peer: it {What}: {dismissed.Reason}"));
    }

    /// <summary>The caller does not want to wait any longer. It hears what all hear: that the sync failed, or a success that was under way.</summary>
    private void EndEarly(LocalSync sync, Outcome wish)
    {
        sync.Deadline = Deadline.None;
        if (sync.State == SyncState.Held)
        {
            sync.Move(SyncEvent.NeverVoted);
            _sync = null;
            EndSync(sync.Request, wish);
            return;
        }

        if (!sync.Wish.Succeeded)
        {
            return;
        }

        sync.Wish = wish;
        switch (sync.State)
        {
            case SyncState.Voting:
                sync.Move(SyncEvent.Withdraw);
                Send(new Withdraw(sync.Request));
                break;
            case SyncState.Fetching:
                GiveUp(sync, wish.Reason);
                break;
            case SyncState.Promised:
                sync.Move(SyncEvent.Withdraw);
                Send(new SharedStateDone(sync.Request, Ok: false, wish.Reason));
                break;
        }
    }

    private void GiveUp(LocalSync sync, string detail)
    {
        sync.Move(SyncEvent.GiveUp);
        Send(new SharedStateDone(sync.Request, Ok: false, detail));
    }

    /// <summary>This peer leaves the run.</summary>
    private void AbandonSync(Outcome outcome)
    {
        if (_sync is { } sync)
        {
            _sync = null;
            var told = sync.State == SyncState.Promised
                ? outcome with { Reason = $"{outcome.Reason}; this peer had fetched everything, so whether the sync succeeded for the others is in doubt" }
                : outcome;
            EndSync(sync.Request, told);
        }
    }

    /// <summary>The master's end is that of all members; a vote that was taken back ends the sync for this peer only.</summary>
    private void EndSync(RequestNumber request, Outcome outcome, SharedStateFinished? end = null)
    {
        var seen = end is null or { Error: ErrorCode.TimedOut } ? null : _membership;
        Emit(new PeerOutput.FinishSync(request, outcome, end?.Revision ?? default, end?.LeftOut ?? [], seen));
    }
}
