using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Where the master tells peers that they reach each other.</summary>
internal sealed class MasterAddressTests
{
    private static readonly PeerAddress Loopback = new(0x7F00_0001, IsIPv6: false, 40_001);
    private static readonly PeerAddress MasterV4 = new(0x0A00_00FE, IsIPv6: false, 48_148);
    private static readonly PeerAddress MasterV6 = new(new UInt128(0x2001_0DB8_0000_0000, 0xFE), IsIPv6: true, 48_148);

    [Test]
    public void A_peer_on_the_masters_host() => new MasterScript("A came over loopback: each of the others reaches it where it reaches the master itself.")
        .Connect('A', Loopback, Loopback with { Port = 48_148 })
        .Receive('A', HelloOf('A', minimumWorldSize: 4))
        .Connect('B', Loopback with { Port = 40_002 }, Loopback with { Port = 48_148 })
        .Receive('B', HelloOf('B', minimumWorldSize: 4))
        .Connect('C', local: MasterV4)
        .Receive('C', HelloOf('C', minimumWorldSize: 4))
        .Connect('D', new PeerAddress(new UInt128(0x2001_0DB8_0000_0000, 0x4), IsIPv6: true, 40_004), MasterV6)
        .Receive('D', HelloOf('D', minimumWorldSize: 4))
        .Ready("ABCD")
        .VoteOptimize("ABCD")
        .Check();

    [Test]
    public void A_peer_that_announces_its_address() => new MasterScript("What it announces counts, also over loopback (a tunnel), and an alternative is passed on.")
        .Connect('A', Loopback, Loopback with { Port = 48_148 })
        .Receive('A', HelloOf('A', minimumWorldSize: 2) with { Announced = new PeerAddress(0xCB00_7107, IsIPv6: false, 9000) })
        .Connect('B', local: MasterV4)
        .Receive('B', HelloOf('B', minimumWorldSize: 2) with { Alternative = new PeerAddress(new UInt128(0x2001_0DB8_0000_0000, 0xB), IsIPv6: true, 5002) })
        .Check();

    [Test]
    public void An_address_that_is_none() => new MasterScript("A wildcard, a group, no port, a link-local address: refused with the reason.")
        .Connect('A').Receive('A', HelloOf('A') with { Announced = new PeerAddress(0, IsIPv6: false, 5001) })
        .Connect('B').Receive('B', HelloOf('B') with { Announced = new PeerAddress(new UInt128(0xFF02_0000_0000_0000, 1), IsIPv6: true, 5002) })
        .Connect('C').Receive('C', HelloOf('C') with { DataPort = 0 })
        .Connect('D', new PeerAddress(new UInt128(0xFE80_0000_0000_0000, 4), IsIPv6: true, 40_004)).Receive('D', HelloOf('D'))
        .Connect('E').Receive('E', HelloOf('E') with { Alternative = new PeerAddress(0xFFFF_FFFF, IsIPv6: false, 5005) })
        .Check();

    [Test]
    public void Two_peers_at_one_address() => new MasterScript("The first lives: the second is told, and the first stays.")
        .Given("AB")
        .Join('C', remote: Describe.Remote('A'), dataPort: Describe.DataPort('A'))
        .Vote("AB")
        .Receive("AB", _ => new Heartbeat())
        .Note("Said before C came, perhaps, and late: that is no proof. It has to be heard again.")
        .Tick(1000)
        .Tick(100)
        .Receive("A", _ => new Heartbeat())
        .Check();

    [Test]
    public void The_successor_of_a_peer_that_is_gone() => new MasterScript("The first is dead, which the master does not know yet: the second waits for that, and is admitted.")
        .Given("AB")
        .Join('C', remote: Describe.Remote('A'), dataPort: Describe.DataPort('A'))
        .Note("And the successor of the successor.")
        .Join('D', remote: Describe.Remote('A'), dataPort: Describe.DataPort('A'))
        .Lose('A')
        .Ready("B")
        .Lose('C')
        .Vote("B")
        .Check();

    [Test]
    public void The_successor_of_a_frozen_peer() => new MasterScript("It is evicted in its time, and only then the second is admitted.")
        .Given("A")
        .Tick(0)
        .Join('C', remote: Describe.Remote('A'), dataPort: Describe.DataPort('A'))
        .WhileBeating("C", 5)
        .Tick(1)
        .Check();

    private static Hello HelloOf(char peer, ushort minimumWorldSize = 1) => new(MessageCodec.Version, default, Describe.DataPort(peer), minimumWorldSize);
}
