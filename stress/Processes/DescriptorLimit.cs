using System.Runtime.InteropServices;

namespace Collective.Stress.Processes;

/// <summary>How many file descriptors a process may have, changed while it runs (prlimit of Linux).</summary>
internal static unsafe partial class DescriptorLimit
{
    private const int NumberOfFiles = 7;

    // Those of the standard streams are always taken: below that there is never a free one.
    private const ulong None = 3;

    /// <summary>From now on the process gets not one more. Gives what <see cref="Restore"/> needs; null when there is no such process any more.</summary>
    public static ulong? Exhaust(int processId)
    {
        var limit = stackalloc ulong[2];
        if (Limit(processId, NumberOfFiles, null, limit) != 0)
        {
            return null;
        }

        var before = limit[0];
        limit[0] = None;
        return Limit(processId, NumberOfFiles, limit, null) == 0 ? before : null;
    }

    public static void Restore(int processId, ulong before)
    {
        var limit = stackalloc ulong[2];
        if (Limit(processId, NumberOfFiles, null, limit) == 0)
        {
            limit[0] = before;
            _ = Limit(processId, NumberOfFiles, limit, null); // Else it has just ended.
        }
    }

    [LibraryImport("libc", EntryPoint = "prlimit64")]
    private static partial int Limit(int processId, int resource, ulong* fresh, ulong* previous);
}
