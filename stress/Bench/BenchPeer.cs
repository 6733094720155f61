using System.Diagnostics;
using Collective.Stress.Processes;

namespace Collective.Stress.Bench;

/// <summary>One peer of the benchmark: for each size warms up, times calls one by one and recomputes the result.</summary>
internal sealed class BenchPeer : IAsyncDisposable
{
    private const int ValuesMax = 1020;

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
        var world = _plan.Optimize ? await _communicator.OptimizeTopologyAsync() : _communicator.World;
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
            AllReduce(source, destination);
            return Stopwatch.GetElapsedTime(started);
        }

        // The input has to be put back first. No peer begins before all have done so, or the copy would be in the time.
        source.CopyTo(destination, 0);
        _communicator.AllReduce<float>(new float[1]);
        var startedInPlace = Stopwatch.GetTimestamp();
        AllReduce(destination, destination);
        return Stopwatch.GetElapsedTime(startedInPlace);
    }

    private void AllReduce(float[] source, float[] destination)
    {
        if (_plan.Quantization != Quantization.None)
        {
            var request = source == destination
                ? AllReduceRequest.InPlace(destination.AsMemory(), tag: 0, quantization: _plan.Quantization)
                : AllReduceRequest.OutOfPlace<float>(source, destination, tag: 0, quantization: _plan.Quantization);
            _communicator.AllReduceAsync(request).GetAwaiter().GetResult();
        }
        else if (source == destination)
        {
            _communicator.AllReduce<float>(destination);
        }
        else
        {
            _communicator.AllReduce<float>(source, destination);
        }
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

    private long CountWrong(float[] values, int worldSize)
    {
        var allowed = _plan.Quantization == Quantization.None ? 0 : LargestError(_plan.Quantization, worldSize);
        var wrong = 0L;
        for (var index = 0; index < values.Length; index++)
        {
            var expected = 0f;
            for (var rank = 0; rank < worldSize; rank++)
            {
                expected += Value(index, rank);
            }

            wrong += Math.Abs(values[index] - expected) <= allowed ? 0 : 1; // A NaN is not.
        }

        return wrong;
    }

    /// <summary>Each rank quantises once, and is off by half a step of a partial sum at most.</summary>
    private static double LargestError(Quantization quantization, int worldSize)
    {
        var bits = quantization.DataType switch
        {
            DataType.UInt8 or DataType.Int8 => 8,
            DataType.UInt16 or DataType.Int16 => 16,
            _ => 23, // Then float32 itself is off by more.
        };
        var isSigned = quantization.DataType is DataType.Int8 or DataType.Int16 or DataType.Int32 or DataType.Int64;
        var range = (double)worldSize * ValuesMax;

        // A deviation is at most half the range, and the codes cover twelve.
        var covered = quantization.Algorithm == QuantizationAlgorithm.MinMax ? range : 6 * range;
        return worldSize * covered / (Math.ScaleB(1, isSigned ? bits - 1 : bits) - 1) / 2 * 1.01;
    }

    /// <summary>Small whole numbers: their sum is exact in float32 in whichever order it is taken.</summary>
    private static float Value(int index, int rank) => (index * 7L + rank * 13) % (ValuesMax + 1);

    /// <summary>The smallest time that is not exceeded by <paramref name="percent"/> of all.</summary>
    private static TimeSpan Percentile(TimeSpan[] sorted, int percent)
        => sorted[Math.Max(0, (int)Math.Ceiling(sorted.Length * percent / 100.0) - 1)];
}
