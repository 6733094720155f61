using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>
/// The master, without IO: an input and the time go in, outputs come out. This part keeps connections, registration and liveness;
/// <c>MasterStateMachine.Membership.cs</c> decides who is in which epoch, <c>MasterStateMachine.Collectives.cs</c> decides attempts, <c>MasterStateMachine.Topology.cs</c> measures and orders rings,
/// <c>MasterStateMachine.SharedState.cs</c> decides syncs, <c>MasterStateMachine.Company.cs</c> holds groups that keep a minimum, <c>MasterStateMachine.Fingerprints.cs</c> refuses who does not fit,
/// <c>MasterStateMachine.Addresses.cs</c> says where peers are reached.
/// </summary>
internal sealed partial class MasterStateMachine(MasterConfiguration configuration)
{
    private readonly Dictionary<ConnectionId, PeerRecord> _peers = [];
    private readonly SortedDictionary<uint, GroupRecord> _groups = [];
    private readonly List<MasterOutput> _outputs = [];
    private long _nowMs;
    private static readonly Heartbeat s_heartbeat = new(); // One for all, so that it is encoded once.
    private readonly MasterInput[] _single = new MasterInput[1];
    private long? _lastTickMs;
    private long _beatAtMs;
    private int _unregistered;
    private int _admitted;

    // How many of the unregistered connections come from where.
    private readonly Dictionary<UInt128, int> _strangers = [];

    public MasterConfiguration Configuration { get; } = configuration;

    public IEnumerable<GroupRecord> Groups => _groups.Values;

    public IEnumerable<PeerRecord> Peers => _peers.Values;

    /// <summary>Handles one input to completion. The list is valid until the next call.</summary>
    public IReadOnlyList<MasterOutput> Step(long nowMs, MasterInput input)
    {
        _single[0] = input;
        return Step(nowMs, _single);
    }

    /// <summary>
    /// Handles inputs that came together. Farewells and losses are handled after the rest, though before a tick, and together: nothing of a connection comes after its end, and
    /// many losses are one change of the membership.
    /// </summary>
    public IReadOnlyList<MasterOutput> Step(long nowMs, IReadOnlyList<MasterInput> inputs)
    {
        _outputs.Clear();
        _nowMs = nowMs;
        foreach (var input in inputs)
        {
            if (!IsEnd(input))
            {
                Handle(input);
            }
        }

        LoseTogether(() =>
        {
            foreach (var input in inputs.Where(IsEnd))
            {
                Handle(input);
            }
        });

        if (inputs is [.., MasterInput.Tick])
        {
            OnTick();
        }

        SettleRivals();
        AssertInvariants();
        return _outputs;
    }

    private static bool IsEnd(MasterInput input) => input is MasterInput.Disconnected or MasterInput.Violated or MasterInput.Received { Message: Leave };

    private void Handle(MasterInput input)
    {
        switch (input)
        {
            case MasterInput.Connected connected: OnConnected(connected); break;
            case MasterInput.Received received: OnReceived(received); break;
            case MasterInput.Heard heard when Find(heard.Connection) is { State: not MasterPeerState.Unregistered } peer: Hear(peer); break;
            case MasterInput.Violated violated when Find(violated.Connection) is { } peer: Evict(peer, violated.Reason); break;
            case MasterInput.Disconnected lost when Find(lost.Connection) is { } peer: OnDisconnected(peer, lost.Reason); break;
        }
    }

    private void Hear(PeerRecord peer)
    {
        peer.LastHeardMs = _nowMs;
        peer.ForgivenMs = 0;
    }

    private PeerRecord? Find(ConnectionId connection) => _peers.GetValueOrDefault(connection);

    private void OnConnected(MasterInput.Connected input)
    {
        Invariant.Holds(!_peers.ContainsKey(input.Connection));
        _peers.Add(input.Connection, new PeerRecord(input.Connection, input.Remote, input.Local, input.FreshId, _nowMs));
        _unregistered++;
        _strangers[input.Remote.Address] = _strangers.GetValueOrDefault(input.Remote.Address) + 1;
        if (_unregistered > Limits.UnregisteredConnectionsMax)
        {
            // The newcomer may be honest and about to speak; whoever has said nothing for longest, of those who come most, is less likely to be.
            var busiest = _strangers.MaxBy(s => s.Value).Key;
            var oldest = _peers.Values.Where(p => p.State == MasterPeerState.Unregistered && p.Remote.Address == busiest).MinBy(p => p.Connection.Value)!;
            Evict(oldest, $"{Limits.UnregisteredConnectionsMax} other connections have not said hello yet, and most of them come from there: connect again in a moment");
        }
    }

    /// <summary>It has said hello, or it has gone.</summary>
    private void ForgetStranger(PeerRecord peer)
    {
        _unregistered--;
        if (--_strangers[peer.Remote.Address] == 0)
        {
            _strangers.Remove(peer.Remote.Address);
        }
    }

    private void OnReceived(MasterInput.Received input)
    {
        if (Find(input.Connection) is not { } peer)
        {
            return; // Evicted or gone: what it had under way no longer counts.
        }

        if (input.Run is { } run && run != Configuration.Run && input.Message is not Hello && peer.State != MasterPeerState.Unregistered)
        {
            Evict(peer, $"sent {input.Message.Kind} of run {run}, which is another one");
            return;
        }

        Hear(peer);
        if (input.Message is TopologyVote or AdmitWhenAlone or OptimizeVote or PendingQuery or SharedStateVote or CollectiveStart)
        {
            NoteCall(peer);
        }

        switch (input.Message)
        {
            case Hello m when Accept(peer, MasterPeerEvent.Hello, m): OnHello(peer, m); break;
            case Heartbeat m: Accept(peer, MasterPeerEvent.Heartbeat, m); break;
            case Leave when peer.State != MasterPeerState.Unregistered: OnLeave(peer); break;
            case LocalFault m when peer.State != MasterPeerState.Unregistered: OnLocalFault(peer, m); break;
            case EpochReady m when Accept(peer, MasterPeerEvent.AcknowledgeEpoch, m): OnEpochReady(peer, m); break;
            case LinkFailed m when Accept(peer, MasterPeerEvent.ReportLink, m): OnLinkFailed(peer, m); break;
            case LinkProgress m when Accept(peer, MasterPeerEvent.ReportLink, m): OnLinkProgress(peer, m); break;
            case LinksSurveyed m when Accept(peer, MasterPeerEvent.ReportLink, m): OnLinksSurveyed(peer, m); break;
            case Announce m when Accept(peer, MasterPeerEvent.Announce, m): OnAnnounce(peer, m); break;
            case TopologyVote m when Accept(peer, MasterPeerEvent.VoteTopology, m): OnTopologyVote(peer, m); break;
            case AdmitWhenAlone m when Accept(peer, MasterPeerEvent.AskWhenAlone, m): OnAdmitWhenAlone(peer, m); break;
            case OptimizeVote m when Accept(peer, MasterPeerEvent.VoteOptimize, m): OnOptimizeVote(peer, m); break;
            case ProbeDone m when Accept(peer, MasterPeerEvent.ReportProbe, m): OnProbeDone(peer, m); break;
            case PendingQuery m when Accept(peer, MasterPeerEvent.QueryPending, m): OnPendingQuery(peer, m); break;
            case Withdraw m when Accept(peer, MasterPeerEvent.Withdraw, m): OnWithdraw(peer, m); break;
            case SharedStateVote m when Accept(peer, MasterPeerEvent.VoteSync, m): OnSharedStateVote(peer, m); break;
            case SharedStateDone m when Accept(peer, MasterPeerEvent.FinishFetch, m): OnSharedStateDone(peer, m); break;
            case HolderFailed m when Accept(peer, MasterPeerEvent.AccuseHolder, m): OnHolderFailed(peer, m); break;
            case CollectiveStart m: OnCollectiveStart(peer, m); break;
            case CollectiveDone m: OnCollectiveDone(peer, m); break;
            case Hello or Announce or EpochReady or LinkFailed or LinkProgress or LinksSurveyed or TopologyVote or AdmitWhenAlone or PendingQuery or Withdraw or OptimizeVote or ProbeDone
                or SharedStateVote or SharedStateDone or HolderFailed:
                break; // Evicted by Accept.
            default: Evict(peer, $"sent {input.Message.Kind}, which is not for a master (or not before its hello)"); break;
        }
    }

    /// <summary>Moves the peer as the table says; an event that is not in the table gets it evicted.</summary>
    private bool Accept(PeerRecord peer, MasterPeerEvent @event, Message message)
    {
        if (MasterPeerTable.Next(peer.State, @event) is { } next)
        {
            peer.State = next;
            return true;
        }

        Evict(peer, $"sent {message.Kind} while {peer.State}: not allowed by the protocol");
        return false;
    }

    /// <summary>A move the master itself makes: always legal.</summary>
    private static void Move(PeerRecord peer, MasterPeerEvent @event)
    {
        var next = MasterPeerTable.Next(peer.State, @event);
        Invariant.Holds(next is not null);
        peer.State = next.Value;
    }

    private void OnHello(PeerRecord peer, Hello hello)
    {
        ForgetStranger(peer);
        peer.Group = hello.Group;
        peer.MinimumWorldSize = hello.MinimumWorldSize;
        peer.KeepsMinimum = hello.KeepsMinimum;
        foreach (var fingerprint in hello.Fingerprints)
        {
            peer.Fingerprints[fingerprint.Scope] = fingerprint.Text;
        }

        UseAddresses(peer, hello);
        var refusal = hello.Version != MessageCodec.Version
            ? $"this master speaks wire version {MessageCodec.Version}, the peer {hello.Version}: use the same release on both"
            : RegistrationRefusal(peer) ?? Misfit(peer);
        if (refusal is not null)
        {
            Refuse(peer, refusal);
            return;
        }

        _pending.Add(peer);
        AwaitRival(peer);
        Emit(new MasterOutput.Send(peer.Connection, new Welcome(peer.Id, (uint)Configuration.HeartbeatTimeoutMs, (uint)Configuration.SegmentBytes)));
        Report(MasterEventKind.PeerPending, peer, $"{peer} of {peer.Group} registered and waits to be admitted");
        NoteCall(peer);
        if (_groups.TryGetValue(peer.Group.Value, out var group))
        {
            TryAdmitCompany(group);
        }

        TryUpdateTopology();
    }

    private string? RegistrationRefusal(PeerRecord peer)
    {
        if (_peers.Count - _unregistered > Limits.PeersMax)
        {
            return $"the run has its maximum of {Limits.PeersMax} peers";
        }

        return AddressRefusal(peer);
    }

    private void OnLeave(PeerRecord peer)
    {
        Emit(new MasterOutput.Close(peer.Connection));
        Report(MasterEventKind.PeerLeft, peer, $"{peer} of {peer.Group} left");
        Remove(peer, $"peer {peer.Id.ToShortString()} left the run");
    }

    /// <summary>It says itself that it is the one to go, so that nobody is blamed for links to it that fail.</summary>
    private void OnLocalFault(PeerRecord peer, LocalFault fault)
    {
        Emit(new MasterOutput.Close(peer.Connection));
        Report(MasterEventKind.PeerFaulted, peer, $"{peer} of {peer.Group} had to leave: {fault.Reason}");
        Remove(peer, $"peer {peer.Id.ToShortString()} had to leave: {fault.Reason}");
    }

    private void OnDisconnected(PeerRecord peer, string reason)
    {
        if (peer.State != MasterPeerState.Unregistered)
        {
            Report(MasterEventKind.PeerLost, peer, $"{peer} of {peer.Group} lost: {reason}", reason: reason);
        }

        Remove(peer, $"peer {peer.Id.ToShortString()} was lost: {reason}");
    }

    private void Evict(PeerRecord peer, string reason)
    {
        if (peer.State == MasterPeerState.Unregistered)
        {
            Emit(new MasterOutput.Send(peer.Connection, new Refused(ErrorCode.MasterRefused, reason)));
            Report(MasterEventKind.ConnectionRejected, null, $"connection from {peer.Remote} closed: {reason}", reason: reason, source: peer.Remote);
        }
        else
        {
            Emit(new MasterOutput.Send(peer.Connection, new Evicted(reason)));
            Report(MasterEventKind.PeerEvicted, peer, $"{peer} of {peer.Group} evicted: {reason}", reason: reason);
        }

        Emit(new MasterOutput.Close(peer.Connection));
        Remove(peer, $"peer {peer.Id.ToShortString()} was evicted: {reason}");
    }

    private void OnTick()
    {
        var gap = _lastTickMs is { } last ? _nowMs - last : 0;
        _lastTickMs = _nowMs;
        if (gap > 3L * Configuration.HeartbeatIntervalMs)
        {
            // The master itself stood still: silence in that gap proves nothing about the peers.
            Report(MasterEventKind.MasterWasFrozen, null, $"the master itself stood still for {gap} ms; nobody is blamed for silence in that time");
            foreach (var peer in _peers.Values)
            {
                peer.LastHeardMs = _nowMs;
                peer.ForgivenMs = 0;
                peer.StuckSinceMs = null;
            }

            foreach (var group in _groups.Values)
            {
                group.OpenedMs = group.ChangedMs = _nowMs;
                group.Survey?.StartedMs = _nowMs;
            }

            _linkTroubles.Clear();
            ForgiveLateProbes();
        }
        else if (gap > Configuration.HeartbeatIntervalMs)
        {
            foreach (var peer in _peers.Values)
            {
                peer.ForgivenMs += gap - Configuration.HeartbeatIntervalMs; // A short standstill does not count as silence, either; nor as a sign of life.
            }
        }

        var beats = _nowMs >= _beatAtMs;
        _beatAtMs = beats ? _nowMs + Configuration.HeartbeatIntervalMs : _beatAtMs;
        Emit(new MasterOutput.WakeAt(NextTickMs()));
        LoseTogether(() => EvictTheSilent(beats));
        BreakStuckLinks();
        RetryLinks();
        EvictWhoDoesNotWire();
        EndWaitsWithoutEnd();
        EndLateProbes();
        TellWaiters();
    }

    /// <summary>The others get a heartbeat when one is due.</summary>
    private void EvictTheSilent(bool beats)
    {
        foreach (var peer in _peers.Values.ToArray())
        {
            var silentMs = _nowMs - peer.LastHeardMs - peer.ForgivenMs;
            if (!_peers.ContainsKey(peer.Connection))
            {
                continue; // Evicted by what an eviction before it in this loop brought about.
            }

            if (peer.State == MasterPeerState.Unregistered)
            {
                if (silentMs > Limits.HandshakeMsMax)
                {
                    Evict(peer, $"no hello within {Limits.HandshakeMsMax} ms");
                }
            }
            else if (silentMs > Configuration.HeartbeatTimeoutMs)
            {
                Evict(peer, $"no heartbeat for {silentMs / 1000.0:0.0} s (timeout {Configuration.HeartbeatTimeoutMs / 1000.0:0.0} s): its process is frozen or its host unreachable");
            }
            else if (beats)
            {
                Emit(new MasterOutput.Send(peer.Connection, s_heartbeat));
            }
        }
    }

    /// <summary>With the heartbeats, or earlier where somebody's silence will have lasted for the timeout, though a few times in an interval at most, however many fall silent.</summary>
    private long NextTickMs()
    {
        var next = _beatAtMs;
        var soonest = _nowMs + (Configuration.HeartbeatIntervalMs / Limits.TicksPerHeartbeatMax);
        foreach (var peer in _peers.Values)
        {
            var silentAtMs = peer.LastHeardMs + peer.ForgivenMs + Configuration.HeartbeatTimeoutMs + 1;
            next = silentAtMs > _nowMs ? Math.Min(next, Math.Max(soonest, silentAtMs)) : next;
        }

        return next;
    }

    private void Emit(MasterOutput output) => _outputs.Add(output);

    private void Report(MasterEventKind kind, PeerRecord? peer, string text, GroupRecord? group = null, string reason = "", PeerAddress? source = null)
        => Emit(new MasterOutput.Report(new MasterEvent(kind, peer?.Id ?? default, group?.Group ?? peer?.Group ?? default, group?.Epoch ?? default, text, reason, source)));

    /// <summary>What is cheap to check is checked after every step, in Release too.</summary>
    private void AssertInvariants()
    {
        Invariant.Holds(_unregistered >= 0);
        Invariant.Holds(_admitted >= 0);
        Invariant.Holds(_admitted + _pending.Count + _unregistered == _peers.Count);
        Invariant.Holds(_votes.Count + _optimizeVotes.Count + _company.Count <= _admitted);
        Invariant.Holds(_queries <= _admitted);
    }

    /// <summary>The rest, for the simulator.</summary>
    public void AssertDeepInvariants()
    {
        Invariant.Holds(_admitted > 0 || Admissible().Count == 0);
        Invariant.Holds(_groups.Values.Sum(g => g.Ring.Count) == _admitted);
        Invariant.Holds(_peers.Values.Where(p => p.State == MasterPeerState.Optimizing).ToHashSet().SetEquals([.. _optimizeVotes, .. _optimization?.Voters ?? []]));
        Invariant.Holds(_optimization is null || _optimization.Probes.Values.All(p => _peers.ContainsKey(p.From.Connection) && _peers.ContainsKey(p.To.Connection)));
        foreach (var group in _groups.Values)
        {
            Invariant.Holds(group.Ring.Count > 0);
            Invariant.Holds(group.Ring.Select((p, i) => p.Rank == i && p.Admitted && _peers.ContainsKey(p.Connection)).All(x => x));
            Invariant.Holds(group.Acknowledgements == group.Ring.Count(p => p.Acknowledged == group.Epoch));
            Invariant.Holds(group.Standing == (group.Acknowledgements == group.Ring.Count));
            Invariant.Holds(group.Standing || group.Attempts.Count == 0);
            Invariant.Holds(group.Attempts.Values.All(a => a.Key.Epoch == group.Epoch && !a.AllPromised));
            Invariant.Holds(group.Ring.All(p => p.OpenAttempts == group.Attempts.Values.Count(a => a.HasEntered(p))));
            Invariant.Holds(group.Ring.All(p => (p.State == MasterPeerState.Reducing) == (p.OpenAttempts > 0)));
            Invariant.Holds(group.Ring.All(p => (p.State == MasterPeerState.Syncing) == (group.Sync?.Votes.ContainsKey(p) ?? false)));
            Invariant.Holds(group.Sync is null or { Votes.Count: > 0 });
            Invariant.Holds(group.Sync is null || group.Sync.Votes.Keys.All(group.Ring.Contains));
            Invariant.Holds(group.Sync is null || group.Sync.Running == (group.Sync.Votes.Count == group.Ring.Count));
            Invariant.Holds(group.Sync is null || group.Sync.Promised.Count < group.Ring.Count);
            Invariant.Holds(group.Sync is null || group.Attempts.Count == 0);
        }
    }
}
