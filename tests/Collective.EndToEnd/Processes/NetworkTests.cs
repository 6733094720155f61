using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>
/// Master and peers on hosts of their own (network namespaces): packets are dropped and nobody is told. Host 0 has the master, host i the i-th peer.
/// </summary>
internal sealed class NetworkTests : ProcessTest
{
    private const int MasterPort = 48148;

    private HostNetwork _network = null!;
    private TestProcess _master = null!;

    /// <summary>Its packets stop in the middle of an operation. The others hear it from the master, which waits for the timeout; the host itself gives the master up. When the cable is back, it is let in again.</summary>
    [Test]
    public async Task AHostIsGoneAndComesBack()
    {
        var peers = await StartRing(3, "--rejoin true");
        _network.Detach(3);
        await _master.Said("evicted", lines => lines.Any(l => l.Contains(" evicted: no heartbeat for", StringComparison.Ordinal)), Deadline);
        await GoOn(peers[..2]);
        await peers[2].Said("lost", lines => lines.Any(l => l.StartsWith("LOST MasterLost No sign of life from the master for", StringComparison.Ordinal)), Deadline);
        AssertTold(peers[..2], "no heartbeat for", "the other 2 peers go on");
        _network.Attach(3);
        await GoOnAndLeave(peers);
    }

    /// <summary>It dies behind the cut: no end of any connection is heard, and none will be.</summary>
    [Test]
    public async Task AHostIsGoneForGood()
    {
        var peers = await StartRing(3, "");
        _network.Detach(3);
        peers[2].Kill();
        await GoOnAndLeave(peers[..2]);
        AssertTold(peers[..2], "no heartbeat for", "the other 2 peers go on");
    }

    /// <summary>
    /// Between two neighbours data stops: both ways, or one way only, so that one of the two believes that its connections stand. Nobody is taken out:
    /// the ring goes round the pair.
    /// </summary>
    [TestCase(true, true)]
    [TestCase(true, false)]
    [TestCase(false, true)]
    public async Task APairThatCannotConnectIsAvoided(bool forth, bool back)
    {
        var peers = await StartRing(4, "--stall-timeout-ms 2000");
        var ring = InRingOrder(peers);
        var (from, to) = (Array.IndexOf(peers, ring[0]) + 1, Array.IndexOf(peers, ring[1]) + 1);
        if (forth)
        {
            _network.Cut(from, to);
        }

        if (back)
        {
            _network.Cut(to, from);
        }

        await _master.Said("a ring without the pair", lines => lines.Any(l => l.Contains("stands with 4 peers", StringComparison.Ordinal) && l.Contains("the link from peer", StringComparison.Ordinal)), Deadline);
        await GoOn(peers);
        var order = InRingOrder(peers).ToList();
        Assert.That((order.IndexOf(ring[0]) - order.IndexOf(ring[1])) % 2, Is.Zero, "of four, who are no neighbours are opposite");
        await Leave(peers);
        Assert.That(_master.Lines.Where(l => l.Contains(" of group 0 evicted: ", StringComparison.Ordinal)), Is.Empty);
    }

    /// <summary>The master hears it, and nobody else does: no ring can be made with it. It goes and is told why; the others, innocent, stay.</summary>
    [Test]
    public async Task APeerThatOnlyTheMasterReachesGoes()
    {
        var peers = await StartRing(4, "--stall-timeout-ms 2000 --rejoin true");
        foreach (var other in new[] { 1, 2, 3 })
        {
            _network.Cut(4, other);
            _network.Cut(other, 4);
        }

        await _master.Said("evicted", lines => lines.Any(l => l.Contains(" of group 0 evicted: ", StringComparison.Ordinal) && l.Contains("data cannot flow", StringComparison.Ordinal)), Deadline);
        await peers[3].Said("evicted", lines => lines.Any(l => l.StartsWith("LOST Evicted", StringComparison.Ordinal) && l.Contains("data cannot flow", StringComparison.Ordinal)), Deadline);
        peers[3].Kill();
        await GoOnAndLeave(peers[..3]);
        AssertTold(peers[..3], "data cannot flow", "the other 3 peers go on");
        Assert.That(_master.Lines.Count(l => l.Contains(" of group 0 evicted: ", StringComparison.Ordinal)), Is.EqualTo(1));
    }

    [TearDown]
    public void RemoveNetwork() => _network?.Dispose();

    /// <summary>A master and peers, each on its host, which have begun to reduce in one world.</summary>
    private async Task<TestProcess[]> StartRing(int worldSize, string arguments)
    {
        if (HostNetwork.Unavailable is { } reason)
        {
            Assert.Ignore(reason);
        }

        _network = HostNetwork.Create(worldSize + 1);
        var address = $"{HostNetwork.AddressOf(0)}:{MasterPort}";
        _master = Own(TestProcess.Master(Log, $"--listen {address} --heartbeat-timeout {Heartbeat.TotalSeconds}", _network.CommandOn(0)));
        await _master.ListensOn(Deadline);
        var peers = Enumerable.Range(1, worldSize).Select(i => Start($"{(char)('A' + i - 1)}", address, $"--minimum-world-size {worldSize} {Bulk} {arguments}", _network.CommandOn(i))).ToArray();
        await GoOn(peers);
        return peers;
    }

    /// <summary>By the contributors that the latest result of the first names.</summary>
    private static TestProcess[] InRingOrder(TestProcess[] peers)
    {
        var contributors = peers[0].Committed[^1].Split(' ')[^1].Split(',');
        return [.. peers.OrderBy(p => Array.IndexOf(contributors, p.Lines.Last(l => l.StartsWith("connected", StringComparison.Ordinal)).Split(' ')[1][..8]))];
    }

    /// <summary>Who had an operation under way was told in these words what ended it, and the master's log has the same.</summary>
    private void AssertTold(TestProcess[] survivors, params string[] words)
    {
        bool Holds(string line) => words.All(word => line.Contains(word, StringComparison.Ordinal));
        var told = survivors.SelectMany(p => p.Lines).Where(l => l.StartsWith("OperationAborted", StringComparison.Ordinal)).ToList();
        Assert.That(told.Where(l => !Holds(l)), Is.Empty);
        Assert.That(_master.Lines.Any(l => l.Contains(" stands ", StringComparison.Ordinal) && Holds(l)), Is.True);
    }
}
