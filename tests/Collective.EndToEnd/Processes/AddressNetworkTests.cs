using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>Addresses on hosts of their own (network namespaces): host 0 has the master.</summary>
internal sealed class AddressNetworkTests : ProcessTest
{
    private const int MasterPort = 48148;

    private HostNetwork _network = null!;
    private TestProcess _master = null!;

    /// <summary>One host has only IPv4. The other goes to the master by IPv6: it is known by that address, and reached by its other one.</summary>
    [Test]
    public async Task APeerOfOneFamilyReachesOneOfBoth()
    {
        await StartMaster(2, "[::]");
        _network.Without(1, family: 6);
        await GoOnAndLeave(Start(1, $"{HostNetwork.AddressOf(0)}", 2), Start(2, $"[{HostNetwork.IPv6AddressOf(0)}]", 2));
    }

    [Test]
    public async Task OnlyIPv6()
    {
        await StartMaster(2, "[::]");
        _network.Without(1, family: 4);
        _network.Without(2, family: 4);
        await GoOnAndLeave(Start(1, $"[{HostNetwork.IPv6AddressOf(0)}]", 2), Start(2, $"[{HostNetwork.IPv6AddressOf(0)}]", 2));
    }

    /// <summary>Peers of the master's host say localhost; the others come by two families.</summary>
    [Test]
    public async Task TheMasterIsOnAPeersHost()
    {
        await StartMaster(2, "[::]");
        await GoOnAndLeave(
            Start(0, "127.0.0.1", 4),
            Start(0, "[::1]", 4),
            Start(1, $"{HostNetwork.AddressOf(0)}", 4),
            Start(2, $"[{HostNetwork.IPv6AddressOf(0)}]", 4));
    }

    /// <summary>Debian gives a host's own name the address 127.0.1.1 on that host: a master that listens on this name listens for others, too.</summary>
    [Test]
    public async Task TheHostsOwnNameIsALoopbackAddress()
    {
        var hosts = Path.GetTempFileName();
        await File.WriteAllTextAsync(hosts, "127.0.0.1 localhost\n127.0.1.1 debian\n");
        try
        {
            await StartMaster(1, "debian", "unshare", "--mount", "--uts", "sh", "-c", $"mount --bind {hosts} /etc/hosts && hostname debian && exec \"$@\"", "sh");
            await GoOnAndLeave(Start(0, "127.0.1.1", 2), Start(1, $"{HostNetwork.AddressOf(0)}", 2));
        }
        finally
        {
            File.Delete(hosts);
        }
    }

    [Test]
    public async Task ALinkLocalAddressIsRefused()
    {
        await StartMaster(1, "[::]");
        var peer = Start(1, $"[{HostNetwork.LinkLocalAddressOf(0)}%eth0]", 1);
        await peer.Said("refused", lines => lines.Any(l => l.StartsWith("FAILED MasterRefused", StringComparison.Ordinal) && l.Contains("is a link-local one", StringComparison.Ordinal)), Deadline);
    }

    /// <summary>Hellos pass, data does not: the reason names the path, on the peers' side and the master's.</summary>
    [Test]
    public async Task APathThatCarriesOnlySmallPacketsIsNamed()
    {
        await StartMaster(2, $"{HostNetwork.AddressOf(0)}");
        _network.DropLargerPackets(2, 1000);
        Start(1, $"{HostNetwork.AddressOf(0)}", 2, Bulk, "--stall-timeout-ms 1000 --rejoin true");
        Start(2, $"{HostNetwork.AddressOf(0)}", 2, Bulk, "--stall-timeout-ms 1000 --rejoin true");
        await _master.Said("MTU", lines => lines.Any(l => l.Contains("only small packets arrive", StringComparison.Ordinal) && l.Contains("MTU", StringComparison.Ordinal)), Deadline);
    }

    [TearDown]
    public void RemoveNetwork() => _network?.Dispose();

    private async Task StartMaster(int peers, string host, params string[] command)
    {
        if (HostNetwork.Unavailable is { } reason)
        {
            Assert.Ignore(reason);
        }

        _network = HostNetwork.Create(peers + 1);
        _master = Own(TestProcess.Master(Log, $"--listen {host}:{MasterPort} --heartbeat-timeout {Heartbeat.TotalSeconds}", [.. _network.CommandOn(0), .. command]));
        await _master.ListensOn(Deadline);
    }

    private TestProcess Start(int host, string master, int worldSize, params string[] arguments)
        => Start($"{host} to {master}", $"{master}:{MasterPort}", string.Join(' ', [$"--minimum-world-size {worldSize}", .. arguments]), _network.CommandOn(host));
}
