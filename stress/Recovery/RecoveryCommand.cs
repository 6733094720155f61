using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Collective.Stress.Processes;

namespace Collective.Stress.Recovery;

/// <summary>The subcommand <c>recovery</c>, and the hidden <c>recovery-peer</c> that it starts several times.</summary>
internal static class RecoveryCommand
{
    private const int PeersMin = 3;
    private const int PeersMax = 16;
    private const long BytesMax = 1L << 30;

    public static Command Create()
    {
        var peers = CommandLine.Number("--peers", "Peer processes.", PeersMin, PeersMax, 4);
        var rounds = CommandLine.Number("--rounds", "Deaths to measure.", 1, 1000, 5);
        var size = new Option<string>("--size") { Description = "Bytes of the tensor; KiB, MiB and GiB may follow. Up to 1GiB.", DefaultValueFactory = _ => "256MiB" };
        size.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && Bytes.Parse(result.Tokens[0].Value) is not (>= 1 << 20 and <= BytesMax))
            {
                result.AddError($"'{result.Tokens[0].Value}' is not a valid value of --size: it takes a size from 1MiB to 1GiB, so that a death can be in the middle.");
            }
        });
        var json = new Option<bool>("--json") { Description = "Print nothing but one JSON object, at the end." };
        var command = new Command("recovery", "Kill a peer in the middle of a large all-reduce, and time what the others need until the same all-reduce has committed.")
        {
            peers, size, rounds, json,
        };
        command.SetAction((parsed, cancellationToken)
            => RunAsync(parsed.GetValue(peers), Bytes.Parse(parsed.GetRequiredValue(size))!.Value / sizeof(float) * sizeof(float), parsed.GetValue(rounds), parsed.GetValue(json), cancellationToken));
        return command;
    }

    public static Command CreatePeer()
    {
        var master = CommandLine.Internal<string>("--master");
        var peers = CommandLine.Internal<int>("--peers");
        var size = CommandLine.Internal<long>("--size");
        var command = new Command("recovery-peer", "One peer of the measurement.") { master, peers, size };
        command.Hidden = true;
        command.SetAction((parsed, _) => RunPeerAsync(parsed.GetRequiredValue(master), parsed.GetValue(peers), parsed.GetValue(size)));
        return command;
    }

    private static async Task<int> RunAsync(int peers, long bytes, int rounds, bool json, CancellationToken cancellationToken)
    {
        try
        {
            if (!json)
            {
                Console.Out.WriteLine($"{peers} processes on this machine all-reduce {Bytes.Text(bytes)}, one is killed half-way. Times in ms, from SIGKILL on; recovery: from the first sign at the master until the new ring stood.");
                Console.Out.WriteLine("  undisturbed   detection    recovery     retried      beyond one undisturbed");
            }

            var report = await new RecoveryOrchestrator(peers, bytes, rounds, json ? _ => { } : PrintRow).RunAsync(cancellationToken);
            if (json)
            {
                Console.Out.WriteLine(JsonSerializer.Serialize(report, JsonLines.Options));
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

    private static void PrintRow(RecoveryRound round)
        => Console.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{round.Undisturbed,13:0.0} {round.Detection,11:0.0} {round.Recovery,11:0.0} {round.Retried,11:0.0} {round.Beyond,11:0.0}"));

    private static async Task<int> RunPeerAsync(string master, int peers, long bytes)
    {
        ParentWatch.Start();
        var events = new JsonLineWriter<RecoveryEvent>();
        try
        {
            await using var peer = new RecoveryPeer(master, peers, bytes, events);
            await peer.RunAsync();
            return ExitCodes.Passed;
        }
        catch (Exception error) when (error is CollectiveException or InvalidOperationException)
        {
            events.Write(new RecoveryEvent.Failed(error.Message));
            return ExitCodes.Failed;
        }
    }
}
