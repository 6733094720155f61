using System.CommandLine;
using System.Diagnostics;
using System.Globalization;

namespace Collective.Simulation;

/// <summary>Replays one seed with a readable trace, or runs many.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        var seed = new Option<int?>("--seed") { Description = "Replay this seed and print what happens." };
        var seeds = new Option<int>("--seeds") { Description = "Run this many seeds.", DefaultValueFactory = _ => 2000 };
        var firstSeed = new Option<int>("--first-seed") { Description = "The first of them.", DefaultValueFactory = _ => 1 };
        var peers = new Option<int?>("--peers") { Description = "Peers at the start, instead of what the seed says; nobody joins then." };
        var root = new RootCommand("Runs the protocol of master and peers on virtual time, with faults, and checks it after every step.") { seed, seeds, firstSeed, peers };
        root.SetAction(parsed => parsed.GetValue(seed) is { } one
            ? Replay(one, parsed.GetValue(peers))
            : RunMany(parsed.GetValue(firstSeed), parsed.GetValue(seeds), parsed.GetValue(peers)));
        return root.Parse(args).Invoke();
    }

    private static int Replay(int seed, int? peers)
    {
        var simulator = new Simulator(new Scenario(seed, peers), Console.Out);
        try
        {
            simulator.Run();
            Console.WriteLine($"seed {seed} holds: {simulator.Ledger.Committed} committed, {simulator.Ledger.Aborted} aborted, {simulator.Events} events, {simulator.NowMs} virtual ms");
            return 0;
        }
        catch (Exception e)
        {
            Console.WriteLine($"seed {seed} FAILED: {e}");
            return 1;
        }
    }

    private static int RunMany(int first, int count, int? peers)
    {
        var clock = Stopwatch.StartNew();
        var shown = TimeSpan.Zero;
        long committed = 0, aborted = 0, events = 0;
        for (var seed = first; seed < first + count; seed++)
        {
            var simulator = new Simulator(new Scenario(seed, peers));
            try
            {
                simulator.Run();
            }
            catch (Exception e)
            {
                Console.WriteLine($"seed {seed} FAILED: {e.Message}");
                Console.WriteLine($"replay: dotnet run -c Release --project tests/Collective.Simulation -- --seed {seed}{(peers is { } n ? $" --peers {n}" : "")}");
                return 1;
            }

            committed += simulator.Ledger.Committed;
            aborted += simulator.Ledger.Aborted;
            events += simulator.Events;
            if (clock.Elapsed - shown > TimeSpan.FromSeconds(5))
            {
                shown = clock.Elapsed;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {seed - first + 1} of {count} seeds, {clock.Elapsed.TotalSeconds:0} s"));
            }
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count} seeds hold ({first} to {first + count - 1}): {committed} attempts committed, {aborted} aborted, {events} events, {clock.Elapsed.TotalSeconds:0.0} s"));
        return 0;
    }
}
