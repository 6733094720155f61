using System.Globalization;
using Serilog.Events;

namespace Collective.Daemon;

/// <summary>How log lines are written.</summary>
internal enum LogFormat
{
    /// <summary>One line for people.</summary>
    Text,

    /// <summary>One JSON object per line (compact log event format).</summary>
    Json,
}

/// <summary>Everything the daemon can be told, checked. Arguments win over the environment, that over the file, that over the defaults.</summary>
internal sealed record DaemonConfiguration(string Listen, TimeSpan HeartbeatTimeout, TimeSpan CrossedCallsTimeout, LogEventLevel LogLevel, LogFormat LogFormat)
{
    public static readonly DaemonConfiguration Default =
        new("0.0.0.0:48148", TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(60), LogEventLevel.Information, LogFormat.Text);

    /// <summary>Combines what was given in all places; throws <see cref="UsageException"/> naming the first thing that is wrong.</summary>
    /// <param name="argument">Value of a flag on the command line, if given there.</param>
    /// <param name="variable">Value of an environment variable, if set.</param>
    public static DaemonConfiguration From(Func<string, string?> argument, Func<string, string?> variable)
    {
        var path = Given(Setting.ConfigurationFile, argument, variable);
        var file = path is null ? null : ConfigurationFile.Read(path);
        return new DaemonConfiguration(
            ParseListen(Find(Setting.Listen)),
            ParseTimeout(Find(Setting.HeartbeatTimeout), Default.HeartbeatTimeout, Limits.HeartbeatTimeoutMin, Limits.HeartbeatTimeoutMax),
            ParseTimeout(Find(Setting.CrossedCallsTimeout), Default.CrossedCallsTimeout, Limits.CrossedCallsTimeoutMin, Limits.CrossedCallsTimeoutMax),
            ParseWord(Find(Setting.LogLevel), Default.LogLevel),
            ParseWord(Find(Setting.LogFormat), Default.LogFormat));

        GivenValue? Find(Setting setting) => Given(setting, argument, variable) ?? file?.GetValueOrDefault(setting.Key!);
    }

    private static GivenValue? Given(Setting setting, Func<string, string?> argument, Func<string, string?> variable)
    {
        if (argument(setting.Flag) is { } onCommandLine)
        {
            return new GivenValue(onCommandLine, setting.Flag);
        }

        // An empty variable is what "unset" looks like in many a container definition.
        return variable(setting.Variable) is { Length: > 0 } inEnvironment ? new GivenValue(inEnvironment, setting.Variable) : null;
    }

    private static string ParseListen(GivenValue? given)
    {
        if (given is null)
        {
            return Default.Listen;
        }

        return ListenAddress.IsValid(given.Text) ? given.Text : throw given.MustBe(ListenAddress.Expectation);
    }

    private static TimeSpan ParseTimeout(GivenValue? given, TimeSpan otherwise, TimeSpan min, TimeSpan max)
    {
        if (given is null)
        {
            return otherwise;
        }

        var timeout = ParseTime(given.Text);
        return timeout >= min && timeout <= max
            ? timeout.Value
            : throw given.MustBe(string.Create(CultureInfo.InvariantCulture, $"a number of seconds from {min.TotalSeconds} to {max.TotalSeconds}, or a time such as 00:00:05"));
    }

    /// <summary>Seconds, or hours:minutes:seconds. A bare number must not reach <see cref="TimeSpan.TryParse(string, out TimeSpan)"/>: it means days there.</summary>
    private static TimeSpan? ParseTime(string text)
    {
        const NumberStyles Seconds = NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        if (double.TryParse(text, Seconds, CultureInfo.InvariantCulture, out var seconds))
        {
            return seconds <= TimeSpan.MaxValue.TotalSeconds / 2 ? TimeSpan.FromSeconds(seconds) : null;
        }

        return text.Contains(':') && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) ? time : null;
    }

    private static T ParseWord<T>(GivenValue? given, T defaultValue)
        where T : struct, Enum
    {
        if (given is null)
        {
            return defaultValue;
        }

        foreach (var value in Enum.GetValues<T>())
        {
            if (string.Equals(value.ToString(), given.Text, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        throw given.MustBe($"one of {Words<T>()}");
    }

    /// <summary>The words a setting accepts, as they are written.</summary>
    public static string Words<T>()
        where T : struct, Enum
        => string.Join(", ", Enum.GetNames<T>().Select(name => name.ToLowerInvariant()));
}
