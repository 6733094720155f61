using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Collective.Stress.Processes;

/// <summary>The death that nothing can prepare for: SIGKILL, sent by the process to itself.</summary>
internal static partial class SelfKill
{
    /// <summary>Exit code that an orchestrator sees for it: 128 plus the number of the signal.</summary>
    public const int ExitCode = 128 + Signal;

    private const int Signal = 9;

    public static void Now()
    {
        if (OperatingSystem.IsWindows())
        {
            Process.GetCurrentProcess().Kill();
        }
        else
        {
            _ = Kill(Environment.ProcessId, Signal);
        }

        // The signal may take a moment to be delivered; this thread does nothing more.
        Thread.Sleep(Timeout.Infinite);
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int processId, int signal);
}
