using System.CommandLine;
using System.CommandLine.Help;
using Serilog.Events;

namespace Collective.Daemon;

/// <summary>The command line of the daemon: its options, its help, and what happens to a wrong one.</summary>
internal static class MasterCommand
{
    public const string Name = "collective-master";

    private static readonly IReadOnlyList<Option<string>> s_options =
    [
        MakeOption(Setting.Listen, "host:port", $"""
            Address to listen on: a host name, an IPv4 address or an IPv6 address in brackets.
            Port 0 lets the system choose one, and the log says which.
            [default: {DaemonConfiguration.Default.Listen}]
            """),
        MakeOption(Setting.HeartbeatTimeout, "seconds", $"""
            How long a peer may be silent before it is evicted, from 0.2 to 600, or a time such as 00:00:05.
            [default: {DaemonConfiguration.Default.HeartbeatTimeout.TotalSeconds}]
            """),
        MakeOption(Setting.CrossedCallsTimeout, "seconds", $"""
            How long all peers of a group may wait for each other in different collectives before they are told, from 0.1 to 86400.
            [default: {DaemonConfiguration.Default.CrossedCallsTimeout.TotalSeconds}]
            """),
        MakeOption(Setting.LogLevel, "level", $"""
            What is logged: {DaemonConfiguration.Words<LogEventLevel>()}.
            [default: {DaemonConfiguration.Default.LogLevel.ToString().ToLowerInvariant()}]
            """),
        MakeOption(Setting.LogFormat, "format", $"""
            How it is logged: {DaemonConfiguration.Words<LogFormat>()} (one object per line).
            [default: {DaemonConfiguration.Default.LogFormat.ToString().ToLowerInvariant()}]
            """),
        MakeOption(Setting.ConfigurationFile, "file", $"JSON file with any of {string.Join(", ", Setting.Keys)}."),
    ];

    /// <summary>Parses <paramref name="arguments"/>, runs the daemon and returns the exit code.</summary>
    public static async Task<int> RunAsync(string[] arguments, TextWriter errors)
    {
        var command = new RootCommand("The master of a Collective run: admits the peers, tells them their ring, and notices who is lost.");
        foreach (var option in s_options)
        {
            command.Options.Add(option);
        }

        command.Options.OfType<HelpOption>().Single().Action = new MasterHelp();
        command.SetAction(async (result, _) => await MasterDaemon.RunAsync(Configure(result), errors));

        // A value that begins with @ is a value, not the name of a file full of arguments.
        var parsed = command.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0)
        {
            await errors.WriteLineAsync($"{Name}: {parsed.Errors[0].Message.TrimEnd('.')}; see '{Name} --help'.");
            return ExitCodes.Usage;
        }

        // Signals are the daemon's own business, and so are exceptions.
        var invocation = new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false };
        try
        {
            return await parsed.InvokeAsync(invocation);
        }
        catch (UsageException exception)
        {
            await errors.WriteLineAsync($"{Name}: {exception.Message}");
            return ExitCodes.Usage;
        }
    }

    private static DaemonConfiguration Configure(ParseResult result)
        => DaemonConfiguration.From(flag => result.GetValue<string?>(flag), Environment.GetEnvironmentVariable);

    private static Option<string> MakeOption(Setting setting, string valueName, string description)
        => new(setting.Flag) { HelpName = valueName, Description = description, Arity = ArgumentArity.ExactlyOne };
}
