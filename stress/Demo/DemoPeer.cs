using System.Diagnostics;
using Collective.Stress.Processes;

namespace Collective.Stress.Demo;

/// <summary>
/// One peer of the demo: distributed training (DiLoCo) that survives the loss of peers and takes in newcomers. This is
/// how a real training loop uses Collective; begin to read at <see cref="RunAsync"/>.
/// </summary>
internal sealed class DemoPeer : IAsyncDisposable
{
    private const ulong AverageTag = 0;

    // More than all peers of a demo can die in one step.
    private const int AttemptsMax = 32;

    private static readonly TimeSpan _newcomerTimeout = TimeSpan.FromSeconds(25);
    private static readonly TimeSpan _newcomerPollInterval = TimeSpan.FromMilliseconds(10);

    private readonly DemoPeerSettings _settings;
    private readonly JsonLineWriter<DemoEvent> _events;
    private readonly LocalTrainer _trainer;
    private readonly TrainingState _state;
    private readonly float[] _difference;
    private readonly Victim _victim;
    private readonly Communicator _communicator;
    private readonly Handover _handover;

    private int _aborted;
    private int _retried;
    private long _bytesSent;
    private long _bytesReceived;

    public DemoPeer(DemoPeerSettings settings, JsonLineWriter<DemoEvent> events)
    {
        _settings = settings;
        _events = events;
        _trainer = new LocalTrainer(Digits.Load(), settings.Seed);
        _state = _trainer.InitialState();
        _difference = new float[_state.Parameters.Length];
        _victim = new Victim(() => _events.Write(new DemoEvent.Dying(CurrentStep)));
        _communicator = new Communicator(new CommunicatorOptions(settings.Master)
        {
            MinimumWorldSize = settings.MinimumWorldSize,
            ListenPort = 0,
            Probe = _victim.OnProtocolPoint,
        });
        _handover = new Handover(_communicator, _state, new HandoverProgress(events));
    }

    /// <summary>The step being done, counted from 1.</summary>
    private int CurrentStep => _state.StepsDone + 1;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await _communicator.ConnectAsync(cancellationToken);
        var world = _communicator.World;
        _events.Write(new DemoEvent.Connected(_communicator.Id.ToShortString(), world.Rank, world.WorldSize));

        while (_state.StepsDone < _settings.Steps)
        {
            if (CurrentStep == _settings.NewcomerAtStep)
            {
                await AwaitNewcomerAsync(cancellationToken);
            }

            // Lets in whoever has asked to join, and says so to all alike: also to a newcomer, whose first step this is.
            if ((await _communicator.StepAsync(cancellationToken)).HasNewcomers)
            {
                await HandOverAsync(cancellationToken);
            }

            await TrainAsync(cancellationToken);
        }

        _events.Write(new DemoEvent.Done(
            _state.StepsDone, _trainer.Accuracy(_state), _state.Digest(), _aborted, _retried, _bytesSent, _bytesReceived));
    }

    public ValueTask DisposeAsync() => _communicator.DisposeAsync();

    /// <summary>Some local steps on this peer's share of the images, then one step of all peers together.</summary>
    private async Task TrainAsync(CancellationToken cancellationToken)
    {
        var step = CurrentStep;
        var started = Stopwatch.GetTimestamp();
        var world = _communicator.World;
        var loss = _trainer.Train(_state, world.Rank, world.WorldSize, _difference);

        var result = await AverageAsync(step, cancellationToken);
        OuterOptimizer.Apply(_state, _difference);

        world = result?.World ?? _communicator.World;
        var samplesPerSecond = LocalTrainer.SamplesPerStep / Stopwatch.GetElapsedTime(started).TotalSeconds;
        _events.Write(new DemoEvent.StepDone(
            step, world.Rank, world.WorldSize, loss, samplesPerSecond, result?.BytesSent ?? 0, result?.BytesReceived ?? 0));

        // No other peer begins the next step before this one is at its top, too.
        if (CurrentStep == _settings.KillAtStep && world.Rank == _settings.KillRank)
        {
            _victim.Arm(world.WorldSize);
        }
    }

    /// <summary>
    /// Replaces the difference by the mean over all peers. When a peer is lost, the library has put the difference back as
    /// it was and the survivors into a smaller world, so the same call is simply made again. Null if nobody else is left.
    /// </summary>
    private async Task<AllReduceResult?> AverageAsync(int step, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            // The mean of one difference is that difference.
            if (_communicator.World.WorldSize == 1)
            {
                _events.Write(new DemoEvent.Alone(step));
                return null;
            }

            try
            {
                var result = await _communicator.AllReduceAsync<float>(_difference, ReduceOperation.Average, AverageTag, cancellationToken: cancellationToken);
                _bytesSent += result.BytesSent;
                _bytesReceived += result.BytesReceived;
                if (attempt > 0)
                {
                    _retried++;
                    _events.Write(new DemoEvent.AllReduceRetried(step, result.WorldSize));
                }

                return result;
            }
            catch (CollectiveException error) when (error.Code == ErrorCode.OperationAborted)
            {
                _aborted++;
                _events.Write(new DemoEvent.AllReduceAborted(step, error.Message));
            }
            catch (CollectiveException error) when (error.Code == ErrorCode.TooFewPeers)
            {
                // The last other peer was lost just before the call.
            }
        }

        throw new InvalidOperationException($"The all-reduce of step {step} was aborted {AttemptsMax} times in a row.");
    }

    /// <summary>The demo wants to show a newcomer, so here it waits until there is one. All peers ask together and get the same answers.</summary>
    private async Task AwaitNewcomerAsync(CancellationToken cancellationToken)
    {
        _events.Write(new DemoEvent.AwaitingNewcomer(CurrentStep));
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < _newcomerTimeout)
        {
            if (await _communicator.ArePeersPendingAsync(cancellationToken))
            {
                return;
            }

            await Task.Delay(_newcomerPollInterval, cancellationToken);
        }

        throw new TimeoutException($"No newcomer has asked to join within {_newcomerTimeout.TotalSeconds} s before step {CurrentStep}.");
    }

    private async Task HandOverAsync(CancellationToken cancellationToken)
    {
        var handed = await _handover.RunAsync(cancellationToken);
        var world = _communicator.World;
        _events.Write(new DemoEvent.HandedOver(_state.StepsDone, world.Rank, world.WorldSize, handed.Received, handed.Bytes, handed.Donors));
    }

    /// <summary>Lets the orchestrator draw a bar.</summary>
    private sealed class HandoverProgress(JsonLineWriter<DemoEvent> events) : IProgress<SharedStateProgress>
    {
        public void Report(SharedStateProgress value) => events.Write(new DemoEvent.Receiving(value.BytesDone, value.BytesTotal, value.Donors.Count));
    }
}
