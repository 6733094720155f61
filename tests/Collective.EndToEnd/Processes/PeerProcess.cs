using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>A peer in a process of its own (<c>Collective.EndToEnd.Peer</c>), and what it has said so far.</summary>
internal sealed partial class PeerProcess : IAsyncDisposable
{
    private const int Sigterm = 15;
    private const int Sigcont = 18;

    private readonly Process _process;
    private readonly string _name;
    private readonly TestLog _log;

    // Guards the lines between the reading thread and the test, and wakes who waits for more of them.
    private readonly Lock _gate = new();
    private readonly List<string> _lines = [];
    private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private PeerProcess(Process process, string name, TestLog log)
    {
        _process = process;
        _name = name;
        _log = log;
    }

    /// <summary>Exit status of a process that SIGKILL has ended.</summary>
    public const int Killed = 128 + 9;

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

    public static PeerProcess Start(string name, TestLog log, CollectiveMaster master, string arguments)
    {
        // The runtime that runs this test: .../shared/Microsoft.NETCore.App/<version>/System.Private.CoreLib.dll
        var runtime = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        var start = new ProcessStartInfo(Path.Combine(runtime, "..", "..", "..", "dotnet"))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Collective.EndToEnd.Peer.dll"));
        start.ArgumentList.Add("--master");
        start.ArgumentList.Add(master.EndPoint.ToString());
        foreach (var argument in arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            start.ArgumentList.Add(argument);
        }

        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        var peer = new PeerProcess(process, name, log);
        process.OutputDataReceived += (_, e) => peer.Heard(e.Data);
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
        return peer;
    }

    public void Tell(string line)
    {
        _log.Add(_name, $"<- {line}");
        _process.StandardInput.WriteLine(line);
    }

    /// <summary>Lets a process go on that has stopped itself.</summary>
    public void Continue() => Assert.That(Kill(_process.Id, Sigcont), Is.Zero);

    public void Terminate() => Assert.That(Kill(_process.Id, Sigterm), Is.Zero);

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

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
