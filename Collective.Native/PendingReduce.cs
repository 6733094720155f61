namespace Collective.Native;

/// <summary>An all-reduce from launch until it was awaited.</summary>
internal sealed class PendingReduce
{
    private readonly CancellationTokenSource _cancellation = new();

    // Guards the list of callbacks: it is closed when the operation ends.
    private readonly Lock _gate = new();
    private List<Action>? _callbacks = [];
    private int _awaited;

    private PendingReduce(bool reserved)
    {
        Reserved = reserved;
    }

    /// <summary>Only holds a tag, for an operation that another call runs.</summary>
    public bool Reserved { get; }

    /// <summary>Ends when the operation has, and those who asked for it have been called; never faults.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    public Task<AllReduceResult>? Reduction { get; private set; }

    public static PendingReduce ForTag() => new(reserved: true);

    public static PendingReduce Launch(Func<CancellationToken, Task<AllReduceResult>> launch)
    {
        var pending = new PendingReduce(reserved: false);
        Task<AllReduceResult> reduction;
        try
        {
            reduction = launch(pending._cancellation.Token);
        }
        catch (CollectiveException e) when (e.Code is ErrorCode.MasterLost or ErrorCode.Evicted)
        {
            reduction = Task.FromException<AllReduceResult>(e); // As for an operation that the loss overtakes: who awaits is told.
        }

        pending.Reduction = reduction;
        pending.Ended = reduction.ContinueWith(static (_, state) => ((PendingReduce)state!).OnEnded(), pending, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return pending;
    }

    /// <summary>True for the first who awaits.</summary>
    public bool TryAwait() => !Reserved && Interlocked.Exchange(ref _awaited, 1) == 0;

    public void Cancel() => _cancellation.Cancel();

    /// <summary>Has the action run once when the operation has ended: now, if it has.</summary>
    public void Notify(Action callback)
    {
        lock (_gate)
        {
            if (_callbacks is { } list)
            {
                list.Add(callback);
                return;
            }
        }

        callback();
    }

    private void OnEnded()
    {
        _ = Reduction!.Exception; // Observed: nobody may await.
        List<Action> callbacks;
        lock (_gate)
        {
            callbacks = _callbacks!;
            _callbacks = null;
        }

        foreach (var callback in callbacks)
        {
            callback();
        }
    }
}
