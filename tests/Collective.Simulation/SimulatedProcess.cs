namespace Collective.Simulation;

/// <summary>A process of the simulated world: it has a clock of its own, and it may be frozen; what happens to it then waits, in order, until it thaws.</summary>
internal abstract class SimulatedProcess
{
    private const long ClockOffsetMsMax = 1_000_000_000;

    private readonly LinkedList<Action> _waiting = [];
    private readonly double _rate;
    private readonly long _offsetMs;
    private int _freezes;

    protected SimulatedProcess(Simulator simulator)
    {
        Simulator = simulator;
        var skew = simulator.Scenario.ClockSkewPercent / 100;
        _rate = 1 + (((simulator.Random.NextDouble() * 2) - 1) * skew);
        _offsetMs = skew > 0 ? simulator.Random.NextInt64(ClockOffsetMsMax) : 0;
    }

    public bool Alive { get; protected set; }

    public bool Frozen => _freezes > 0;

    /// <summary>When others could not hear of it: frozen, or cut off from the master. In microseconds of the world.</summary>
    public Intervals Silent { get; } = new();

    /// <summary>What its own clock says.</summary>
    public long NowMs => _offsetMs + (long)(Simulator.NowUs * _rate / 1000);

    protected Simulator Simulator { get; }

    /// <summary>Runs something of this process: now, or when it thaws.</summary>
    public void Run(Action action)
    {
        if (Frozen || _waiting.Count > 0)
        {
            _waiting.AddLast(action);
        }
        else
        {
            action();
        }
    }

    public void After(long delayUs, Action action) => Simulator.At(delayUs, () => Run(action));

    /// <summary>As SIGSTOP does.</summary>
    public void Freeze(long durationUs)
    {
        _freezes++;
        Silent.Add(Simulator.NowUs, Simulator.NowUs + durationUs);
        Simulator.At(durationUs, Thaw);
    }

    /// <summary>The rest of what was going on when it froze: before everything that waits.</summary>
    protected void RunFirst(Action action) => _waiting.AddFirst(action);

    /// <summary>Microseconds until its clock shows this time.</summary>
    protected long UsUntil(long localMs) => Math.Max(0, (long)Math.Ceiling((localMs - _offsetMs) * 1000 / _rate) + 1 - Simulator.NowUs);

    private void Thaw()
    {
        _freezes--;
        Drain();
    }

    private void Drain()
    {
        if (!Frozen && _waiting.First is { } first)
        {
            _waiting.RemoveFirst();
            first.Value();
            if (_waiting.Count > 0 && !Frozen)
            {
                Simulator.At(1, Drain);
            }
        }
    }
}

/// <summary>Stretches of time.</summary>
internal sealed class Intervals
{
    private readonly List<(long FromUs, long ToUs)> _all = [];

    public void Add(long fromUs, long toUs) => _all.Add((fromUs, toUs));

    /// <summary>How long within a window at least one of them lasted.</summary>
    public long Covered(long fromUs, long toUs)
    {
        var covered = 0L;
        var doneUs = fromUs;
        foreach (var (start, end) in _all.OrderBy(i => i.FromUs))
        {
            var from = Math.Max(start, doneUs);
            var to = Math.Min(end, toUs);
            if (to > from)
            {
                covered += to - from;
                doneUs = to;
            }
        }

        return covered;
    }
}
