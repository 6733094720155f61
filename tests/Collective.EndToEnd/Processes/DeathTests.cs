using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>
/// One of three peers kills itself exactly at a point of the protocol. Each peer checks its own results and restored inputs at every step (see
/// <c>Collective.EndToEnd.Peer</c>); here both survivors must have seen the same commits, go on, and leave in peace.
/// </summary>
internal sealed class DeathTests : ProcessTest
{
    [TestCase("before-send:Hello")]
    [TestCase("after-send:Hello")]
    [TestCase("receive:Welcome")]
    [TestCase("receive:EpochOpened")]
    [TestCase("before-send:EpochReady")]
    [TestCase("after-send:EpochReady")]
    [TestCase("receive:EpochStands")]
    public async Task WhileJoining(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var survivors = new[] { Start("A", master, "--minimum-world-size 2"), Start("B", master, "--minimum-world-size 2") };
        var victim = Start("victim", master, $"--die-at {point}");
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        await GoOnAndLeave(survivors);
    }

    /// <summary>The run is empty again; the next peer begins it again.</summary>
    [TestCase("receive:EpochOpened")]
    [TestCase("after-send:EpochReady")]
    public async Task WhileBeginningTheRun(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var victim = Start("victim", master, $"--die-at {point}");
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        await GoOnAndLeave(Start("A", master, "--minimum-world-size 2"), Start("B", master, "--minimum-world-size 2"));
    }

    [TestCase("before-send:CollectiveStart")]
    [TestCase("after-send:CollectiveStart")]
    [TestCase("before-send:CollectiveStart#3")]
    [TestCase("after-send:CollectiveStart#3")]
    [TestCase("receive:CollectiveGo")]
    [TestCase("segment-sent")]
    [TestCase("segment-received")]
    [TestCase("segment-sent#20")]
    [TestCase("segment-received#20")]
    [TestCase("before-send:CollectiveDone")]
    [TestCase("after-send:CollectiveDone")]
    [TestCase("before-send:CollectiveDone#3")]
    [TestCase("after-send:CollectiveDone#3")]
    [TestCase("receive:Verdict")]
    [TestCase("receive:Verdict#3")]
    [TestCase("finish-operation")]
    [TestCase("finish-operation#3")]
    [TestCase("before-send:TopologyVote")]
    [TestCase("after-send:TopologyVote")]
    [TestCase("receive:TopologyUpdated")]
    [TestCase("before-send:PendingQuery")]
    [TestCase("after-send:PendingQuery")]
    [TestCase("receive:PendingReply")]
    [TestCase("before-send:Heartbeat")]
    [TestCase("after-send:Heartbeat")]
    [TestCase("receive:Heartbeat")]
    public async Task InTheMiddleOfTheRun(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        const string Arguments = $"--minimum-world-size 3 --ask-pending true {Bulk}";
        var survivors = new[] { Start("A", master, Arguments), Start("B", master, Arguments) };
        var victim = Start("victim", master, $"{Arguments} --wait-for-go true --die-at {point}");
        await Begin([victim], survivors);
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        await GoOnAndLeave(survivors);
    }

    [TestCase("before-send:Leave")]
    [TestCase("after-send:Leave")]
    public async Task WhileLeaving(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var survivors = new[] { Start("A", master, "--minimum-world-size 3"), Start("B", master, "--minimum-world-size 3") };
        var victim = Start("victim", master, $"--minimum-world-size 3 --rounds 2 --die-at {point}");
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        Assert.That(victim.Committed.Count(l => IsRoundOf(l, 3)), Is.EqualTo(2));
        await GoOnAndLeave(survivors);
    }

    /// <summary>A peer alone wants to reduce; the others are at the door.</summary>
    [TestCase("before-send:AdmitWhenAlone")]
    [TestCase("after-send:AdmitWhenAlone")]
    [TestCase("receive:TopologyUpdated")]
    [TestCase("receive:EpochOpened")]
    public async Task WhileLettingTheOthersIn(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var victim = Start("victim", master, $"--wait-for-go true --die-at {point}");
        await victim.Said("connected", lines => lines.Any(l => l.StartsWith("connected", StringComparison.Ordinal)), Deadline);
        var survivors = new[] { Start("A", master, "--minimum-world-size 2"), Start("B", master, "--minimum-world-size 2") };
        foreach (var survivor in survivors)
        {
            await survivor.Said("registered", lines => lines.Contains("registered"), Deadline);
        }

        victim.Tell("go");
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        await GoOnAndLeave(survivors);
    }

    /// <summary>The victim's own links break in the middle of a bulk operation, and it dies when it reports that.</summary>
    [TestCase("before-send:LinkFailed")]
    [TestCase("after-send:LinkFailed")]
    public async Task WhileReportingABrokenLink(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        const string Arguments = $"--minimum-world-size 3 {Bulk}";
        var survivors = new[] { Start("A", master, Arguments), Start("B", master, Arguments) };
        var victim = Start("victim", master, $"{Arguments} --break-links-at segment-sent#20 --die-at {point}");
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        await GoOnAndLeave(survivors);
    }

    [TestCase("segment-received#20")]
    [TestCase("after-send:CollectiveDone#3")]
    [TestCase("receive:Verdict")]
    [TestCase("before-send:TopologyVote")]
    public async Task TwoAtTheSamePoint(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        const string Arguments = $"--minimum-world-size 4 {Bulk}";
        var survivors = new[] { Start("A", master, Arguments), Start("B", master, Arguments) };
        var victims = new[] { "victim 1", "victim 2" }.Select(name => Start(name, master, $"{Arguments} --wait-for-go true --die-at {point}")).ToArray();
        await Begin(victims, survivors);

        // When the first dies, an aborted operation begins again and the second may pass the point later: it must all the same.
        foreach (var victim in victims)
        {
            Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed), victim.Name);
        }

        await GoOnAndLeave(survivors);
    }

    /// <summary>The first dies in the middle of an operation; the second while the ring of the survivors is being made.</summary>
    [TestCase("receive:EpochOpened")]
    [TestCase("before-send:EpochReady")]
    [TestCase("after-send:EpochReady")]
    [TestCase("receive:EpochStands")]
    public async Task DuringTheRecoveryFromAnother(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        const string Arguments = $"--minimum-world-size 4 {Bulk}";
        var survivors = new[] { Start("A", master, Arguments), Start("B", master, Arguments) };
        var first = Start("first", master, $"{Arguments} --wait-for-go true --die-at segment-received#20");
        var second = Start("second", master, $"{Arguments} --wait-for-go true --die-at {point}");
        await Begin([second, first], survivors);
        foreach (var victim in new[] { first, second })
        {
            Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed), victim.Name);
        }

        await GoOnAndLeave(survivors);
    }

    /// <summary>One that is in dies while a newcomer is let in; the newcomer stays.</summary>
    [TestCase("receive:EpochOpened")]
    [TestCase("before-send:EpochReady")]
    [TestCase("after-send:EpochReady")]
    [TestCase("receive:EpochStands")]
    [TestCase("receive:TopologyUpdated")]
    public async Task DuringAnAdmission(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        const string Arguments = "--minimum-world-size 3";
        var survivors = new[] { Start("A", master, Arguments), Start("B", master, Arguments) };
        var victim = Start("victim", master, $"{Arguments} --wait-for-go true --die-at {point}");
        foreach (var peer in survivors.Append(victim))
        {
            await peer.Said("connected", lines => lines.Any(l => l.StartsWith("connected", StringComparison.Ordinal)), Deadline);
        }

        var newcomer = Start("newcomer", master, "");
        await newcomer.Said("registered", lines => lines.Contains("registered"), Deadline);
        victim.Tell("go");
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        await GoOnAndLeave([.. survivors, newcomer]);
    }

    /// <summary>Nobody is left who knows anything; those at the door, and those who come later, are let in.</summary>
    [Test]
    public async Task EverybodyAndNewcomersCome([Values] bool waiting)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var victims = new[] { "victim 1", "victim 2", "victim 3" }.Select(name => Start(name, master, $"--minimum-world-size 3 {Bulk} --wait-for-go true --die-at segment-received#20")).ToArray();
        foreach (var victim in victims)
        {
            await victim.Said("connected", lines => lines.Any(l => l.StartsWith("connected", StringComparison.Ordinal)), Deadline);
        }

        var newcomers = new List<TestProcess>();
        if (waiting)
        {
            newcomers.Add(Start("early", master, "--minimum-world-size 2"));
            await newcomers[0].Said("registered", lines => lines.Contains("registered"), Deadline);
        }

        await Begin(victims);
        foreach (var victim in victims)
        {
            victim.KillUnlessDead(); // The last one is alone, and receives nothing more.
            Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed), victim.Name);
        }

        newcomers.Add(Start("late 1", master, "--minimum-world-size 2"));
        newcomers.Add(Start("late 2", master, "--minimum-world-size 2"));
        await GoOnAndLeave([.. newcomers]);
    }
}
