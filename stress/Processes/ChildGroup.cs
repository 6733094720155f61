using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Collective.Stress.Processes;

/// <summary>The child processes of one orchestrator. Disposing ends those that still run.</summary>
internal sealed class ChildGroup(IReadOnlyDictionary<string, string> runtime) : IAsyncDisposable
{
    /// <summary>A child that writes nothing for so long is taken to hang.</summary>
    public static readonly TimeSpan SilenceMax = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan _checkInterval = TimeSpan.FromSeconds(1);

    private readonly Channel<ChildOutput> _outputs = Channel.CreateBounded<ChildOutput>(new BoundedChannelOptions(1024) { SingleReader = true });
    private readonly List<ChildProcess> _children = [];
    private readonly HashSet<ChildProcess> _running = [];
    private int _started;

    /// <summary>What the children do, for who reads it piece by piece instead of by <see cref="ReadAllAsync"/>.</summary>
    public ChannelReader<ChildOutput> Outputs => _outputs.Reader;

    /// <summary>Starts this program once more with these arguments. May be called while the outputs are being read.</summary>
    public ChildProcess Start(IEnumerable<string> arguments, NetworkNamespace? inside = null)
    {
        var child = ChildProcess.Start(_started++, arguments, _outputs.Writer, inside, runtime);
        _children.Add(child);
        _running.Add(child);
        return child;
    }

    /// <summary>Lets go of a child that has ended, and of what it holds in this process.</summary>
    public async ValueTask ForgetAsync(ChildProcess child)
    {
        _running.Remove(child);
        _children.Remove(child);
        await child.DisposeAsync();
    }

    /// <summary>
    /// Everything the children do, until all have ended. A <see cref="TimeoutException"/> names a child that was silent
    /// for longer than <see cref="SilenceMax"/>.
    /// </summary>
    public async IAsyncEnumerable<ChildOutput> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (_running.Count > 0)
        {
            var ready = _outputs.Reader.WaitToReadAsync(cancellationToken).AsTask();
            while (await Task.WhenAny(ready, Task.Delay(_checkInterval, cancellationToken)) != ready)
            {
                cancellationToken.ThrowIfCancellationRequested();
                ThrowIfSilent();
            }

            await ready;
            while (_outputs.Reader.TryRead(out var output))
            {
                output.Child.LastHeard = Stopwatch.GetTimestamp();
                if (output.Line is null)
                {
                    _running.Remove(output.Child);
                }

                yield return output;
            }

            ThrowIfSilent();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _outputs.Writer.TryComplete();
        foreach (var child in _children)
        {
            await child.DisposeAsync();
        }
    }

    private void ThrowIfSilent()
    {
        foreach (var child in _running)
        {
            if (Stopwatch.GetElapsedTime(child.LastHeard) > SilenceMax)
            {
                throw new TimeoutException($"Peer process {child.Index} (process id {child.ProcessId}) wrote nothing for {SilenceMax.TotalSeconds} s.");
            }
        }
    }
}
