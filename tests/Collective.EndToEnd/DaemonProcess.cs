using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>A running collective-master. Everything it is asked for has a deadline, and disposing it leaves no process behind.</summary>
internal sealed partial class DaemonProcess : IAsyncDisposable
{
    public const int Interrupt = 2;
    public const int Terminate = 15;

    /// <summary>Generous: a loaded machine may take seconds to start a process.</summary>
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(30);

    private readonly Process _process;
    private readonly Task<string> _errors;

    private DaemonProcess(Process process)
    {
        _process = process;
        _errors = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Starts the daemon built beside this test. The environment of the test run does not configure it.</summary>
    public static DaemonProcess Start(IReadOnlyDictionary<string, string> environment, params IEnumerable<string> arguments) => StartUnder([], environment, arguments);

    /// <summary>The same, started by a program that sets limits and runs the rest of its arguments in its place.</summary>
    public static DaemonProcess StartUnder(IReadOnlyList<string> limits, IReadOnlyDictionary<string, string> environment, params IEnumerable<string> arguments)
    {
        var daemon = Path.Combine(AppContext.BaseDirectory, "collective-master.dll");
        string[] command = [.. limits, Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", "exec", daemon, .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("COLLECTIVE_", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return new DaemonProcess(Process.Start(start)!);
    }

    public static DaemonProcess Start(params IEnumerable<string> arguments) => Start(new Dictionary<string, string>(), arguments);

    /// <summary>What it has used so far: processor time, memory now, and at most.</summary>
    public (TimeSpan ProcessorTime, long Bytes, long PeakBytes, int Threads) Usage()
    {
        _process.Refresh();
        return (_process.TotalProcessorTime, _process.WorkingSet64, _process.PeakWorkingSet64, _process.Threads.Count);
    }

    /// <summary>How many it has open.</summary>
    public int Descriptors() => Directory.GetFiles($"/proc/{_process.Id}/fd").Length;

    /// <summary>Waits for what only the system can tell.</summary>
    public static async Task Until(Func<bool> holds)
    {
        using var deadline = new CancellationTokenSource(s_deadline);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!holds())
        {
            await pace.WaitForNextTickAsync(deadline.Token);
        }
    }

    public bool Lives => !_process.HasExited;

    /// <summary>The next line of its log, <see langword="null"/> at the end.</summary>
    public async Task<string?> ReadLineAsync()
    {
        using var deadline = new CancellationTokenSource(s_deadline);
        return await _process.StandardOutput.ReadLineAsync(deadline.Token);
    }

    /// <summary>Reads the line that says where it listens.</summary>
    public async Task<IPEndPoint> ReadEndPointAsync()
    {
        var line = await ReadLineAsync();
        var match = ListeningOn().Match(line ?? "");
        Assert.That(match.Success, $"'{line}' does not say where the master listens; standard error: {(line is null ? await _errors : "")}");
        return IPEndPoint.Parse(match.Groups["endpoint"].Value);
    }

    public void Signal(int signal) => Assert.That(Kill(_process.Id, signal), Is.Zero, "kill");

    /// <summary>Waits for the end and returns the exit code, what was not read of the log, and standard error.</summary>
    public async Task<(int Code, string Log, string Errors)> WaitForExitAsync()
    {
        using var deadline = new CancellationTokenSource(s_deadline);
        var log = await _process.StandardOutput.ReadToEndAsync(deadline.Token);
        await _process.WaitForExitAsync(deadline.Token);
        return (_process.ExitCode, log, await _errors.WaitAsync(deadline.Token));
    }

    /// <summary>Waits for the end without taking anything from its log.</summary>
    public async Task<int> WaitForExitUnreadAsync()
    {
        var exited = new TaskCompletionSource();
        _process.Exited += (_, _) => exited.TrySetResult();
        _process.EnableRaisingEvents = true; // Raises at once if it has ended already.
        await exited.Task.WaitAsync(s_deadline);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    [GeneratedRegex(@"Listening on (?<endpoint>\S+:\d+)")]
    private static partial Regex ListeningOn();

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int processId, int signal);
}
