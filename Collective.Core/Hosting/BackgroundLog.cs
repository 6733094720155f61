using System.Runtime.CompilerServices;
using Collective.Protocol;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Collective.Hosting;

/// <summary>
/// Calls the user's loggers on a thread of its own, in the order of the lines: a logger that waits (for a full pipe, a lock, an interpreter) holds up no loop that owes heartbeats.
/// What does not fit while it waits is lost, and the log says how much. One for each logger factory; its thread exists while there is something to write, and shortly after.
/// </summary>
internal sealed class BackgroundLog
{
    private const int IdleMs = 5_000;

    private static readonly ConditionalWeakTable<ILoggerFactory, BackgroundLog> s_logs = [];

    // Guards the queue between those who log, the thread that writes, and those who wait for that.
    private readonly object _gate = new();
    private readonly Queue<Action> _lines = new();
    private Thread? _thread;
    private long _added;
    private long _written;
    private int _lost;

    /// <summary>A logger that never waits and never throws.</summary>
    public static ILogger CreateLogger(ILoggerFactory? factory, string category)
        => factory is null or NullLoggerFactory ? NullLogger.Instance : new Logger(s_logs.GetValue(factory, static _ => new BackgroundLog()), factory.CreateLogger(category));

    /// <summary>Waits until everything logged so far is written; not for ever, and not on the thread that writes.</summary>
    public static void Flush(ILoggerFactory? factory)
    {
        if (factory is not null && s_logs.TryGetValue(factory, out var log))
        {
            log.Flush();
        }
    }

    private void Add(ILogger target, Action line)
    {
        lock (_gate)
        {
            if (_lines.Count >= Limits.LogLinesMax)
            {
                _lost++;
                return;
            }

            if (_lost > 0)
            {
                var lost = _lost;
                _lines.Enqueue(() => target.LogWarning("{Lost} lines of the log were lost, because it did not take them", lost));
                _added++;
                _lost = 0;
            }

            _lines.Enqueue(line);
            _added++;
            Monitor.PulseAll(_gate);
            StartThread();
        }
    }

    /// <summary>When the system gives no thread the lines wait; the next one tries again, and a flush does without.</summary>
    private void StartThread()
    {
        if (_thread is not null)
        {
            return;
        }

        try
        {
            _thread = new Thread(Write, maxStackSize: 512 * 1024) { IsBackground = true, Name = "collective-log" };
            _thread.Start();
        }
        catch (Exception e) when (e is OutOfMemoryException or ThreadStartException)
        {
            _thread = null;
        }
    }

    private void Write()
    {
        while (Take() is { } line)
        {
            WriteOne(line);
        }
    }

    /// <summary>Null when there has been nothing for a while: the thread ends.</summary>
    private Action? Take()
    {
        lock (_gate)
        {
            if (_lines.Count == 0)
            {
                Monitor.Wait(_gate, IdleMs);
            }

            if (_lines.TryDequeue(out var line))
            {
                return line;
            }

            _thread = null;
            return null;
        }
    }

    private void WriteOne(Action line)
    {
        try
        {
            line();
        }
        catch (Exception)
        {
            // A logger that fails is its owner's trouble.
        }

        lock (_gate)
        {
            _written++;
            Monitor.PulseAll(_gate);
        }
    }

    private void Flush()
    {
        var deadlineMs = Environment.TickCount64 + Limits.LogFlushMsMax;
        lock (_gate)
        {
            for (var until = _added; _written < until && _thread is not null && _thread != Thread.CurrentThread;)
            {
                var restMs = deadlineMs - Environment.TickCount64;
                if (restMs <= 0)
                {
                    return;
                }

                Monitor.Wait(_gate, (int)restMs);
            }

            if (_thread is not null || _lines.Count == 0)
            {
                return;
            }
        }

        while (_lines.TryDequeue(out var line)) // There was no thread for them.
        {
            WriteOne(line);
        }
    }

    private sealed class Logger(BackgroundLog log, ILogger target) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
            => null;

        /// <summary>Whether a level is wanted the user's code decides, and that runs on the other thread.</summary>
        public bool IsEnabled(LogLevel logLevel) => logLevel is >= LogLevel.Debug and not LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                log.Add(target, () => target.Log(logLevel, eventId, state, exception, formatter));
            }
        }
    }
}
