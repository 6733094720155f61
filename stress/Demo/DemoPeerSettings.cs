using System.Globalization;

namespace Collective.Stress.Demo;

/// <summary>What the orchestrator tells a peer process on its command line.</summary>
internal sealed record DemoPeerSettings
{
    /// <summary>Address of the master.</summary>
    public required string Master { get; init; }

    /// <summary>Peers to wait for before the first step; 1 for a newcomer, who joins whoever is there.</summary>
    public required int MinimumWorldSize { get; init; }

    /// <summary>Outer steps of the whole run.</summary>
    public required int Steps { get; init; }

    /// <summary>Decides the first parameters and every random choice.</summary>
    public required int Seed { get; init; }

    /// <summary>The step, counted from 1, in whose all-reduce the peer with rank <see cref="KillRank"/> ends itself; 0 for never.</summary>
    public int KillAtStep { get; init; }

    /// <summary>Who is the victim.</summary>
    public int KillRank { get; init; }

    /// <summary>The step, counted from 1, that does not begin before a newcomer is there; 0 for none.</summary>
    public int NewcomerAtStep { get; init; }

    /// <summary>The settings as arguments of the hidden subcommand <c>demo-peer</c>.</summary>
    public IEnumerable<string> ToArguments() =>
    [
        "demo-peer",
        "--master", Master,
        "--minimum-world-size", Text(MinimumWorldSize),
        "--steps", Text(Steps),
        "--seed", Text(Seed),
        "--kill-at-step", Text(KillAtStep),
        "--kill-rank", Text(KillRank),
        "--newcomer-at-step", Text(NewcomerAtStep),
    ];

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
