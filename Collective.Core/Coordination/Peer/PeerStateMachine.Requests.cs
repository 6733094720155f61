using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>What a peer asks the master together with others (topology votes, pending queries), and the time that calls may take.</summary>
internal sealed partial class PeerStateMachine
{
    private LocalRequest? _vote;
    private LocalRequest? _query;

    // Whether the application has asked for or admitted newcomers itself, or has reduced with others: newcomers then wait for its update (decision 0005).
    private bool _newcomersWait;

    // Whether the application has called nothing yet since it was admitted: the others have come from the update that admitted it, and so has it.
    private bool _justAdmitted = true;

    /// <summary>An outstanding vote or query. Its end is always the master's answer, so that all agree on what was decided.</summary>
    private sealed class LocalRequest(RequestNumber number, Message message, string call, Deadline deadline)
    {
        public RequestNumber Number { get; } = number;

        public Message Message { get; } = message;

        /// <summary>What the application called, as errors name it.</summary>
        public string Call { get; } = call;

        public Deadline Deadline { get; set; } = deadline;

        public bool Sent { get; set; }

        /// <summary>What the caller hears if the master lets it go unanswered.</summary>
        public Outcome Wish { get; set; }
    }

    private void OnUpdateTopology(PeerInput.UpdateTopology input) => Vote(new TopologyVote(input.Request), input.Request, input.TimeoutMs, "update topology");

    /// <summary>Two kinds of votes, of which a peer waits in one at most.</summary>
    private void Vote(Message vote, RequestNumber number, long timeoutMs, string call)
    {
        Outcome? refusal = State is not (PeerState.Ready or PeerState.Wiring) ? NotConnected
            : _attempts.Count > 0 ? new Outcome(ErrorCode.PendingOperations, $"{_attempts.Count} collectives are in flight: await them, then {call}")
            : _vote is not null ? new Outcome(ErrorCode.InvalidUsage, $"this peer already waits in {_vote.Call}")
            : _query is not null ? new Outcome(ErrorCode.InvalidUsage, $"this peer waits in are peers pending: await that, then {call}")
            : _sync is not null ? new Outcome(ErrorCode.InvalidUsage, $"this peer is in a sync of the shared state: await that, then {call}")
            : null;
        if (Refuse(number, refusal))
        {
            return;
        }

        _vote = new LocalRequest(number, vote, call, SetDeadline(timeoutMs));
        if (_question is null)
        {
            Send(_vote); // Else after its answer: the master takes one question of a peer at a time.
        }
    }

    private void OnStep(PeerInput.Step input)
    {
        if (_justAdmitted && State is PeerState.Ready or PeerState.Wiring)
        {
            Refuse(input.Request, null);
            Emit(new PeerOutput.FinishRequest(input.Request, Outcome.Success, true)); // A newcomer itself.
            return;
        }

        OnUpdateTopology(new PeerInput.UpdateTopology(input.Request, input.TimeoutMs));
    }

    private void OnTopologyUpdated(TopologyUpdated updated)
    {
        if (updated.Request == _question)
        {
            OnLoneAnswer(updated);
        }
        else if (updated.Request == _vote?.Number)
        {
            if (updated.Error == default)
            {
                if (_vote.Message is TopologyVote)
                {
                    ForgetTags();
                }

                BeginStep();
                _membership = _membership! with { Sizes = updated.Sizes };
                Emit(new PeerOutput.WorldStands(_membership));
            }

            Finish(ref _vote, new Outcome(updated.Error, updated.Reason), updated.Newcomers, updated.Error == default ? _membership : null);
        }
        else
        {
            Die(new Outcome(ErrorCode.MasterLost, "the master answered a question that this peer had not asked: it does not keep the protocol"));
        }
    }

    private void OnQueryPending(PeerInput.QueryPending input)
    {
        Outcome? refusal = State is not (PeerState.Ready or PeerState.Wiring) ? NotConnected
            : _query is not null ? new Outcome(ErrorCode.InvalidUsage, "this peer already waits for the answer to are peers pending")
            : _vote is not null ? new Outcome(ErrorCode.InvalidUsage, $"this peer waits in {_vote.Call}: await that before asking whether peers are pending")
            : _sync is not null ? new Outcome(ErrorCode.InvalidUsage, "this peer is in a sync of the shared state: await that before asking whether peers are pending")
            : null;
        if (Refuse(input.Request, refusal))
        {
            return;
        }

        _query = new LocalRequest(input.Request, new PendingQuery(input.Request), "are peers pending", SetDeadline(input.TimeoutMs));
        Send(_query);
    }

    /// <summary>Tells the application if there is a refusal; otherwise the application has begun to see to newcomers itself.</summary>
    private bool Refuse(RequestNumber request, Outcome? refusal)
    {
        if (refusal is { } outcome)
        {
            Emit(new PeerOutput.FinishRequest(request, outcome, false));
            return true;
        }

        _newcomersWait = true;
        _justAdmitted = false;
        return false;
    }

    private void OnPendingReply(PendingReply reply) => Finish(ref _query, new Outcome(reply.Error, reply.Reason), reply.Pending);

    private void OnWithdraw(PeerInput.Withdraw input)
    {
        var cancelled = new Outcome(ErrorCode.TimedOut, "cancelled by the caller");
        if (_vote?.Number == input.Request)
        {
            Withdraw(ref _vote, cancelled);
        }
        else if (_query?.Number == input.Request)
        {
            Withdraw(ref _query, cancelled);
        }
        else if (_sync?.Request == input.Request)
        {
            EndEarly(_sync, cancelled);
        }
    }

    /// <summary>Asks the master to let the request go: what the master answers, this or the decision it has just taken, is the end of the call.</summary>
    private void Withdraw(ref LocalRequest? request, Outcome wish)
    {
        request!.Deadline = Deadline.None;
        if (!request.Sent)
        {
            Finish(ref request, wish);
        }
        else if (request.Wish.Succeeded)
        {
            request.Wish = wish;
            Send(new Withdraw(request.Number));
        }
    }

    private void Send(LocalRequest request)
    {
        request.Sent = true;
        Send(request.Message);
    }

    private void Finish(ref LocalRequest? request, Outcome outcome, bool yes = false, Membership? seen = null)
    {
        var (number, wish) = (request!.Number, request.Wish);
        request = null;
        var told = outcome.Code == ErrorCode.TimedOut && !wish.Succeeded ? new Outcome(wish.Code, $"{wish.Reason}: {outcome.Reason}") : outcome;
        Emit(new PeerOutput.FinishRequest(number, told, yes, seen));
    }

    private void FinishRequests(Outcome outcome)
    {
        foreach (var request in new[] { _vote, _query }.OfType<LocalRequest>())
        {
            Emit(new PeerOutput.FinishRequest(request.Number, outcome, false));
        }

        _vote = _query = null;
        _question = null;
    }

    private Deadline SetDeadline(long timeoutMs)
    {
        var deadline = Deadline.After(_nowMs, timeoutMs);
        if (deadline.AtMs < _wakeAtMs)
        {
            WakeAt(deadline.AtMs);
        }

        return deadline;
    }

    private void WakeForDeadlines()
    {
        var next = Math.Min(_heartbeatAtMs, _connectDeadline.AtMs);
        next = Math.Min(next, Math.Min(_vote?.Deadline.AtMs ?? long.MaxValue, _query?.Deadline.AtMs ?? long.MaxValue));
        next = Math.Min(next, _sync?.Deadline.AtMs ?? long.MaxValue);
        foreach (var attempt in _attempts.Values)
        {
            next = Math.Min(next, attempt.Deadline.AtMs);
        }

        WakeAt(next);
    }

    /// <summary>The driver keeps the last time it was told.</summary>
    private void WakeAt(long atMs)
    {
        _wakeAtMs = atMs;
        Emit(new PeerOutput.WakeAt(atMs));
    }

    private void ExpireDeadlines()
    {
        if (_connectDeadline.IsOver(_nowMs))
        {
            DieUnadmitted();
            return;
        }

        if (_vote?.Deadline is { } voting && voting.IsOver(_nowMs))
        {
            Withdraw(ref _vote, new Outcome(ErrorCode.TimedOut, $"{_vote.Call} was not decided within {voting}"));
        }

        if (_query?.Deadline is { } asking && asking.IsOver(_nowMs))
        {
            Withdraw(ref _query, new Outcome(ErrorCode.TimedOut, $"are peers pending was not answered within {asking}"));
        }

        if (_sync is { } sync && sync.Deadline.IsOver(_nowMs))
        {
            EndEarly(sync, new Outcome(ErrorCode.TimedOut, $"the shared state was not synchronised within {sync.Deadline}"));
        }

        foreach (var attempt in _attempts.Values.Where(a => a.Deadline.IsOver(_nowMs)).ToArray())
        {
            EndEarly(attempt, new Outcome(ErrorCode.TimedOut, $"the all-reduce with {attempt.Tag} was not done within {attempt.Deadline}"));
        }
    }

    private void DieUnadmitted()
    {
        var where = State switch
        {
            PeerState.Connecting or PeerState.Registering => "the master has not answered",
            PeerState.Pending => $"the master has registered this peer, but has not admitted it: the admitted peers must all update their topology, and the group must have the minimum world size this peer asks for ({_minimumWorldSize})",
            _ => "this peer was admitted, but the ring of its group does not stand yet",
        };
        if (State is PeerState.Pending or PeerState.Wiring)
        {
            Send(new Leave());
        }

        Die(new Outcome(ErrorCode.TimedOut, $"not connected within {_connectDeadline}: {where}"));
    }
}
