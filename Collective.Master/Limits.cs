namespace Collective.Daemon;

/// <summary>Every limit of the daemon. Those of the protocol are the library's.</summary>
internal static class Limits
{
    /// <summary>Largest configuration file that is read.</summary>
    public const long ConfigurationFileBytesMax = 1 << 20;

    /// <summary>Log lines kept while standard output does not take them; past it they are lost rather than the master being held up.</summary>
    public const int LogLinesMax = 10_000;

    /// <summary>Bytes that a quiet master may have allocated since it last gave memory back.</summary>
    public const long GarbageBytesMax = 16 << 20;

    /// <summary>Bytes that a quiet master allocates at most in <see cref="MemoryPause"/>.</summary>
    public const long QuietBytesMax = 1 << 20;

    /// <summary>How often it is looked whether memory can be given back.</summary>
    public static readonly TimeSpan MemoryPause = TimeSpan.FromSeconds(2);

    /// <summary>Shortest heartbeat timeout; the same as that of <see cref="MasterOptions"/>, so that a complaint can name the setting.</summary>
    public static readonly TimeSpan HeartbeatTimeoutMin = TimeSpan.FromMilliseconds(200);

    /// <summary>Longest heartbeat timeout.</summary>
    public static readonly TimeSpan HeartbeatTimeoutMax = TimeSpan.FromMinutes(10);

    /// <summary>Shortest time after which peers that wait for each other in different calls are told so; the same as that of <see cref="MasterOptions"/>.</summary>
    public static readonly TimeSpan CrossedCallsTimeoutMin = TimeSpan.FromMilliseconds(100);

    /// <summary>Longest such time.</summary>
    public static readonly TimeSpan CrossedCallsTimeoutMax = TimeSpan.FromHours(24);

    /// <summary>Closing a few sockets takes milliseconds; past this something is broken and the process ends all the same.</summary>
    public static readonly TimeSpan StopTimeoutMax = TimeSpan.FromSeconds(5);

    /// <summary>How long the end waits for standard output to take the last lines.</summary>
    public static readonly TimeSpan FlushTimeoutMax = TimeSpan.FromSeconds(2);
}
