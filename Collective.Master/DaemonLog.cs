using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Extensions.Logging;
using Serilog.Formatting.Compact;

namespace Collective.Daemon;

/// <summary>Where the daemon and the library log: standard output, as text or as JSON lines.</summary>
internal sealed class DaemonLog : IAsyncDisposable
{
    private const string TextTemplate = "{UtcTimestamp:yyyy-MM-ddTHH:mm:ss.fffZ} {Level:u3} {Message:lj}{NewLine}{Exception}";

    private readonly Logger _serilog;

    public DaemonLog(LogEventLevel level, LogFormat format)
    {
        // The daemon's own few lines (where it listens, that it stops) are always printed: with port 0 nobody could find it otherwise.
        _serilog = new LoggerConfiguration()
            .MinimumLevel.Is(level)
            .MinimumLevel.Override(typeof(DaemonLog).Namespace!, level < LogEventLevel.Information ? level : LogEventLevel.Information)
            .Enrich.With<OneLineEnricher>()
            .WriteTo.Async(sink => WriteToConsole(sink, format), bufferSize: Limits.LogLinesMax, blockWhenFull: false)
            .CreateLogger();
        Factory = new SerilogLoggerFactory(_serilog);
    }

    /// <summary>What the library is given.</summary>
    public SerilogLoggerFactory Factory { get; }

    /// <summary>Writes what is still queued, but does not wait for ever for a reader that takes nothing.</summary>
    public async ValueTask DisposeAsync()
    {
        Factory.Dispose();
        try
        {
            await Task.Run(_serilog.Dispose).WaitAsync(Limits.FlushTimeoutMax);
        }
        catch (TimeoutException)
        {
            // Nobody reads standard output, so there is nobody to tell.
        }
    }

    private static void WriteToConsole(Serilog.Configuration.LoggerSinkConfiguration sink, LogFormat format)
    {
        if (format == LogFormat.Json)
        {
            sink.Console(new RenderedCompactJsonFormatter());
        }
        else
        {
            sink.Console(outputTemplate: TextTemplate, formatProvider: System.Globalization.CultureInfo.InvariantCulture);
        }
    }
}
