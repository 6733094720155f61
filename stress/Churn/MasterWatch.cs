using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;

namespace Collective.Stress.Churn;

/// <summary>An event of the master, with the exact time at which it logged it. <paramref name="Kind"/> is the id that the log gives it: 2101 and up.</summary>
internal readonly record struct MasterNews(long At, int Kind, string Text)
{
    public const int EpochOpened = 2104;
    public const int EpochStands = 2105;
    public const int PeerLeft = 2106;
    public const int PeerLost = 2107;
    public const int PeerEvicted = 2108;
    public const int LinkFailed = 2110;
    public const int MasterWasFrozen = 2113;
    public const int PeerDismissed = 2130;
    public const int PeerFaulted = 2150;
}

/// <summary>Receives the master's log.</summary>
internal sealed partial class MasterWatch : ILoggerFactory, ILogger
{
    private readonly ConcurrentQueue<MasterNews> _news = new();

    public bool TryTake(out MasterNews news) => _news.TryDequeue(out news);

    /// <summary>The peers that a sentence names, in its order.</summary>
    public static IReadOnlyList<string> PeersIn(string text) => [.. PeerName().Matches(text).Select(match => match.Groups[1].Value)];

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider)
    {
        // Everything comes here.
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
        => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel))
        {
            _news.Enqueue(new MasterNews(Stopwatch.GetTimestamp(), eventId.Id, exception is null ? formatter(state, exception) : $"{formatter(state, exception)} {exception}"));
        }
    }

    public void Dispose()
    {
        // Nothing is held.
    }

    [GeneratedRegex(@"\b[Pp]eer ([0-9a-f]{8})\b")]
    private static partial Regex PeerName();
}
