using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace Collective.Native;

/// <summary>What stands behind a <c>pcclComm_t</c>: the communicator, the operations launched and not awaited, and the calls that are blocked.</summary>
internal sealed class CommunicatorHandle
{
    private readonly Communicator _communicator;
    private readonly ConcurrentDictionary<ulong, PendingReduce> _pending = new();
    private readonly ConcurrentDictionary<CancellationTokenSource, byte> _calls = new();

    // Guards the number of calls inside against destruction, and what is seen of the world against calls that end at the same time.
    private readonly Lock _gate = new();
    private TaskCompletionSource? _allOut;
    private int _inside;
    private long _launches;
    private TimeSpan _callTimeout;
    private PeerId _self;

    // What the program sees changes where its own calls end: of operations that were launched, where they are awaited.
    private volatile World? _seen;

    public CommunicatorHandle(CommunicatorOptions options)
    {
        _communicator = new Communicator(options);
        _callTimeout = options.CallTimeout;
    }

    public Counters Counters { get; } = new();

    public int ReducesInFlight => _pending.Count;

    /// <summary>Whether there may be a launch of this number; 0 stands for none.</summary>
    public bool HasLaunched(uint launch) => launch <= Interlocked.Read(ref _launches);

    public void SetCallTimeout(TimeSpan timeout)
    {
        lock (_gate)
        {
            _callTimeout = timeout;
        }
    }

    /// <summary>The world as of the last call that ended.</summary>
    /// <exception cref="NativeException">This communicator was never connected.</exception>
    public (World World, PeerId Self, bool Connected) World() => (_seen ?? throw NeverConnected(), _self, _communicator.IsConnected);

    /// <summary>The latest world that stands; when the connection is lost, the one of the last call.</summary>
    /// <exception cref="NativeException">This communicator was never connected.</exception>
    public (World World, PeerId Self, bool Connected) LiveWorld()
    {
        var last = World();
        try
        {
            return (_communicator.LiveWorld, last.Self, last.Connected);
        }
        catch (CollectiveException)
        {
            return last;
        }
    }

    public void Announce(string? fingerprint, string scope)
    {
        using var inside = Enter();
        _communicator.Announce(fingerprint, scope);
    }

    public void RequireJoined() => _ = World();

    /// <summary>What to add to "this peer is alone": why, where that is known.</summary>
    public string WhyAlone => LiveWorld().World.Reason is { Length: > 0 } reason ? $" ({reason})" : "";

    /// <summary>That this peer is alone is the same for all peers of its group.</summary>
    public bool SeesThatItIsAlone(Func<World, int> size)
    {
        var (world, _, connected) = LiveWorld();
        if (size(world) > 1 || !connected)
        {
            return false;
        }

        See(world);
        return true;
    }

    public void RequireNothingPending()
    {
        if (!_pending.IsEmpty)
        {
            throw new NativeException(PcclResult.PendingAsyncOperations, PcclxError.PendingOperations, $"{_pending.Count} all-reduces were launched and not awaited: await them before this call.");
        }
    }

    public void Connect(TimeSpan? timeout)
    {
        Run(timeout, (time, token) => Blocked(_communicator.ConnectAsync(time, token)));
        Counters.CountConnect();
        lock (_gate)
        {
            _self = _communicator.Id;
            _seen = _communicator.World;
        }
    }

    public void UpdateTopology(TimeSpan? timeout)
    {
        See(Run(timeout, (time, token) => _communicator.UpdateTopologyAsync(time, token)));
        Counters.CountTopologyUpdate();
    }

    /// <summary>Whether the step has admitted peers.</summary>
    public bool Step(TimeSpan? timeout)
    {
        var world = Run(timeout, (time, token) => _communicator.StepAsync(time, token));
        Counters.CountTopologyUpdate();
        See(world);
        return world.HasNewcomers;
    }

    public bool ArePeersPending(TimeSpan? timeout) => Run(timeout, (time, token) => _communicator.ArePeersPendingAsync(time, token));

    public void OptimizeTopology(TimeSpan? timeout) => See(Run(timeout, (time, token) => _communicator.OptimizeTopologyAsync(time, token)));

    public SharedStateSyncResult SynchronizeSharedState(Collective.SharedState state, SyncStrategy strategy, IProgress<SharedStateProgress>? progress, TimeSpan? timeout)
    {
        var result = Run(timeout, (time, token) => _communicator.SynchronizeSharedStateAsync(state, strategy, progress, time, token));
        See(_communicator.World);
        Counters.CountStateSync(result.BytesSent, result.BytesReceived);
        return result;
    }

    /// <summary>Gives the number of the launch.</summary>
    public uint Launch(AllReduceRequest request, TimeSpan? timeout)
        => Launch(request.Tag, timeout, (launch, time) => PendingReduce.Launch(launch, token => _communicator.AllReduceAsync(request, time, token)));

    public uint BeginSet(ulong tag, int count, TimeSpan? timeout)
        => Launch(tag, timeout, (launch, time) => PendingReduce.Begin(launch, token => _communicator.BeginAllReduceMany(count, tag, time, token)));

    /// <summary>Launches a tensor of a set; fails with what has ended the set, if something has.</summary>
    public void LaunchInSet(ulong tag, uint launch, int position, AllReduceRequest request)
    {
        using var inside = Enter();
        var pending = Pending(tag, launch);
        if (!pending.IsSet)
        {
            throw NativeException.InvalidArgument("The handle is that of a single all-reduce: pass one of pcclxBeginAllReduceMany.");
        }

        if (pending.Set is { } set)
        {
            set.Launch(position, request);
        }
        else
        {
            pending.Reduction!.GetAwaiter().GetResult(); // It could not even begin.
        }
    }

    private uint Launch(ulong tag, TimeSpan? timeout, Func<uint, TimeSpan, PendingReduce> launch)
    {
        using var inside = Enter();
        var time = TimeoutOf(timeout);
        if (!_pending.TryAdd(tag, PendingReduce.ForTag()))
        {
            throw TagInUse(tag);
        }

        try
        {
            var number = (uint)Math.Max(1, Interlocked.Increment(ref _launches) & uint.MaxValue);
            _pending[tag] = launch(number, time);
            return number;
        }
        catch
        {
            _pending.TryRemove(tag, out _);
            throw;
        }
    }

    /// <summary>Waits for an operation and frees its tag.</summary>
    public AllReduceResult Await(ulong tag, uint launch)
    {
        using var inside = Enter();
        var pending = Pending(tag, launch);
        if (!pending.TryAwait())
        {
            throw NotInFlight(tag, "another call awaits it");
        }

        try
        {
            pending.Ended.Wait();
            var result = pending.Reduction!.GetAwaiter().GetResult();
            Counters.CountCommitted(pending.Tensors, result.BytesSent, result.BytesReceived);
            See(result.World);
            return result;
        }
        catch (Exception e)
        {
            SeeAfter(e);
            Counters.CountFailed(pending.Tensors, e);
            throw;
        }
        finally
        {
            _pending.TryRemove(tag, out _);
        }
    }

    /// <summary>Whether an operation has ended, after at most the given time; -1: none.</summary>
    public bool Wait(ulong tag, uint launch, long timeoutMs)
    {
        using var inside = Enter();
        var ended = Pending(tag, launch).Ended;
        for (; timeoutMs > int.MaxValue; timeoutMs -= int.MaxValue)
        {
            if (ended.Wait(int.MaxValue))
            {
                return true;
            }
        }

        return ended.Wait((int)timeoutMs);
    }

    public void Notify(ulong tag, uint launch, Action callback) => Pending(tag, launch).Notify(callback);

    public void CancelReduce(ulong tag, uint launch) => Pending(tag, launch).Cancel();

    public AllReduceMultipleResult ReduceAll(IReadOnlyList<AllReduceRequest> requests, int maxInFlight, TimeSpan? timeout)
    {
        var reserved = new List<ulong>();
        try
        {
            foreach (var request in requests)
            {
                if (!_pending.TryAdd(request.Tag, PendingReduce.ForTag()))
                {
                    throw TagInUse(request.Tag);
                }

                reserved.Add(request.Tag);
            }

            var result = Run(timeout, (time, token) => _communicator.AllReduceMultipleWithRetryAsync(requests, maxInFlight, time, token));
            See(result.World);
            Counters.CountCommitted(requests.Count, result.BytesSent, result.BytesReceived);
            Counters.CountFailed(result.Retries, null);
            return result;
        }
        finally
        {
            foreach (var tag in reserved)
            {
                _pending.TryRemove(tag, out _);
            }
        }
    }

    /// <summary>All or none of these.</summary>
    public AllReduceResult ReduceMany(IReadOnlyList<AllReduceRequest> requests, ulong tag, TimeSpan? timeout)
    {
        var launch = Launch(tag, timeout, (launch, time) => PendingReduce.Launch(launch, token => _communicator.AllReduceManyAsync(requests, tag, time, token), requests.Count));
        return Await(tag, launch);
    }

    /// <summary>Ends every blocked call and every operation in flight.</summary>
    public void Cancel()
    {
        foreach (var call in _calls.Keys)
        {
            try
            {
                call.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // It has just ended.
            }
        }

        foreach (var pending in _pending.Values)
        {
            pending.Cancel();
        }
    }

    /// <summary>Leaves the run; returns when no call is inside and no buffer is touched any more.</summary>
    public void Destroy()
    {
        Task allOut;
        lock (_gate)
        {
            _allOut = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            allOut = _inside == 0 ? Task.CompletedTask : _allOut.Task;
        }

        _communicator.DisposeAsync().AsTask().GetAwaiter().GetResult();
        foreach (var pending in _pending.Values)
        {
            pending.Ended.Wait();
        }

        allOut.Wait();
    }

    /// <summary>Runs a call that may block, where <see cref="Cancel"/> finds it.</summary>
    private T Run<T>(TimeSpan? timeout, Func<TimeSpan, CancellationToken, Task<T>> call)
    {
        using var inside = Enter();
        using var cancellation = new CancellationTokenSource();
        _calls[cancellation] = 0;
        try
        {
            return call(TimeoutOf(timeout), cancellation.Token).GetAwaiter().GetResult();
        }
        catch (CollectiveException e)
        {
            SeeAfter(e);
            Counters.CountCallFailed(e);
            throw;
        }
        finally
        {
            _calls.TryRemove(cancellation, out _);
        }
    }

    /// <summary>Operations may be awaited in another order than they ended.</summary>
    private void See(World world)
    {
        lock (_gate)
        {
            _seen = _seen is { } seen && seen.Epoch > world.Epoch ? seen : world;
        }
    }

    private void SeeAfter(Exception failure)
    {
        if ((failure as CollectiveException ?? failure.InnerException as CollectiveException)?.World is { } world)
        {
            See(world);
        }
    }

    private Inside Enter()
    {
        lock (_gate)
        {
            if (_allOut is not null)
            {
                throw Destroyed();
            }

            _inside++;
        }

        return new Inside(this);
    }

    private void Leave()
    {
        lock (_gate)
        {
            if (--_inside == 0)
            {
                _allOut?.TrySetResult();
            }
        }
    }

    private TimeSpan TimeoutOf(TimeSpan? ofCall)
    {
        lock (_gate)
        {
            return ofCall ?? _callTimeout;
        }
    }

    /// <summary>Of a tag that was launched again meanwhile, an older handle names nothing any more.</summary>
    private PendingReduce Pending(ulong tag, uint launch)
        => _pending.TryGetValue(tag, out var pending) && !pending.Reserved && pending.LaunchNumber == launch
            ? pending
            : throw NotInFlight(tag, "the one that the handle names was awaited already, or never launched");

    private static async Task<bool> Blocked(Task task)
    {
        await task.ConfigureAwait(false);
        return true;
    }

    private static NativeException NeverConnected()
        => new(PcclResult.InvalidUsage, PcclxError.NotConnected, "The communicator is not connected: connect first.");

    private static NativeException Destroyed()
        => new(PcclResult.InvalidUsage, PcclxError.Destroyed, "The communicator is being destroyed by another thread.");

    private static NativeException TagInUse(ulong tag)
        => NativeException.InvalidArgument($"Tag {tag} is in use by an all-reduce that was launched and not awaited: await it, or use another tag.");

    private static NativeException NotInFlight(ulong tag, string why)
        => new(PcclResult.RankConnectionLost, PcclxError.InvalidUsage, $"There is no all-reduce with tag {tag} to wait for: {why}.");

    private readonly struct Inside(CommunicatorHandle handle) : IDisposable
    {
        public void Dispose() => handle.Leave();
    }
}
