using System.Runtime.InteropServices;
using Collective.Stress.Processes;

namespace Collective.EndToEnd.Peer;

/// <summary>What this process allows itself.</summary>
internal static partial class OwnLimits
{
    private const int NumberOfFiles = 7;

    /// <summary>To be called before anything else takes threads of the pool.</summary>
    public static void MakeThreads(Settings settings)
    {
        if (settings.MakesThreadsFirst)
        {
            PoolThreads.MakeAllNow();
        }
    }

    public static void Apply(Settings settings)
    {
        if (settings.Descriptors > 0)
        {
            Report.Line($"no descriptors from {settings.Descriptors} on"); // What reports is loaded.
            Descriptors(settings.Descriptors);
        }
    }

    /// <summary>From now on it gets no descriptor of this number or a higher one. Those it has it keeps.</summary>
    private static unsafe void Descriptors(int count)
    {
        var limit = stackalloc ulong[] { (ulong)count, (ulong)count };
        if (SetLimit(NumberOfFiles, limit) != 0)
        {
            throw new InvalidOperationException("the system does not limit the descriptors of this process");
        }
    }

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static unsafe partial int SetLimit(int resource, ulong* limit);
}
