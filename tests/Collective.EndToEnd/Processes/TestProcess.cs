using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>A peer (<c>Collective.EndToEnd.Peer</c>) or a master in a process of its own, and what it has said so far.</summary>
internal sealed partial class TestProcess : IAsyncDisposable
{
    private const int Sigkill = 9;
    private const int Sigterm = 15;
    private const int Sigcont = 18;
    private const int Sigstop = 19;

    private readonly Process _process;
    private readonly string _name;
    private readonly TestLog _log;

    // Guards the lines between the reading thread and the test, and wakes who waits for more of them.
    private readonly Lock _gate = new();
    private readonly List<string> _lines = [];
    private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private TestProcess(Process process, string name, TestLog log)
    {
        _process = process;
        _name = name;
        _log = log;
    }

    /// <summary>Exit status of a process that SIGKILL has ended.</summary>
    public const int Killed = 128 + Sigkill;

    public string Name => _name;

    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_gate)
            {
                return [.. _lines];
            }
        }
    }

    /// <summary>Every collective that this peer saw committed: which, in which epoch, over whom.</summary>
    public IReadOnlyList<string> Committed => [.. Lines.Where(line => line.StartsWith("committed", StringComparison.Ordinal))];

    /// <summary>The same, apart for each time that it was connected: it loses its place and may come back.</summary>
    public IReadOnlyList<IReadOnlyList<string>> Stays
    {
        get
        {
            var stays = new List<List<string>>();
            foreach (var line in Lines)
            {
                if (line.StartsWith("connected", StringComparison.Ordinal))
                {
                    stays.Add([]);
                }
                else if (line.StartsWith("committed", StringComparison.Ordinal))
                {
                    stays[^1].Add(line);
                }
            }

            return stays;
        }
    }

    /// <summary>Starts a peer; <paramref name="command"/> is what runs it, if it does not run as it is.</summary>
    public static TestProcess Peer(string name, TestLog log, string master, string arguments, params IEnumerable<string> command)
        => Start(name, log, [.. command, Dotnet, Beside("Collective.EndToEnd.Peer.dll"), "--master", master, .. arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

    /// <summary>Starts the daemon; its log is what it says.</summary>
    public static TestProcess Master(TestLog log, string arguments, params IEnumerable<string> command)
        => Start("master", log, [.. command, Dotnet, Beside("collective-master.dll"), .. arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

    /// <summary>The runtime that runs this test: .../shared/Microsoft.NETCore.App/version/System.Private.CoreLib.dll</summary>
    private static string Dotnet => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "..", "..", "..", "dotnet"));

    private static string Beside(string file) => Path.Combine(AppContext.BaseDirectory, file);

    private static TestProcess Start(string name, TestLog log, string[] command)
    {
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        var started = new TestProcess(process, name, log);
        process.OutputDataReceived += (_, e) => started.Heard(e.Data);
        process.ErrorDataReceived += (_, e) =>
        {
            if (e.Data is not null)
            {
                log.Add($"{name}!", e.Data);
            }
        };
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return started;
    }

    public void Tell(string line)
    {
        _log.Add(_name, $"<- {line}");
        _process.StandardInput.WriteLine(line);
    }

    public void Terminate() => Signal(Sigterm);

    /// <summary>Nothing of it runs on.</summary>
    public void Kill() => Signal(Sigkill);

    public void KillUnlessDead()
    {
        try
        {
            _process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It was faster.
        }
    }

    /// <summary>Stops it, and returns when it stands still.</summary>
    public Task Freeze()
    {
        Signal(Sigstop);
        return StandsStill();
    }

    /// <summary>Wakes it, once it stands still.</summary>
    public async Task Thaw()
    {
        await StandsStill();
        Signal(Sigcont);
    }

    /// <summary>From now on it gets no descriptor of this number or a higher one. Those it has it keeps.</summary>
    public unsafe void LimitDescriptors(int count)
    {
        const int numberOfFiles = 7;
        var limit = stackalloc ulong[] { (ulong)count, (ulong)count };
        Assert.That(Limit(_process.Id, numberOfFiles, limit, null), Is.Zero, $"limit of {_name}");
    }

    private void Signal(int signal) => Assert.That(Kill(_process.Id, signal), Is.Zero, $"signal {signal} to {_name}");

    /// <summary>The system tells only who asks; it takes a moment from the signal until the last thread has stopped.</summary>
    private async Task StandsStill()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (File.ReadAllText($"/proc/{_process.Id}/stat") is var stat && stat[stat.LastIndexOf(')') + 2] != 'T')
        {
            await pause.WaitForNextTickAsync(deadline.Token);
        }
    }

    /// <summary>Waits until what this process has said fulfils a condition; fails when it ends before.</summary>
    public async Task Said(string what, Func<IReadOnlyList<string>, bool> condition, TimeSpan deadline)
    {
        using var timeout = new CancellationTokenSource(deadline);
        while (true)
        {
            Task more;
            string[] lines;
            lock (_gate)
            {
                lines = [.. _lines];
                more = _more.Task;
            }

            if (condition(lines))
            {
                return;
            }

            Assert.That(more.IsFaulted, Is.False, $"{_name} has ended, but has not said: {what}");
            try
            {
                await more.WaitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"{_name} has not said within {deadline.TotalSeconds} s: {what}");
            }
            catch (EndOfStreamException)
            {
                // Looked at above, after one more look at the lines.
            }
        }
    }

    /// <summary>Where a master listens, once it says so.</summary>
    public async Task<IPEndPoint> ListensOn(TimeSpan deadline)
    {
        const string Words = "Listening on ";
        await Said("where it listens", lines => lines.Any(l => l.Contains(Words, StringComparison.Ordinal)), deadline);
        var line = Lines.First(l => l.Contains(Words, StringComparison.Ordinal));
        return IPEndPoint.Parse(line[(line.IndexOf(Words, StringComparison.Ordinal) + Words.Length)..].Split(' ')[0].TrimEnd('.', ','));
    }

    /// <summary>The exit status, once everything it said has been read.</summary>
    public async Task<int> Exited(TimeSpan deadline)
    {
        using var timeout = new CancellationTokenSource(deadline);
        try
        {
            await _process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"{_name} has not ended within {deadline.TotalSeconds} s");
        }

        _log.Add(_name, string.Create(CultureInfo.InvariantCulture, $"exit {_process.ExitCode}"));
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private void Heard(string? line)
    {
        TaskCompletionSource more;
        lock (_gate)
        {
            more = _more;
            if (line is not null)
            {
                _lines.Add(line);
                _more = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        if (line is null)
        {
            more.TrySetException(new EndOfStreamException());
            _ = more.Task.Exception; // Observed: nobody may be waiting.
        }
        else
        {
            _log.Add(_name, line);
            more.TrySetResult();
        }
    }

    [LibraryImport("libc", EntryPoint = "prlimit64")]
    private static unsafe partial int Limit(int process, int resource, ulong* fresh, ulong* previous);

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
