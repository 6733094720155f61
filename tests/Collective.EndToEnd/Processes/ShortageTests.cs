using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>A peer process that gets no more file descriptors: it says so, and is the one to go. Nobody who is healthy loses its place.</summary>
internal sealed class ShortageTests : ProcessTest
{
    private const string Arguments = $"--ask-pending true {Bulk}";

    /// <summary>Below those that are open already: not one more.</summary>
    private const int NoMore = 3;

    [Test]
    public async Task ItsNeighbourDies()
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var (a, b, starved) = (Start("A", master, $"{Arguments} --minimum-world-size 3"), Start("B", master, $"{Arguments} --minimum-world-size 3"), Starved(master));
        await Begin([starved], a, b);
        await GoOn(a, b, starved);
        starved.LimitDescriptors(NoMore);
        b.Kill();
        await IsTheOneToGo(starved);
        var fresh = Start("D", master, Arguments);
        await GoOnAndLeave(a, fresh);
        AssertNobodyIsEvicted();
    }

    [Test]
    public async Task NewcomersCome()
    {
        var master = StartMaster(heartbeat: Heartbeat);
        var (a, starved) = (Start("A", master, $"{Arguments} --minimum-world-size 2"), Starved(master, 2));
        await Begin([starved], a);
        await GoOn(a, starved);
        starved.LimitDescriptors(NoMore);
        var (c, d) = (Start("C", master, Arguments), Start("D", master, Arguments));
        await IsTheOneToGo(starved);
        await GoOnAndLeave(a, c, d);
        AssertNobodyIsEvicted();
    }

    [Test]
    public async Task BeforeItConnects()
    {
        var master = StartMaster();
        var starved = Start("starved", master.EndPoint.ToString(), "--threads-first true --descriptors 3", ["env", .. ChildRuntime.NoLateThreads.Select(v => $"{v.Key}={v.Value}")]);
        Assert.That(await starved.Exited(Deadline), Is.EqualTo(2));
        Assert.That(starved.Lines[^1], Does.StartWith("FAILED LimitExceeded").And.Contain("file descriptors"));
    }

    private TestProcess Starved(CollectiveMaster master, int company = 3) => Start("starved", master.EndPoint.ToString(), $"{Arguments} --minimum-world-size {company} --wait-for-go true --threads-first true", ["env", .. ChildRuntime.NoLateThreads.Select(v => $"{v.Key}={v.Value}")]);

    private async Task IsTheOneToGo(TestProcess starved)
    {
        Assert.That(await starved.Exited(Deadline), Is.EqualTo(2));
        Assert.That(starved.Lines.Last(l => l.StartsWith("FAILED", StringComparison.Ordinal)), Does.StartWith("FAILED LimitExceeded").And.Contain("no file descriptors left"));
        Assert.That(Log.Lines, Has.Exactly(1).Contains("of group 0 had to leave: its process has no file descriptors left"));
    }

    private void AssertNobodyIsEvicted() => Assert.That(Log.Lines.Where(l => l.Contains(" evicted: ", StringComparison.Ordinal)), Is.Empty);
}
