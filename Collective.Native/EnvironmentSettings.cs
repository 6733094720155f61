using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Collective.Native;

/// <summary>What the operator says by the environment. Text that makes no sense counts as not set.</summary>
internal static class EnvironmentSettings
{
    /// <summary>File that gets the log of programs that set no callback.</summary>
    public static string? LogFile => Environment.GetEnvironmentVariable("COLLECTIVE_LOG_FILE");

    /// <summary>What goes into that file. As in PCCL, a word that is none means nothing.</summary>
    public static LogLevel LogLevel => Environment.GetEnvironmentVariable("PCCL_LOG_LEVEL") switch
    {
        null or "" => LogLevel.Warning,
        "TRACE" => LogLevel.Trace,
        "DEBUG" => LogLevel.Debug,
        "INFO" => LogLevel.Information,
        "WARN" => LogLevel.Warning,
        "ERR" => LogLevel.Error,
        "FATAL" => LogLevel.Critical,
        _ => LogLevel.None,
    };

    /// <summary>Of a master that is given no segment size.</summary>
    public static int SegmentBytes
        => long.TryParse(Environment.GetEnvironmentVariable("PCCL_MULTIPLEX_CHUNK_SIZE"), NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) && bytes > 0
            ? (int)Math.Clamp(bytes, Limits.SegmentBytesMin, Limits.SegmentBytesMax) & ~7
            : new MasterOptions().SegmentBytes;

    /// <summary>Longest time of a call on a communicator that is given none, in seconds; "infinite" for no limit.</summary>
    public static TimeSpan? CallTimeout
        => Environment.GetEnvironmentVariable("COLLECTIVE_CALL_TIMEOUT") switch
        {
            "infinite" => Timeout.InfiniteTimeSpan,
            { } text when double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds * 1000 >= 1 => Arguments.Span(seconds * 1000),
            _ => null,
        };
}
