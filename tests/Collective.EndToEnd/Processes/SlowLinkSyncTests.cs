using System.Globalization;
using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>A newcomer behind a link that is much slower than the codec: what can be packed is, and what cannot is sent as it is.</summary>
internal sealed class SlowLinkSyncTests : ProcessTest
{
    private const int SlowMegabits = 100;
    private const int StateBytes = 32 << 20;
    private const int Holder = 1;
    private const int Newcomer = 2;

    [Test]
    public async Task BlocksArePackedWhereThatSavesTime([Values] bool compressible)
    {
        if (HostNetwork.Unavailable is { } reason)
        {
            Assert.Ignore(reason);
        }

        using var network = HostNetwork.Create(3);
        Limit(network, Holder, Newcomer, SlowMegabits);
        var address = $"{HostNetwork.AddressOf(0)}:48148";
        var master = Own(TestProcess.Master(Log, $"--listen {address}", network.CommandOn(0)));
        await master.ListensOn(Deadline);
        var arguments = $"--minimum-world-size 2 --sync-bytes {StateBytes} --compressible {compressible}";
        var holder = Own(TestProcess.Peer("holder", Log, address, arguments, network.CommandOn(Holder)));
        var newcomer = Own(TestProcess.Peer("newcomer", Log, address, $"{arguments} --takes true", network.CommandOn(Newcomer)));
        foreach (var peer in new[] { holder, newcomer })
        {
            Assert.That(await peer.Exited(Deadline), Is.Zero, peer.Name);
        }

        var words = newcomer.Lines.Single(l => l.StartsWith("synced received", StringComparison.Ordinal)).Split(' ');
        var wireBytes = long.Parse(words[^1], CultureInfo.InvariantCulture);
        Assert.That(long.Parse(words[2], CultureInfo.InvariantCulture), Is.EqualTo(StateBytes));
        Assert.That(wireBytes, compressible ? Is.LessThan(StateBytes * 3 / 4) : Is.GreaterThanOrEqualTo(StateBytes));
    }
}
