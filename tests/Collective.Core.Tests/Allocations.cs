namespace Collective.Core.Tests;

internal static class Allocations
{
    /// <summary>
    /// The bytes that <paramref name="work"/> allocates on the calling thread each time: the fewest of several runs, for now and then the runtime itself
    /// allocates on a thread, as when it compiles a loop again while that runs.
    /// </summary>
    public static long Each(Action work)
    {
        work();
        var fewest = long.MaxValue;
        for (var run = 0; run < 5; run++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            work();
            fewest = Math.Min(fewest, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return fewest;
    }
}
