using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>
/// One peer, without IO: calls of the application, messages of the master and events of the data links go in, outputs come out.
/// This part keeps the connection, the epoch and the time; <c>PeerStateMachine.Requests.cs</c> keeps votes and queries, <c>PeerStateMachine.Collectives.cs</c> the attempts, <c>PeerStateMachine.SharedState.cs</c> the sync.
/// </summary>
internal sealed partial class PeerStateMachine
{
    private const int HeartbeatsPerTimeout = 5;

    private readonly List<PeerOutput> _outputs = [];
    private PeerGroup _group;
    private int _minimumWorldSize;
    private bool _keepsMinimum;
    private IReadOnlyList<Fingerprint> _fingerprints = [];
    private readonly List<Announce> _unannounced = [];
    private int _stallTimeoutMs;
    private PeerId _self;
    private RunId _run;
    private ushort _term;
    private int _heartbeatTimeoutMs = Limits.HeartbeatTimeoutMsMax;
    private long _nowMs;
    private long? _lastTickMs;
    private long _lastHeardMs;
    private long _leaveAtMs;
    private EpochOpened? _opened;
    private Membership? _membership;
    private Deadline _connectDeadline = Deadline.None;
    private long _heartbeatAtMs;
    private long _wakeAtMs = long.MaxValue;

    public PeerState State { get; private set; }

    public PeerId Self => _self;

    /// <summary>Run and term of the master that has welcomed this peer; every frame to it carries them.</summary>
    public (RunId Run, ushort Term) Master => (_run, _term);

    /// <summary>The epoch this peer knows, standing or not.</summary>
    public Epoch Epoch => _opened?.Epoch ?? Epoch.None;

    /// <summary>Handles one input to completion. The list is valid until the next call.</summary>
    public IReadOnlyList<PeerOutput> Step(long nowMs, PeerInput input)
    {
        _outputs.Clear();
        _nowMs = nowMs;
        switch (input)
        {
            case PeerInput.Connect m: OnConnect(m); break;
            case PeerInput.Connected m: OnConnected(m); break;
            case PeerInput.Received m: OnReceived(m); break;
            case PeerInput.Lost m: Die(new Outcome(m.Code, m.Reason)); break;
            case PeerInput.Leave: OnLeave(); break;
            case PeerInput.Announce m: OnAnnounce(m); break;
            case PeerInput.LocalFault m: OnLocalFault(m); break;
            case PeerInput.UpdateTopology m: OnUpdateTopology(m); break;
            case PeerInput.OptimizeTopology m: OnOptimizeTopology(m); break;
            case PeerInput.Step m: OnStep(m); break;
            case PeerInput.QueryPending m: OnQueryPending(m); break;
            case PeerInput.Withdraw m: OnWithdraw(m); break;
            case PeerInput.Synchronise m: OnSynchronise(m); break;
            case PeerInput.StateFetched m: OnStateFetched(m); break;
            case PeerInput.HolderFailed m: OnHolderFailed(m); break;
            case PeerInput.Launch m: OnLaunch(m); break;
            case PeerInput.BeginSet m: Begin(m.Operation, m.Tag, m.Size, m.TimeoutMs); break;
            case PeerInput.LaunchTensor m: OnLaunchTensor(m); break;
            case PeerInput.Cancel m: OnCancel(m); break;
            case PeerInput.RingCompleted m: OnRingCompleted(m); break;
            case PeerInput.RingFailed m: OnRingFailed(m); break;
            case PeerInput.Wired m: OnWired(m); break;
            case PeerInput.LinkLost m: OnLinkLost(m); break;
            case PeerInput.Tick m: OnTick(m); break;
            case PeerInput.ProbeDone m: OnProbeDone(m); break;
            case PeerInput.Surveyed m: OnSurveyed(m); break;
        }

        AssertInvariants();
        return _outputs;
    }

    private bool Move(PeerEvent @event)
    {
        if (PeerTables.Next(State, @event) is not { } next)
        {
            return false;
        }

        State = next;
        return true;
    }

    private void OnConnect(PeerInput.Connect input)
    {
        var legal = Move(PeerEvent.Connect);
        Invariant.Holds(legal);
        _group = input.Group;
        _minimumWorldSize = input.MinimumWorldSize;
        _keepsMinimum = input.KeepsMinimum;
        _fingerprints = input.Fingerprints;
        _stallTimeoutMs = input.StallTimeoutMs;
        _lastHeardMs = _nowMs;
        _connectDeadline = SetDeadline(input.TimeoutMs);
    }

    private void OnConnected(PeerInput.Connected input)
    {
        if (Move(PeerEvent.Connected))
        {
            _lastHeardMs = _nowMs;
            Send(new Hello(MessageCodec.Version, _group, input.DataPort, (ushort)_minimumWorldSize, input.Announced, input.Alternative) { KeepsMinimum = _keepsMinimum, Fingerprints = _fingerprints });
        }
    }

    /// <summary>What is said before the hello has gone is in it; what comes too late concerns nobody.</summary>
    private void OnAnnounce(PeerInput.Announce input)
    {
        if (State is PeerState.Created or PeerState.Connecting)
        {
            var others = _fingerprints.Where(f => f.Scope != input.Scope);
            _fingerprints = [.. input.Text is { } text ? others.Append(new Fingerprint(input.Scope, text)) : others];
        }
        else if (State == PeerState.Registering)
        {
            _unannounced.Add(new Announce(input.Scope, input.Text)); // Of what run this is says the welcome.
        }
        else if (State is PeerState.Pending or PeerState.Wiring or PeerState.Ready)
        {
            Send(new Announce(input.Scope, input.Text));
        }
    }

    private void OnReceived(PeerInput.Received input)
    {
        if (State is PeerState.Created or PeerState.Connecting or PeerState.Dead)
        {
            return;
        }

        _lastHeardMs = _nowMs;
        if (_run != default && input.Message is not Refused && (input.Run != _run || input.Term < _term))
        {
            Die(new Outcome(ErrorCode.MasterLost, $"the master now speaks for run {input.Run}, term {input.Term}; this peer belongs to run {_run}, term {_term}"));
            return;
        }

        switch (input.Message)
        {
            case Heartbeat: break;
            case Waiting m when State != PeerState.Leaving: Emit(new PeerOutput.Waits(m.Seconds, m.Text)); break;
            case Welcome m when Move(PeerEvent.Welcomed): OnWelcome(m, input); break;
            case Refused m: Die(new Outcome(ErrorCode.MasterRefused, m.Reason)); break;
            case Evicted m: Die(new Outcome(ErrorCode.Evicted, $"the master removed this peer: {m.Reason}")); break;
            case EpochOpened or EpochStands or TopologyUpdated or PendingReply or CollectiveGo or Verdict or ProbeLink or SurveyLinks or SharedStatePlan or SharedStateFinished or Dismissed or Waiting
                when State == PeerState.Leaving:
                break;
            case EpochOpened m when m.Epoch > Epoch && Move(PeerEvent.EpochOpened): OnEpochOpened(m); break;
            case EpochStands m when m.Epoch == Epoch && Move(PeerEvent.EpochStands): OnEpochStands(m); break;
            case TopologyUpdated m: OnTopologyUpdated(m); break;
            case PendingReply m when m.Request == _query?.Number: OnPendingReply(m); break;
            case SurveyLinks m when State is PeerState.Wiring or PeerState.Ready: OnSurveyLinks(m); break;
            case ProbeLink m when State is PeerState.Wiring or PeerState.Ready && (m.From.Id == _self) != (m.To.Id == _self): OnProbeLink(m); break;
            case CollectiveGo m when FindTensor(m.Attempt) is { Attempt.State: AttemptState.Running } tensor: Emit(new PeerOutput.ReleaseRing(tensor.Operation)); break;
            case CollectiveGo m when m.Attempt.Epoch <= Epoch: break; // This peer has given up the attempt meanwhile.
            case Verdict m when Find(m.Attempt) is { State: AttemptState.Promised } attempt: OnVerdict(attempt); break;
            case SharedStatePlan m when Fits(m): OnSharedStatePlan(m); break;
            case SharedStateFinished m when Fits(m): OnSharedStateFinished(m); break;
            case Dismissed m when _sync is { State: SyncState.Voting } sync && sync.Request == m.Request: OnDismissed(m); break;
            default:
                Die(new Outcome(ErrorCode.MasterLost, $"the master sent {input.Message.Kind} while this peer was {State}: it does not keep the protocol"));
                break;
        }
    }

    private void OnWelcome(Welcome welcome, PeerInput.Received input)
    {
        _self = welcome.Id;
        _run = input.Run;
        _term = input.Term;
        _heartbeatTimeoutMs = (int)Math.Clamp(welcome.HeartbeatTimeoutMs, Limits.HeartbeatTimeoutMsMin, Limits.HeartbeatTimeoutMsMax);
        _lastTickMs = _nowMs; // Of a process that is frozen before its first tick, too, the gap is known.
        Emit(new PeerOutput.Welcomed(_self, welcome.SegmentBytes));
        _unannounced.ForEach(Send);
        _unannounced.Clear();
        _heartbeatAtMs = _nowMs + HeartbeatIntervalMs;
        WakeForDeadlines();
    }

    private void OnEpochOpened(EpochOpened opened)
    {
        var rank = RankIn(opened);
        if (rank < 0)
        {
            Die(new Outcome(ErrorCode.MasterLost, $"the master opened epoch {opened.Epoch} without this peer and without a reason"));
            return;
        }

        _opened = opened;
        _ordinals.Clear();
        _firstOrdinal = _nextOrdinal = 0;
        EndAttempts(opened);
        ForgetLostHolders(opened);
        Emit(new PeerOutput.Wire(opened.Key, _self, opened.Epoch, opened.Members, rank));
    }

    private void OnWired(PeerInput.Wired input)
    {
        if (State == PeerState.Wiring && input.Epoch == Epoch)
        {
            Send(new EpochReady(input.Epoch));
        }
    }

    private void OnEpochStands(EpochStands stands)
    {
        _membership = new Membership(stands.Epoch, _opened!.Members, RankIn(_opened), stands.Sizes)
        {
            KeptMinimum = stands.KeptMinimum,
            Reason = stands.Reason,
            HasLost = _opened.Excluded.Count > 0,
        };
        _connectDeadline = Deadline.None;
        Emit(new PeerOutput.WorldStands(_membership));
        FinishAborted(stands.Reason);
        EnterHeld();
    }

    private void OnLinkLost(PeerInput.LinkLost input)
    {
        if (State is PeerState.Wiring or PeerState.Ready && input.Epoch == Epoch)
        {
            Send(new LinkFailed(input.Epoch, input.Neighbour, input.Outgoing, input.Detail));
        }
    }

    private void OnLeave()
    {
        if (!Move(PeerEvent.Leave))
        {
            return;
        }

        if (State == PeerState.Dead)
        {
            FinishEverything(Left);
            Emit(new PeerOutput.Die(Outcome.Success));
            return;
        }

        // The attempts end now: the master ends them for the others.
        FinishEverything(Left);
        Send(new Leave());
        _leaveAtMs = _nowMs + Limits.LeaveMsMax;
        WakeAt(_leaveAtMs);
    }

    /// <summary>Else the others would only see that links to this peer fail, and could not know at which end.</summary>
    private void OnLocalFault(PeerInput.LocalFault fault)
    {
        var isKnown = State is PeerState.Registering or PeerState.Pending or PeerState.Wiring or PeerState.Ready;
        if (isKnown)
        {
            Send(new LocalFault(fault.Reason));
        }

        Die(new Outcome(ErrorCode.LimitExceeded, $"this peer cannot take part in the run and has left it: {fault.Reason}; connect again when there is enough"), heard: isKnown);
    }

    private void OnTick(PeerInput.Tick tick)
    {
        if (State is PeerState.Dead or PeerState.Created)
        {
            return;
        }

        if (State == PeerState.Leaving)
        {
            if (_nowMs >= _leaveAtMs)
            {
                Die(Outcome.Success); // The master does not answer: go anyway.
                return;
            }

            WakeAt(_leaveAtMs);
            return;
        }

        ExpireDeadlines();
        if (State is not PeerState.Dead && _nowMs >= _heartbeatAtMs)
        {
            _lastHeardMs = Math.Max(_lastHeardMs, Math.Min(_nowMs, tick.HeardMs));
            Beat(tick.Moved);
        }

        if (State is not PeerState.Dead)
        {
            WakeForDeadlines();
        }
    }

    private void Beat(LinkBytes moved)
    {
        var gap = _lastTickMs is { } last ? _nowMs - last : 0;
        _lastTickMs = _nowMs;
        _heartbeatAtMs = _nowMs + HeartbeatIntervalMs;
        if (State is PeerState.Connecting or PeerState.Registering)
        {
            return; // The driver bounds these two.
        }

        // While this process itself stood still the master's silence proves nothing.
        _lastHeardMs = gap > 3L * HeartbeatIntervalMs ? _nowMs : Math.Min(_nowMs, _lastHeardMs + Math.Max(0, gap - HeartbeatIntervalMs));

        if (_nowMs - _lastHeardMs > _heartbeatTimeoutMs)
        {
            Die(new Outcome(ErrorCode.MasterLost, $"no sign of life from the master for {(_nowMs - _lastHeardMs) / 1000.0:0.0} s (timeout {_heartbeatTimeoutMs / 1000.0:0.0} s)"));
            return;
        }

        Send(new Heartbeat());
        if (State == PeerState.Ready && _attempts.Values.Any(a => a.State != AttemptState.Held))
        {
            Send(new LinkProgress(Epoch, moved, (uint)_stallTimeoutMs));
        }
    }

    private void Die(Outcome outcome, bool heard = false)
    {
        var leaving = State == PeerState.Leaving;
        if (!Move(PeerEvent.Lost))
        {
            return;
        }

        FinishEverything(outcome);
        Emit(new PeerOutput.Die(leaving ? Outcome.Success : outcome, heard));
    }

    private void FinishEverything(Outcome outcome)
    {
        FinishAllAttempts(outcome);
        FinishRequests(outcome);
        AbandonSync(outcome);
    }

    private int RankIn(EpochOpened opened)
    {
        for (var i = 0; i < opened.Members.Count; i++)
        {
            if (opened.Members[i].Id == _self)
            {
                return i;
            }
        }

        return -1;
    }

    private int HeartbeatIntervalMs => Math.Max(20, Math.Min(_heartbeatTimeoutMs, 10_000) / HeartbeatsPerTimeout);

    private Outcome NotConnected => new(ErrorCode.NotConnected, $"the communicator is not connected (it is {State}): call connect first, or make a new communicator");

    private static Outcome Left => new(ErrorCode.NotConnected, "the communicator was disposed while the call was pending");

    private void Send(Message message) => Emit(new PeerOutput.Send(message));

    private void Emit(PeerOutput output) => _outputs.Add(output);

    private void AssertInvariants()
    {
        Invariant.Holds(State is not (PeerState.Wiring or PeerState.Ready) || _opened is not null);
        Invariant.Holds(State != PeerState.Ready || _membership!.Epoch == Epoch);
        Invariant.Holds(State != PeerState.Dead || (_attempts.Count == 0 && _vote is null && _query is null && _sync is null));
        Invariant.Holds(_attempts.Count <= Limits.OperationsInFlightMax);
        Invariant.Holds(_tensorsInFlight is >= 0 and <= Limits.TensorsInFlightMax);
        Invariant.Holds(_vote is null || _attempts.Count == 0);
        Invariant.Holds(_sync is null || (_attempts.Count == 0 && _vote is null && _query is null));
    }
}
