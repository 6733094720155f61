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
        Assert.That(Log.Lines.Any(l => l.Contains("left", StringComparison.Ordinal) && l.Contains("Collective.Master", StringComparison.Ordinal)), Is.True);
        Assert.That(Log.Lines.Where(l => l.Contains("evicted", StringComparison.Ordinal)), Is.Empty);
    }

    /// <summary>A link between two living peers is made anew, and nobody is taken out for it.</summary>
    [Test]
    public async Task BrokenLinksAreMadeAnew()
    {
        var master = StartMaster(heartbeat: Heartbeat);
        const string Arguments = $"--minimum-world-size 3 {Bulk}";
        var peers = new[] { Start("A", master, Arguments), Start("B", master, Arguments), Start("C", master, $"{Arguments} --break-links-at segment-sent#50") };

        // Between two operations there is nothing to abort: then only the epoch tells.
        await peers[2].Said("a commit in a later epoch", lines => EpochsOf(lines).Distinct().Count() > 1, Deadline);
        await GoOnAndLeave(peers);
        Assert.That(Log.Lines.Where(l => l.Contains("evicted", StringComparison.Ordinal)), Is.Empty);
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
}
