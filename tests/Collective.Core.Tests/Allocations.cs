namespace Collective.Core.Tests;

internal static class Allocations
{
    /// <summary>
    /// The bytes that five runs of <paramref name="work"/> allocate on the calling thread: the fewest of several measurements, for now and then the runtime
    /// itself allocates on a thread, as when it compiles a loop again while that runs.
    /// </summary>
    public static long OfFive(Action work)
    {
        work();
        var fewest = long.MaxValue;
        for (var measurement = 0; measurement < 3; measurement++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var run = 0; run < 5; run++)
            {
                work();
            }

            fewest = Math.Min(fewest, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return fewest;
    }
}
