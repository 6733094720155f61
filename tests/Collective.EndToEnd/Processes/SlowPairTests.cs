using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>Four hosts between which the kernel limits the rate of most pairs: one ring is without a slow link, and that is the one to find.</summary>
internal sealed class SlowPairTests : ProcessTest
{
    private const int SlowMegabits = 8;

    private static readonly int[] s_fastRing = [1, 3, 2, 4];

    [Test]
    public async Task TheRingWithoutSlowPairsIsFound()
    {
        if (HostNetwork.Unavailable is { } reason)
        {
            Assert.Ignore(reason);
        }

        using var network = HostNetwork.Create(s_fastRing.Length + 1);
        LimitOtherPairs(network);
        var address = $"{HostNetwork.AddressOf(0)}:48148";
        var master = Own(TestProcess.Master(Log, $"--listen {address}", network.CommandOn(0)));
        await master.ListensOn(Deadline);
        var peers = Enumerable.Range(1, s_fastRing.Length).Select(i => Own(TestProcess.Peer(
            $"peer{i}", Log, address, $"--minimum-world-size {s_fastRing.Length} --optimize true --rounds 1", network.CommandOn(i)))).ToArray();
        foreach (var peer in peers)
        {
            Assert.That(await peer.Exited(Deadline), Is.Zero, peer.Name);
        }

        var ids = peers.Select(p => Words(p, "connected")[1]).ToList();
        foreach (var peer in peers)
        {
            var ring = Words(peer, "ring")[1].Split(',').Select(id => ids.IndexOf(id) + 1).ToList();
            var first = ring.IndexOf(s_fastRing[0]);
            Assert.That(ring[first..].Concat(ring[..first]), Is.EqualTo(s_fastRing));
        }

        Assert.That(peers.Select(p => p.Committed), Is.All.EqualTo(peers[0].Committed));
    }

    private static void LimitOtherPairs(HostNetwork network)
    {
        for (var i = 0; i < s_fastRing.Length; i++)
        {
            foreach (var to in s_fastRing.Where(to => to != s_fastRing[i] && to != s_fastRing[(i + 1) % s_fastRing.Length]))
            {
                Limit(network, s_fastRing[i], to, SlowMegabits);
            }
        }
    }

    private static string[] Words(TestProcess peer, string line) => peer.Lines.Single(l => l.StartsWith(line, StringComparison.Ordinal)).Split(' ');
}
