namespace Collective.Stress.Demo;

/// <summary>How a run of the demo ended: figures, and a sentence for everything that did not hold. Printed by <c>--json</c>.</summary>
internal sealed record DemoReport
{
    public required bool Passed { get; init; }

    /// <summary>One sentence for each condition that did not hold.</summary>
    public required IReadOnlyList<string> Failures { get; init; }

    /// <summary>Peers at the beginning.</summary>
    public required int Peers { get; init; }

    /// <summary>Outer steps completed.</summary>
    public required int Steps { get; init; }

    public required int Seed { get; init; }

    /// <summary>Share of the test images read correctly, 0 to 1.</summary>
    public required double? Accuracy { get; init; }

    /// <summary>SHA-256 of the parameters if it is the same on all survivors.</summary>
    public required string? Digest { get; init; }

    /// <summary>Peers that came to the end.</summary>
    public required int Survivors { get; init; }

    /// <summary>The step in whose all-reduce a peer was killed.</summary>
    public required int? KilledAtStep { get; init; }

    /// <summary>The first step of the newcomer.</summary>
    public required int? JoinedAtStep { get; init; }

    /// <summary>Steps in which the newcomer took part.</summary>
    public required int NewcomerSteps { get; init; }

    /// <summary>Calls that were aborted, over all survivors.</summary>
    public required int Aborted { get; init; }

    /// <summary>Calls that were aborted and then succeeded, over all survivors.</summary>
    public required int Retried { get; init; }

    /// <summary>Payload that the peers sent to each other for averaging, in bytes, without what was aborted.</summary>
    public required long BytesMoved { get; init; }

    public required double Seconds { get; init; }

    public static DemoReport Of(DemoProgress progress, TimeSpan elapsed)
    {
        var failures = progress.Failure is { } failure ? [failure] : DemoChecks.Failures(progress).ToList();
        var results = progress.Survivors.Select(peer => peer.Result).OfType<DemoEvent.Done>().ToList();
        var newcomer = progress.Newcomer;
        return new DemoReport
        {
            Passed = failures.Count == 0,
            Failures = failures,
            Peers = progress.Plan.Peers,
            Steps = progress.Step,
            Seed = progress.Plan.Seed,
            Accuracy = results.Count > 0 ? results.Min(result => result.Accuracy) : null,
            Digest = results.Select(result => result.Digest).Distinct().ToList() is [var digest] ? digest : null,
            Survivors = results.Count,
            KilledAtStep = progress.Victim is null ? null : progress.Plan.KillAtStep,
            JoinedAtStep = newcomer?.ReceivedAfterStep + 1,
            NewcomerSteps = newcomer?.StepsTaken ?? 0,
            Aborted = results.Sum(result => result.Aborted),
            Retried = results.Sum(result => result.Retried),
            BytesMoved = progress.BytesMoved,
            Seconds = Math.Round(elapsed.TotalSeconds, 3),
        };
    }
}
