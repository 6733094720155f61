using System.Diagnostics;
using Collective.Collectives;
using Collective.Coordination;
using Collective.Hosting;
using Collective.Protocol;
using Collective.Sharing;
using Collective.Transport;
using Microsoft.Extensions.Logging;

namespace Collective;

/// <summary>
/// One sync of the shared state, on a thread of its own: hashes the tensors, gives them to who asks, fetches what the plan says, and writes to the caller's memory only
/// after the verdict. The caller hears of the end when nobody touches the tensors any more.
/// </summary>
internal sealed class StateSynchronisation : IFetchEvents
{
    private const int ProgressIntervalMs = 100;

    private readonly TaskCompletionSource<SharedStateSyncResult> _completion;
    private readonly PinnedState _state;
    private readonly SyncStrategy _strategy;

    // Before the vote. Who only receives need not: its hashes are worth computing ahead only when it is likely to have the elected content.
    private readonly bool _hashAhead;
    private readonly PeerHost _host;
    private readonly StateDonor _donor;
    private readonly int _stripeCount;
    private readonly WorkBuffers _workBuffers;
    private readonly ILogger _logger;

    // Told whether it succeeded and this peer had everything already.
    private readonly Action<bool> _over;
    private bool _hadEverything;
    private IProgress<SharedStateProgress>? _progress;

    // Guards the three fields below between the peer's loop and the thread of the sync.
    private readonly object _gate = new();
    private StateFetcher? _fetcher;
    private PeerOutput.FinishSync? _end;
    private World? _seen;

    public StateSynchronisation(
        RequestNumber request,
        PinnedState state,
        SyncStrategy strategy,
        bool hashAhead,
        IProgress<SharedStateProgress>? progress,
        PeerHost host,
        StateDonor donor,
        int stripeCount,
        WorkBuffers workBuffers,
        ILogger logger,
        Action<bool> over,
        bool inline)
    {
        _completion = Completions.New<SharedStateSyncResult>(inline);
        Request = request;
        _state = state;
        _strategy = strategy;
        _hashAhead = hashAhead || strategy != SyncStrategy.ReceiveOnly;
        _progress = progress;
        _host = host;
        _donor = donor;
        _stripeCount = stripeCount;
        _workBuffers = workBuffers;
        _logger = logger;
        _over = over;
    }

    public RequestNumber Request { get; }

    public Task<SharedStateSyncResult> Run(long timeoutMs, CancellationToken cancellationToken)
    {
        try
        {
            new Thread(() => RunGuarded(timeoutMs, cancellationToken), maxStackSize: 1024 * 1024) { IsBackground = true, Name = "collective-sync" }.Start();
        }
        catch (OutOfMemoryException e)
        {
            _over(_hadEverything);
            throw new CollectiveException(ErrorCode.LimitExceeded, $"this peer cannot synchronize: {Shortage.Of(e)}", e);
        }

        return _completion.Task;
    }

    /// <summary>Called by the peer's loop, as the following two.</summary>
    public void Fetch(SharedStatePlan plan)
    {
        var fetcher = new StateFetcher(plan, _state.Tensors, _stripeCount, _host.Transport!, new StagingMemory(_workBuffers.Rent, _workBuffers.Return), this);
        lock (_gate)
        {
            _fetcher = fetcher;
        }

        fetcher.Start();
    }

    public void HolderLost(PeerId holder) => _fetcher?.HolderLost(holder);

    /// <summary>The first end counts.</summary>
    public void Finish(PeerOutput.FinishSync end, World? seen = null)
    {
        lock (_gate)
        {
            if (_end is null)
            {
                (_end, _seen) = (end, seen);
            }

            Monitor.PulseAll(_gate);
        }
    }

    public void Finish(Outcome outcome) => Finish(new PeerOutput.FinishSync(Request, outcome, default, []));

    public void Fetched(bool ok, string detail) => _host.Post(new PeerInput.StateFetched(Request, ok, detail));

    public void HolderFailed(PeerId holder, bool wrongBytes, string detail)
    {
        _logger.LogWarning("Holder {Holder} of shared state {Detail}", holder.ToShortString(), detail);
        _host.Post(new PeerInput.HolderFailed(Request, holder, wrongBytes, detail));
    }

    public void Failed(Exception exception) => _host.Failed(exception);

    private void RunGuarded(long timeoutMs, CancellationToken cancellationToken)
    {
        try
        {
            Conclude(Exchange(timeoutMs, cancellationToken), cancellationToken);
        }
        catch (OperationCanceledException e)
        {
            Release();
            _completion.Fail(e);
        }
        catch (Exception e)
        {
            _host.Failed(e);
            Release();
            _completion.Fail(Shortage.Of(e) is { } reason
                ? new CollectiveException(ErrorCode.LimitExceeded, $"this peer cannot synchronize: {reason}", e)
                : new CollectiveException(ErrorCode.InternalError, e.Message, e));
        }

        _fetcher?.Dispose(); // The caller need not wait until the memory is given back.
    }

    /// <summary>From the hashes to the verdict.</summary>
    private PeerOutput.FinishSync Exchange(long timeoutMs, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        if (_hashAhead)
        {
            StateHasher.HashLeaves(_state.Tensors, cancellationToken);
        }

        if (_strategy != SyncStrategy.ReceiveOnly)
        {
            _donor.Publish(_state.Tensors);
        }

        var leftMs = timeoutMs == PeerInput.NoTimeout ? timeoutMs : Math.Max(1, timeoutMs - (long)Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        _host.Post(new PeerInput.Synchronise(Request, _state.Revision, _state.Rule, _strategy, _state.Entries(), leftMs));
        using var registration = cancellationToken.Register(() => _host.Post(new PeerInput.Withdraw(Request)));
        while (true)
        {
            StateFetcher? fetcher;
            lock (_gate)
            {
                if (_end is { } end)
                {
                    return end;
                }

                Monitor.Wait(_gate, _progress is null ? Timeout.Infinite : ProgressIntervalMs);
                fetcher = _fetcher;
            }

            Report(fetcher);
        }
    }

    private void Conclude(PeerOutput.FinishSync end, CancellationToken cancellationToken)
    {
        _fetcher?.Stop();
        var given = _donor.Withdraw();
        var result = default(SharedStateSyncResult);
        if (end.Outcome.Succeeded)
        {
            _fetcher?.CopyToTensors();
            _state.Adopt(end.Revision);
            Report(_fetcher);
            var fetched = _fetcher?.Progress() ?? new FetchProgress(0, 0, []);
            _hadEverything = fetched.BytesDone == 0;
            result = new SharedStateSyncResult(
                end.Revision.Value, given.Bytes, fetched.BytesDone, given.WireBytes, _fetcher?.WireBytes ?? 0, _fetcher?.KeysReceived ?? [], fetched.Donors, end.LeftOut);
        }

        Release();
        if (end.Outcome.Succeeded)
        {
            _completion.Complete(result);
        }
        else if (end.Outcome.Code == ErrorCode.TimedOut && cancellationToken.IsCancellationRequested)
        {
            var reason = Failures.Of(end.Outcome);
            _completion.Fail(new OperationCanceledException($"The sync was cancelled, and nothing was written. ({reason.Message})", reason, cancellationToken));
        }
        else
        {
            _completion.Fail(Failures.Of(end.Outcome, _seen));
        }
    }

    /// <summary>Nobody touches the tensors any more, and another sync may begin.</summary>
    private void Release()
    {
        _fetcher?.Stop();
        _donor.Withdraw();
        _state.Dispose();
        _over(_hadEverything);
    }

    private void Report(StateFetcher? fetcher)
    {
        if (_progress is null || fetcher is null)
        {
            return;
        }

        try
        {
            var progress = fetcher.Progress();
            _progress.Report(new SharedStateProgress(progress.BytesDone, progress.BytesTotal, progress.Donors));
        }
        catch (Exception e)
        {
            _logger.LogWarning(e, "The progress callback failed; it is told no more");
            _progress = null;
        }
    }
}
