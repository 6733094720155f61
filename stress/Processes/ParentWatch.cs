using System.Runtime.InteropServices;

namespace Collective.Stress.Processes;

/// <summary>
/// Ends this child process when its orchestrator is gone, however that ended: the orchestrator holds the other end of the
/// child's standard input, so that the input ends exactly when the orchestrator does; what it writes there are commands. Ctrl+C at a terminal
/// reaches the child as well as the orchestrator; it is left to the orchestrator, which ends its children itself.
/// </summary>
internal static class ParentWatch
{
    /// <summary>Exit code of a child whose orchestrator is gone.</summary>
    public const int ExitCode = 3;

    private static PosixSignalRegistration? _interrupt;

    /// <param name="onCommand">Called on the watch's thread with each line that the orchestrator writes.</param>
    public static void Start(Action<string>? onCommand = null)
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = true);
        new Thread(() => EndWithParent(onCommand)) { IsBackground = true, Name = "parent watch" }.Start();
    }

    private static void EndWithParent(Action<string>? onCommand)
    {
        try
        {
            using var input = new StreamReader(Console.OpenStandardInput());
            while (input.ReadLine() is { } line)
            {
                onCommand?.Invoke(line);
            }
        }
        catch (IOException)
        {
            // A broken pipe says the same as its end.
        }

        Environment.Exit(ExitCode);
    }
}
