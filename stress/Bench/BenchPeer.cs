using System.Diagnostics;
using Collective.Stress.Processes;

namespace Collective.Stress.Bench;

/// <summary>One peer of the benchmark: for each size warms up, times calls one by one and recomputes the result.</summary>
internal sealed class BenchPeer : IAsyncDisposable
{
    private static readonly TimeSpan _aliveInterval = TimeSpan.FromSeconds(5);

    private readonly BenchPlan _plan;
    private readonly JsonLineWriter<BenchEvent> _events;
    private readonly Communicator _communicator;
    private long _lastWritten = Stopwatch.GetTimestamp();

    public BenchPeer(BenchPlan plan, string master, JsonLineWriter<BenchEvent> events)
    {
        _plan = plan;
        _events = events;
        _communicator = new Communicator(new CommunicatorOptions(master)
        {
            MinimumWorldSize = plan.Peers,
            StripeCount = plan.Stripes,
            ListenPort = 0,
        });
    }

    public async Task RunAsync()
    {
        await _communicator.ConnectAsync();
        var world = _communicator.World;
        Write(new BenchEvent.Connected(world.Rank, world.WorldSize));
        foreach (var bytes in _plan.Sizes)
        {
            Write(Measure(bytes, world));
        }
    }

    public ValueTask DisposeAsync() => _communicator.DisposeAsync();

    private BenchEvent.Measured Measure(long bytes, World world)
    {
        var source = new float[bytes / sizeof(float)];
        var destination = new float[source.Length];
        Fill(source, world.Rank);

        for (var call = 0; call < _plan.WarmUpsFor(bytes); call++)
        {
            TimeOneCall(source, destination);
            WriteIfSilent(bytes, 0);
        }

        var times = new TimeSpan[_plan.IterationsFor(bytes)];
        for (var call = 0; call < times.Length; call++)
        {
            times[call] = TimeOneCall(source, destination);
            WriteIfSilent(bytes, call + 1);
        }

        // What is there now must be right. So must be one more result, in place of values that cannot be mistaken for it.
        var wrongElements = CountWrong(destination, world.WorldSize);
        Array.Fill(destination, float.NaN);
        TimeOneCall(source, destination);
        wrongElements += CountWrong(destination, world.WorldSize);

        Array.Sort(times);
        return new BenchEvent.Measured(
            world.Rank, bytes, times.Length, Percentile(times, 50).TotalMicroseconds, Percentile(times, 99).TotalMicroseconds, wrongElements);
    }

    private TimeSpan TimeOneCall(float[] source, float[] destination)
    {
        if (!_plan.InPlace)
        {
            var started = Stopwatch.GetTimestamp();
            _communicator.AllReduce<float>(source, destination);
            return Stopwatch.GetElapsedTime(started);
        }

        // The input has to be put back first. No peer begins before all have done so, or the copy would be in the time.
        source.CopyTo(destination, 0);
        _communicator.AllReduce<float>(new float[1]);
        var startedInPlace = Stopwatch.GetTimestamp();
        _communicator.AllReduce<float>(destination);
        return Stopwatch.GetElapsedTime(startedInPlace);
    }

    private void WriteIfSilent(long bytes, int iterationsDone)
    {
        if (Stopwatch.GetElapsedTime(_lastWritten) > _aliveInterval)
        {
            Write(new BenchEvent.Alive(bytes, iterationsDone));
        }
    }

    private void Write(BenchEvent value)
    {
        _events.Write(value);
        _lastWritten = Stopwatch.GetTimestamp();
    }

    private static void Fill(float[] values, int rank)
    {
        for (var index = 0; index < values.Length; index++)
        {
            values[index] = Value(index, rank);
        }
    }

    private static long CountWrong(float[] values, int worldSize)
    {
        var wrong = 0L;
        for (var index = 0; index < values.Length; index++)
        {
            var expected = 0f;
            for (var rank = 0; rank < worldSize; rank++)
            {
                expected += Value(index, rank);
            }

            wrong += values[index] == expected ? 0 : 1;
        }

        return wrong;
    }

    /// <summary>Small whole numbers: their sum is exact in float32 in whichever order it is taken.</summary>
    private static float Value(int index, int rank) => (index * 7L + rank * 13) % 1021;

    /// <summary>The smallest time that is not exceeded by <paramref name="percent"/> of all.</summary>
    private static TimeSpan Percentile(TimeSpan[] sorted, int percent)
        => sorted[Math.Max(0, (int)Math.Ceiling(sorted.Length * percent / 100.0) - 1)];
}
