using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>Faults of our own making, to see that the checks catch them.</summary>
internal enum Sabotage
{
    None,

    /// <summary>An aborted in-place operation is told to the application without restoring its buffer.</summary>
    SkipRestore,

    /// <summary>One bit of one peer's result is wrong.</summary>
    FlipResultBit,

    /// <summary>An answer of the master is lost.</summary>
    LoseAnswer,

    /// <summary>The master does not count votes and questions again when a peer goes.</summary>
    VoteNotReevaluated,

    /// <summary>The master gives the verdict while the promise of one member is missing.</summary>
    EarlyVerdict,

    /// <summary>A member's report that it cannot finish a sync is taken for its promise.</summary>
    FailureTakenForPromise,

    /// <summary>The vote of a peer that died before the others had voted counts in place of another's.</summary>
    DeadVoteCounts,

    /// <summary>A sync that fails uses up a revision.</summary>
    FailureUsesRevision,

    /// <summary>The master does not know who has synchronized before.</summary>
    ForgottenVeterans,

    /// <summary>The master handles one input after the other, and ticks in between, whatever waits.</summary>
    OneInputAtATime,
}

/// <summary>When the training loop synchronises the shared state.</summary>
internal enum SyncPolicy
{
    Never,

    /// <summary>When the world has changed.</summary>
    Guarded,

    EveryStep,

    /// <summary>One step behind: when the world has changed, and once more after the step before has been applied, which the newcomers receive only.</summary>
    HandOver,
}

/// <summary>Everything that is decided before the first event.</summary>
internal sealed class Scenario
{
    public const int HeartbeatTimeoutMs = 5_000;

    private Scenario(int seed) => Seed = seed;

    /// <summary>What a seed decides.</summary>
    public Scenario(int seed, int? peers, Sabotage sabotage = Sabotage.None)
    {
        Seed = seed;
        Sabotage = sabotage;
        var random = new Random(seed);
        var large = peers > 50;
        Groups = random.Next(4) == 0 ? random.Next(2, 4) : 1;
        InitialPeers = peers ?? random.Next(2, 6);
        Joiners = peers is null ? random.Next(0, 4) : 0;
        Steps = large ? 2 : random.Next(2, 6);
        Tags = large ? 1 : random.Next(1, 5);
        BulkTags = !large && random.Next(4) == 0 ? 1 : 0;
        SegmentBytes = random.Next(2) == 1 ? 16 * 1024 : BulkTags > 0 ? 4096 : 64;
        Stripes = random.Next(1, 4);
        DelayUsMax = random.Next(3) switch { 0 => 200, 1 => 5_000, _ => large ? 1_000 : 60_000 };
        ClockSkewPercent = random.Next(2);
        Rejoins = random.Next(2) == 0;
        Cancels = random.Next(3) == 0;
        LaunchTimeoutMs = random.Next(4) == 0 ? random.Next(100, 20_000) : -1;
        Gathers = random.Next(4) > 0;
        TcpGivesUpUs = random.NextInt64(10_000_000, 40_000_000);
        Faults = [.. Draw(random, InitialPeers + Joiners, random.Next(0, Math.Min(10, 2 * (InitialPeers + Joiners))))];
        Optimizes = !large && Gathers && random.Next(2) == 0;
        Syncs = (SyncPolicy)random.Next(4);
        StateKeys = random.Next(1, 5);
        Divergence = random.Next(3);
        Mistakes = random.Next(4) == 0;
        Corruptions = random.Next(3) == 0;
        Liar = random.Next(4) == 0 ? random.Next(InitialPeers + Joiners) : -1;
        FalseAccuser = random.Next(4) == 0 ? random.Next(InitialPeers + Joiners) : -1;
        Quantises = random.Next(4) == 0;
        StepsAtTop = random.Next(3) == 0;
        Revisions = (RevisionRule)random.Next(3);
        Misfit = random.Next(4) == 0 ? random.Next(InitialPeers + Joiners) : -1;
        KeptMinimum = !large && random.Next(6) == 0 ? random.Next(2, 4) : 0;
        Sets = random.Next(3) == 0;
    }

    public int Seed { get; }

    public Sabotage Sabotage { get; private init; }

    public int Groups { get; private init; } = 1;

    public int InitialPeers { get; private init; }

    public int Joiners { get; private init; }

    /// <summary>Iterations of each peer's training loop.</summary>
    public int Steps { get; private init; } = 2;

    /// <summary>Concurrent collectives of one iteration.</summary>
    public int Tags { get; private init; } = 1;

    /// <summary>Whether they are one collective on so many tensors, with one verdict.</summary>
    public bool Sets { get; private init; }

    /// <summary>Of these, too large to be eager.</summary>
    public int BulkTags { get; private init; }

    /// <summary>Whether the collectives of odd tags are quantised.</summary>
    public bool Quantises { get; private init; }

    public int SegmentBytes { get; private init; } = 16 * 1024;

    public int Stripes { get; private init; } = 2;

    public int DelayUsMax { get; private init; } = 5_000;

    /// <summary>How much faster or slower than the world's a clock may be.</summary>
    public double ClockSkewPercent { get; private init; } = 1;

    /// <summary>Whether the first waits for others before it begins.</summary>
    public bool Gathers { get; private init; } = true;

    /// <summary>Whether all optimise the topology when somebody was admitted. Only where company comes by updates: else a newcomer cannot know where the others are.</summary>
    public bool Optimizes { get; private init; }

    /// <summary>Whether loops begin with a step, instead of asking for newcomers and admitting them.</summary>
    public bool StepsAtTop { get; private init; }

    /// <summary>Members that a group must have, as long as there is one; 0: any number. Then the program is <see cref="KeepingLoop"/>.</summary>
    public int KeptMinimum { get; init; }

    /// <summary>Whether callers cancel collectives now and then.</summary>
    public bool Cancels { get; private init; }

    /// <summary>How long an all-reduce may take before its caller repeats it; negative: any time.</summary>
    public int LaunchTimeoutMs { get; private init; } = -1;

    /// <summary>Whether processes that lose their place start again.</summary>
    public bool Rejoins { get; private init; }

    /// <summary>How long a connection keeps bytes that are not acknowledged.</summary>
    public long TcpGivesUpUs { get; private init; } = 15_000_000;

    public IReadOnlyList<Fault> Faults { get; private init; } = [];

    /// <summary>Processor time of the master for each message that it gets or sends; 0: it is infinitely fast.</summary>
    public long MasterUsPerMessage { get; private init; }

    /// <summary>The same for each member in each epoch message that it sends.</summary>
    public long MasterUsPerMember { get; private init; }

    public SyncPolicy Syncs { get; init; }

    /// <summary>Tensors of the shared state, besides one whose content may differ.</summary>
    public int StateKeys { get; private init; } = 2;

    /// <summary>How different the peers are when they begin. 0: not at all.</summary>
    public int Divergence { get; init; } = 1;

    /// <summary>Whether applications call with wrong arguments now and then.</summary>
    public bool Mistakes { get; init; }

    /// <summary>The peer whose tensors are always of another type than the others'; -1: none.</summary>
    public int Misfit { get; init; } = -1;

    /// <summary>Who counts revisions, and how.</summary>
    public RevisionRule Revisions { get; init; }

    /// <summary>Whether memory fails now and then.</summary>
    public bool Corruptions { get; init; }

    /// <summary>The peer that sends other bytes than it voted for; -1: none.</summary>
    public int Liar { get; init; } = -1;

    /// <summary>The peer that says of others that they do; -1: none.</summary>
    public int FalseAccuser { get; init; } = -1;

    /// <summary>What a process begins with: a checkpoint, of one of several steps.</summary>
    public SimulatedState StateOf(int peer)
    {
        var checkpoint = Divergence == 0 ? 0 : (uint)((Seed + (peer * 7)) % (Divergence + 1));
        return new SimulatedState(peer, StateKeys, checkpoint, new Revision(Divergence == 2 ? checkpoint * 5 : 0));
    }

    /// <summary>A small world in which one fault hits the first peer at its n-th point.</summary>
    public static Scenario OneFault(FaultKind kind, int point, int peers, int joiners = 0, int groups = 1, SyncPolicy syncs = SyncPolicy.Never, bool sets = false)
        => new((peers * 1000) + ((int)kind * 10) + groups)
        {
            Sets = sets,
            InitialPeers = peers,
            Joiners = joiners,
            Groups = groups,
            Tags = 2,
            BulkTags = 1,
            Rejoins = true,
            Optimizes = true,
            Syncs = syncs,
            Faults = [new Fault(kind, 0, point)],
        };

    /// <summary>A world of this size in which these faults happen, each to a peer of its own, at a point or a time.</summary>
    public static Scenario Of(int seed, int peers, int joiners, int groups, params Fault[] faults) => Of(seed, peers, joiners, groups, SyncPolicy.Never, faults);

    /// <summary>The same with a shared state. Where somebody lies all begin with a state of two kinds, so that there are holders and fetchers.</summary>
    public static Scenario Of(int seed, int peers, int joiners, int groups, SyncPolicy syncs, Fault[] faults, int liar = -1, int falseAccuser = -1, int misfit = -1) => new(seed)
    {
        Misfit = misfit,
        Revisions = (RevisionRule)(seed % 3),
        Syncs = syncs,
        Liar = liar,
        FalseAccuser = falseAccuser,
        InitialPeers = peers,
        Joiners = joiners,
        Groups = groups,
        Steps = 4,
        Tags = 2,
        DelayUsMax = seed % 2 == 0 ? 60_000 : 200,
        Rejoins = true,
        Optimizes = seed % 4 < 2,
        Faults = faults,
    };

    /// <summary>In a world of this size so many fail at one instant, and so many others come, at a master that needs time: a third of a second for an epoch of 80 peers, as was seen with 1,000.</summary>
    public static Scenario AtOnce(int seed, FaultKind kind, int peers, int failing, int joiners, Sabotage sabotage = Sabotage.None) => new(seed)
    {
        Sabotage = sabotage,
        InitialPeers = peers,
        Joiners = joiners,
        Steps = 3,
        DelayUsMax = 1_000,
        MasterUsPerMessage = 200,
        MasterUsPerMember = 50,
        Faults = [.. Enumerable.Range(0, failing).Select(i => new Fault(kind, i, 0, 1_000_000))],
    };

    /// <summary>Two faults of a kind: one at a point of one peer, then one at a point of another.</summary>
    public static Scenario TwoFaults(FaultKind kind, int first, int second, int peers, int joiners) => new((peers * 1000) + ((int)kind * 10) + first)
    {
        InitialPeers = peers,
        Joiners = joiners,
        Tags = 2,
        Rejoins = true,
        Optimizes = true,
        Faults = [new Fault(kind, 1, first), new Fault(kind, 0, second)],
    };

    public override string ToString()
        => $"{InitialPeers} peers, {Joiners} joiners, {Groups} groups, {Steps} steps of {Tags} {(Sets ? "tensors of one set" : "collectives")} ({BulkTags} bulk{(Quantises ? ", the odd ones quantised" : "")}), segments of {SegmentBytes} B on {Stripes} stripes, delays up to {DelayUsMax} us, clocks within {ClockSkewPercent} %{(StepsAtTop ? ", step at the top" : "")}{(KeptMinimum > 0 ? $", never fewer than {KeptMinimum}" : "")}{(Optimizes ? ", which optimise" : "")}{(Cancels ? ", cancellations" : "")}{(LaunchTimeoutMs > 0 ? $", calls of at most {LaunchTimeoutMs} ms" : "")}{(Rejoins ? ", who is evicted comes back" : "")}; syncs: {Syncs} of {StateKeys} tensors{(Mistakes ? ", mistakes" : "")}{(Misfit >= 0 ? $", peer{Misfit} has other tensors" : "")}, revisions: {Revisions}{(Corruptions ? ", corruptions" : "")}{(Liar >= 0 ? $", peer{Liar} sends wrong bytes" : "")}{(FalseAccuser >= 0 ? $", peer{FalseAccuser} accuses others" : "")}; faults: {string.Join(", ", Faults)}";

    /// <summary>Deaths are the most frequent; "at any point": a number of the victim's own steps, between two of the outputs of one.</summary>
    private static IEnumerable<Fault> Draw(Random random, int peers, int count)
    {
        var kinds = Enum.GetValues<FaultKind>();
        for (var i = 0; i < count; i++)
        {
            var kind = random.Next(3) == 0 ? FaultKind.Kill : kinds[random.Next(kinds.Length)];
            if (kind is FaultKind.KillMaster or FaultKind.FreezeMasterLong && random.Next(4) > 0)
            {
                kind = FaultKind.FreezeMasterShort; // Else few seeds would see anything after it.
            }

            yield return new Fault(kind, random.Next(peers), random.Next(1, random.Next(3) switch { 0 => 30, 1 => 120, _ => 500 }));
        }
    }
}
