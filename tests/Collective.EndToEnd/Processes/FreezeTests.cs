using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>
/// One of three peers stops itself (SIGSTOP) exactly at a point of the protocol. Shorter than the timeout nobody minds; longer, it goes, is told so when it
/// wakes, and takes part again by a fresh connect of the same process.
/// </summary>
internal sealed class FreezeTests : ProcessTest
{
    private const string Arguments = $"--minimum-world-size 3 --ask-pending true {Bulk}";

    [TestCase("before-send:CollectiveStart#3")]
    [TestCase("receive:CollectiveGo")]
    [TestCase("segment-sent#20")]
    [TestCase("segment-received#20")]
    [TestCase("before-send:CollectiveDone#3")]
    [TestCase("after-send:CollectiveDone#3")]
    [TestCase("receive:Verdict#3")]
    [TestCase("before-send:TopologyVote")]
    [TestCase("after-send:TopologyVote")]
    [TestCase("after-send:PendingQuery")]
    [TestCase("before-send:Heartbeat")]
    public async Task LongerThanTheTimeout(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var others = new[] { Start("A", master, Arguments), Start("B", master, Arguments) };
        var frozen = Start("frozen", master, $"{Arguments} --wait-for-go true --rejoin true --freeze-at {point}");
        await Begin([frozen], others);
        await GoOn(others);
        await frozen.Thaw();
        await frozen.Said("evicted", lines => lines.Any(l => l.StartsWith("LOST Evicted", StringComparison.Ordinal) && l.Contains("no heartbeat for", StringComparison.Ordinal)), Deadline);
        await GoOnAndLeave([.. others, frozen]);
        await Log.Says(Deadline, " of group 0 evicted: no heartbeat for");
        Assert.That(Log.Lines.Count(l => l.Contains(" of group 0 evicted: no heartbeat for", StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [TestCase("before-send:CollectiveStart#3")]
    [TestCase("segment-sent#20")]
    [TestCase("segment-received#20")]
    [TestCase("after-send:CollectiveDone#3")]
    [TestCase("receive:Verdict#3")]
    [TestCase("after-send:TopologyVote")]
    [TestCase("after-send:PendingQuery")]
    [TestCase("before-send:Heartbeat")]
    public async Task ShorterThanTheTimeout(string point)
    {
        var master = StartMaster(heartbeat: PatientHeartbeat);
        var witness = Start("A", master, $"{Arguments} --report-heartbeats true");
        var other = Start("B", master, Arguments);
        var frozen = Start("frozen", master, $"{Arguments} --wait-for-go true --freeze-at {point}");
        await Begin([frozen], witness, other);
        await frozen.Said("freezes", lines => lines.Any(l => l.StartsWith("freezes", StringComparison.Ordinal)), Deadline);
        var before = witness.Lines.Count(l => l == "heartbeat");
        await witness.Said("three heartbeats", lines => lines.Count(l => l == "heartbeat") >= before + 3, Deadline);
        await frozen.Thaw();
        await GoOnAndLeave(witness, other, frozen);
        AssertNobodyLostItsPlace();
        Assert.That(witness.Lines.Where(l => l.StartsWith("OperationAborted", StringComparison.Ordinal)), Is.Empty);
    }

    /// <summary>Frozen for longer than the timeout while it joins: the others are not kept from their world.</summary>
    [TestCase("after-send:Hello")]
    [TestCase("receive:EpochOpened")]
    [TestCase("after-send:EpochReady")]
    public async Task WhileJoining(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var others = new[] { Start("A", master, "--minimum-world-size 2"), Start("B", master, "--minimum-world-size 2") };
        var frozen = Start("frozen", master, $"--rejoin true --freeze-at {point}");
        await frozen.Said("freezes", lines => lines.Any(l => l.StartsWith("freezes", StringComparison.Ordinal)), Deadline);
        await Log.Says(Deadline, "Collective.Master", " evicted: no heartbeat for");
        await GoOn(others);
        await frozen.Thaw();
        await frozen.Said("evicted", lines => lines.Any(l => l.StartsWith("LOST Evicted", StringComparison.Ordinal) && l.Contains("no heartbeat for", StringComparison.Ordinal)), Deadline);
        await GoOnAndLeave([.. others, frozen]);
    }

    [TestCase("segment-received#20")]
    [TestCase("after-send:CollectiveDone#3")]
    [TestCase("after-send:TopologyVote")]
    public async Task KilledWhileFrozen(string point)
    {
        var master = StartMaster(heartbeat: PatientHeartbeat);
        var survivors = new[] { Start("A", master, Arguments), Start("B", master, Arguments) };
        var victim = Start("victim", master, $"{Arguments} --wait-for-go true --freeze-at {point}");
        await Begin([victim], survivors);
        await victim.Said("freezes", lines => lines.Any(l => l.StartsWith("freezes", StringComparison.Ordinal)), Deadline);
        victim.Kill();
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        await GoOnAndLeave(survivors);
    }
}
