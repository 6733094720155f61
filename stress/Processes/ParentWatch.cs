using System.Runtime.InteropServices;

namespace Collective.Stress.Processes;

/// <summary>
/// Ends this child process when its orchestrator is gone, however that ended: the orchestrator holds the other end of the
/// child's standard input and never writes to it, so the input ends exactly when the orchestrator does. Ctrl+C at a terminal
/// reaches the child as well as the orchestrator; it is left to the orchestrator, which ends its children itself.
/// </summary>
internal static class ParentWatch
{
    /// <summary>Exit code of a child whose orchestrator is gone.</summary>
    public const int ExitCode = 3;

    private static PosixSignalRegistration? _interrupt;

    public static void Start()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => context.Cancel = true);
        new Thread(EndWithParent) { IsBackground = true, Name = "parent watch" }.Start();
    }

    private static void EndWithParent()
    {
        using var input = Console.OpenStandardInput();
        Span<byte> ignored = stackalloc byte[64];
        try
        {
            while (input.Read(ignored) > 0)
            {
            }
        }
        catch (IOException)
        {
            // A broken pipe says the same as its end.
        }

        Environment.Exit(ExitCode);
    }
}
