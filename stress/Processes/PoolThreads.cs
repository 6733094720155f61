namespace Collective.Stress.Processes;

/// <summary>
/// The runtime's thread pool ends its process when the system refuses it a thread, and each thread takes descriptors. A process that is to live without more of them has all threads of its
/// pool before, and keeps them (System.Threading.ThreadPool.ThreadsToKeepAlive in the project).
/// </summary>
internal static class PoolThreads
{
    private const int Least = 8;

    /// <summary>Makes all that there will ever be.</summary>
    public static void MakeAllNow()
    {
        var count = Math.Max(Least, Environment.ProcessorCount);
        ThreadPool.GetMaxThreads(out _, out var ports);
        ThreadPool.SetMinThreads(count, 1);
        ThreadPool.SetMaxThreads(count, ports);
        var all = new CountdownEvent(count);
        for (var i = 0; i < count; i++)
        {
            ThreadPool.QueueUserWorkItem(_ =>
            {
                all.Signal();
                all.Wait();
            });
        }

        all.Wait();
    }
}
