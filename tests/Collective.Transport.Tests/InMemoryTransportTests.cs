using Collective.Protocol;
using Collective.Transport;
using Collective.Transport.InMemory;
using NUnit.Framework;

namespace Collective.Transport.Tests;

[TestFixture]
internal sealed class InMemoryTransportTests : TransportSuite
{
    private InMemoryHub _hub = new();

    [SetUp]
    public void SetUp() => _hub = new InMemoryHub();

    [Test]
    public void A_refused_pair_cannot_be_wired_until_it_is_allowed_again()
    {
        var ring = Ring(2);
        _hub.Refuse(ring[0].Id, ring[1].Id);
        ring[0].Wire(First, ring[1], ring[1]);
        ring[1].Wire(First, ring[0], ring[0]);
        Assert.That(ring[0].ExpectLost().Outgoing, Is.True);
        _hub.Allow(ring[0].Id, ring[1].Id);
        WireRing(Second, ring);
        Transfer(ring[0], ring[1], Second, Payloads.Random(1, 10));
    }

    [Test]
    public void A_broken_link_is_reported_at_both_ends()
    {
        var ring = Ring(2);
        WireRing(First, ring);
        Cut(ring[0], ring[1]);
        Assert.That(ring[0].ExpectLost(), Is.EqualTo(new Peer.Lost(First, ring[1].Id, true, "cut")));
        Assert.That(ring[1].ExpectLost(), Is.EqualTo(new Peer.Lost(First, ring[0].Id, false, "cut")));
    }

    protected override (ITransport Transport, PeerAddress Address) Open(ITransportEvents events, int stripes)
    {
        var transport = _hub.Open(events);
        return (transport, new PeerAddress(0x7F00_0001, IsIPv6: false, transport.Port));
    }

    protected override void Cut(Peer from, Peer to) => ((InMemoryTransport)from.Transport).BreakOutgoing("cut");

    protected override PeerAddress Nowhere() => new(0x7F00_0001, IsIPv6: false, 9999);
}
