namespace Collective.Daemon;

/// <summary>One thing that can be configured, under its three names.</summary>
/// <param name="Flag">Name on the command line.</param>
/// <param name="Variable">Name in the environment.</param>
/// <param name="Key">Name in the configuration file; <see langword="null"/> for what only says where that file is.</param>
internal sealed record Setting(string Flag, string Variable, string? Key)
{
    public static readonly Setting Listen = new("--listen", "COLLECTIVE_MASTER_LISTEN", "listen");

    public static readonly Setting HeartbeatTimeout = new("--heartbeat-timeout", "COLLECTIVE_MASTER_HEARTBEAT_TIMEOUT", "heartbeatTimeout");

    public static readonly Setting CrossedCallsTimeout = new("--crossed-calls-timeout", "COLLECTIVE_MASTER_CROSSED_CALLS_TIMEOUT", "crossedCallsTimeout");

    public static readonly Setting LogLevel = new("--log-level", "COLLECTIVE_MASTER_LOG_LEVEL", "logLevel");

    public static readonly Setting LogFormat = new("--log-format", "COLLECTIVE_MASTER_LOG_FORMAT", "logFormat");

    public static readonly Setting ConfigurationFile = new("--config", "COLLECTIVE_MASTER_CONFIG", null);

    public static IReadOnlyList<Setting> All { get; } = [Listen, HeartbeatTimeout, CrossedCallsTimeout, LogLevel, LogFormat, ConfigurationFile];

    /// <summary>The keys a configuration file may have.</summary>
    public static IReadOnlyList<string> Keys { get; } = [.. All.Select(setting => setting.Key).OfType<string>()];
}

/// <summary>What somebody wrote for a setting, and where, so that a complaint can name the place.</summary>
internal sealed record GivenValue(string Text, string Source)
{
    public UsageException MustBe(string expectation) => new($"{Source} is \"{Text}\", but must be {expectation}.");
}
