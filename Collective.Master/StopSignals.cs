using System.Runtime.InteropServices;

namespace Collective.Daemon;

/// <summary>Turns the first SIGTERM or SIGINT into a request to stop; a second one ends the process at once, as the system does by itself.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly TaskCompletionSource<PosixSignal> _requested = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly PosixSignalRegistration _terminate;
    private readonly PosixSignalRegistration _interrupt;

    public StopSignals()
    {
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
    }

    /// <summary>Completes with the first signal.</summary>
    public Task<PosixSignal> Requested => _requested.Task;

    public void Dispose()
    {
        _terminate.Dispose();
        _interrupt.Dispose();
    }

    private void OnSignal(PosixSignalContext signal) => signal.Cancel = _requested.TrySetResult(signal.Signal);
}
