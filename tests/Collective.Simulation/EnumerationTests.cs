using NUnit.Framework;

namespace Collective.Simulation;

/// <summary>Every kind of fault at every point of a peer's life, one after the other: before and after each message it sends or hears, each step of its segments, each output.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
public sealed class EnumerationTests
{
    /// <summary>More than any of these small worlds has.</summary>
    private const int PointsMax = 5_000;

    private const int PointsMin = 50;

    private static IEnumerable<string> Kinds => Enum.GetNames<FaultKind>();

    [TestCaseSource(nameof(Kinds))]
    public void AFaultAtEveryPoint(string kind)
    {
        var fault = Enum.Parse<FaultKind>(kind);
        Enumerate(point => Scenario.OneFault(fault, point, peers: 2));
        Enumerate(point => Scenario.OneFault(fault, point, peers: 3, joiners: 1));
        Enumerate(point => Scenario.OneFault(fault, point, peers: 4, groups: 2));
    }

    /// <summary>As above, in programs that synchronise a shared state: while voting, fetching, serving, promised.</summary>
    [TestCaseSource(nameof(Kinds))]
    public void AFaultAtEveryPointOfSyncs(string kind)
    {
        var fault = Enum.Parse<FaultKind>(kind);
        Enumerate(point => Scenario.OneFault(fault, point, peers: 3, joiners: 1, syncs: SyncPolicy.Guarded));
        Enumerate(point => Scenario.OneFault(fault, point, peers: 2, joiners: 1, syncs: SyncPolicy.HandOver));
        Enumerate(point => Scenario.OneFault(fault, point, peers: 4, groups: 2, syncs: SyncPolicy.EveryStep));
    }

    /// <summary>As above, with several tensors under one verdict: none may commit without the others.</summary>
    [TestCaseSource(nameof(Kinds))]
    public void AFaultAtEveryPointOfSets(string kind)
    {
        var fault = Enum.Parse<FaultKind>(kind);
        Enumerate(point => Scenario.OneFault(fault, point, peers: 2, sets: true));
        Enumerate(point => Scenario.OneFault(fault, point, peers: 3, joiners: 1, sets: true));
    }

    /// <summary>While the others of an operation, a recovery or an admission are dealing with one death there is another.</summary>
    [Test]
    public void ASecondDeathAtEveryPoint([Values(nameof(FaultKind.Kill), nameof(FaultKind.FreezeLong), nameof(FaultKind.ResetLink))] string kind, [Values(20, 60, 110)] int first)
        => Enumerate(point => Scenario.TwoFaults(Enum.Parse<FaultKind>(kind), first, point, peers: 4, joiners: 1));

    private static void Enumerate(Func<int, Scenario> scenarioAt)
    {
        for (var point = 1; point < PointsMax; point++)
        {
            var simulator = new Simulator(scenarioAt(point));
            try
            {
                simulator.Run();
            }
            catch (Exception e)
            {
                Assert.Fail($"at point {point} of {simulator.Scenario}: {e.Message}");
            }

            if (!simulator.Faults.Struck.Contains(simulator.Scenario.Faults[^1]))
            {
                Assert.That(point, Is.GreaterThan(PointsMin), "that is no life");
                return; // Its life was over before: all points have been tried.
            }
        }

        Assert.Fail($"more than {PointsMax} points");
    }
}
