using System.Diagnostics;
using System.Net;
using Collective.Stress.Processes;

namespace Collective.Stress.Churn;

/// <summary>
/// One peer of the churn program: the canonical loop that asks whether somebody is pending, lets newcomers in, agrees on the step and reduces, and that
/// checks all it is given. Whatever is aborted is repeated before anything else is called. A peer that was evicted, or lost its master, connects again.
/// </summary>
internal sealed class ChurnPeer : IAsyncDisposable
{
    private const int AgreementIndex = 0;

    private static readonly TimeSpan _connectTimeout = TimeSpan.FromSeconds(2);
    /// <summary>In the sentence of a sync that has no majority.</summary>
    public const string Undecided = "could be elected";

    private static readonly TimeSpan _reconnectPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan _lonePause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan _aliveInterval = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan _waitingInterval = TimeSpan.FromSeconds(2);

    private volatile Communicator _communicator;
    private readonly IPEndPoint _master;
    private readonly JsonLineWriter<ChurnEvent> _events;
    private readonly Random _thinking;
    private readonly IReadOnlyList<ChurnOperation> _single;
    private readonly IReadOnlyList<ChurnOperation> _batch;
    private readonly ChurnState _state;
    private readonly bool _isMisfit;
    private volatile bool _leaving;
    private bool _hasSynced; // Since it connected.
    private ulong _step;
    private long _lastAlive;
    private volatile Call _call = new("connect", Stopwatch.GetTimestamp());

    public ChurnPeer(string master, int seed, MisfitKind? misfit, JsonLineWriter<ChurnEvent> events)
    {
        _isMisfit = misfit is not null;
        _state = new ChurnState(misfit);
        _events = events;
        _master = IPEndPoint.Parse(master);
        _thinking = new Random(seed);
        (_single, _batch) = ChurnOperation.All();
        _communicator = NewCommunicator();
    }

    private Communicator NewCommunicator() => new(new CommunicatorOptions(_master.ToString())
    {
        ListenPort = 0,
        StripeCount = ChurnPlan.StripeCount,
        ConnectTimeout = _connectTimeout,
        StateUploadBytesPerSecond = ChurnPlan.StateUploadBytesPerSecond,
    });

    private static long Now => Stopwatch.GetTimestamp();

    /// <summary>Where this peer is, and since when.</summary>
    private sealed record Call(string Name, long Since);

    /// <summary>There is nobody left to reduce with.</summary>
    private sealed class AloneException : Exception;

    /// <summary>This misfit is done.</summary>
    private sealed class MisfitException : Exception;

    /// <summary>A command of the orchestrator.</summary>
    public void Obey(string command)
    {
        switch (command.Split(' '))
        {
            case ["leave"]:
                _leaving = true;
                _ = _communicator.DisposeAsync().AsTask();
                break;
            case ["reset", "stripe", var random]:
                _events.Write(new ChurnEvent.LinksBroken(Now, DataSockets.ResetOne(_master, int.Parse(random, null))));
                break;
            case ["reset", "link", ..]:
                _events.Write(new ChurnEvent.LinksBroken(Now, DataSockets.ResetLink(_master)));
                break;
        }
    }

    public async Task RunAsync()
    {
        await using var watch = new Timer(_ => TellIfWaiting(), null, _waitingInterval, _waitingInterval);
        while (!_leaving)
        {
            try
            {
                Enter("connect");
                await _communicator.ConnectAsync();
                _state.Forget();
                _hasSynced = false;
                var world = _communicator.World;
                _events.Write(new ChurnEvent.Connected(Now, Short(_communicator.Id), world.Epoch.Value, world.WorldSize));
                await StayAsync();
            }
            catch (CollectiveException error) when (IsLoss(error.Code))
            {
                var at = Now;
                if (!_leaving)
                {
                    await LeaveIfStillThereAsync();
                    _events.Write(new ChurnEvent.Lost(at, error.Code.ToString(), error.Message));
                    await Task.Delay(_reconnectPause);
                }
            }
            catch (MisfitException)
            {
                _leaving = true;
            }
            catch (CollectiveException error) when (_isMisfit && error.Code is ErrorCode.Mismatch or ErrorCode.RevisionMismatch)
            {
                _events.Write(new ChurnEvent.Dismissed(Now, error.Code.ToString(), error.Message));
                _leaving = true;
            }
            catch (ObjectDisposedException) when (_leaving)
            {
                // It left between two calls.
            }
        }
    }

    /// <summary>Misfits may be more than the fitting newcomers, where all are gone who had synced.</summary>
    private bool IsLoss(ErrorCode code)
        => code is ErrorCode.Evicted or ErrorCode.MasterLost or ErrorCode.MasterUnreachable or ErrorCode.NotConnected or ErrorCode.LimitExceeded
            || (code is ErrorCode.Mismatch or ErrorCode.RevisionMismatch && !_isMisfit && !_hasSynced);

    /// <summary>After a shortage that was the call's alone: the others are in that call, and this peer cannot be.</summary>
    private async Task LeaveIfStillThereAsync()
    {
        if (_communicator.IsConnected)
        {
            await _communicator.DisposeAsync();
            _communicator = NewCommunicator();
        }
    }

    public ValueTask DisposeAsync() => _communicator.DisposeAsync();

    /// <summary>Steps until the connection ends. The first call of a newcomer is the agreement; those who let it in call that next, too.</summary>
    private async Task StayAsync()
    {
        var isFirst = true;
        while (true)
        {
            Enter("are peers pending");
            if (!isFirst && await _communicator.ArePeersPendingAsync())
            {
                Enter("update topology");
                await _communicator.UpdateTopologyAsync();
            }

            try
            {
                await StepAsync();
                isFirst = false;
            }
            catch (AloneException)
            {
                await FindCompanyAsync();
                isFirst = true;
            }
        }
    }

    private async Task StepAsync()
    {
        await AgreeAsync();
        await SyncAsync();
        await Task.Delay(_thinking.Next(0, 15));
        foreach (var operation in _single)
        {
            await ReduceAsync(operation);
        }

        await ReduceBatchAsync();
        _step++;
    }

    /// <summary>Lets in whoever comes. What was reduced of the step is dropped with the step: a number never names two attempts of one peer.</summary>
    private async Task FindCompanyAsync()
    {
        if (_isMisfit)
        {
            _events.Write(new ChurnEvent.Accepted(Now, _step, 1)); // It would be the one whom others do not fit.
            throw new MisfitException();
        }

        _step++;
        Enter("update topology, alone");
        while (_communicator.World.WorldSize < 2)
        {
            if (Stopwatch.GetElapsedTime(_lastAlive) > _aliveInterval)
            {
                _lastAlive = Now;
                _events.Write(new ChurnEvent.Alone(Now, _step));
            }

            await Task.Delay(_lonePause);
            await _communicator.UpdateTopologyAsync();
        }
    }

    /// <summary>The step is the largest of any peer.</summary>
    private async Task AgreeAsync()
    {
        var agreed = new ulong[1];
        for (var aborts = 0; ; aborts++)
        {
            agreed[0] = _step;
            Enter("agreement");
            try
            {
                var result = await _communicator.AllReduceAsync<ulong>(agreed, ReduceOperation.Max, AgreementIndex);
                if (agreed[0] < _step)
                {
                    _events.Write(new ChurnEvent.Wrong(Now, $"the agreed step {agreed[0]} is below this peer's {_step}"));
                }

                _step = agreed[0];
                Report(AgreementIndex, result, $"{_step:x}", aborts);
                return;
            }
            catch (CollectiveException error) when (IsAbort(error))
            {
                OnAbort(AgreementIndex, "agreement", error, agreed[0] == _step);
            }
        }
    }

    /// <summary>Hands the state to newcomers; nothing moves when there are none.</summary>
    private async Task SyncAsync()
    {
        while (true)
        {
            Enter("sync");
            try
            {
                var receiving = new FirstBytes(() => _events.Write(new ChurnEvent.Receiving(Now, _step)));
                var result = await SyncOnceAsync(receiving);
                _events.Write(new ChurnEvent.Synced(Now, _step, result.Revision, result.BytesReceived, result.Donors.Count));
                return;
            }
            catch (CollectiveException error) when (error.Code == ErrorCode.SyncFailed)
            {
                _events.Write(new ChurnEvent.SyncFailed(Now, _step, error.Message));
            }
            catch (CollectiveException error) when (!_isMisfit && !_hasSynced && error.Code == ErrorCode.Mismatch && error.Message.Contains(Undecided, StringComparison.Ordinal))
            {
                // All who had synced are gone, and this one and a misfit, which both came after that, are as many: neither is right. The misfit goes.
                _events.Write(new ChurnEvent.SyncFailed(Now, _step, error.Message));
            }
        }
    }

    private async Task<SharedStateSyncResult> SyncOnceAsync(FirstBytes receiving)
    {
        var result = await _state.SyncAsync(_communicator, _step, receiving, TellWrong);
        if (_isMisfit)
        {
            _events.Write(new ChurnEvent.Accepted(Now, _step, _communicator.World.WorldSize));
            throw new MisfitException();
        }

        _hasSynced = true;
        return result;
    }

    /// <summary>Of a misfit only that it was taken in is wrong.</summary>
    private void TellWrong(string message)
    {
        if (!_isMisfit)
        {
            _events.Write(new ChurnEvent.Wrong(Now, $"step {_step}: {message}"));
        }
    }

    private async Task ReduceAsync(ChurnOperation operation)
    {
        var request = operation.Prepare(_communicator.Id, _step);
        for (var aborts = 0; ; aborts++)
        {
            Enter(operation.Name);
            try
            {
                Check(operation, await _communicator.AllReduceAsync(request), aborts);
                return;
            }
            catch (CollectiveException error) when (IsAbort(error))
            {
                OnAbort(operation.Index, operation.Name, error, operation.IsInputIntact);
            }
        }
    }

    private async Task ReduceBatchAsync()
    {
        Enter("multiple with retry");
        var requests = _batch.Select(operation => operation.Prepare(_communicator.Id, _step)).ToList();
        try
        {
            var result = await _communicator.AllReduceMultipleWithRetryAsync(requests, maxInFlight: 3);
            for (var index = 0; index < _batch.Count; index++)
            {
                Check(_batch[index], result.Results[index], index == 0 ? result.Retries : 0);
            }
        }
        catch (CollectiveException error) when (error.Code == ErrorCode.TooFewPeers)
        {
            // Which of them had committed before the last other peer went is not told.
            throw new AloneException();
        }
    }

    private void Check(ChurnOperation operation, AllReduceResult result, int aborts)
    {
        var wrong = operation.FirstWrong(result.Contributors);
        if (wrong >= 0)
        {
            _events.Write(new ChurnEvent.Wrong(Now, $"step {_step}, {operation.Name}: element {wrong} is not what the {result.WorldSize} contributors make it"));
        }

        if (!operation.IsSourceIntact)
        {
            _events.Write(new ChurnEvent.Unrestored(Now, $"step {_step}, {operation.Name}: the source of an operation that is not in place was written to"));
        }

        Report(operation.Index, result, operation.Digest(), aborts);
    }

    private void Report(int operation, AllReduceResult result, string digest, int aborts)
        => _events.Write(new ChurnEvent.Committed(Now, _step, operation, result.World.Epoch.Value, [.. result.Contributors.Select(Short)], digest, aborts));

    private static bool IsAbort(CollectiveException error) => error.Code is ErrorCode.OperationAborted or ErrorCode.TooFewPeers;

    private void OnAbort(int operation, string name, CollectiveException error, bool isInputIntact)
    {
        if (!isInputIntact)
        {
            _events.Write(new ChurnEvent.Unrestored(Now, $"step {_step}, {name}: after {error.Code} the input is not what it was"));
        }

        var world = _communicator.World;
        if (error.Code == ErrorCode.OperationAborted)
        {
            _events.Write(new ChurnEvent.Aborted(Now, _step, operation, world.Epoch.Value, error.Message));
        }

        if (world.WorldSize < 2)
        {
            throw new AloneException();
        }
    }

    /// <summary>Says once that a sync moves bytes to this peer.</summary>
    private sealed class FirstBytes(Action tell) : IProgress<SharedStateProgress>
    {
        private bool _told;

        public void Report(SharedStateProgress value)
        {
            if (!_told && value.BytesTotal > 0)
            {
                _told = true;
                tell();
            }
        }
    }

    private void Enter(string call) => _call = new Call(call, Now);

    private void TellIfWaiting()
    {
        var call = _call;
        var length = Stopwatch.GetElapsedTime(call.Since);
        if (length > _waitingInterval)
        {
            _events.Write(new ChurnEvent.Waiting(Now, _step, call.Name, Math.Round(length.TotalSeconds, 1)));
        }
    }

    private static string Short(PeerId id) => id.ToShortString();
}
