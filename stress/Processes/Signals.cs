using System.Runtime.InteropServices;

namespace Collective.Stress.Processes;

/// <summary>Signals of POSIX systems, sent to processes that this program has started, or to itself.</summary>
internal static partial class Signals
{
    public const int Kill = 9;
    public const int Continue = 18;
    public const int Stop = 19;

    /// <summary>False when there is no such process any more.</summary>
    public static bool Send(int processId, int signal) => KillProcess(processId, signal) == 0;

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int KillProcess(int processId, int signal);
}
