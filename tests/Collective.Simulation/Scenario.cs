namespace Collective.Simulation;

/// <summary>Faults of our own making, to see that the checks catch them.</summary>
internal enum Sabotage
{
    None,

    /// <summary>An aborted in-place operation is told to the application without restoring its buffer.</summary>
    SkipRestore,

    /// <summary>One bit of one peer's result is wrong.</summary>
    FlipResultBit,

    /// <summary>The master forgets to re-evaluate votes: the message that would answer them is lost.</summary>
    LoseAnswer,

    /// <summary>One peer hears "committed" before all have promised.</summary>
    EarlyVerdict,
}

/// <summary>Everything one seed decides before the first event.</summary>
internal sealed class Scenario
{
    public Scenario(int seed, int? peers = null, Sabotage sabotage = Sabotage.None)
    {
        Seed = seed;
        Sabotage = sabotage;
        var random = new Random(seed);
        Groups = random.Next(4) == 0 ? 2 : 1;
        InitialPeers = peers ?? random.Next(2, 6);
        Joiners = peers is null ? random.Next(0, 4) : 0;
        Steps = random.Next(2, 7);
        Tags = random.Next(1, 5);
        BulkTags = random.Next(4) == 0 ? 1 : 0;
        SegmentBytes = random.Next(2) == 1 ? 16 * 1024 : BulkTags > 0 ? 2048 : 64;
        Stripes = random.Next(1, 4);
        DelayUsMax = random.Next(3) switch { 0 => 200, 1 => 5_000, _ => 60_000 };
        Crashes = random.Next(0, Math.Max(1, InitialPeers + Joiners));
        Leaves = random.Next(4) == 0 ? 1 : 0;
        Cancels = random.Next(3) == 0;
        LinkBreaks = random.Next(3) == 0 ? random.Next(1, 3) : 0;
    }

    public int Seed { get; }

    public Sabotage Sabotage { get; }

    public int Groups { get; }

    public int InitialPeers { get; }

    public int Joiners { get; }

    /// <summary>Iterations of each peer's training loop.</summary>
    public int Steps { get; }

    /// <summary>Concurrent collectives of one iteration.</summary>
    public int Tags { get; }

    /// <summary>Of these, too large to be eager.</summary>
    public int BulkTags { get; }

    public int SegmentBytes { get; }

    public int Stripes { get; }

    public int DelayUsMax { get; }

    public int Crashes { get; }

    public int Leaves { get; }

    public int LinkBreaks { get; }

    /// <summary>Whether callers cancel collectives now and then.</summary>
    public bool Cancels { get; }

    public override string ToString()
        => $"{InitialPeers} peers, {Joiners} joiners, {Groups} groups, {Steps} steps of {Tags} collectives ({BulkTags} bulk), segments of {SegmentBytes} B on {Stripes} stripes, delays up to {DelayUsMax} us, {Crashes} crashes, {Leaves} leaves, {LinkBreaks} link breaks{(Cancels ? ", cancellations" : "")}";
}
