using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>
/// Peers end or freeze themselves in the middle of a sync. Each peer checks that its tensor holds what the outcome of its call means (see <c>Collective.EndToEnd.Peer</c>).
/// </summary>
internal sealed class SyncDeathTests : ProcessTest
{
    /// <summary>64 answers of 1 MiB.</summary>
    private const string Sync = "--sync-bytes 67108864";

    /// <summary>At 10, 50 and 90 percent. The other holder gives next to nothing before: what it owes is overdue then, and asked from the victim.</summary>
    [TestCase(6)]
    [TestCase(32)]
    [TestCase(58)]
    public async Task AHolderDies(int answers)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var victim = Start("victim", master, $"--minimum-world-size 3 {Sync} --die-at state-given#{answers}");
        var holder = Start("holder", master, $"--minimum-world-size 3 {Sync} --hold-at state-given");
        var newcomer = Start("newcomer", master, $"--minimum-world-size 3 {Sync} --takes true");
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        holder.Tell("release");
        await AssertSynced(newcomer, 64 << 20);
        await AssertSynced(holder, 0);
    }

    [Test]
    public async Task AHolderFreezes()
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var victim = Start("victim", master, $"--minimum-world-size 4 {Sync} --freeze-at state-given#6");
        var holder = Start("holder", master, $"--minimum-world-size 4 {Sync}");
        var newcomers = new[] { "newcomer 1", "newcomer 2" }.Select(name => Start(name, master, $"--minimum-world-size 4 {Sync} --takes true")).ToArray();
        foreach (var newcomer in newcomers)
        {
            await AssertSynced(newcomer, 64 << 20);
        }

        await AssertSynced(holder, 0);
        await victim.Thaw();

        // It had promised to hold the content before it froze: whether the others ended before it was evicted is all that it can hear.
        Assert.That(await victim.Exited(Deadline), Is.Zero.Or.EqualTo(2));
        Assert.That(victim.Lines, Has.Some.StartsWith("FAILED Evicted").Or.Some.StartsWith("synced received 0 "));
    }

    [Test]
    public async Task TheOnlyHolderDies()
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var victim = Start("victim", master, $"--minimum-world-size 3 {Sync} --die-at state-given#10");
        var newcomers = new[] { "newcomer 1", "newcomer 2" }.Select(name => Start(name, master, $"--minimum-world-size 3 {Sync} --takes true")).ToArray();
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        foreach (var newcomer in newcomers)
        {
            Assert.That(await newcomer.Exited(Deadline), Is.EqualTo(2), newcomer.Name);
            Assert.That(newcomer.Lines, Has.Some.StartsWith("FAILED SyncFailed"));
        }
    }

    [TestCase("before-send:SharedStateVote")]
    [TestCase("after-send:SharedStateVote")]
    [TestCase("receive:SharedStatePlan")]
    [TestCase("before-send:SharedStateDone")]
    [TestCase("after-send:SharedStateDone")]
    [TestCase("receive:SharedStateFinished")]
    public async Task ANewcomerDies(string point)
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var victim = Start("victim", master, $"--minimum-world-size 3 {Sync} --takes true --die-at {point}");
        var holder = Start("holder", master, $"--minimum-world-size 3 {Sync}");
        var newcomer = Start("newcomer", master, $"--minimum-world-size 3 {Sync} --takes true");
        Assert.That(await victim.Exited(Deadline), Is.EqualTo(TestProcess.Killed));
        await AssertSynced(newcomer, 64 << 20);
        await AssertSynced(holder, 0);
    }

    [TestCase("--sync-bytes 1000001")]
    [TestCase("--sync-bytes 1000000 --takes true --sync-key another")]
    public async Task APeerThatDoesNotFitHarmsItselfOnly(string itsSync)
    {
        const string Sync = "--sync-bytes 1000000";
        var master = StartMaster(heartbeat: TimeSpan.FromMinutes(1)); // Nobody dies here.
        var misfit = Start("misfit", master, $"--minimum-world-size 4 {itsSync}");
        var holders = new[] { "holder 1", "holder 2" }.Select(name => Start(name, master, $"--minimum-world-size 4 {Sync}")).ToArray();
        var newcomer = Start("newcomer", master, $"--minimum-world-size 4 {Sync} --takes true");
        Assert.That(await misfit.Exited(Deadline), Is.EqualTo(2));
        Assert.That(misfit.Lines, Has.Some.StartsWith("FAILED Mismatch"));
        await AssertSynced(newcomer, 1_000_000);
        foreach (var holder in holders)
        {
            await AssertSynced(holder, 0);
        }
    }

    private static async Task AssertSynced(TestProcess peer, long received)
    {
        Assert.That(await peer.Exited(Deadline), Is.Zero, peer.Name);
        Assert.That(peer.Lines, Has.Some.StartsWith($"synced received {received} "), peer.Name);
    }
}
