using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>The attempts of this peer: launch, enter, promise, verdict or abort.</summary>
internal sealed partial class PeerStateMachine
{
    private readonly Dictionary<Tag, LocalAttempt> _attempts = [];

    // The tensors of these attempts, by the number of their operation.
    private readonly Dictionary<OperationId, LocalTensor> _tensors = [];
    private readonly Dictionary<Tag, uint> _ordinals = [];
    private int _tensorsInFlight;
    private uint _firstOrdinal;
    private uint _nextOrdinal;
    private RequestNumber? _question;
    private RequestNumber _lastQuestion = new(1UL << 63); // Apart from the application's request numbers.

    /// <summary>Open attempts, for the simulator's checks.</summary>
    public IEnumerable<LocalAttempt> Attempts => _attempts.Values;

    private LocalAttempt? Find(AttemptKey key) => _attempts.TryGetValue(key.Tag, out var attempt) && attempt.State != AttemptState.Held && attempt.Key == key.ToWhole() ? attempt : null;

    private LocalAttempt? Find(OperationId operation) => _attempts.Values.FirstOrDefault(a => a.Operation == operation);

    private LocalTensor? FindTensor(AttemptKey key) => Find(key)?.At(key.Tensor);

    private void OnLaunch(PeerInput.Launch input)
    {
        if (Begin(input.Operation, input.Tag, 1, input.TimeoutMs) is { } attempt)
        {
            Add(attempt, new LocalTensor(attempt, input.Operation, 0, input.Descriptor));
        }
    }

    private LocalAttempt? Begin(OperationId operation, Tag tag, int size, long timeoutMs)
    {
        Outcome? refusal = State is not (PeerState.Ready or PeerState.Wiring) ? NotConnected
            : _attempts.ContainsKey(tag) ? new Outcome(ErrorCode.InvalidArgument, $"{tag} is in use by a collective in flight: await it, or use another tag")
            : _vote is not null ? new Outcome(ErrorCode.InvalidUsage, $"this peer waits in {_vote.Call}: await that before launching collectives")
            : _sync is not null ? new Outcome(ErrorCode.InvalidUsage, "this peer is in a sync of the shared state: await that before launching collectives")
            : _attempts.Count >= Limits.OperationsInFlightMax ? new Outcome(ErrorCode.LimitExceeded, $"{Limits.OperationsInFlightMax} collectives are in flight, which is the maximum: await some of them")
            : _tensorsInFlight + size > Limits.TensorsInFlightMax ? new Outcome(ErrorCode.LimitExceeded, $"{_tensorsInFlight} tensors are in flight, and with {size} more there would be more than the maximum of {Limits.TensorsInFlightMax}: await some of them")
            : _ordinals.Count >= Limits.TagsMax && !_ordinals.ContainsKey(tag) ? new Outcome(ErrorCode.LimitExceeded, $"{Limits.TagsMax} different tags were used since the last topology update, which is the maximum: use tags again, or update the topology")
            : null;
        if (refusal is { } outcome)
        {
            Emit(new PeerOutput.FinishOperation(operation, outcome));
            return null;
        }

        _justAdmitted = false;
        BeginsStepWith(tag);
        var attempt = new LocalAttempt(operation, tag, size, SetDeadline(timeoutMs));
        _attempts.Add(tag, attempt);
        _tensorsInFlight += size;
        return attempt;
    }

    private void OnLaunchTensor(PeerInput.LaunchTensor input)
    {
        if (Find(input.Set) is { } attempt)
        {
            Add(attempt, new LocalTensor(attempt, input.Operation, input.Position, input.Descriptor));
        }
    }

    private void Add(LocalAttempt attempt, LocalTensor tensor)
    {
        attempt.Add(tensor);
        _tensors.Add(tensor.Operation, tensor);
        if (attempt.State == AttemptState.Running)
        {
            Enter(tensor);
        }
        else if (State == PeerState.Ready)
        {
            EnterHeld();
        }
    }

    /// <summary>
    /// Enters what waits for a standing ring. Alone, the master is asked first whether company is waiting at the door, at the start of a program that leaves membership to the library;
    /// and in a group that must have more members, who then waits until it has.
    /// </summary>
    private void EnterHeld()
    {
        if (_question is not null)
        {
            return; // Its answer says what becomes of them.
        }

        if (_membership!.Members.Count > 1 && !_membership.IsShort)
        {
            foreach (var attempt in _attempts.Values.Where(a => a.WaitsForRing))
            {
                Enter(attempt);
            }
        }
        else if (_newcomersWait && !_membership.IsShort)
        {
            FinishHeld(Alone);
        }
        else if (_attempts.Values.Any(a => a.WaitsForRing))
        {
            _question = _lastQuestion = _lastQuestion.Next();
            Send(new AdmitWhenAlone(_question.Value));
        }
    }

    private void OnLoneAnswer(TopologyUpdated answer)
    {
        _question = null;
        if (_vote is { Message: TopologyVote } && answer.Newcomers)
        {
            Finish(ref _vote, Outcome.Success, yes: true, _membership); // Company has come, as in an update.
            return;
        }

        if (_vote is not null)
        {
            Send(_vote); // The operation that asked was cancelled, and the application has gone on to vote.
            return;
        }

        if (_sync is { State: SyncState.Held } sync)
        {
            VoteIn(sync);
            return;
        }

        if (answer.Error is not (0 or ErrorCode.TimedOut)) // That is the end of an operation that was cancelled.
        {
            // When newcomers have come who need the shared state, all are at the top of their loops now, as after an update.
            _justAdmitted = answer.Newcomers;
            FinishHeld(new Outcome(answer.Error, answer.Reason));
        }
        else if (State == PeerState.Ready && _membership!.Members.Count == 1 && !_membership.IsShort)
        {
            FinishHeld(Alone);
        }
        else if (State == PeerState.Ready)
        {
            EnterHeld(); // Else a newer epoch decides what becomes of what is held.
        }
    }

    private Outcome Alone => new(
        ErrorCode.TooFewPeers,
        $"this peer is alone in its group{(_membership!.HasLost ? $", because {_membership.Reason}" : "")}: wait for others (update topology), then reduce");

    private void FinishHeld(Outcome outcome)
    {
        foreach (var attempt in _attempts.Values.Where(a => a.WaitsForRing).ToArray())
        {
            Abort(attempt, outcome, outcome.Code == ErrorCode.TooFewPeers ? _membership : null);
        }
    }

    private void Enter(LocalAttempt attempt)
    {
        var ordinal = _ordinals.GetValueOrDefault(attempt.Tag, _firstOrdinal);
        _ordinals[attempt.Tag] = ordinal + 1;
        _nextOrdinal = Math.Max(_nextOrdinal, ordinal + 1);
        attempt.Enter(new AttemptKey(_membership!.Epoch, attempt.Tag, ordinal), _membership);

        foreach (var tensor in attempt.Tensors)
        {
            Enter(tensor);
        }
    }

    private void Enter(LocalTensor tensor)
    {
        // In this order: once the others know that this peer has entered, bulk data may come.
        Emit(new PeerOutput.StartRing(tensor.Operation, tensor.Key, _membership!));
        Send(new CollectiveStart(tensor.Key, tensor.Descriptor));
    }

    /// <summary>
    /// A topology update in which all have voted: nobody has anything in flight, and all have entered the same attempts of this epoch. So all may forget
    /// their tags at this point, and agree on ordinals that no attempt of this epoch has had.
    /// </summary>
    private void ForgetTags()
    {
        _ordinals.Clear();
        _firstOrdinal = _nextOrdinal;
    }

    private void OnRingCompleted(PeerInput.RingCompleted input)
    {
        if (_tensors.GetValueOrDefault(input.Operation) is { Attempt: { State: AttemptState.Running } attempt } tensor && attempt.Complete(tensor))
        {
            attempt.Move(AttemptEvent.RingCompleted);
            Send(new CollectiveDone(attempt.Key, Ok: true, ""));
        }
    }

    private void OnRingFailed(PeerInput.RingFailed input)
    {
        if (_tensors.GetValueOrDefault(input.Operation) is { Attempt: { State: AttemptState.Running } attempt })
        {
            GiveUp(attempt, input.Detail);
        }
    }

    private void OnCancel(PeerInput.Cancel input)
    {
        if (Find(input.Operation) is { } attempt)
        {
            EndEarly(attempt, new Outcome(ErrorCode.OperationAborted, "cancelled by the caller"));
        }
    }

    /// <summary>
    /// The caller does not want to wait any longer. Before the promise this peer can give up; after it only the master ends the attempt, who is asked
    /// to (decision 0007). Either way the caller hears what all hear: aborted, or a verdict that was under way.
    /// </summary>
    private void EndEarly(LocalAttempt attempt, Outcome wish)
    {
        attempt.Deadline = Deadline.None;
        if (attempt.State == AttemptState.Held)
        {
            var where = _membership is { IsShort: true } world ? $"while it waited for company: {_group} has {world.Members.Count} of the {world.KeptMinimum} peers that it must have" : "while the ring of its group was being made";
            Abort(attempt, attempt.WaitsForRing ? wish with { Reason = $"{wish.Reason}, {where}" } : wish);
            if (_question is { } question && _attempts.Count == 0 && _membership is { IsShort: true })
            {
                Send(new Withdraw(question)); // Nobody here waits for company any more.
            }

            return;
        }

        if (!attempt.Wish.Succeeded)
        {
            return;
        }

        attempt.Wish = wish;
        if (attempt.State == AttemptState.Running)
        {
            GiveUp(attempt, wish.Reason);
        }
        else if (attempt.State == AttemptState.Promised)
        {
            attempt.Move(AttemptEvent.Withdraw);
            Send(new CollectiveDone(attempt.Key, Ok: false, wish.Reason));
        }
    }

    private void GiveUp(LocalAttempt attempt, string detail)
    {
        attempt.Move(AttemptEvent.GiveUp);
        StopRings(attempt);
        Send(new CollectiveDone(attempt.Key, Ok: false, detail));
    }

    private void OnVerdict(LocalAttempt attempt)
    {
        attempt.Move(AttemptEvent.Verdict);
        _newcomersWait = true;
        Committed(attempt.Tag);
        Finish(attempt, Outcome.Success, attempt.Membership);
    }

    /// <summary>A new epoch ends whatever was entered in older ones.</summary>
    private void EndAttempts(EpochOpened opened)
    {
        foreach (var attempt in _attempts.Values.Where(a => a.State != AttemptState.Held).ToArray())
        {
            var decision = opened.Decisions.FirstOrDefault(d => d.Tag == attempt.Tag && d.Ordinal == attempt.Key.Ordinal);
            if (decision.Committed && attempt.State == AttemptState.Promised)
            {
                OnVerdict(attempt);
                continue;
            }

            if (attempt.State != AttemptState.Aborting)
            {
                StopRings(attempt);
            }

            attempt.End(decision.Code == default ? new Outcome(ErrorCode.OperationAborted, opened.Reason) : new Outcome(decision.Code, decision.Reason));
        }
    }

    /// <summary>The ring stands again: the application may hear of the aborts and call again at once.</summary>
    private void FinishAborted(string established)
    {
        foreach (var attempt in _attempts.Values.Where(a => a.State == AttemptState.Aborting).ToArray())
        {
            attempt.Move(AttemptEvent.RingStands);
            Finish(attempt, WithWhatCommitted(attempt.OutcomeFor(established)), _membership); // The first ring that stands after it: the same for all who were in it.
        }
    }

    private void Abort(LocalAttempt attempt, Outcome outcome, Membership? seen = null)
    {
        attempt.Move(AttemptEvent.NeverEntered);
        Finish(attempt, outcome, seen);
    }

    private void Finish(LocalAttempt attempt, Outcome outcome, Membership? seen)
    {
        _attempts.Remove(attempt.Tag);
        _tensorsInFlight -= attempt.Size;
        foreach (var tensor in attempt.Tensors)
        {
            _tensors.Remove(tensor.Operation);
        }

        Emit(new PeerOutput.FinishOperation(attempt.Operation, outcome, seen));
    }

    private void StopRings(LocalAttempt attempt)
    {
        foreach (var tensor in attempt.Tensors)
        {
            Emit(new PeerOutput.StopRing(tensor.Operation));
        }
    }

    /// <summary>This peer leaves the run: nothing can be committed for it any more.</summary>
    private void FinishAllAttempts(Outcome outcome)
    {
        foreach (var attempt in _attempts.Values)
        {
            if (attempt.State != AttemptState.Held)
            {
                StopRings(attempt);
            }

            var reason = attempt.State == AttemptState.Promised
                ? outcome with { Reason = $"{outcome.Reason}; this peer had finished its part, so whether the others committed is in doubt" }
                : outcome;
            Emit(new PeerOutput.FinishOperation(attempt.Operation, reason));
        }

        _attempts.Clear();
        _tensors.Clear();
        _tensorsInFlight = 0;
    }
}
