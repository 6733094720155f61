using System.Net;
using System.Net.Sockets;
using Collective.Protocol;
using Collective.Transport;
using Collective.Transport.Tcp;
using NUnit.Framework;

namespace Collective.Transport.Tests;

/// <summary>Whatever a stranger does on the data port costs its own connection and nobody else anything (guarantee G9).</summary>
[TestFixture]
internal sealed class HostileBytesTests
{
    private static readonly Epoch Current = Epoch.First(1).Next();

    /// <summary>A violation is answered at once: sooner than by the limit for silent connections.</summary>
    private const int ClosesWithinMs = Limits.HandshakeMsMax * 4 / 5;

    private readonly List<Socket> _strangers = [];
    private Peer _a = null!;
    private Peer _b = null!;
    private ulong _tag = 100;

    [SetUp]
    public void SetUp()
    {
        _a = Open(1);
        _b = Open(2);
        WireBoth(Current);
    }

    [TearDown]
    public void TearDown()
    {
        _strangers.ForEach(s => s.Dispose());
        _strangers.Clear();
        _a.Dispose();
        _b.Dispose();
    }

    [Test]
    public void Random_bytes([Range(1, 5)] int seed)
    {
        var bytes = new byte[5000];
        new Random(seed).NextBytes(bytes);
        AssertCostsOnlyItself(bytes);
    }

    [Test]
    public void Zeros() => AssertCostsOnlyItself(new byte[1000]);

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(SegmentHeader.Bytes - 1)]
    [TestCase(SegmentHeader.Bytes)]
    [TestCase(LinkHello.Bytes - 1)]
    public void Half_a_hello(int length)
    {
        var socket = Connect();
        socket.SendAll(Bytes(Hello).AsSpan(0, length));
        socket.Shutdown(SocketShutdown.Send);
        AssertClosed(socket);
        AssertLinksWork();
    }

    [TestCase(LinkReply.WrongVersion)]
    [TestCase(LinkReply.WrongKey)]
    [TestCase(LinkReply.WrongPeer)]
    [TestCase(LinkReply.StaleEpoch)]
    [TestCase(LinkReply.BadStripe)]
    public void A_hello_that_is_wrong_is_answered_and_closed(LinkReply reply)
    {
        LinkHello[] wrong = reply switch
        {
            LinkReply.WrongVersion => [Hello with { Version = 2 }, Hello with { Version = 0 }],
            LinkReply.WrongKey => [Hello with { Key = default }],
            LinkReply.WrongPeer => [Hello with { To = _a.Id }, Hello with { To = default }, Hello with { From = Stranger }, Hello with { From = _b.Id }],
            LinkReply.StaleEpoch => [Hello with { Epoch = Epoch.First(1) }, Hello with { Epoch = Epoch.None }],
            _ => [Hello with { StripeCount = 0 }, Hello with { Stripe = 1, StripeCount = 1 }, Hello with { Stripe = 64, StripeCount = 65 }, Hello with { Stripe = 255, StripeCount = 255 }],
        };
        foreach (var hello in wrong)
        {
            var socket = Connect();
            socket.SendAll(Bytes(hello));
            var answer = new byte[LinkReplyCodec.Bytes];
            Assert.That(socket.ReceiveAll(answer), Is.True);
            Assert.That(LinkReplyCodec.Parse(answer), Is.EqualTo(reply), $"{hello}");
            AssertClosed(socket);
        }

        AssertLinksWork();
    }

    [Test]
    public void A_segment_before_any_hello()
    {
        var inbox = new Inbox(Segment.Attempt, [new byte[Segment.PayloadBytes]]);
        _b.Transport.Router.Register(inbox);
        AssertCostsOnlyItself([.. Bytes(Segment), .. new byte[Segment.PayloadBytes]]);
        Assert.That(inbox.Order, Is.Empty, "it must not reach the operation");
    }

    [Test]
    public void A_segment_of_impossible_length()
    {
        AssertCostsOnlyItself(Bytes(Segment with { PayloadBytes = Limits.SegmentBytesMax + 1 }), padded: true);
        AssertCostsOnlyItself(Bytes(Segment with { PayloadBytes = -1 }), padded: true);
        AssertCostsOnlyItself(Bytes(Segment with { PayloadBytes = 0 }), padded: true);
    }

    [Test]
    public void A_stranger_with_a_newer_epoch_is_no_neighbour_when_that_epoch_comes()
    {
        var socket = Connect();
        socket.SendAll(Bytes(Hello with { From = Stranger, Epoch = Current.Next() }));
        var answer = new byte[LinkReplyCodec.Bytes];
        Assert.That(socket.ReceiveAll(answer), Is.True);
        Assert.That(LinkReplyCodec.Parse(answer), Is.EqualTo(LinkReply.Accepted), "this peer cannot know yet who its neighbour will be");
        WireBoth(Current.Next());
        AssertClosed(socket);
        AssertLinksWork(Current.Next());
    }

    [Test]
    public void A_stripe_that_is_lost_before_this_peer_hears_of_its_epoch_is_reported_then()
    {
        using var c = Open(3);
        var socket = Connect();
        socket.SendAll(Bytes(Hello with { From = c.Id, Epoch = Current.Next() }));
        var answer = new byte[LinkReplyCodec.Bytes];
        Assert.That(socket.ReceiveAll(answer), Is.True);
        socket.Shutdown(SocketShutdown.Send);
        AssertClosed(socket);
        _b.ExpectNothing();
        _b.Wire(Current.Next(), _a, c);
        Assert.That(_b.ExpectLost(), Has.Property("Epoch").EqualTo(Current.Next()).And.Property("Outgoing").False);
    }

    [Test]
    public void A_hello_that_was_overtaken_by_a_newer_one_is_stale()
    {
        using var c = Open(3);
        var newer = Hello with { From = c.Id, Epoch = Current.Next().Next() };
        var answer = new byte[LinkReplyCodec.Bytes];
        foreach (var (hello, reply) in new[] { (newer, LinkReply.Accepted), (newer with { Epoch = Current.Next() }, LinkReply.StaleEpoch) })
        {
            var socket = Connect();
            socket.SendAll(Bytes(hello));
            Assert.That(socket.ReceiveAll(answer), Is.True);
            Assert.That(LinkReplyCodec.Parse(answer), Is.EqualTo(reply), $"{hello}");
        }
    }

    [Test]
    public void Three_hundred_idle_connections()
    {
        for (var i = 0; i < 300; i++)
        {
            Connect();
        }

        AssertLinksWork();
        using var c = Open(3);
        c.Wire(Current.Next(), _b, _a);
        _b.Wire(Current.Next(), _a, c);
        _a.Wire(Current.Next(), c, _b);
        c.ExpectWired(Current.Next());
        _b.ExpectWired(Current.Next());
        _a.ExpectWired(Current.Next());
        Transfer(c, _b, Current.Next());
    }

    [Test]
    public void Hundreds_of_connections_that_come_and_go()
    {
        for (var i = 0; i < 300; i++)
        {
            Connect().Dispose();
        }

        AssertLinksWork();
    }

    private static PeerId Stranger => new(new Guid(77, 0, 0, new byte[8]));

    private LinkHello Hello => new(MessageCodec.Version, Peer.Key, Current, _a.Id, _b.Id, Stripe: 0, StripeCount: 2);

    private static SegmentHeader Segment => new(new AttemptKey(Current, new Tag(7), 0), 1, 0, 0, 100);

    private void AssertCostsOnlyItself(byte[] bytes, bool padded = false)
    {
        var socket = Connect();
        try
        {
            socket.SendAll(padded ? [.. bytes, .. new byte[LinkHello.Bytes]] : bytes);
        }
        catch (SocketException)
        {
            // Closed while it was still talking.
        }

        AssertClosed(socket);
        AssertLinksWork();
    }

    /// <summary>Segments go both ways, and nobody has been told of a loss.</summary>
    private void AssertLinksWork(Epoch? epoch = null)
    {
        Transfer(_a, _b, epoch ?? Current);
        Transfer(_b, _a, epoch ?? Current);
        _a.ExpectNothing();
        _b.ExpectNothing();
    }

    private void Transfer(Peer from, Peer to, Epoch epoch)
    {
        var payloads = Payloads.Random(1, 10, 1000, 100_000, 3);
        var attempt = new AttemptKey(epoch, new Tag(++_tag), 0);
        var inbox = new Inbox(attempt, payloads);
        to.Transport.Router.Register(inbox);
        new Outbox(attempt, payloads).SendAll(from.Transport);
        inbox.ExpectAll();
    }

    private void WireBoth(Epoch epoch)
    {
        _a.Wire(epoch, _b, _b);
        _b.Wire(epoch, _a, _a);
        _a.ExpectWired(epoch);
        _b.ExpectWired(epoch);
    }

    private static Peer Open(int number)
    {
        var peer = new Peer(number);
        peer.Transport = new TcpTransport(new TcpTransportOptions(IPAddress.Loopback, 0, 0, 2, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10)), peer);
        peer.Address = new PeerAddress(0x7F00_0001, IsIPv6: false, peer.Transport.Port);
        return peer;
    }

    private Socket Connect()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = ClosesWithinMs };
        _strangers.Add(socket);
        socket.Connect(new IPEndPoint(IPAddress.Loopback, _b.Transport.Port));
        return socket;
    }

    private static void AssertClosed(Socket socket)
    {
        try
        {
            Assert.That(socket.Receive(new byte[1]), Is.Zero, "nothing is answered");
        }
        catch (SocketException e)
        {
            Assert.That(e.SocketErrorCode, Is.Not.EqualTo(SocketError.TimedOut).And.Not.EqualTo(SocketError.WouldBlock), "the connection must close");
        }
    }

    private static byte[] Bytes(LinkHello hello)
    {
        var bytes = new byte[LinkHello.Bytes];
        hello.Write(bytes);
        return bytes;
    }

    private static byte[] Bytes(SegmentHeader header)
    {
        var bytes = new byte[SegmentHeader.Bytes];
        header.Write(bytes);
        return bytes;
    }
}
