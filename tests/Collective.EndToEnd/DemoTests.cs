using System.Diagnostics;
using System.Text.Json;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>The demo as a newcomer runs it: a process that starts processes, kills one of them and says how it went.</summary>
[NonParallelizable]
internal sealed class DemoTests
{
    [Test]
    public async Task The_demo_survives_the_death_of_a_peer_and_ends_with_equal_replicas()
    {
        var report = await RunDemoAsync("demo", "--json", "--steps", "40");
        Assert.That(report.GetProperty("peers").GetInt32(), Is.EqualTo(4));
        Assert.That(report.GetProperty("steps").GetInt32(), Is.EqualTo(40));
        Assert.That(report.GetProperty("survivors").GetInt32(), Is.EqualTo(4));
        Assert.That(report.GetProperty("accuracy").GetDouble(), Is.GreaterThanOrEqualTo(0.95));
        Assert.That(report.GetProperty("digest").GetString(), Does.Match("^[0-9a-f]{64}$"));
        Assert.That(report.GetProperty("killedAtStep").GetInt32(), Is.EqualTo(20));
        Assert.That(report.GetProperty("joinedAtStep").GetInt32(), Is.EqualTo(25));
        Assert.That(report.GetProperty("newcomerSteps").GetInt32(), Is.EqualTo(16));
        Assert.That(report.GetProperty("aborted").GetInt32(), Is.EqualTo(3));
        Assert.That(report.GetProperty("retried").GetInt32(), Is.EqualTo(3));
        Assert.That(report.GetProperty("bytesMoved").GetInt64(), Is.GreaterThan(1_000_000));
        Assert.That(report.GetProperty("seconds").GetDouble(), Is.GreaterThan(0));
    }

    [Test]
    public async Task With_two_peers_the_survivor_goes_on_alone_until_the_newcomer_comes()
    {
        var report = await RunDemoAsync("demo", "--json", "--peers", "2", "--steps", "40");
        Assert.That(report.GetProperty("survivors").GetInt32(), Is.EqualTo(2));
        Assert.That(report.GetProperty("aborted").GetInt32(), Is.EqualTo(1));
        Assert.That(report.GetProperty("joinedAtStep").GetInt32(), Is.EqualTo(25));
    }

    [Test]
    public async Task Without_a_kill_nothing_is_aborted_and_the_same_seed_gives_the_same_parameters()
    {
        string[] arguments = ["demo", "--json", "--no-kill", "--peers", "3", "--steps", "30", "--seed", "7"];
        var first = await RunDemoAsync(arguments);
        var second = await RunDemoAsync(arguments);
        Assert.That(first.GetProperty("aborted").GetInt32(), Is.Zero);
        Assert.That(first.GetProperty("joinedAtStep").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(first.GetProperty("digest").GetString(), Is.EqualTo(second.GetProperty("digest").GetString()));
    }

    [Test]
    public async Task Plain_output_tells_the_story()
    {
        var outcome = await StressProgram.RunAsync("demo", "--steps", "40");
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Output + outcome.Error);
        Assert.That(outcome.Output, Does.Contain("ends itself by SIGKILL in the middle of the all-reduce of step 20"));
        Assert.That(outcome.Output, Does.Contain("called again, it succeeded among 3 peers"));
        Assert.That(outcome.Output, Does.Contain("was admitted and handed the state after step 24"));
        Assert.That(outcome.Output, Does.EndWith($"PASSED{Environment.NewLine}"));
        Assert.That(outcome.Error, Is.Empty);
    }

    [Test]
    public async Task A_run_that_is_too_short_to_learn_fails_and_says_why()
    {
        var outcome = await StressProgram.RunAsync("demo", "--json", "--no-kill", "--peers", "2", "--steps", "10", "--seed", "1");
        using var report = JsonDocument.Parse(outcome.Output);
        var accuracy = report.RootElement.GetProperty("accuracy").GetDouble();
        Assume.That(accuracy, Is.LessThan(0.95));
        Assert.That(outcome.ExitCode, Is.EqualTo(1));
        Assert.That(outcome.Error, Does.Contain("of the test images correctly"));
        Assert.That(report.RootElement.GetProperty("passed").GetBoolean(), Is.False);
    }

    [TestCase("demo", "--peers", "1")]
    [TestCase("demo", "--peers", "17")]
    [TestCase("demo", "--peers", "many")]
    [TestCase("demo", "--steps", "9")]
    [TestCase("demo", "--seed", "-1")]
    [TestCase("demo", "--colour")]
    [TestCase("demo", "more")]
    [TestCase("demo-peer")]
    [TestCase("bench", "--sizes", "5")]
    [TestCase("bench", "--sizes", "")]
    [TestCase("bench", "--sizes", "4,,8")]
    [TestCase("bench", "--stripes", "0")]
    [TestCase("dmo")]
    [TestCase]
    public async Task Bad_arguments_end_with_2_and_a_reason(params string[] arguments)
    {
        var outcome = await StressProgram.RunAsync(arguments);
        Assert.That(outcome.ExitCode, Is.EqualTo(2));
        Assert.That(outcome.Output, Is.Empty);
        Assert.That(outcome.Error, Does.Contain("--help"));
    }

    [Test]
    [Platform("Linux")]
    public async Task Ctrl_C_ends_with_130_and_leaves_no_process()
    {
        using var demo = StressProgram.Start("demo");
        var children = await ChildrenOnceTrainingAsync(demo);
        using var interrupt = Process.Start("kill", ["-INT", $"{demo.Id}"]);
        await demo.WaitForExitAsync().WaitAsync(StressProgram.Timeout);
        Assert.That(demo.ExitCode, Is.EqualTo(130));
        Assert.That(children, Has.All.Matches<int>(StressProgram.IsGoneSoon));
    }

    [Test]
    [Platform("Linux")]
    public async Task When_the_orchestrator_is_killed_its_peers_end()
    {
        using var demo = StressProgram.Start("demo");
        var children = await ChildrenOnceTrainingAsync(demo);
        demo.Kill();
        Assert.That(children, Has.Length.EqualTo(4).And.All.Matches<int>(StressProgram.IsGoneSoon));
    }

    private static async Task<int[]> ChildrenOnceTrainingAsync(Process demo)
    {
        while (await demo.StandardOutput.ReadLineAsync().WaitAsync(StressProgram.Timeout) is { } line)
        {
            if (line.Contains("the training begins", StringComparison.Ordinal))
            {
                return StressProgram.ChildrenOf(demo);
            }
        }

        throw new AssertionException("The demo ended before its training began.");
    }

    private static async Task<JsonElement> RunDemoAsync(params string[] arguments)
    {
        var outcome = await StressProgram.RunAsync(arguments);
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Output + outcome.Error);
        using var report = JsonDocument.Parse(outcome.Output);
        Assert.That(report.RootElement.GetProperty("passed").GetBoolean(), Is.True);
        return report.RootElement.Clone();
    }
}
