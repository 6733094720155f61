using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Collective.EndToEnd.Support;

/// <summary>Keeps what master and communicators log, in order, to be printed when the test fails.</summary>
internal sealed class TestLog : ILoggerFactory
{
    // Guards the lines and who waits for one.
    private readonly Lock _gate = new();
    private readonly List<string> _lines = [];
    private readonly List<(Func<string, bool> Condition, TaskCompletionSource Heard)> _waiting = [];
    private readonly long _startedAt = Stopwatch.GetTimestamp();

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

    /// <summary>Completes when there is a line that holds all these words.</summary>
    public Task Says(TimeSpan deadline, params string[] words)
    {
        bool Holds(string line) => words.All(word => line.Contains(word, StringComparison.Ordinal));
        var heard = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_lines.Exists(Holds))
            {
                return Task.CompletedTask;
            }

            _waiting.Add((Holds, heard));
        }

        return heard.Task.WaitAsync(deadline);
    }

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    /// <summary>The same log, with a name in front of the category: whose lines these are.</summary>
    public ILoggerFactory For(string name) => new Named(this, name);

    public void Add(string source, string text)
    {
        var elapsedMs = Stopwatch.GetElapsedTime(_startedAt).TotalMilliseconds;
        var line = string.Create(CultureInfo.InvariantCulture, $"{elapsedMs,10:0.0} {source}: {text}");
        lock (_gate)
        {
            _lines.Add(line);
            foreach (var (_, heard) in _waiting.Where(w => w.Condition(line)))
            {
                heard.TrySetResult();
            }
        }
    }

    public void AddProvider(ILoggerProvider provider)
    {
        // Everything goes to the test.
    }

    public void Dispose()
    {
        // Holds lines only.
    }

    private sealed class Named(TestLog log, string name) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => new Logger(log, name);

        public void AddProvider(ILoggerProvider provider)
        {
            // Everything goes to the test.
        }

        public void Dispose()
        {
            // The owner of the log disposes.
        }
    }

    private sealed class Logger(TestLog log, string source) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
            => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            => log.Add(source, $"{logLevel} {formatter(state, exception)}{(exception is null ? "" : $" {exception}")}");
    }
}
