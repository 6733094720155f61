using System.Diagnostics;
using System.Globalization;

namespace Collective.Simulation;

/// <summary>Many seeds, several at a time. Of those that fail the lowest is reported, whatever finishes first.</summary>
internal sealed class Batch(int first, int count, int? peers)
{
    // Guards the fields below between the jobs.
    private readonly Lock _gate = new();
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private TimeSpan _shown;
    private int _taken;
    private int _done;
    private long _committed;
    private long _aborted;
    private long _syncs;
    private long _failedSyncs;
    private long _fetched;
    private long _events;
    private long _faults;
    private long _optimized;

    /// <summary>The lowest seed that failed, and what it said.</summary>
    public (int Seed, string Message)? Failed { get; private set; }

    public string Summary => Failed is { } failed
        ? $"seed {failed.Seed} FAILED: {failed.Message}\nreplay: dotnet run -c Release --project tests/Collective.Simulation -- --seed {failed.Seed}{(peers is { } n ? $" --peers {n}" : "")}"
        : string.Create(CultureInfo.InvariantCulture, $"{count} seeds hold ({first} to {first + count - 1}): {_committed} attempts committed, {_aborted} aborted, {_optimized} optimised, {_syncs} syncs succeeded, {_failedSyncs} failed, {_fetched} tensors fetched, {_faults} faults, {_events} events, {_clock.Elapsed.TotalSeconds:0.0} s");

    public void Run(int jobs)
    {
        var threads = Enumerable.Range(0, Math.Max(1, jobs)).Select(_ => new Thread(Work)).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
    }

    private void Work()
    {
        while (Take() is { } seed)
        {
            var simulator = new Simulator(new Scenario(seed, peers));
            try
            {
                simulator.Run();
                Count(simulator);
            }
            catch (Exception e)
            {
                Fail(seed, e);
            }
        }
    }

    /// <summary>The next seed; none above one that has failed.</summary>
    private int? Take()
    {
        lock (_gate)
        {
            return _taken < count && !(Failed?.Seed < first + _taken) ? first + _taken++ : null;
        }
    }

    private void Fail(int seed, Exception exception)
    {
        lock (_gate)
        {
            if (!(Failed?.Seed < seed))
            {
                Failed = (seed, exception is SimulationException ? exception.Message : exception.ToString());
            }
        }
    }

    private void Count(Simulator simulator)
    {
        lock (_gate)
        {
            _done++;
            _committed += simulator.Ledger.Committed;
            _aborted += simulator.Ledger.Aborted;
            _optimized += simulator.Optimized;
            _syncs += simulator.SyncJudge.Succeeded;
            _failedSyncs += simulator.SyncJudge.Failed;
            _fetched += simulator.SyncJudge.Fetched;
            _events += simulator.Events;
            _faults += simulator.Faults.Struck.Count;
            if (_clock.Elapsed - _shown > TimeSpan.FromSeconds(10))
            {
                _shown = _clock.Elapsed;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {_done} of {count} seeds, {_clock.Elapsed.TotalSeconds:0} s"));
            }
        }
    }
}
