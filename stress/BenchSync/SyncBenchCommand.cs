using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Collective.Stress.Bench;
using Collective.Stress.Processes;

namespace Collective.Stress.BenchSync;

/// <summary>The subcommand <c>bench-sync</c>, and the hidden <c>bench-sync-peer</c> that it starts several times.</summary>
internal static class SyncBenchCommand
{
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print nothing but one JSON object, at the end." };
        var options = new PlanOptions();
        var command = new Command("bench-sync", "Time syncs of the shared state between several processes of this machine, against a raw socket copy of the same bytes.") { json };
        options.AddTo(command);
        command.SetAction((parsed, cancellationToken) => RunAsync(options.Read(parsed), parsed.GetValue(json), cancellationToken));
        return command;
    }

    public static Command CreatePeer()
    {
        var options = new PlanOptions();
        var master = CommandLine.Internal<string>("--master");
        var peers = CommandLine.Internal<int>("--peers");
        var command = new Command("bench-sync-peer", "One peer of the sync benchmark.") { master, peers };
        options.AddTo(command);
        command.Hidden = true;
        command.SetAction((parsed, _) => RunPeerAsync(options.Read(parsed), parsed.GetRequiredValue(master), parsed.GetRequiredValue(peers)));
        return command;
    }

    private static async Task<int> RunAsync(SyncBenchPlan plan, bool json, CancellationToken cancellationToken)
    {
        try
        {
            if (!json)
            {
                Console.Out.WriteLine($"{Bytes.Text(plan.Bytes)} of float32, peers and master as processes of this machine. Times are those of the peer that fetches, with hashing by the holders and the check of every block; processor time is that of all peers. The raw copies are made in between.");
                Console.Out.WriteLine("      sync  peers  donors  bytes moved   median ms     best ms  processor ms     GB/s   raw copy ms  of raw copy");
            }

            var report = await new SyncBenchOrchestrator(plan, json ? _ => { } : result => PrintRow(plan, result)).RunAsync(cancellationToken);
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

    private static async Task<int> RunPeerAsync(SyncBenchPlan plan, string master, int peers)
    {
        ParentWatch.Start();
        var events = new JsonLineWriter<SyncBenchEvent>();
        try
        {
            await new SyncBenchPeer(plan, master, peers, events).RunAsync();
            return ExitCodes.Passed;
        }
        catch (Exception error) when (error is CollectiveException or InvalidOperationException)
        {
            events.Write(new SyncBenchEvent.Failed(error.Message));
            return ExitCodes.Failed;
        }
    }

    private static void PrintRow(SyncBenchPlan plan, SyncBenchResult result)
        => Console.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Kind,10}  {result.WorldSize,5}  {result.Donors,6}  {Bytes.Text(result.BytesMoved),11}  {result.MedianMs,10:F1}  {result.BestMs,10:F1}  {result.ProcessorMs,12:F1}  {result.GigabytesPerSecond(plan.Bytes),7:F2}  {(result.BytesMoved == 0 ? "" : $"{result.RawCopyMs:F1}"),12}  {(result.BytesMoved == 0 ? "" : $"{result.OfRawCopy:P0}"),11}"));

    /// <summary>The options that make a plan.</summary>
    private sealed class PlanOptions
    {
        private readonly Option<int> _iterations = CommandLine.Number("--iterations", "Timed calls of each kind.", 1, SyncBenchPlan.IterationsMax, SyncBenchPlan.IterationsDefault);
        private readonly Option<int> _stripes = CommandLine.Number("--stripes", "Parallel connections to holders.", 1, BenchPlan.StripesMax, SyncBenchPlan.StripesDefault);
        private readonly Option<string> _size = new("--size")
        {
            Description = "Size of the tensor in bytes; KiB, MiB and GiB may follow. A multiple of 4 from 64KiB to 1GiB.",
            DefaultValueFactory = _ => SyncBenchPlan.BytesDefault,
        };

        public PlanOptions() => _size.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && !(Bytes.Parse(result.Tokens[0].Value) is >= SyncBenchPlan.BytesMin and <= SyncBenchPlan.BytesMax and var bytes && bytes % sizeof(float) == 0))
            {
                result.AddError($"'{result.Tokens[0].Value}' is not a valid value of --size: it takes a size like {SyncBenchPlan.BytesDefault}, a multiple of 4 from 64KiB to 1GiB.");
            }
        });

        public void AddTo(Command command)
        {
            command.Add(_size);
            command.Add(_iterations);
            command.Add(_stripes);
        }

        public SyncBenchPlan Read(ParseResult parsed)
            => new(Bytes.Parse(parsed.GetRequiredValue(_size))!.Value, parsed.GetValue(_iterations), parsed.GetValue(_stripes));
    }
}
