using System.Diagnostics;
using Collective.Stress.Processes;

namespace Collective.Stress.Recovery;

/// <summary>One peer: some all-reduces undisturbed, then one in which the last of the ring kills itself half-way; the others call it again.</summary>
internal sealed class RecoveryPeer : IAsyncDisposable
{
    private const int Undisturbed = 4;
    private const float Own = 1;

    private readonly int _peers;
    private readonly float[] _buffer;
    private readonly JsonLineWriter<RecoveryEvent> _events;
    private readonly Communicator _communicator;
    private int _segments;
    private int _segmentsUntilDeath = int.MaxValue;

    public RecoveryPeer(string master, int peers, long bytes, JsonLineWriter<RecoveryEvent> events)
    {
        _peers = peers;
        _buffer = new float[bytes / sizeof(float)];
        _events = events;
        _communicator = new Communicator(new CommunicatorOptions(master) { MinimumWorldSize = peers, ListenPort = 0, Probe = OnProtocolPoint });
    }

    public async Task RunAsync()
    {
        await _communicator.ConnectAsync();
        for (var call = 0; call < Undisturbed; call++)
        {
            Array.Fill(_buffer, Own);
            Volatile.Write(ref _segments, 0);
            var started = Stopwatch.GetTimestamp();
            var result = await _communicator.AllReduceAsync<float>(_buffer);
            if (call > 0)
            {
                _events.Write(new RecoveryEvent.Undisturbed(Stopwatch.GetElapsedTime(started).TotalMilliseconds));
            }

            Check(result.WorldSize);
        }

        Array.Fill(_buffer, Own);
        if (_communicator.World.Rank == _peers - 1)
        {
            var half = Volatile.Read(ref _segments) / 2;
            Volatile.Write(ref _segments, 0);
            Volatile.Write(ref _segmentsUntilDeath, half);
        }

        await ReduceThroughADeathAsync();
    }

    public ValueTask DisposeAsync() => _communicator.DisposeAsync();

    private async Task ReduceThroughADeathAsync()
    {
        try
        {
            await _communicator.AllReduceAsync<float>(_buffer);
            throw new InvalidOperationException("the all-reduce in which a peer was to be killed has committed");
        }
        catch (CollectiveException error) when (error.Code == ErrorCode.OperationAborted)
        {
            var aborted = Stopwatch.GetTimestamp();
            var result = await _communicator.AllReduceAsync<float>(_buffer);
            _events.Write(new RecoveryEvent.Retried(aborted, Stopwatch.GetTimestamp(), result.WorldSize));
            Check(result.WorldSize);
        }
    }

    private void Check(int contributors)
    {
        var wrong = _buffer.AsSpan().IndexOfAnyExcept(Own * contributors);
        if (wrong >= 0)
        {
            throw new InvalidOperationException($"element {wrong} is {_buffer[wrong]} instead of {contributors}");
        }
    }

    private void OnProtocolPoint(string point)
    {
        if (point == "segment-received" && Interlocked.Increment(ref _segments) == Volatile.Read(ref _segmentsUntilDeath))
        {
            _events.Write(new RecoveryEvent.Dying(Stopwatch.GetTimestamp()));
            SelfKill.Now();
        }
    }
}
