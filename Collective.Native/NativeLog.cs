using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Collective.Native;

/// <summary>The log of the process: to the callback that C has set, else to the file that the environment names, else nowhere.</summary>
internal sealed unsafe class NativeLog : ILoggerFactory
{
    public static readonly NativeLog Instance = new();

    [ThreadStatic]
    private static Sink? calledOnThisThread;

    private readonly Sink? _file = LogFile.Open() is { } file ? new Sink(EnvironmentSettings.LogLevel, file.Write) : null;
    private volatile Sink? _sink;

    private NativeLog()
    {
        _sink = _file;
    }

    /// <summary>When it returns, the callback set before is not running, unless this is called from within it.</summary>
    public void Set(delegate* unmanaged[Cdecl]<int, byte*, byte*, nint, void> callback, LogLevel minimum, nint context)
    {
        var previous = _sink;
        _sink = callback is null ? _file : new Sink(minimum, (level, category, message) => Call(callback, level, category, message, context));
        if (previous is not null && previous != _file && previous != calledOnThisThread)
        {
            previous.Close();
        }
    }

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    /// <summary>A defect of ours that nobody caught.</summary>
    public void Report(Exception exception) => CreateLogger("Collective.Native").LogCritical(exception, "An exception was not caught");

    public void AddProvider(ILoggerProvider provider)
    {
        // C has one place to hear the log.
    }

    public void Dispose()
    {
        // Lives as long as the process.
    }

    private static void Call(delegate* unmanaged[Cdecl]<int, byte*, byte*, nint, void> callback, LogLevel level, string category, string message, nint context)
    {
        var categoryText = Marshal.StringToCoTaskMemUTF8(category);
        var messageText = Marshal.StringToCoTaskMemUTF8(message);
        try
        {
            callback((int)level, (byte*)categoryText, (byte*)messageText, context);
        }
        finally
        {
            Marshal.FreeCoTaskMem(categoryText);
            Marshal.FreeCoTaskMem(messageText);
        }
    }

    /// <summary>A place that hears the log, which can be closed for good.</summary>
    private sealed class Sink(LogLevel minimum, Action<LogLevel, string, string> write)
    {
        // Guards both fields: lines being written, and whether there may be more.
        private readonly object _gate = new();
        private int _writing;
        private bool _closed;

        public bool Hears(LogLevel level) => level >= minimum && level != LogLevel.None;

        public void Write(LogLevel level, string category, string message)
        {
            lock (_gate)
            {
                if (_closed)
                {
                    return;
                }

                _writing++;
            }

            var outer = calledOnThisThread;
            calledOnThisThread = this;
            try
            {
                write(level, category, message);
            }
            finally
            {
                calledOnThisThread = outer;
                lock (_gate)
                {
                    if (--_writing == 0)
                    {
                        Monitor.PulseAll(_gate);
                    }
                }
            }
        }

        public void Close()
        {
            lock (_gate)
            {
                _closed = true;
                while (_writing > 0)
                {
                    Monitor.Wait(_gate);
                }
            }
        }
    }

    private sealed class Logger(NativeLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
            => null;

        public bool IsEnabled(LogLevel logLevel) => log._sink?.Hears(logLevel) == true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (log._sink is { } sink && sink.Hears(logLevel))
            {
                var text = new StringBuilder(formatter(state, exception));
                if (exception is not null)
                {
                    text.Append(": ").Append(exception);
                }

                sink.Write(logLevel, category, text.ToString());
            }
        }
    }
}
