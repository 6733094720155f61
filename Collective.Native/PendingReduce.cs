namespace Collective.Native;

/// <summary>An all-reduce from launch until it was awaited.</summary>
internal sealed class PendingReduce
{
    private readonly CancellationTokenSource _cancellation = new();

    // Guards the list of callbacks: it is closed when the operation ends.
    private readonly Lock _gate = new();
    private List<Action>? _callbacks = [];
    private readonly TaskCompletionSource _ended = new();
    private int _awaited;

    private PendingReduce(bool reserved, uint launchNumber = 0)
    {
        Reserved = reserved;
        LaunchNumber = launchNumber;
    }

    /// <summary>Tells it from other launches of the same tag.</summary>
    public uint LaunchNumber { get; }

    /// <summary>The set, if it is one and could be begun.</summary>
    public AllReduceSet? Set { get; private set; }

    public bool IsSet { get; private init; }

    /// <summary>How many tensors it reduces.</summary>
    public int Tensors { get; private set; } = 1;

    /// <summary>Only holds a tag, for an operation that another call runs.</summary>
    public bool Reserved { get; }

    /// <summary>Ends when the operation has, and those who asked for it have been called; never faults.</summary>
    public Task Ended => Reserved ? Task.CompletedTask : _ended.Task;

    public Task<AllReduceResult>? Reduction { get; private set; }

    public static PendingReduce ForTag() => new(reserved: true);

    public static PendingReduce Launch(uint number, Func<CancellationToken, Task<AllReduceResult>> launch, int tensors = 1)
        => new PendingReduce(reserved: false, number) { Tensors = tensors }.Run(launch);

    public static PendingReduce Begin(uint number, Func<CancellationToken, AllReduceSet> begin)
    {
        var pending = new PendingReduce(reserved: false, number) { IsSet = true };
        return pending.Run(token =>
        {
            pending.Set = begin(token);
            pending.Tensors = pending.Set.Count;
            return pending.Set.Completion;
        });
    }

    /// <summary>True for the first who awaits.</summary>
    public bool TryAwait() => !Reserved && Interlocked.Exchange(ref _awaited, 1) == 0;

    public void Cancel() => _cancellation.Cancel();

    private PendingReduce Run(Func<CancellationToken, Task<AllReduceResult>> launch)
    {
        Task<AllReduceResult> reduction;
        try
        {
            reduction = launch(_cancellation.Token);
        }
        catch (CollectiveException e) when (e.Code is ErrorCode.MasterLost or ErrorCode.Evicted)
        {
            reduction = Task.FromException<AllReduceResult>(e); // As for an operation that the loss overtakes: who awaits is told.
        }

        Reduction = reduction;
        reduction.ContinueWith(static (_, state) => ((PendingReduce)state!).OnEnded(), this, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return this;
    }

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

        if (callbacks.Count == 0)
        {
            _ended.SetResult();
            return;
        }

        // Not here: this may be the loop of the peer, which owes heartbeats.
        new Notification(callbacks, _ended).Start();
    }

    /// <summary>Calls of the program, on a thread of the pool; where the system gives none, on this one.</summary>
    private sealed class Notification(List<Action> callbacks, TaskCompletionSource ended) : IThreadPoolWorkItem
    {
        private int _begun;

        public void Start()
        {
            try
            {
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            }
            catch (OutOfMemoryException)
            {
                Execute();
            }
        }

        public void Execute()
        {
            if (Interlocked.Exchange(ref _begun, 1) == 0)
            {
                try
                {
                    callbacks.ForEach(callback => callback());
                }
                finally
                {
                    ended.SetResult();
                }
            }
        }
    }
}
