using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Collective.Stress.Processes;
using Spectre.Console;

namespace Collective.Stress.Churn;

/// <summary>The subcommand <c>churn</c>, and the hidden <c>churn-peer</c> that it starts many times.</summary>
internal static class ChurnCommand
{
    public static Command Create()
    {
        var minutes = CommandLine.Decimal("--minutes", "How long.", ChurnPlan.MinutesMin, ChurnPlan.MinutesMax, ChurnPlan.MinutesDefault);
        var peers = CommandLine.Number("--peers", "Peer processes at most.", ChurnPlan.PeersMin, ChurnPlan.PeersMax, ChurnPlan.PeersDefault);
        var rate = CommandLine.Decimal("--rate", "Events per second, on average.", ChurnPlan.RateMin, ChurnPlan.RateMax, ChurnPlan.RateDefault);
        var seed = CommandLine.Number("--seed", "Decides the schedule of events.", 0, int.MaxValue, ChurnPlan.SeedDefault);
        var misfits = CommandLine.Decimal("--misfits", "Share of the newcomers that do not fit (sizes, revision, another program).", 0, 1, ChurnPlan.MisfitsDefault);
        var json = new Option<bool>("--json") { Description = "Print nothing but one JSON object, at the end." };
        var all = ChurnPlan.Text(Enum.GetValues<ChurnKind>());
        var mix = new Option<string>("--mix") { Description = $"Kinds of events, separated by commas: {all}. Without it all that are possible here." };
        mix.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && ChurnPlan.ParseMix(result.Tokens[0].Value) is null)
            {
                result.AddError($"'{result.Tokens[0].Value}' is not a valid value of --mix: it takes some of {all}.");
            }
        });
        var log = new Option<string>("--log") { Description = "A file for the master's log and all that happens, with times." };
        var command = new Command("churn", "Let peers be killed, frozen, cut off, reset, starved, leave and join while they reduce, and check every promise.")
        {
            minutes, peers, rate, seed, misfits, mix, json, log,
        };
        command.SetAction((parsed, cancellationToken) =>
        {
            var plan = new ChurnPlan
            {
                Minutes = parsed.GetValue(minutes),
                Peers = parsed.GetValue(peers),
                Rate = parsed.GetValue(rate),
                Seed = parsed.GetValue(seed),
                Misfits = parsed.GetValue(misfits),
            };
            return RunAsync(plan, parsed.GetValue(mix), parsed.GetValue(json), parsed.GetValue(log), cancellationToken);
        });
        return command;
    }

    public static Command CreatePeer()
    {
        var master = CommandLine.Internal<string>("--master");
        var seed = CommandLine.Internal<int>("--seed");
        var misfit = new Option<MisfitKind?>("--misfit");
        var command = new Command("churn-peer", "One peer of the churn program.") { master, seed, misfit };
        command.Hidden = true;
        command.SetAction((parsed, _) => RunPeerAsync(parsed.GetRequiredValue(master), parsed.GetValue(seed), parsed.GetValue(misfit)));
        return command;
    }

    private static async Task<int> RunAsync(ChurnPlan plan, string? mix, bool json, string? log, CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows())
        {
            await Console.Error.WriteLineAsync("The churn program needs the signals of a POSIX system: run it on Linux.");
            return ExitCodes.BadArguments;
        }

        if (WithPossibleMix(plan, mix) is not { } possible)
        {
            return ExitCodes.BadArguments;
        }

        if (!TryOpen(log, out var logFile))
        {
            return ExitCodes.BadArguments;
        }

        await using var closing = logFile;
        try
        {
            var report = await RunWithDisplayAsync(possible, json, logFile, cancellationToken);
            if (json)
            {
                Console.Out.WriteLine(JsonSerializer.Serialize(report, JsonLines.Options));
            }
            else
            {
                Console.Out.WriteLine();
                report.Lines().ToList().ForEach(Console.Out.WriteLine);
            }

            foreach (var failure in report.Failures)
            {
                Console.Error.WriteLine(failure);
            }

            return report.Passed ? ExitCodes.Passed : ExitCodes.Failed;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Console.Error.WriteLine("Cancelled; all peers are ended.");
            return ExitCodes.Cancelled;
        }
    }

    /// <summary>Opens the log file, if there shall be one; tells why it cannot.</summary>
    private static bool TryOpen(string? log, out StreamWriter? file)
    {
        file = null;
        if (log is null)
        {
            return true;
        }

        try
        {
            var stream = new FileStream(log, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
            stream.Write("The log of a churn run.\n"u8); // Rather fail now than in the middle of the run.
            file = new StreamWriter(stream) { AutoFlush = true };
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            Console.Error.WriteLine($"The log file {log} (--log) cannot be written: {error.Message}");
            return false;
        }
    }

    /// <summary>The plan with the kinds that were asked for, or all that are possible here; null, and the reason told, when what was asked for is not.</summary>
    private static ChurnPlan? WithPossibleMix(ChurnPlan plan, string? mix)
    {
        plan = mix is null ? plan : plan with { Mix = ChurnPlan.ParseMix(mix)! };
        if (!plan.Mix.Contains(ChurnKind.Blackhole) || HostNetwork.Unavailable is not { } obstacle)
        {
            return plan;
        }

        if (mix is not null)
        {
            Console.Error.WriteLine($"Nobody can be cut off (blackhole) here: {obstacle}. Run as root with iproute2 installed, or leave blackhole out of --mix.");
            return null;
        }

        Console.Error.WriteLine($"Left out: blackhole, because {obstacle}.");
        return plan with { Mix = [.. plan.Mix.Where(kind => kind != ChurnKind.Blackhole)] };
    }

    private static async Task<ChurnReport> RunWithDisplayAsync(ChurnPlan plan, bool json, TextWriter? log, CancellationToken cancellationToken)
    {
        if (json)
        {
            return await new ChurnOrchestrator(plan, new NoChurnDisplay(), log).RunAsync(cancellationToken);
        }

        Console.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"At most {plan.Peers} processes reduce for {plan.Minutes} min, {plan.Rate} events a second: {ChurnPlan.Text(plan.Mix)}. Seed {plan.Seed}."));
        if (Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Interactive)
        {
            return await new ChurnOrchestrator(plan, new LineChurnDisplay(Console.Out), log).RunAsync(cancellationToken);
        }

        return await AnsiConsole.Live(new Text("")).StartAsync(
            context => new ChurnOrchestrator(plan, new LiveChurnDisplay(context), log).RunAsync(cancellationToken));
    }

    private static async Task<int> RunPeerAsync(string master, int seed, MisfitKind? misfit)
    {
        // It may be starved, and the runtime loads late what it then cannot load.
        PoolThreads.MakeAllNow();
        _ = (Console.Error, SHA256.HashData([]));
        var events = new JsonLineWriter<ChurnEvent>();
        try
        {
            await using var peer = new ChurnPeer(master, seed, misfit, events);
            ParentWatch.Start(peer.Obey);
            await peer.RunAsync();
            return ExitCodes.Passed;
        }
        catch (CollectiveException error)
        {
            events.Write(new ChurnEvent.Failed(System.Diagnostics.Stopwatch.GetTimestamp(), $"{error.Code}: {error.Message}"));
            return ExitCodes.Failed;
        }
    }
}
