using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Collective.Stress.Processes;
using Spectre.Console;

namespace Collective.Stress.Demo;

/// <summary>The subcommand <c>demo</c>, and the hidden <c>demo-peer</c> that it starts several times.</summary>
internal static class DemoCommand
{
    public static Command Create()
    {
        var peers = CommandLine.Number("--peers", "Peer processes.", DemoPlan.PeersMin, DemoPlan.PeersMax, DemoPlan.PeersDefault);
        var steps = CommandLine.Number("--steps", "Outer steps of training.", DemoPlan.StepsMin, DemoPlan.StepsMax, DemoPlan.StepsDefault);
        var seed = CommandLine.Number("--seed", "Decides every random choice.", 0, int.MaxValue, DemoPlan.SeedDefault);
        var noKill = new Option<bool>("--no-kill") { Description = "Kill no peer and let no newcomer in." };
        var json = new Option<bool>("--json") { Description = "Print nothing but one JSON object, at the end." };
        var command = new Command("demo", "Train a small network on several processes, kill one half-way, let a new one in.")
        {
            peers, steps, seed, noKill, json,
        };
        command.SetAction((parsed, cancellationToken) =>
        {
            var plan = new DemoPlan
            {
                Peers = parsed.GetValue(peers),
                Steps = parsed.GetValue(steps),
                Seed = parsed.GetValue(seed),
                HasKill = !parsed.GetValue(noKill),
            };
            return RunAsync(plan, parsed.GetValue(json), cancellationToken);
        });
        return command;
    }

    public static Command CreatePeer()
    {
        var master = CommandLine.Internal<string>("--master");
        var minimumWorldSize = CommandLine.Internal<int>("--minimum-world-size");
        var steps = CommandLine.Internal<int>("--steps");
        var seed = CommandLine.Internal<int>("--seed");
        var killAtStep = CommandLine.Internal<int>("--kill-at-step");
        var killRank = CommandLine.Internal<int>("--kill-rank");
        var newcomerAtStep = CommandLine.Internal<int>("--newcomer-at-step");
        var command = new Command("demo-peer", "One peer of the demo.")
        {
            master, minimumWorldSize, steps, seed, killAtStep, killRank, newcomerAtStep,
        };
        command.Hidden = true;
        command.SetAction((parsed, cancellationToken) => RunPeerAsync(
            new DemoPeerSettings
            {
                Master = parsed.GetRequiredValue(master),
                MinimumWorldSize = parsed.GetValue(minimumWorldSize),
                Steps = parsed.GetValue(steps),
                Seed = parsed.GetValue(seed),
                KillAtStep = parsed.GetValue(killAtStep),
                KillRank = parsed.GetValue(killRank),
                NewcomerAtStep = parsed.GetValue(newcomerAtStep),
            },
            cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(DemoPlan plan, bool json, CancellationToken cancellationToken)
    {
        try
        {
            var report = await RunWithDisplayAsync(plan, json, cancellationToken);
            if (json)
            {
                Console.Out.WriteLine(JsonSerializer.Serialize(report, JsonLines.Options));
            }
            else
            {
                PrintSummary(report);
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

    private static async Task<DemoReport> RunWithDisplayAsync(DemoPlan plan, bool json, CancellationToken cancellationToken)
    {
        if (json)
        {
            return await new DemoOrchestrator(plan, new NoDisplay()).RunAsync(cancellationToken);
        }

        Console.Out.WriteLine($"{plan.Peers} processes train a network that reads handwritten digits, in {plan.Steps} steps.");
        if (Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Interactive)
        {
            return await new DemoOrchestrator(plan, new LineDisplay(Console.Out)).RunAsync(cancellationToken);
        }

        return await AnsiConsole.Live(new Text("")).StartAsync(
            context => new DemoOrchestrator(plan, new LiveDisplay(context)).RunAsync(cancellationToken));
    }

    private static void PrintSummary(DemoReport report)
    {
        var culture = CultureInfo.InvariantCulture;
        Console.Out.WriteLine();
        Console.Out.WriteLine(string.Create(culture, $"Test images read correctly  {report.Accuracy:P1} (wanted: {DemoPlan.AccuracyMin:P0})"));
        Console.Out.WriteLine($"Parameters, SHA-256         {report.Digest ?? "not the same everywhere"} on {report.Survivors} peers");
        Console.Out.WriteLine($"Aborted and repeated        {report.Aborted} calls aborted, {report.Retried} of them repeated with success");
        Console.Out.WriteLine($"Moved between peers         {Bytes.Text(report.BytesMoved)}");
        Console.Out.WriteLine(string.Create(culture, $"Time                        {report.Seconds:F1} s"));
        Console.Out.WriteLine(report.Passed ? "PASSED" : "FAILED");
    }

    private static async Task<int> RunPeerAsync(DemoPeerSettings settings, CancellationToken cancellationToken)
    {
        ParentWatch.Start();
        var events = new JsonLineWriter<DemoEvent>();
        try
        {
            await using var peer = new DemoPeer(settings, events);
            await peer.RunAsync(cancellationToken);
            return ExitCodes.Passed;
        }
        catch (Exception error) when (error is CollectiveException or InvalidOperationException or TimeoutException)
        {
            events.Write(new DemoEvent.Failed(error.Message));
            return ExitCodes.Failed;
        }
    }
}
