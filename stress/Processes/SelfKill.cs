using System.Diagnostics;

namespace Collective.Stress.Processes;

/// <summary>The death that nothing can prepare for: SIGKILL, sent by the process to itself.</summary>
internal static class SelfKill
{
    /// <summary>Exit code that an orchestrator sees for it: 128 plus the number of the signal.</summary>
    public const int ExitCode = 128 + Signals.Kill;

    public static void Now()
    {
        if (OperatingSystem.IsWindows())
        {
            Process.GetCurrentProcess().Kill();
        }
        else
        {
            Signals.Send(Environment.ProcessId, Signals.Kill);
        }

        // The signal may take a moment to be delivered; this thread does nothing more.
        Thread.Sleep(Timeout.Infinite);
    }
}
