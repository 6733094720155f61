using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.Hostile;

/// <summary>
/// A thousand peers with real connections at one daemon. What befalls many of them in one instant costs nobody else its place, and the master little.
/// </summary>
[NonParallelizable]
internal sealed class CrowdTests : EndToEndTest
{
    private const int Crowd = 1_000;
    private const long MiB = 1024 * 1024;

    /// <summary>Each turn is bounded by its deadline only; what it costs is printed, and that it is no epoch for each is checked.</summary>
    [Test]
    public async Task ManyThatComeDieAndLeaveAtOnceHarmNobody()
    {
        await using var daemon = DaemonProcess.Start("--listen", "127.0.0.1:0", "--heartbeat-timeout", "15", "--log-level", "error");
        await using var peers = new ControlPeers(await daemon.ReadEndPointAsync(), TimeSpan.FromSeconds(3));
        await peers.Come(Crowd - 300);
        await peers.Until(() => peers.Living.All(p => p.Registered) && peers.Living.Any(p => p.Standing != 0), Deadline);
        await peers.Vote();
        await Whole(peers, Crowd - 300);

        var (epochs, _) = Told(await Measured(daemon, peers, "300 join", async () =>
        {
            await peers.Come(300);
            await peers.Until(() => peers.Living.All(p => p.Registered), Deadline);
            await peers.Vote();
            await Whole(peers, Crowd);
        }));
        Assert.That(epochs, Is.LessThan(10));

        (epochs, _) = Told(await Measured(daemon, peers, "500 die", async () =>
        {
            await peers.Die(Crowd / 2);
            await Whole(peers, Crowd / 2);
        }));
        Assert.That(epochs, Is.LessThan(Crowd / 8), "one for many losses, not one for each");

        (_, var bytes) = Told(await Measured(daemon, peers, "500 leave", async () =>
        {
            await peers.Leave();
            await peers.Until(() => peers.Living.Count == 0, Deadline);
        }));
        Assert.That(peers.Ended, Is.Empty);
        Assert.That(bytes, Is.LessThan(256 * MiB));
    }

    private static async Task Whole(ControlPeers peers, int count)
    {
        await peers.Until(() => peers.Living.All(p => p.Standing == p.Epoch && p.WorldSize == count) || !peers.Ended.IsEmpty, Deadline);
        Assert.That(peers.Ended, Is.Empty);
    }

    private static async Task<(string Text, int Epochs, long Bytes)> Measured(DaemonProcess daemon, ControlPeers peers, string what, Func<Task> turn)
    {
        var (before, epochBefore) = (daemon.Usage(), peers.Living.Max(p => p.Epoch));
        await turn();
        var after = daemon.Usage();
        var epochs = peers.Living.Count == 0 ? 0 : (int)(peers.Living.Max(p => p.Epoch) - epochBefore);
        return ($"{what}: {epochs} epochs, {(after.ProcessorTime - before.ProcessorTime).TotalMilliseconds:0} ms of the master's processor time, {after.PeakBytes / MiB} MiB at most", epochs, after.PeakBytes);
    }

    private static (int Epochs, long Bytes) Told((string Text, int Epochs, long Bytes) measured)
    {
        TestContext.Out.WriteLine(measured.Text);
        return (measured.Epochs, measured.Bytes);
    }
}
