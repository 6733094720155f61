namespace Collective.Stress.Demo;

/// <summary>What is going to happen in one run of the demo. Steps are counted from 1.</summary>
internal sealed record DemoPlan
{
    public const int PeersDefault = 4;
    public const int PeersMin = 2;
    public const int PeersMax = 16;
    public const int StepsDefault = 100;
    public const int StepsMin = 10;
    public const int StepsMax = 10_000;
    public const int SeedDefault = 1;

    /// <summary>Share of the test images that the trained network has to read correctly.</summary>
    public const double AccuracyMin = 0.95;

    /// <summary>Peers at the beginning.</summary>
    public int Peers { get; init; } = PeersDefault;

    /// <summary>Outer steps.</summary>
    public int Steps { get; init; } = StepsDefault;

    /// <summary>Decides the first parameters and every random choice.</summary>
    public int Seed { get; init; } = SeedDefault;

    /// <summary>Whether a peer is killed half-way and a newcomer takes its place.</summary>
    public bool HasKill { get; init; } = true;

    /// <summary>Rank of the peer that is killed.</summary>
    public int KillRank => Peers / 2;

    /// <summary>The step in whose all-reduce it is killed.</summary>
    public int KillAtStep => Steps / 2;

    /// <summary>The first step in which the newcomer takes part.</summary>
    public int NewcomerAtStep => KillAtStep + Math.Max(2, Steps / 8);

    /// <summary>Peers at the end: the newcomer takes the place of the one that was killed.</summary>
    public int PeersAtEnd => Peers;

    /// <summary>What a peer process has to know to be one of the first.</summary>
    public DemoPeerSettings ForFounder(string master) => new()
    {
        Master = master,
        MinimumWorldSize = Peers,
        Steps = Steps,
        Seed = Seed,
        KillAtStep = HasKill ? KillAtStep : 0,
        KillRank = KillRank,
        NewcomerAtStep = HasKill ? NewcomerAtStep : 0,
    };

    /// <summary>What a peer process has to know to join later.</summary>
    public DemoPeerSettings ForNewcomer(string master) => new() { Master = master, MinimumWorldSize = 1, Steps = Steps, Seed = Seed };
}
