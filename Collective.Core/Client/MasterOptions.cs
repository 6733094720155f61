using Collective.Protocol;
using Microsoft.Extensions.Logging;

namespace Collective;

/// <summary>How a master listens and when it gives a silent peer up.</summary>
public sealed class MasterOptions
{
    /// <summary>Address to listen on, as <c>host:port</c>. Defaults to <c>0.0.0.0:48148</c>; port 0 lets the system choose.</summary>
    public string Listen { get; set; } = "0.0.0.0:48148";

    /// <summary>A peer that is silent for this long is evicted; peers give the master up after the same time.</summary>
    /// <remarks>Defaults to 5 s. Range 200 ms to 10 min.</remarks>
    public TimeSpan HeartbeatTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// When all peers of a group have waited for this long, each in a collective that another has not entered, they get <see cref="ErrorCode.CrossedCalls"/> naming who waits where.
    /// </summary>
    /// <remarks>Defaults to 60 s. Range 100 ms to 24 h. Choose more if peers launch concurrent collectives in different orders and further apart than that.</remarks>
    public TimeSpan CrossedCallsTimeout { get; set; } = TimeSpan.FromMilliseconds(Limits.CrossedCallsTimeoutMsDefault);

    /// <summary>Largest piece of a tensor in flight at once, for all peers of the run.</summary>
    /// <remarks>Defaults to 512 KiB. Range 64 B to 4 MiB, a multiple of 8. Larger moves bulk data with fewer calls, smaller overlaps more.</remarks>
    public int SegmentBytes { get; set; } = 512 * 1024;

    /// <summary>Where the master logs. Defaults to nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }
}
