using System.Globalization;

namespace Collective.Stress.Demo;

/// <summary>What has to hold at the end of the demo.</summary>
internal static class DemoChecks
{
    /// <summary>A sentence for each condition that does not hold.</summary>
    public static IEnumerable<string> Failures(DemoProgress progress)
        => [.. SurvivorFailures(progress), .. progress.Plan.HasKill ? KillFailures(progress) : CalmFailures(progress)];

    private static IEnumerable<string> SurvivorFailures(DemoProgress progress)
    {
        var plan = progress.Plan;
        var survivors = progress.Survivors.ToList();
        if (survivors.Count != plan.PeersAtEnd)
        {
            yield return $"{plan.PeersAtEnd} peers should be there at the end, but {survivors.Count} are.";
        }

        foreach (var peer in survivors)
        {
            if (peer.Result is not { } result)
            {
                yield return $"{peer.Name} never came to the end.";
                continue;
            }

            if (result.StepsDone != plan.Steps)
            {
                yield return $"{peer.Name} did {result.StepsDone} steps instead of {plan.Steps}.";
            }

            if (result.Accuracy < DemoPlan.AccuracyMin)
            {
                yield return string.Create(
                    CultureInfo.InvariantCulture, $"{peer.Name} reads {result.Accuracy:P1} of the test images correctly, less than the {DemoPlan.AccuracyMin:P0} wanted.");
            }
        }

        var digests = survivors.Select(peer => peer.Result?.Digest).OfType<string>().Distinct().ToList();
        if (digests.Count > 1)
        {
            yield return $"The parameters differ between peers: {string.Join(", ", digests)}.";
        }
    }

    private static IEnumerable<string> KillFailures(DemoProgress progress)
    {
        var plan = progress.Plan;
        if (progress.Victim is not { Status: PeerStatus.Killed })
        {
            yield return $"No peer was killed in step {plan.KillAtStep}.";
        }

        foreach (var peer in progress.Survivors.Where(peer => !peer.IsNewcomer))
        {
            if (peer.Aborted != 1)
            {
                yield return $"{peer.Name} saw {peer.Aborted} aborted all-reduces; with one peer killed it should be 1.";
            }

            // The only survivor of two peers has nobody to repeat the all-reduce with.
            if (peer.Retried != peer.Aborted && plan.Peers > 2)
            {
                yield return $"{peer.Name} repeated {peer.Retried} of {peer.Aborted} aborted all-reduces.";
            }
        }

        if (progress.Newcomer is not { ReceivedAfterStep: { } receivedAfter } newcomer)
        {
            yield return "No newcomer was admitted before the training ended.";
        }
        else if (receivedAfter != plan.NewcomerAtStep - 1 || newcomer.StepsTaken != plan.Steps - receivedAfter)
        {
            yield return $"The newcomer took part in {newcomer.StepsTaken} steps from step {receivedAfter + 1} on, instead of every one from step {plan.NewcomerAtStep} on.";
        }
    }

    private static IEnumerable<string> CalmFailures(DemoProgress progress)
        => from peer in progress.Peers
           where peer.Aborted > 0
           select $"{peer.Name} saw {peer.Aborted} aborted all-reduces although no peer was lost.";
}
