using Collective.Stress.Demo;
using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>The demo must not pass when something is wrong: each condition is broken once.</summary>
internal sealed class DemoChecksTests
{
    private const int KillRank = 2;
    private const int NewcomerIndex = 4;
    private static readonly DemoPlan _plan = new() { Peers = 4, Steps = 40 };

    [Test]
    public void A_good_run_passes()
    {
        var report = DemoReport.Of(GoodRun(), TimeSpan.FromSeconds(5));
        Assert.That(report.Failures, Is.Empty);
        Assert.That(report.Passed, Is.True);
        Assert.That(report.Survivors, Is.EqualTo(4));
        Assert.That(report.KilledAtStep, Is.EqualTo(20));
        Assert.That(report.JoinedAtStep, Is.EqualTo(25));
        Assert.That(report.NewcomerSteps, Is.EqualTo(16));
        Assert.That(report.Aborted, Is.EqualTo(3));
    }

    [Test]
    public void Different_parameters_fail()
        => AssertFails(GoodRun(result: (index, done) => index == 1 ? done with { Digest = "other" } : done), "parameters differ");

    [Test]
    public void A_network_that_cannot_read_fails()
        => AssertFails(GoodRun(result: (_, done) => done with { Accuracy = 0.94 }), "94.0 % of the test images");

    [Test]
    public void Too_few_steps_fail()
        => AssertFails(GoodRun(result: (index, done) => index == 0 ? done with { StepsDone = 39 } : done), "did 39 steps");

    [Test]
    public void A_survivor_that_noticed_nothing_fails()
        => AssertFails(GoodRun(seesAbort: index => index != 3), "peer 3 saw 0 aborted");

    [Test]
    public void A_newcomer_that_came_late_fails()
        => AssertFails(GoodRun(newcomerFirstStep: 30), "took part in 11 steps");

    [Test]
    public void A_run_without_a_newcomer_fails()
        => AssertFails(GoodRun(hasNewcomer: false), "No newcomer was admitted");

    [Test]
    public void A_peer_that_ends_early_ends_the_run_and_is_named()
    {
        var progress = GoodRun();
        progress.AddPeer(105, isNewcomer: false);
        progress.ApplyEnd(5, 134, "it aborted");
        AssertFails(progress, "peer 5 (process 105) ended with exit code 134");
    }

    [Test]
    public void A_victim_that_survived_fails()
    {
        var progress = new DemoProgress(_plan);
        progress.AddPeer(100, isNewcomer: false);
        progress.Apply(0, new DemoEvent.Dying(20));
        progress.ApplyEnd(0, 0, "");
        AssertFails(progress, "ended with exit code 0");
    }

    [Test]
    public void Aborts_in_a_calm_run_fail()
    {
        var progress = new DemoProgress(_plan with { HasKill = false });
        progress.AddPeer(100, isNewcomer: false);
        progress.Apply(0, new DemoEvent.AllReduceAborted(3, "A peer was lost."));
        AssertFails(progress, "although no peer was lost");
    }

    [Test]
    public void The_newcomer_is_due_just_before_the_step_it_shall_join()
    {
        var progress = new DemoProgress(_plan);
        progress.AddPeer(100, isNewcomer: false);
        foreach (var step in Enumerable.Range(1, _plan.NewcomerAtStep - 2))
        {
            progress.Apply(0, Step(step));
            Assert.That(progress.IsNewcomerDue, Is.False);
        }

        progress.Apply(0, Step(_plan.NewcomerAtStep - 1));
        Assert.That(progress.IsNewcomerDue, Is.True);
        progress.AddPeer(101, isNewcomer: true);
        Assert.That(progress.IsNewcomerDue, Is.False);
    }

    private static void AssertFails(DemoProgress progress, string reason)
    {
        var report = DemoReport.Of(progress, TimeSpan.Zero);
        Assert.That(report.Passed, Is.False);
        Assert.That(report.Failures, Has.Some.Contains(reason));
    }

    private static DemoProgress GoodRun(
        Func<int, DemoEvent.Done, DemoEvent.Done>? result = null,
        Func<int, bool>? seesAbort = null,
        int newcomerFirstStep = 25,
        bool hasNewcomer = true)
    {
        var progress = new DemoProgress(_plan);
        for (var index = 0; index < _plan.Peers; index++)
        {
            progress.AddPeer(100 + index, isNewcomer: false);
        }

        for (var index = 0; index < _plan.Peers; index++)
        {
            TakeSteps(progress, index, 1, _plan.KillAtStep - 1);
            if (index == KillRank)
            {
                progress.Apply(index, new DemoEvent.Dying(_plan.KillAtStep));
                progress.ApplyEnd(index, SelfKill.ExitCode, "");
                continue;
            }

            var aborted = seesAbort?.Invoke(index) == false ? 0 : 1;
            if (aborted == 1)
            {
                progress.Apply(index, new DemoEvent.AllReduceAborted(_plan.KillAtStep, "A peer was lost."));
                progress.Apply(index, new DemoEvent.AllReduceRetried(_plan.KillAtStep, 3));
            }

            TakeSteps(progress, index, _plan.KillAtStep, _plan.Steps);
            Finish(progress, index, aborted, result);
        }

        if (hasNewcomer)
        {
            progress.AddPeer(100 + NewcomerIndex, isNewcomer: true);
            progress.Apply(NewcomerIndex, new DemoEvent.HandedOver(newcomerFirstStep - 1, 3, 4, Received: true, Bytes: 800_000, Donors: 3));
            TakeSteps(progress, NewcomerIndex, newcomerFirstStep, _plan.Steps);
            Finish(progress, NewcomerIndex, 0, result);
        }

        return progress;
    }

    private static void TakeSteps(DemoProgress progress, int index, int first, int last)
    {
        for (var step = first; step <= last; step++)
        {
            progress.Apply(index, Step(step));
        }
    }

    private static DemoEvent.StepDone Step(int step)
        => new(step, Rank: 0, WorldSize: 4, Loss: 0.1, SamplesPerSecond: 1000, BytesSent: 10, BytesReceived: 10);

    private static void Finish(DemoProgress progress, int index, int aborted, Func<int, DemoEvent.Done, DemoEvent.Done>? result)
    {
        var done = new DemoEvent.Done(_plan.Steps, 0.97, "digest", aborted, aborted, 400, 400);
        progress.Apply(index, result?.Invoke(index, done) ?? done);
        progress.ApplyEnd(index, 0, "");
    }
}
