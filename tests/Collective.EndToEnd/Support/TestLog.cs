using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Collective.EndToEnd.Support;

/// <summary>Keeps what master and communicators log, in order, to be printed when the test fails.</summary>
internal sealed class TestLog : ILoggerFactory
{
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly long _startedAt = Stopwatch.GetTimestamp();

    public IEnumerable<string> Lines => _lines;

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    /// <summary>The same log, with a name in front of the category: whose lines these are.</summary>
    public ILoggerFactory For(string name) => new Named(this, name);

    public void Add(string source, string text)
    {
        var elapsedMs = Stopwatch.GetElapsedTime(_startedAt).TotalMilliseconds;
        _lines.Enqueue(string.Create(CultureInfo.InvariantCulture, $"{elapsedMs,10:0.0} {source}: {text}"));
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
