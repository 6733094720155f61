using System.Net;
using System.Net.Sockets;
using Collective.Protocol;
using Collective.Transport;
using Collective.Transport.Tcp;
using NUnit.Framework;

namespace Collective.Transport.Tests;

[TestFixture]
internal sealed class TcpTransportTests : TransportSuite
{
    private readonly Dictionary<PeerAddress, Relay> _relays = [];

    [TearDown]
    public void CloseRelays()
    {
        foreach (var relay in _relays.Values)
        {
            relay.Dispose();
        }

        _relays.Clear();
    }

    [Test]
    public void A_new_epoch_keeps_the_connections([Values(1, 8)] int stripes)
    {
        var ring = Ring(2, stripes);
        for (ulong n = 1; n <= 5; n++)
        {
            WireRing(new Epoch(First.Value + n), ring);
            Transfer(ring[0], ring[1], new Epoch(First.Value + n), Payloads.Random(1, 10));
        }

        Assert.That(ring.Select(p => RelayTo(p).Made), Is.All.EqualTo(stripes));
    }

    [Test]
    public void One_dead_stripe_breaks_the_link_and_is_told_once([Values(0, 3)] int stripe)
    {
        var ring = Ring(2, stripes: 4);
        WireRing(First, ring);
        RelayTo(ring[1]).Cut(stripe);
        var lost = ring[1].ExpectLost();
        Assert.That((lost.Epoch, lost.Neighbour, lost.Outgoing), Is.EqualTo((First, ring[0].Id, false)));

        WireRing(Second, ring);
        Transfer(ring[0], ring[1], Second, Payloads.Random(1, [.. Enumerable.Repeat(100_000, 50)]));
        ring.ForEach(p => p.ExpectNothing());
    }

    [Test]
    [Platform("Linux", Reason = "only Linux counts the progress of a connection for us")]
    public void A_link_whose_bytes_are_not_taken_breaks()
    {
        var events = new Peer(1);
        using var neighbour = new FakeNeighbour(events, stallMs: 200);
        new Outbox(new AttemptKey(First, default, 0), [.. Enumerable.Repeat(new byte[1 << 20], 64)]).SendAll(neighbour.Link);
        Assert.That(events.ExpectLost().Outgoing, Is.True, "nobody reads: without the timeout it would wait for ever");
    }

    /// <summary>Nothing is left to send, so no write can fail: what was sent last may be lost all the same.</summary>
    [Test]
    public void A_link_that_breaks_while_it_has_nothing_to_send_is_reported()
    {
        var events = new Peer(1);
        using var neighbour = new FakeNeighbour(events, stallMs: 200);
        var outbox = new Outbox(new AttemptKey(First, default, 0), Payloads.Random(1, 100));
        outbox.SendAll(neighbour.Link);
        outbox.ExpectAllSent();
        events.ExpectNothing();
        neighbour.Reset();
        Assert.That(events.ExpectLost().Outgoing, Is.True);
    }

    [Test]
    public void Both_ends_count_what_moves_in_an_epoch([Values(1, 3)] int stripes)
    {
        var ring = Ring(2, stripes);
        WireRing(First, ring);
        Assert.That(ring[0].Transport.Moved, Is.EqualTo(default(LinkBytes)));
        Transfer(ring[0], ring[1], First, Payloads.Random(1, 10, 100_000, 1_000_000));
        const ulong Bytes = 1_100_010 + (3 * SegmentHeader.Bytes);
        Assert.That(ring[0].Transport.Moved, Is.EqualTo(new LinkBytes(Bytes, 0)));
        Assert.That(ring[1].Transport.Moved, Is.EqualTo(new LinkBytes(0, Bytes)));

        WireRing(Second, ring);
        Assert.That(ring[0].Transport.Moved, Is.EqualTo(default(LinkBytes)));
        Assert.That(ring[1].Transport.Moved, Is.EqualTo(default(LinkBytes)));
        Transfer(ring[0], ring[1], Second, Payloads.Random(1, 7));
        Assert.That(ring[1].Transport.Moved, Is.EqualTo(new LinkBytes(0, 7 + SegmentHeader.Bytes)));
    }

    /// <summary>What is on its way shows: nothing in between has to be trusted.</summary>
    [Test]
    public void Bytes_that_something_in_between_has_taken_are_missing_at_the_other_end()
    {
        var ring = Ring(2);
        WireRing(First, ring);
        RelayTo(ring[1]).Swallow();
        var outbox = new Outbox(Key(First), Payloads.Random(1, 1000));
        outbox.SendAll(ring[0].Transport);
        outbox.ExpectAllSent();
        RelayTo(ring[1]).ExpectSwallowed(1000);
        Assert.That(ring[0].Transport.Moved.Sent, Is.EqualTo(1000UL + SegmentHeader.Bytes));
        Assert.That(ring[1].Transport.Moved.Received, Is.Zero);
        ring.ForEach(p => p.ExpectNothing());

        // Nobody answers a hello on it: another connection is made.
        WireRing(Second, ring);
        Assert.That(RelayTo(ring[1]).Made, Is.EqualTo(2));
    }

    [Test]
    public void A_link_that_was_closed_unheard_says_so_when_it_is_wired()
    {
        var events = new Peer(1);
        var neighbour = new Member(new PeerId(Guid.NewGuid()), Nowhere());
        using var link = new TcpOutgoingLink(events.Id, neighbour, Options(0, 0, 1), events, _ => { });
        link.Wire(Peer.Key, First);
        Assert.That(events.ExpectLost().Epoch, Is.EqualTo(First));
        link.Wire(Peer.Key, Second);
        Assert.That(events.ExpectLost().Epoch, Is.EqualTo(Second), "else the epoch would never be wired, and nobody would know");
    }

    [Test]
    public void A_port_that_is_in_use_is_an_error_and_the_next_free_one_is_found()
    {
        var peer = NewPeer();
        var taken = peer.Transport.Port;
        Assert.That(() => new TcpTransport(Options(taken, 0, 1), peer), Throws.TypeOf<SocketException>().With.Property(nameof(SocketException.SocketErrorCode)).EqualTo(SocketError.AddressAlreadyInUse));
        using var next = new TcpTransport(Options(null, taken, 1), peer);
        Assert.That(next.Port, Is.GreaterThan(taken));
    }

    [TestCase("127.0.0.1", "127.0.0.1:5")]
    [TestCase("::1", "[::1]:5")]
    [TestCase("::ffff:10.1.2.3", "10.1.2.3:5")]
    [TestCase("2001:db8::7", "[2001:db8::7]:5")]
    public void Addresses_survive_both_ways(string address, string text)
    {
        var peer = EndPoints.ToPeerAddress(new IPEndPoint(IPAddress.Parse(address), 5));
        Assert.That(peer.ToString(), Is.EqualTo(text));
        Assert.That(EndPoints.ToPeerAddress(peer.ToEndPoint()), Is.EqualTo(peer));
    }

    protected override (ITransport Transport, PeerAddress Address) Open(ITransportEvents events, int stripes)
    {
        var transport = new TcpTransport(Options(0, 0, stripes), events);
        var relay = new Relay(new PeerAddress(0x7F00_0001, IsIPv6: false, transport.Port));
        _relays.Add(relay.Address, relay);
        return (transport, relay.Address);
    }

    protected override void Cut(Peer from, Peer to) => RelayTo(to).CutAll();

    protected override PeerAddress Nowhere()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return EndPoints.ToPeerAddress((IPEndPoint)socket.LocalEndPoint!);
    }

    private static TcpTransportOptions Options(int? port, int first, int stripes) => new(IPAddress.Loopback, port, first, stripes, TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(10));

    private Relay RelayTo(Peer peer) => _relays[peer.Address];

    /// <summary>Accepts the one stripe of a link, says hello, and reads nothing more.</summary>
    private sealed class FakeNeighbour : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly Socket _accepted;

        public FakeNeighbour(Peer events, int stallMs)
        {
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listener.Listen();
            var member = new Member(new PeerId(Guid.NewGuid()), EndPoints.ToPeerAddress((IPEndPoint)_listener.LocalEndPoint!));
            Link = new TcpOutgoingLink(events.Id, member, Options(0, 0, 1) with { StallTimeout = TimeSpan.FromMilliseconds(stallMs) }, events, _ => { });
            Link.Wire(Peer.Key, First);
            _accepted = _listener.Accept();
            _accepted.ReceiveAll(new byte[LinkHello.Bytes]);
            var reply = new byte[LinkReplyCodec.Bytes];
            LinkReplyCodec.Write(LinkReply.Accepted, reply);
            _accepted.Send(reply);
        }

        public TcpOutgoingLink Link { get; }

        public void Reset()
        {
            _accepted.LingerState = new LingerOption(enable: true, seconds: 0);
            _accepted.Dispose();
        }

        public void Dispose()
        {
            Link.Dispose();
            _accepted.Dispose();
            _listener.Dispose();
        }
    }
}
