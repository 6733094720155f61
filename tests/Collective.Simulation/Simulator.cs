using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>A check of the simulator did not hold; the message says which.</summary>
internal sealed class SimulationException(string message) : Exception(message);

/// <summary>The whole world in one thread on virtual time. The seed decides every delay, fault and interleaving.</summary>
internal sealed class Simulator
{
    /// <summary>After the last fault everything must be over within this time: that is longer than any timeout of the protocol, a few times over.</summary>
    private const long RecoveryUs = 3L * 60 * 1_000_000;

    private readonly PriorityQueue<Action, (long TimeUs, long Order)> _events = new();
    private readonly Dictionary<PeerId, SimulatedPeer> _byId = [];
    private readonly Dictionary<PeerAddress, SimulatedPeer> _byAddress = [];
    private readonly TextWriter? _trace;
    private long _order;
    private int _unfinished;
    private SimulationException? _broken;

    public Simulator(Scenario scenario, TextWriter? trace = null)
    {
        Scenario = scenario;
        Random = new Random(scenario.Seed ^ 0x5EED);
        _trace = trace;
        Network = new Network(this);
        Blame = new Blame(this);
        SyncJudge = new SyncJudge(this);
        WorldJudge = new WorldJudge(Ledger);
        Faults = new Faults(this);
        Master = new SimulatedMaster(this);
        for (var i = 0; i < scenario.InitialPeers + scenario.Joiners; i++)
        {
            Add(new PeerGroup((uint)(i % scenario.Groups)), rejoined: false);
        }
    }

    public Scenario Scenario { get; }

    public Random Random { get; }

    public Ledger Ledger { get; } = new();

    public Network Network { get; }

    public Blame Blame { get; }

    public SyncJudge SyncJudge { get; }

    public WorldJudge WorldJudge { get; }

    public Faults Faults { get; }

    public SimulatedMaster Master { get; }

    public List<SimulatedPeer> Peers { get; } = [];

    public long NowUs { get; private set; }

    public long NowMs => NowUs / 1000;

    public int Events { get; private set; }

    /// <summary>Calls to optimise that succeeded.</summary>
    public int Optimized { get; set; }

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
    }

    public void At(long delayUs, Action action) => _events.Enqueue(action, (NowUs + delayUs, _order++));

    /// <summary>A delay of the network: mostly short, sometimes long.</summary>
    public long DelayUs() => Random.Next(10) == 0 ? Random.NextInt64(4L * Scenario.DelayUsMax) : Random.NextInt64(10, 10L + Scenario.DelayUsMax);

    /// <summary>A delay of a thread on its way to a loop.</summary>
    public long HopUs() => Random.Next(1, 100);

    public void Trace(string who, Func<string> what) => _trace?.WriteLine($"{NowUs / 1000.0,12:0.000} ms  {who,-8} {what()}");

    public void Register(SimulatedPeer peer, PeerId id) => _byId[id] = peer;

    public SimulatedPeer PeerOf(PeerId id) => _byId[id];

    public SimulatedPeer PeerAt(PeerAddress address) => _byAddress[address];

    public void PeerFinished() => _unfinished--;

    /// <summary>A process that was evicted, or lost the master, starts again: once, as another peer.</summary>
    public void Rejoin(SimulatedPeer peer)
    {
        if (Scenario.Rejoins && !peer.Rejoined && Master.Alive)
        {
            var again = Add(peer.Group, rejoined: true);
            At(DelayUs(), again.Start);
        }
    }

    /// <summary>A process that nobody has planned for; not into a world whose master is gone.</summary>
    public void Join(PeerGroup group)
    {
        if (Master.Alive && Peers.Count < Limits.PeersMax)
        {
            Add(group, rejoined: true).Start();
        }
    }

    /// <summary>An application was told what it never should be.</summary>
    public void Break(string who, Exception exception) => _broken ??= exception as SimulationException ?? new SimulationException($"the program of {who} ends with {exception}");

    private SimulatedPeer Add(PeerGroup group, bool rejoined)
    {
        var peer = new SimulatedPeer(this, Peers.Count, group) { Rejoined = rejoined };
        Peers.Add(peer);
        _byAddress.Add(peer.Address, peer);
        _unfinished++;
        return peer;
    }

    private void RunEvents()
    {
        Trace("scenario", () => Scenario.ToString());
        Master.Start();
        for (var i = 0; i < Peers.Count; i++)
        {
            // A large world does not come all at once: the master has room for so many strangers.
            var startUs = Random.NextInt64(Math.Max(20_000, Scenario.InitialPeers * Math.Max(1000L, Scenario.DelayUsMax / 50)));
            At(i < Scenario.InitialPeers ? startUs : 20_000 + Random.NextInt64(40L * Scenario.DelayUsMax), Peers[i].Start);
        }

        Faults.Plan();
        while (_events.TryDequeue(out var action, out var key))
        {
            NowUs = key.TimeUs;
            Events++;
            action();
            if (_broken is { } broken)
            {
                throw broken;
            }

            if (_unfinished == 0)
            {
                break;
            }

            if (NowUs > Faults.EndUs + RecoveryUs)
            {
                throw new SimulationException($"liveness: still running {RecoveryUs / 60_000_000} virtual minutes after the last fault: {string.Join("; ", Peers.Where(p => !p.Finished).Select(p => p.ToString()))}");
            }
        }

        if (Peers.Find(p => !p.Finished) is { } stuck)
        {
            throw new SimulationException($"liveness: nothing is left to happen, but {stuck} has not finished");
        }
    }
}
