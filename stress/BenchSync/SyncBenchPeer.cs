using System.Diagnostics;
using System.Runtime.InteropServices;
using Collective.Stress.Processes;

namespace Collective.Stress.BenchSync;

/// <summary>
/// One peer of the sync benchmark. The one of rank 0 measures: syncs of equal state, and syncs in which it fetches all of it, as a newcomer does. The others hold the state.
/// </summary>
internal sealed class SyncBenchPeer(SyncBenchPlan plan, string master, int peers, JsonLineWriter<SyncBenchEvent> events)
{
    private const int Equal = 1;
    private const int Other = 2;

    private readonly float[] _tensor = new float[plan.Bytes / sizeof(float)];
    private ulong _revision;

    public async Task RunAsync()
    {
        await using var communicator = new Communicator(new CommunicatorOptions(master) { MinimumWorldSize = peers, StripeCount = plan.Stripes, ListenPort = 0 });
        await communicator.ConnectAsync();
        var isNewcomer = communicator.World.Rank == 0;
        await Measure(communicator, "equal", isNewcomer, refill: false);
        await Measure(communicator, "newcomer", isNewcomer, refill: true);
    }

    private async Task Measure(Communicator communicator, string kind, bool isNewcomer, bool refill)
    {
        Fill(_tensor, Equal);
        using var raw = refill && isNewcomer ? new RawCopy(plan.Bytes) : null;
        var (times, rawTimes) = (new List<double>(), new List<double>());
        var processor = TimeSpan.Zero;
        var last = default(SharedStateSyncResult);
        for (var i = -SyncBenchPlan.WarmUps; i < plan.Iterations; i++)
        {
            if (refill && isNewcomer)
            {
                Fill(_tensor, Other);
                rawTimes.Add(raw!.Measure()); // The others are idle meanwhile.
            }

            var state = new SharedState { Revision = _revision++ };
            state.Add<float>("tensor", _tensor);
            await communicator.AllReduceAsync<int>(new int[1]); // All are ready.
            var (started, worked) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
            last = await communicator.SynchronizeSharedStateAsync(state, refill && isNewcomer ? SyncStrategy.ReceiveOnly : refill ? SyncStrategy.SendOnly : SyncStrategy.EnforcePopular);
            if (i >= 0)
            {
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
                processor += Environment.CpuUsage.TotalTime - worked;
            }

            events.Write(new SyncBenchEvent.Alive());
        }

        Require(IsFilled(_tensor, Equal), "the tensor does not hold what it must");
        events.Write(new SyncBenchEvent.Worked(kind, processor.TotalMilliseconds / plan.Iterations));
        if (isNewcomer)
        {
            Require(last.BytesReceived == (refill ? plan.Bytes : 0), $"{last.BytesReceived} bytes were received");
            events.Write(new SyncBenchEvent.Measured(kind, [.. times.Order()], [.. rawTimes.Skip(SyncBenchPlan.WarmUps).Order()], last.BytesReceived, last.Donors.Count));
        }
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new InvalidOperationException(message);
        }
    }

    /// <summary>Floats with random mantissas, as parameters have: nothing that could be compressed.</summary>
    private static void Fill(float[] tensor, int seed) => new Random(seed).NextBytes(MemoryMarshal.AsBytes(tensor.AsSpan()));

    private static bool IsFilled(float[] tensor, int seed)
    {
        var expected = new float[tensor.Length];
        Fill(expected, seed);
        return MemoryMarshal.AsBytes(expected.AsSpan()).SequenceEqual(MemoryMarshal.AsBytes(tensor.AsSpan()));
    }
}
