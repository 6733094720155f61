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
        StepsAtTop = random.Next(3) == 0;
    }

    public int Seed { get; }

    public Sabotage Sabotage { get; }

    public int Groups { get; private init; } = 1;

    public int InitialPeers { get; private init; }

    public int Joiners { get; private init; }

    /// <summary>Iterations of each peer's training loop.</summary>
    public int Steps { get; private init; } = 2;

    /// <summary>Concurrent collectives of one iteration.</summary>
    public int Tags { get; private init; } = 1;

    /// <summary>Of these, too large to be eager.</summary>
    public int BulkTags { get; private init; }

    public int SegmentBytes { get; private init; } = 16 * 1024;

    public int Stripes { get; private init; } = 2;

    public int DelayUsMax { get; private init; } = 5_000;

    /// <summary>How much faster or slower than the world's a clock may be.</summary>
    public double ClockSkewPercent { get; private init; } = 1;

    /// <summary>Whether the first waits for others before it begins.</summary>
    public bool Gathers { get; private init; } = true;

    /// <summary>Whether loops make one call at their top, instead of asking for newcomers and then admitting them.</summary>
    public bool StepsAtTop { get; private init; }

    /// <summary>Whether callers cancel collectives now and then.</summary>
    public bool Cancels { get; private init; }

    /// <summary>How long an all-reduce may take before its caller repeats it; negative: any time.</summary>
    public int LaunchTimeoutMs { get; private init; } = -1;

    /// <summary>Whether processes that lose their place start again.</summary>
    public bool Rejoins { get; private init; }

    /// <summary>How long a connection keeps bytes that are not acknowledged.</summary>
    public long TcpGivesUpUs { get; private init; } = 15_000_000;

    public IReadOnlyList<Fault> Faults { get; private init; } = [];

    /// <summary>A small world in which one fault hits the first peer at its n-th point.</summary>
    public static Scenario OneFault(FaultKind kind, int point, int peers, int joiners = 0, int groups = 1) => new((peers * 1000) + ((int)kind * 10) + groups)
    {
        InitialPeers = peers,
        Joiners = joiners,
        Groups = groups,
        Tags = 2,
        BulkTags = 1,
        Rejoins = true,
        Faults = [new Fault(kind, 0, point)],
    };

    /// <summary>A world of this size in which these faults happen, each to a peer of its own, at a point or a time.</summary>
    public static Scenario Of(int seed, int peers, int joiners, int groups, params Fault[] faults) => new(seed)
    {
        InitialPeers = peers,
        Joiners = joiners,
        Groups = groups,
        Steps = 4,
        Tags = 2,
        DelayUsMax = seed % 2 == 0 ? 60_000 : 200,
        Rejoins = true,
        Faults = faults,
    };

    /// <summary>Two faults of a kind: one at a point of one peer, then one at a point of another.</summary>
    public static Scenario TwoFaults(FaultKind kind, int first, int second, int peers, int joiners) => new((peers * 1000) + ((int)kind * 10) + first)
    {
        InitialPeers = peers,
        Joiners = joiners,
        Tags = 2,
        Rejoins = true,
        Faults = [new Fault(kind, 1, first), new Fault(kind, 0, second)],
    };

    public override string ToString()
        => $"{InitialPeers} peers, {Joiners} joiners, {Groups} groups, {Steps} steps of {Tags} collectives ({BulkTags} bulk), segments of {SegmentBytes} B on {Stripes} stripes, delays up to {DelayUsMax} us, clocks within {ClockSkewPercent} %{(StepsAtTop ? ", step() at the top" : "")}{(Cancels ? ", cancellations" : "")}{(LaunchTimeoutMs > 0 ? $", calls of at most {LaunchTimeoutMs} ms" : "")}{(Rejoins ? ", who is evicted comes back" : "")}; faults: {string.Join(", ", Faults)}";

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
