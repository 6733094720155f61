using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>A check of the simulator did not hold; the message says which.</summary>
internal sealed class SimulationException(string message) : Exception(message);

/// <summary>The whole world in one thread on virtual time. The seed decides every delay, fault and interleaving.</summary>
internal sealed class Simulator
{
    private const long LimitUs = 30L * 60 * 1_000_000;

    private readonly PriorityQueue<Action, (long TimeUs, long Order)> _events = new();
    private readonly TextWriter? _trace;
    private long _order;

    public Simulator(Scenario scenario, TextWriter? trace = null)
    {
        Scenario = scenario;
        Random = new Random(scenario.Seed ^ 0x5EED);
        _trace = trace;
        Master = new SimulatedMaster(this);
        for (var i = 0; i < scenario.InitialPeers + scenario.Joiners; i++)
        {
            Peers.Add(new SimulatedPeer(this, i, new PeerGroup((uint)(i % scenario.Groups))));
        }
    }

    public Scenario Scenario { get; }

    public Random Random { get; }

    public Ledger Ledger { get; } = new();

    public SimulatedMaster Master { get; }

    public List<SimulatedPeer> Peers { get; } = [];

    public long NowUs { get; private set; }

    public long NowMs => NowUs / 1000;

    public int Events { get; private set; }

    /// <summary>Runs until nothing is left to happen, checks safety after every event and liveness at the end.</summary>
    public void Run()
    {
        // With a context set (a test runner may), continuations would leave this thread.
        var context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            RunEvents();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
            Peers.ForEach(p => p.Dispose());
        }

        Ledger.CheckAtEnd();
    }

    public void At(long delayUs, Action action) => _events.Enqueue(action, (NowUs + delayUs, _order++));

    /// <summary>A delay of the network: mostly short, sometimes long.</summary>
    public long DelayUs() => Random.Next(10) == 0 ? Random.NextInt64(4L * Scenario.DelayUsMax) : Random.NextInt64(10, 10L + Scenario.DelayUsMax);

    /// <summary>A delay of a thread on its way to a loop.</summary>
    public long HopUs() => Random.Next(1, 100);

    public void Trace(string who, Func<string> what) => _trace?.WriteLine($"{NowUs / 1000.0,12:0.000} ms  {who,-8} {what()}");

    private void RunEvents()
    {
        Trace("scenario", () => Scenario.ToString());
        Master.Start();
        for (var i = 0; i < Peers.Count; i++)
        {
            var peer = Peers[i];
            var atUs = i < Scenario.InitialPeers ? Random.Next(20_000) : 20_000 + Random.NextInt64(40L * Scenario.DelayUsMax);
            At(atUs, peer.Start);
        }

        PlanFaults();
        while (_events.TryDequeue(out var action, out var key))
        {
            NowUs = key.TimeUs;
            Events++;
            action();
            if (Peers.TrueForAll(p => p.Finished))
            {
                break;
            }

            if (NowUs > LimitUs)
            {
                throw new SimulationException($"liveness: still running after {LimitUs / 60_000_000} virtual minutes: {string.Join("; ", Peers.Where(p => !p.Finished).Select(p => p.ToString()))}");
            }
        }

        if (Peers.Find(p => !p.Finished) is { } stuck)
        {
            throw new SimulationException($"liveness: nothing is left to happen, but {stuck} has not finished");
        }
    }

    private void PlanFaults()
    {
        var victims = Peers.OrderBy(_ => Random.Next()).ToList();
        for (var i = 0; i < Scenario.Crashes; i++)
        {
            // "At any point": after a number of the victim's own steps, between two of the outputs of one.
            victims[i].CrashAfterOutputs = Random.Next(1, Random.Next(2) == 0 ? 40 : 400);
        }

        for (var i = 0; i < Scenario.Leaves && i + Scenario.Crashes < victims.Count; i++)
        {
            var peer = victims[Scenario.Crashes + i];
            At(1000 + Random.NextInt64(60L * Scenario.DelayUsMax), peer.Leave);
        }

        for (var i = 0; i < Scenario.LinkBreaks; i++)
        {
            At(1000 + Random.NextInt64(80L * Scenario.DelayUsMax), () => Peers[Random.Next(Peers.Count)].BreakNextLink());
        }
    }
}
