using System.CommandLine;

namespace Collective.Simulation;

/// <summary>Replays one seed with a readable trace, or runs many.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        var seed = new Option<int?>("--seed") { Description = "Replay this seed and print what happens." };
        var seeds = new Option<int>("--seeds") { Description = "Run this many seeds.", DefaultValueFactory = _ => 2000 };
        var firstSeed = new Option<int>("--first-seed") { Description = "The first of them.", DefaultValueFactory = _ => 1 };
        var peers = new Option<int?>("--peers") { Description = "Peers at the start, instead of what the seed says; nobody new joins then." };
        var jobs = new Option<int>("--jobs") { Description = "Seeds that run at the same time.", DefaultValueFactory = _ => Environment.ProcessorCount };
        var root = new RootCommand("Runs the protocol of master and peers on virtual time, with faults, and checks it after every step.") { seed, seeds, firstSeed, peers, jobs };
        root.SetAction(parsed => parsed.GetValue(seed) is { } one
            ? Replay(one, parsed.GetValue(peers))
            : RunMany(parsed.GetValue(firstSeed), parsed.GetValue(seeds), parsed.GetValue(peers), parsed.GetValue(jobs)));
        return root.Parse(args).Invoke();
    }

    private static int Replay(int seed, int? peers)
    {
        var simulator = new Simulator(new Scenario(seed, peers), Console.Out);
        try
        {
            simulator.Run();
            Console.WriteLine($"seed {seed} holds: {simulator.Ledger.Committed} committed, {simulator.Ledger.Aborted} aborted, {simulator.SyncJudge.Succeeded} syncs succeeded, {simulator.SyncJudge.Failed} failed, {simulator.Events} events, {simulator.NowMs} virtual ms");
            return 0;
        }
        catch (Exception e)
        {
            Console.WriteLine($"seed {seed} FAILED: {e}");
            return 1;
        }
    }

    private static int RunMany(int first, int count, int? peers, int jobs)
    {
        var batch = new Batch(first, count, peers);
        batch.Run(jobs);
        Console.WriteLine(batch.Summary);
        return batch.Failed is null ? 0 : 1;
    }
}
