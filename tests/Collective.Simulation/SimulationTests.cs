using NUnit.Framework;

namespace Collective.Simulation;

/// <summary>That the simulator holds for what the test command runs, and that its checks catch what they are for.</summary>
[TestFixture]
public sealed class SimulationTests
{
    private const int SeedsTried = 1000;

    [Test]
    public void OneSeedAlwaysRunsTheSame([Values(1, 7, 42)] int seed)
    {
        static string Trace(int seed)
        {
            using var text = new StringWriter();
            new Simulator(new Scenario(seed, peers: null), text).Run();
            return text.ToString();
        }

        var first = Trace(seed);
        Assert.That(Trace(seed), Is.EqualTo(first));
    }

    [TestCase(20, 1, 20)]
    [TestCase(100, 1, 5)]
    [TestCase(200, 6, 7)]
    [TestCase(300, 8, 9)]
    [TestCase(1000, 1, 2)]
    public void LargeWorldsHold(int peers, int first, int last)
    {
        for (var seed = first; seed <= last; seed++)
        {
            try
            {
                new Simulator(new Scenario(seed, peers)).Run();
                if (peers <= 200)
                {
                    new Simulator(new Scenario(seed, peers) { Syncs = (SyncPolicy)(1 + (seed % 3)) }).Run();
                }
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed} with {peers} peers: {e.Message}");
            }
        }
    }

    [TestCase(nameof(Sabotage.SkipRestore), "G3")]
    [TestCase(nameof(Sabotage.FlipResultBit), "G2")]
    [TestCase(nameof(Sabotage.EarlyVerdict), "G")]
    [TestCase(nameof(Sabotage.LoseAnswer), "liveness")]
    [TestCase(nameof(Sabotage.VoteNotReevaluated), "liveness")]
    [TestCase(nameof(Sabotage.FailureTakenForPromise), "G")]
    [TestCase(nameof(Sabotage.DeadVoteCounts), "sync: ")]
    [TestCase(nameof(Sabotage.FailureUsesRevision), "sync: ")]
    [TestCase(nameof(Sabotage.ForgottenVeterans), "sync: ")]
    public void ASabotagedProtocolIsCaught(string sabotage, string check)
    {
        for (var seed = 1; seed <= SeedsTried; seed++)
        {
            try
            {
                new Simulator(new Scenario(seed, peers: null, Enum.Parse<Sabotage>(sabotage))).Run();
            }
            catch (SimulationException e)
            {
                TestContext.Out.WriteLine($"seed {seed}: {e.Message}");
                Assert.That(e.Message, Does.StartWith(check), $"seed {seed}");
                return;
            }
        }

        Assert.Fail($"{SeedsTried} seeds did not notice {sabotage}");
    }

    [Test]
    public void AMasterThatHandlesOneInputAtATimeIsCaught()
    {
        var scenario = Scenario.AtOnce(1, FaultKind.Kill, NamedScenarioTests.AtOncePeers, NamedScenarioTests.AtOncePeers / 2, 0, Sabotage.OneInputAtATime);
        Assert.That(new Simulator(scenario).Run, Throws.TypeOf<SimulationException>().With.Message.StartsWith("G5"));
    }
}
