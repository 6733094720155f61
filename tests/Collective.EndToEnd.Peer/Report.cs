using Microsoft.Extensions.Logging;

namespace Collective.EndToEnd.Peer;

/// <summary>Whole lines, unbuffered: what was said before a SIGKILL has been said.</summary>
internal static class Report
{
    // Guards standard output: the library's threads and the rounds report.
    private static readonly Lock Gate = new();
    private static readonly StreamWriter Output = new(Console.OpenStandardOutput()) { AutoFlush = true };

    public static void Line(string text)
    {
        lock (Gate)
        {
            Output.WriteLine(text);
        }
    }
}

/// <summary>The library's log on standard error.</summary>
internal sealed class StandardErrorLog : ILoggerFactory, ILogger
{
    private static readonly Lock Gate = new();
    private static readonly StreamWriter Output = new(Console.OpenStandardError()) { AutoFlush = true };

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider)
    {
        // Everything goes to standard error.
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (Gate)
        {
            Output.WriteLine($"{DateTime.UtcNow:ss.fff} {logLevel} {formatter(state, exception)}{(exception is null ? "" : $" {exception}")}");
        }
    }

    public void Dispose()
    {
        // The process's standard error outlives it.
    }
}
