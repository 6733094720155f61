using System.Diagnostics;
using System.Threading.Channels;

namespace Collective.Stress.Processes;

/// <summary>Something a child process did: it wrote a line, or it ended.</summary>
/// <param name="Child">Who.</param>
/// <param name="Line">The line, or null when the child has ended and all its lines were read.</param>
internal readonly record struct ChildOutput(ChildProcess Child, string? Line);

/// <summary>
/// This same program, started again with a hidden subcommand. Its lines come out of the channel in the order it wrote them,
/// and last the news that it ended.
/// </summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private const int ErrorLinesMax = 20;
    private static readonly TimeSpan _endTimeout = TimeSpan.FromSeconds(5);

    private readonly Process _process;
    private readonly Task _reading;
    private readonly Queue<string> _errorLines = new();

    private ChildProcess(int index, Process process, ChannelWriter<ChildOutput> output)
    {
        Index = index;
        _process = process;
        ProcessId = process.Id;
        _reading = ReadAsync(output);
    }

    private ChildProcess(int index)
    {
        Index = index;
        _process = new Process();
        _reading = Task.CompletedTask;
    }

    /// <summary>Number of the child, in the order in which the orchestrator started them.</summary>
    public int Index { get; }

    /// <summary>Its process id, also after it ended.</summary>
    public int ProcessId { get; }

    /// <summary>How it ended; meaningful once the channel said that it did.</summary>
    public int ExitCode { get; private set; }

    /// <summary>When its last sign of life was handed to the orchestrator. Set by the orchestrator.</summary>
    public long LastHeard { get; set; } = Stopwatch.GetTimestamp();

    /// <summary>The last lines it wrote to standard error; complete once it has ended.</summary>
    public string ErrorText => string.Join(Environment.NewLine, _errorLines);

    /// <summary>One that is never started, for tests of what is known about children.</summary>
    public static ChildProcess Never(int index) => new(index);

    /// <param name="inside">The network that the child sees; null for that of this process.</param>
    public static ChildProcess Start(int index, IEnumerable<string> arguments, ChannelWriter<ChildOutput> output, NetworkNamespace? inside, IReadOnlyDictionary<string, string> runtime)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath ?? throw new InvalidOperationException("This process has no path."))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };

        foreach (var (name, value) in runtime)
        {
            start.Environment[name] = value;
        }

        // Run as "dotnet stress.dll" the process is dotnet, which has to be told which program to run.
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(ChildProcess).Assembly.Location);
        }

        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return new ChildProcess(index, inside is null ? Process.Start(start)! : inside.Run(() => Process.Start(start)!), output);
    }

    /// <summary>Writes a line to the child's standard input; nothing happens when it has ended.</summary>
    public void Tell(string line)
    {
        try
        {
            _process.StandardInput.WriteLine(line);
            _process.StandardInput.Flush();
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            // It has ended: the channel says so, too.
        }
    }

    /// <summary>Ends the child if it still runs. Does not return before it is gone, or the time for that is over.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has ended already.
        }

        await Task.WhenAny(_reading, Task.Delay(_endTimeout)).ConfigureAwait(false);
        _process.Dispose();
    }

    private async Task ReadAsync(ChannelWriter<ChildOutput> output)
    {
        var errors = ReadErrorsAsync();
        while (await _process.StandardOutput.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            await WriteAsync(output, new ChildOutput(this, line)).ConfigureAwait(false);
        }

        await errors.ConfigureAwait(false);
        await _process.WaitForExitAsync().ConfigureAwait(false);
        ExitCode = _process.ExitCode;
        await WriteAsync(output, new ChildOutput(this, null)).ConfigureAwait(false);
    }

    private async Task ReadErrorsAsync()
    {
        while (await _process.StandardError.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            _errorLines.Enqueue(line);
            if (_errorLines.Count > ErrorLinesMax)
            {
                _errorLines.Dequeue();
            }
        }
    }

    private static async Task WriteAsync(ChannelWriter<ChildOutput> output, ChildOutput item)
    {
        try
        {
            await output.WriteAsync(item).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            // The orchestrator has heard enough. What the child writes is still read, so that it cannot block on a full pipe.
        }
    }
}
