using System.Collections.Concurrent;
using Collective.Collectives;
using Collective.Coordination;
using Collective.Hosting;
using Collective.Protocol;
using Collective.Sharing;
using Collective.Transport;
using Microsoft.Extensions.Logging;

namespace Collective;

/// <summary>One stay of a communicator in a run, from connect to death: its loop, its pending calls and its operations in flight.</summary>
internal sealed class Participation : IPeerHandler
{
    private readonly ConcurrentDictionary<OperationId, AllReduceOperation> _operations = new();
    private readonly ConcurrentDictionary<RequestNumber, TaskCompletionSource<(bool Yes, World World)>> _requests = new();
    private readonly ConcurrentDictionary<OperationId, AllReduceSet> _sets = new();
    private readonly TaskCompletionSource<bool> _admitted;

    // Ends where the loop does: what waits needs no thread of the pool, so that a peer can be closed where the system gives none.
    private readonly TaskCompletionSource<bool> _ended = Completions.New<bool>(inline: true);
    private readonly bool _inline;
    private readonly WorkBuffers _workBuffers;
    private readonly RingPool _rings = new();
    private readonly StateDonor _donor;
    private readonly ILogger _logger;
    private readonly int _stripeCount;
    private StateSynchronisation? _synchronisation;

    // Who lacked nothing in the last sync is likely to lack nothing in the next one.
    private volatile bool _wasUpToDate;
    private readonly PeerHost _host;
    private readonly Action<string>? _probe;
    private long _lastOperation;
    private long _lastRequest;
    private volatile int _segmentBytes;
    private volatile World? _live;
    private World? _seen;
    private long _worlds;
    private volatile CollectiveException? _failure;
    private Outcome _cause;

    public Participation(CommunicatorOptions options, HostPort master, HostPort? advertised, WorkBuffers workBuffers, ILogger logger)
    {
        _workBuffers = workBuffers;
        _inline = options.CallersBlock;
        _admitted = Completions.New<bool>(_inline);
        _probe = options.Probe;
        _logger = logger;
        _stripeCount = options.StripeCount;
        _donor = new StateDonor(new UploadLimit(options.StateUploadBytesPerSecond), () => _probe?.Invoke("state-given"));
        var hostOptions = new PeerHostOptions(master.Host, master.Port, new PeerGroup(options.Group), options.MinimumWorldSize, options.ConnectTimeout, options.LinkStallTimeout, options.Probe)
        {
            KeepsMinimum = options.KeepMinimumWorldSize,
            Advertised = advertised is { } own ? (own.Host, own.Port) : null,
        };
        hostOptions = options.Resolve is { } resolve ? hostOptions with { Resolve = resolve } : hostOptions;
        _host = new PeerHost(hostOptions, new DataListener(options.ListenPort, CommunicatorOptions.DefaultListenPort, options.StripeCount) { ProbeLimit = options.ProbeLimit }, this, logger);
    }

    /// <summary>Completes when this peer is admitted; fails with what ended it before.</summary>
    public Task Admitted => _admitted.Task;

    /// <summary>Completes when everything is closed, for whatever reason.</summary>
    public Task Closed => _ended.Task;

    public PeerId Id { get; private set; }

    /// <summary>What the application sees: it changes only with the end of a call, at which all peers of the group see the same change.</summary>
    public World? World => Volatile.Read(ref _seen);

    /// <summary>The latest membership that stands.</summary>
    public World? LiveWorld => _live;

    /// <summary>Why this stay ended, once it has.</summary>
    public CollectiveException? Failure => _failure;

    public void Start(long timeoutMs, IReadOnlyList<Fingerprint> fingerprints) => _host.Start(timeoutMs, fingerprints);

    public void Announce(string scope, string? fingerprint) => _host.Post(new PeerInput.Announce(scope, fingerprint));

    public void Leave() => _host.Post(new PeerInput.Leave());

    /// <summary>Whether somebody was admitted, and the world of the answer.</summary>
    public Task<(bool Yes, World World)> UpdateTopology(long timeoutMs, CancellationToken cancellationToken) => Ask(number => new PeerInput.UpdateTopology(number, timeoutMs), cancellationToken);

    public Task<(bool Yes, World World)> OptimizeTopology(long timeoutMs, CancellationToken cancellationToken) => Ask(number => new PeerInput.OptimizeTopology(number, timeoutMs), cancellationToken);

    /// <summary>Whether somebody was admitted, this peer included.</summary>
    public Task<(bool Yes, World World)> Step(long timeoutMs, CancellationToken cancellationToken) => Ask(number => new PeerInput.Step(number, timeoutMs), cancellationToken);

    public async Task<bool> QueryPending(long timeoutMs, CancellationToken cancellationToken)
        => (await Ask(number => new PeerInput.QueryPending(number, timeoutMs), cancellationToken).ConfigureAwait(false)).Yes;

    public AllReduceOperation NewOperation(Tag tag, CollectiveDescriptor descriptor, AllReduceSet? set = null)
        => new(NextOperation(), tag, descriptor, _segmentBytes, _workBuffers, _rings, _host.Post, set, _inline) { Sees = See };

    /// <summary>One tensor, on its own or of a set, with its buffers taken.</summary>
    public AllReduceOperation NewOperation(AllReduceRequest request, Tag tag, ushort tensors = 1, AllReduceSet? set = null)
    {
        var descriptor = request.Describe() with { Tensors = tensors };
        var operation = NewOperation(tag, descriptor, set);
        if (request.UnmanagedMemory is { } memory)
        {
            operation.UseMemory(memory.Source, memory.Destination);
        }
        else
        {
            operation.Pin(request.Source, request.Destination);
        }

        return operation;
    }

    public void Launch(AllReduceOperation operation, long timeoutMs)
    {
        _operations[operation.Id] = operation;
        _host.Post(new PeerInput.Launch(operation.Id, operation.Tag, operation.Descriptor, timeoutMs));
        if (_failure is not null)
        {
            FinishOperation(operation.Id, _cause, sees: false); // It came after the last output.
        }
    }

    public AllReduceSet BeginSet(Tag tag, int count, long timeoutMs, CancellationToken cancellationToken)
    {
        var set = new AllReduceSet(this, NextOperation(), tag, count, _inline);
        _sets[set.Id] = set;
        _host.Post(new PeerInput.BeginSet(set.Id, tag, count, timeoutMs));
        if (_failure is not null)
        {
            FinishOperation(set.Id, _cause, sees: false); // It came after the last output.
        }

        set.CancelWith(cancellationToken);
        return set;
    }

    public void LaunchTensor(AllReduceSet set, AllReduceOperation tensor, ushort position)
        => _host.Post(new PeerInput.LaunchTensor(set.Id, tensor.Id, position, tensor.Descriptor));

    /// <summary>A tensor of a set is launched.</summary>
    public void Remember(AllReduceOperation tensor) => _operations[tensor.Id] = tensor;

    /// <summary>It has ended with the set.</summary>
    public void Forget(AllReduceOperation tensor) => _operations.TryRemove(tensor.Id, out _);

    public void Cancel(OperationId operation) => _host.Post(new PeerInput.Cancel(operation));

    /// <summary>Synchronises tensors that stay where they are until the task ends.</summary>
    public Task<SharedStateSyncResult> Synchronise(PinnedState state, SyncStrategy strategy, IProgress<SharedStateProgress>? progress, long timeoutMs, CancellationToken cancellationToken)
    {
        var number = new RequestNumber((ulong)Interlocked.Increment(ref _lastRequest));
        var synchronisation = new StateSynchronisation(number, state, strategy, _wasUpToDate, progress, _host, _donor, _stripeCount, _workBuffers, _logger, SyncOver, _inline);
        if (Interlocked.CompareExchange(ref _synchronisation, synchronisation, null) is not null)
        {
            throw new CollectiveException(ErrorCode.InvalidUsage, "this peer is already in a sync of the shared state: await that first");
        }

        if (_failure is not null)
        {
            synchronisation.Finish(_cause);
        }

        return synchronisation.Run(timeoutMs, cancellationToken);
    }

    private void SyncOver(bool hadEverything)
    {
        _wasUpToDate = hadEverything;
        _synchronisation = null;
    }

    public void Welcomed(PeerId id, uint segmentBytes)
    {
        Id = id;
        _segmentBytes = (int)Math.Clamp(segmentBytes, Limits.SegmentBytesMin, Limits.SegmentBytesMax);
    }

    public void WorldStands(Membership membership)
    {
        var world = new World(
            membership.Epoch,
            [.. membership.Members.Select(m => m.Id)],
            membership.Rank,
            membership.Sizes.Global,
            membership.Sizes.Groups,
            membership.Sizes.LargestGroup,
            ++_worlds)
        {
            Reason = membership.Reason,
        };
        _live = world;
        _ = Interlocked.CompareExchange(ref _seen, world, null); // The first one ends connect.
        _admitted.Complete(true);
    }

    public void StartRing(OperationId operation, AttemptKey attempt, Membership membership)
    {
        if (_operations.TryGetValue(operation, out var found))
        {
            found.StartRing(_host.Transport!, attempt, membership, _live!);
        }
    }

    public void ReleaseRing(OperationId operation)
    {
        if (_operations.TryGetValue(operation, out var found))
        {
            found.ReleaseRing();
        }
    }

    public void StopRing(OperationId operation)
    {
        if (_operations.TryGetValue(operation, out var found))
        {
            found.StopRing();
        }
    }

    public void FinishOperation(OperationId operation, Outcome outcome, bool sees)
    {
        if (_sets.TryRemove(operation, out var set))
        {
            _probe?.Invoke("finish-operation");
            set.Finish(outcome, sees ? _live : null);
        }
        else if (_operations.TryRemove(operation, out var found))
        {
            _probe?.Invoke("finish-operation");
            found.Finish(outcome, sees ? _live : null);
        }
    }

    public void FinishRequest(RequestNumber request, Outcome outcome, bool yes, bool sees)
    {
        if (!_requests.TryRemove(request, out var completion))
        {
            return;
        }

        if (sees)
        {
            See(_live!);
        }

        if (outcome.Succeeded)
        {
            completion.Complete((yes, World!));
        }
        else
        {
            completion.Fail(Failures.Of(outcome));
        }
    }

    public void FetchState(RequestNumber request, SharedStatePlan plan) => Find(request)?.Fetch(plan);

    public void HolderLost(RequestNumber request, PeerId holder) => Find(request)?.HolderLost(holder);

    public void FinishSync(PeerOutput.FinishSync end)
    {
        if (end.Seen is not null)
        {
            See(_live!);
        }

        Find(end.Request)?.Finish(end, end.Seen is null ? null : _live);
    }

    public void ServeState(IByteConnection connection) => _donor.Serve(connection);

    public bool GivesState => _donor.Serving;

    public void Ticked() => _workBuffers.GiveBackUnused();

    public void Dying(Outcome outcome)
    {
        _cause = outcome.Succeeded ? new Outcome(ErrorCode.NotConnected, "this communicator has left the run") : outcome;
        _failure = Failures.Of(_cause);
    }

    public void Died(Outcome outcome)
    {
        Dying(outcome);
        foreach (var operation in _sets.Keys.Concat(_operations.Where(o => !o.Value.IsOfSet).Select(o => o.Key)))
        {
            FinishOperation(operation, _cause, sees: false);
        }

        foreach (var request in _requests.Keys)
        {
            FinishRequest(request, _cause, yes: false, sees: false);
        }

        _synchronisation?.Finish(_cause);
        _admitted.Fail(_failure!);
        _ = _admitted.Task.Exception; // Observed: nobody may be waiting.
        _workBuffers.GiveBack();
    }

    public void Ended() => _ended.Complete(true);

    /// <summary>Has the caller's token cancel a collective, and say so.</summary>
    public static async Task<AllReduceResult> WithCancellation(Task<AllReduceResult> reduction, Action cancel, CancellationToken cancellationToken)
    {
        var registration = cancellationToken.Register(cancel);
        try
        {
            return await reduction.ConfigureAwait(false);
        }
        catch (CollectiveException e) when (e.Code == ErrorCode.OperationAborted && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException($"The all-reduce was cancelled, and aborted for all peers: inputs are what they were. ({e.Message})", e, cancellationToken);
        }
        finally
        {
            registration.Unregister(); // Without waiting for one that runs, which would need a thread; it comes too late to matter.
        }
    }

    private OperationId NextOperation() => new(Interlocked.Increment(ref _lastOperation));

    private StateSynchronisation? Find(RequestNumber request) => _synchronisation is { } current && current.Request == request ? current : null;

    /// <summary>Several collectives may end together, in any order: the latest world counts.</summary>
    public void See(World world)
    {
        for (var seen = World; seen is null || world.Order > seen.Order; seen = World)
        {
            if (Interlocked.CompareExchange(ref _seen, world, seen) == seen)
            {
                return;
            }
        }
    }

    private async Task<(bool Yes, World World)> Ask(Func<RequestNumber, PeerInput> input, CancellationToken cancellationToken)
    {
        var number = new RequestNumber((ulong)Interlocked.Increment(ref _lastRequest));
        var completion = Completions.New<(bool Yes, World World)>(_inline);
        _requests[number] = completion;
        _host.Post(input(number));
        if (_failure is not null)
        {
            FinishRequest(number, _cause, yes: false, sees: false);
        }

        var registration = cancellationToken.Register(() => _host.Post(new PeerInput.Withdraw(number)));
        try
        {
            return await completion.Task.ConfigureAwait(false);
        }
        catch (CollectiveException e) when (e.Code == ErrorCode.TimedOut && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException($"The call was cancelled. ({e.Message})", e, cancellationToken);
        }
        finally
        {
            registration.Unregister(); // Without waiting for one that runs, which would need a thread; it comes too late to matter.
        }
    }
}
