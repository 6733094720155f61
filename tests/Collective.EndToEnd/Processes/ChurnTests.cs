using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>Peers that leave, links that break, and a run that shrinks to one peer and grows again.</summary>
internal sealed class ChurnTests : ProcessTest
{
    [Test]
    public async Task ACleanLeaveInTheMiddleOfTheRun()
    {
        var master = StartMaster(heartbeat: Heartbeat);
        const string Arguments = $"--minimum-world-size 3 {Bulk}";
        var survivors = new[] { Start("A", master, Arguments), Start("B", master, Arguments) };
        var leaver = Start("leaver", master, Arguments);
        await leaver.Said("a round", lines => lines.Any(l => IsRoundOf(l, 3)), Deadline);
        leaver.Terminate();
        Assert.That(await leaver.Exited(Deadline), Is.Zero);
        await GoOnAndLeave(survivors);
        await Log.Says(Deadline, "left", "Collective.Master");
        Assert.That(Log.Lines.Where(l => l.Contains("evicted", StringComparison.Ordinal)), Is.Empty);
    }

    /// <summary>
    /// Data connections between living peers end, all of one peer's or those of one link, or just one of them: made again, nobody is taken out for it, and who hears of
    /// it hears what both ends say.
    /// </summary>
    [TestCase("--break-links-at segment-sent#50")]
    [TestCase("--reset-link-at segment-sent#50")]
    [TestCase("--reset-stripe-at segment-sent#50")]
    [TestCase("--reset-link-at before-send:CollectiveDone#4")]
    [TestCase("--reset-stripe-at receive:CollectiveGo#3")]
    [TestCase("--reset-stripe-at after-send:TopologyVote#3")]
    public async Task BrokenLinksAreMadeAnew(string harm)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        const string Arguments = $"--minimum-world-size 3 {Bulk}";
        var peers = new[] { Start("A", master, Arguments), Start("B", master, Arguments), Start("C", master, $"{Arguments} {harm}") };

        // Between two operations there is nothing to abort: then only the epoch tells.
        await peers[2].Said("a commit in a later epoch", lines => EpochsOf(lines).Distinct().Count() > 1, Deadline);
        await GoOnAndLeave(peers);
        AssertNobodyLostItsPlace();
        await Log.Says(Deadline, "Collective.Master", "stands with 3 peers", "the link from peer", "both ends answer the master, so both keep their place");
    }

    private static IEnumerable<string> EpochsOf(IEnumerable<string> lines)
        => lines.Select(l => l.Split(' ')).Where(words => words[0] == "committed").Select(words => words[Array.IndexOf(words, "epoch") + 1]);

    [Test]
    public async Task AllButOneDieThenANewcomerJoins()
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var survivor = Start("survivor", master, $"--minimum-world-size 3 {Bulk}");
        var victims = new[]
        {
            Start("victim 1", master, $"--minimum-world-size 3 {Bulk} --wait-for-go true --die-at segment-received#30"),
            Start("victim 2", master, $"--minimum-world-size 3 {Bulk} --wait-for-go true --die-at before-send:CollectiveDone#5"),
        };
        await Begin(victims, survivor);
        foreach (var victim in victims)
        {
            Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed), victim.Name);
        }

        await survivor.Said("too few peers", lines => lines.Any(l => l.StartsWith("TooFewPeers", StringComparison.Ordinal)), Deadline);
        var newcomer = Start("newcomer", master, Bulk);
        foreach (var peer in new[] { survivor, newcomer })
        {
            await peer.Said("two rounds of two", lines => lines.Count(l => IsRoundOf(l, 2)) >= 2, Deadline);
        }

        newcomer.Tell("stop");
        Assert.That(await survivor.Exited(Deadline), Is.Zero);
        Assert.That(await newcomer.Exited(Deadline), Is.Zero);
        Assert.That(survivor.Committed.TakeLast(newcomer.Committed.Count), Is.EqualTo(newcomer.Committed));
    }

    /// <summary>What befalls one group is no news for another: no epoch, no failed call.</summary>
    [TestCase("--die-at segment-received#20")]
    [TestCase("--freeze-at segment-received#20 --rejoin true")]
    [TestCase("--reset-link-at segment-sent#20")]
    public async Task ATroubleOfOneGroupIsNotFeltByAnother(string harm)
    {
        var master = StartMaster(heartbeat: Heartbeat);

        // The others first: once it is in, the victim keeps everybody waiting until it is told to go.
        var others = new[] { Start("C", master, $"--group 2 --minimum-world-size 2 {Bulk}"), Start("D", master, $"--group 2 --minimum-world-size 2 {Bulk}") };
        await Begin([], others);
        var afflicted = new[] { "A", "B" }.Select(name => Start(name, master, $"--group 1 --minimum-world-size 3 {Bulk}")).ToArray();
        var victim = Start("victim", master, $"--group 1 --minimum-world-size 3 {Bulk} --wait-for-go true {harm}");
        await Begin([victim], afflicted);
        if (harm.Contains("die", StringComparison.Ordinal))
        {
            await victim.Exited(Deadline);
        }
        else if (harm.Contains("freeze", StringComparison.Ordinal))
        {
            await victim.Said("freezes", lines => lines.Any(l => l.StartsWith("freezes", StringComparison.Ordinal)), Deadline);
            await Log.Says(Deadline, " of group 1 evicted: no heartbeat");
            victim.Kill();
        }
        else
        {
            await victim.Said("resets", lines => lines.Any(l => l.StartsWith("resets", StringComparison.Ordinal)), Deadline);
            await Log.Says(Deadline, "of group 1 stands", "the link from peer");
        }

        await GoOn(others);
        foreach (var other in others)
        {
            Assert.That(other.Lines.Where(l => l.StartsWith("OperationAborted", StringComparison.Ordinal)), Is.Empty, other.Name);
            Assert.That(EpochsOf(other.Lines).Distinct().Count(), Is.EqualTo(1), other.Name);
        }
    }
}
