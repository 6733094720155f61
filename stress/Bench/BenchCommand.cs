using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Collective.Stress.Processes;

namespace Collective.Stress.Bench;

/// <summary>The subcommand <c>bench</c>, and the hidden <c>bench-peer</c> that it starts several times.</summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        var options = new PlanOptions();
        var json = new Option<bool>("--json") { Description = "Print nothing but one JSON object, at the end." };
        var slowPairs = CommandLine.Number("--slow-pairs", "Give each peer a host of its own, with so many Mbit/s between most pairs (those of one ring are not limited); 0 for loopback. Needs root and iproute2.", 0, 10_000, 0);
        var command = new Command("bench", "Time all-reduces (sum of float32, quantised or not) between several processes of this machine.") { json, slowPairs };
        options.AddTo(command);
        slowPairs.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() > 0 && HostNetwork.Unavailable is { } reason)
            {
                result.AddError($"--slow-pairs cannot be had here: {reason}.");
            }
        });
        command.SetAction((parsed, cancellationToken) => RunAsync(options.Read(parsed) with { SlowPairs = parsed.GetValue(slowPairs) }, parsed.GetValue(json), cancellationToken));
        return command;
    }

    public static Command CreatePeer()
    {
        var options = new PlanOptions();
        var master = CommandLine.Internal<string>("--master");
        var command = new Command("bench-peer", "One peer of the benchmark.") { master };
        options.AddTo(command);
        command.Hidden = true;
        command.SetAction((parsed, _) => RunPeerAsync(options.Read(parsed), parsed.GetRequiredValue(master)));
        return command;
    }

    private static async Task<int> RunAsync(BenchPlan plan, bool json, CancellationToken cancellationToken)
    {
        try
        {
            if (!json)
            {
                PrintHeader(plan);
            }

            var report = await new BenchOrchestrator(plan, json ? _ => { } : PrintRow).RunAsync(cancellationToken);
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
        catch (InvalidOperationException error) when (plan.SlowPairs > 0)
        {
            Console.Error.WriteLine($"The network with slow pairs could not be made: {error.Message}");
            return ExitCodes.Failed;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Console.Error.WriteLine("Cancelled; all peers are ended.");
            return ExitCodes.Cancelled;
        }
    }

    private static async Task<int> RunPeerAsync(BenchPlan plan, string master)
    {
        ParentWatch.Start();
        var events = new JsonLineWriter<BenchEvent>();
        try
        {
            await using var peer = new BenchPeer(plan, master, events);
            await peer.RunAsync();
            return ExitCodes.Passed;
        }
        catch (CollectiveException error)
        {
            events.Write(new BenchEvent.Failed(error.Message));
            return ExitCodes.Failed;
        }
    }

    private static void PrintHeader(BenchPlan plan)
    {
        Console.Out.WriteLine($"{plan.Peers} processes on this machine, {(plan.SlowPairs > 0 ? $"most pairs at {plan.SlowPairs} Mbit/s, {(plan.Optimize ? "topology optimised, " : "")}" : "")}{plan.Stripes} stripes, sum of float32, {(plan.InPlace ? "in place" : "out of place")}, quantisation: {plan.Quantization}. Times are those of rank 0.");
        Console.Out.WriteLine("      size  iterations    median us       p99 us  algbw GB/s  busbw GB/s   wrong");
    }

    private static void PrintRow(BenchResult result)
        => Console.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{Bytes.Text(result.Bytes),10}  {result.Iterations,10}  {result.MedianMicroseconds,11:F1}  {result.P99Microseconds,11:F1}  {result.AlgorithmBandwidth,10:F3}  {result.BusBandwidth,10:F3}  {result.WrongElements,6}"));

    /// <summary>The options that make a plan.</summary>
    private sealed class PlanOptions
    {
        private readonly Option<int> _peers = CommandLine.Number("--peers", "Peer processes.", BenchPlan.PeersMin, BenchPlan.PeersMax, BenchPlan.PeersDefault);
        private readonly Option<int> _iterations = CommandLine.Number("--iterations", "Timed calls per size; 0 for a number that suits the size.", 0, BenchPlan.IterationsMax, 0);
        private readonly Option<int> _stripes = CommandLine.Number("--stripes", "Parallel connections per neighbour.", 1, BenchPlan.StripesMax, BenchPlan.StripesDefault);
        private readonly Option<bool> _inPlace = new("--in-place") { Description = "Let the result replace the input." };
        private readonly Option<bool> _optimize = new("--optimize") { Description = "Optimise the topology before anything is timed." };
        private readonly Option<string> _sizes = new("--sizes")
        {
            Description = "Sizes in bytes, separated by commas; KiB, MiB and GiB may follow. Multiples of 4 up to 1GiB.",
            DefaultValueFactory = _ => BenchPlan.SizesDefault,
        };

        private readonly Option<string> _quantize = new("--quantize")
        {
            Description = "What travels in place of the float32: min-max or zero-point-scale, a colon, and an integer type like uint8.",
        };

        public PlanOptions()
        {
            Validate(_sizes, text => BenchPlan.ParseSizes(text) is not null, $"up to {BenchPlan.SizesMax} sizes like {BenchPlan.SizesDefault}, multiples of 4 up to 1GiB");
            Validate(
                _quantize,
                text => BenchPlan.ParseQuantization(text) is not null,
                "min-max:TYPE with uint8, uint16, uint32 or uint64, or zero-point-scale:TYPE with these or int8, int16, int32 or int64");
        }

        public void AddTo(Command command)
        {
            command.Add(_peers);
            command.Add(_sizes);
            command.Add(_iterations);
            command.Add(_stripes);
            command.Add(_inPlace);
            command.Add(_optimize);
            command.Add(_quantize);
        }

        public BenchPlan Read(ParseResult parsed) => new()
        {
            Peers = parsed.GetValue(_peers),
            Sizes = BenchPlan.ParseSizes(parsed.GetRequiredValue(_sizes))!,
            Iterations = parsed.GetValue(_iterations),
            Stripes = parsed.GetValue(_stripes),
            InPlace = parsed.GetValue(_inPlace),
            Optimize = parsed.GetValue(_optimize),
            Quantization = parsed.GetValue(_quantize) is { } quantization ? BenchPlan.ParseQuantization(quantization)!.Value : Quantization.None,
        };

        private static void Validate(Option<string> option, Func<string, bool> isValid, string takes) => option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && !isValid(result.Tokens[0].Value))
            {
                result.AddError($"'{result.Tokens[0].Value}' is not a valid value of {option.Name}: it takes {takes}.");
            }
        });
    }
}
