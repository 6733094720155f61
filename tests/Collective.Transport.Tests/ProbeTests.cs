using System.Net;
using System.Net.Sockets;
using Collective.Protocol;
using Collective.Transport.Tcp;
using NUnit.Framework;

namespace Collective.Transport.Tests;

/// <summary>Probes over TCP: what is measured, who may be measured, and that nothing of it touches the links.</summary>
[TestFixture]
internal sealed class ProbeTests
{
    private static readonly Epoch Current = Epoch.First(1);

    private readonly List<Peer> _peers = [];
    private readonly List<Socket> _strangers = [];
    private double? _limit;

    [TearDown]
    public void TearDown()
    {
        _strangers.ForEach(s => s.Dispose());
        _strangers.Clear();
        _peers.ForEach(p => p.Dispose());
        _peers.Clear();
    }

    [Test]
    public void A_slow_pair_measures_slow([Values(1, 4)] int stripes)
    {
        var (a, b) = Pair(stripes);
        _limit = 300_000;
        var slow = Measure(a, b, 1);
        _limit = null;
        var fast = Measure(a, b, 2);
        Assert.That(slow, Is.LessThan(1_000_000));
        Assert.That(fast, Is.GreaterThan(2 * slow));
    }

    [Test]
    public void Both_ends_may_be_told_in_either_order([Values] bool senderFirst)
    {
        var (a, b) = Pair();
        (senderFirst ? a : b).Probe(1, a, b);
        (senderFirst ? b : a).Probe(1, a, b);
        Assert.That(b.ExpectProbed().BytesPerSecond, Is.Positive);
        a.ExpectNothing();
    }

    [Test]
    public void A_probe_before_this_peer_knows_itself_waits()
    {
        var a = Open(1);
        var b = Open(2);
        a.Wire(Current, null, null);
        a.ExpectWired(Current);
        a.Probe(1, a, b);
        b.Wire(Current, null, null);
        b.ExpectWired(Current);
        b.Probe(1, a, b);
        Assert.That(b.ExpectProbed().BytesPerSecond, Is.Positive);
    }

    [Test]
    public void The_next_probe_ends_the_one_before()
    {
        var (a, b) = Pair();
        _limit = 1; // It would never be measured.
        b.Probe(1, a, b);
        a.Probe(1, a, b);
        _limit = null;
        b.Probe(2, a, b);
        a.Probe(2, a, b);
        Assert.That(b.ExpectProbed(), Has.Property("Number").EqualTo(2).And.Property("BytesPerSecond").Positive);
        a.ExpectNothingBut(1); // The target may have gone on before it accepted the connection.
        a.Probe(1, a, b); // An old one is none.
        b.Probe(1, a, b);
        a.ExpectNothing();
        b.ExpectNothing();
    }

    [Test]
    public void A_sender_that_ends_at_once_is_told()
    {
        var (a, b) = Pair();
        b.Probe(1, a, b);
        var socket = Greet(b, Hello(a, b, 1));
        socket.Shutdown(SocketShutdown.Send);
        var probed = b.ExpectProbed();
        Assert.That((probed.Number, probed.BytesPerSecond), Is.EqualTo((1UL, (ulong?)null)));
        Assert.That(probed.Detail, Does.Contain("closed the connection"));
        Assert.That(Measure(a, b, 2), Is.Positive);
    }

    [Test]
    public void A_target_that_is_not_there_is_told_by_the_sender()
    {
        var (a, b) = Pair();
        b.Dispose();
        a.Probe(1, a, b);
        Assert.That(a.ExpectProbed().BytesPerSecond, Is.Null);
    }

    [Test]
    public void A_target_that_ends_in_the_middle_ends_the_sender()
    {
        var (a, b) = Pair();
        b.Probe(1, a, b);
        var socket = Greet(b, Hello(a, b, 1));
        socket.SendAll(new byte[1000]);
        b.Dispose();
        AssertClosed(socket);
    }

    [Test]
    public void A_sender_that_ends_in_the_middle_is_told()
    {
        var (a, b) = Pair();
        b.Probe(1, a, b);
        var socket = Greet(b, Hello(a, b, 1));
        socket.SendAll(new byte[1000]);
        socket.Dispose();
        Assert.That(b.ExpectProbed().BytesPerSecond, Is.Null);
    }

    [Test]
    public void Links_go_on_beside_probes()
    {
        var (a, b) = Pair(stripes: 2);
        var payloads = Payloads.Random(1, [.. Enumerable.Repeat(100_000, 50)]);
        var attempt = new AttemptKey(Current, new Tag(7), 0);
        var inbox = new Inbox(attempt, payloads);
        b.Transport.Router.Register(inbox);
        b.Probe(1, a, b);
        a.Probe(1, a, b);
        new Outbox(attempt, payloads).SendAll(a.Transport);
        inbox.ExpectAll();
        Assert.That(b.ExpectProbed().BytesPerSecond, Is.Positive);
        a.ExpectNothing();
    }

    /// <summary>A probe is only taken from the peer of this run that was announced, with the number that was announced, once each connection.</summary>
    [TestCase("version", LinkReply.WrongVersion)]
    [TestCase("key", LinkReply.WrongKey)]
    [TestCase("to", LinkReply.WrongPeer)]
    [TestCase("from", LinkReply.WrongPeer)]
    [TestCase("older", LinkReply.StaleEpoch)]
    [TestCase("no count", LinkReply.BadStripe)]
    [TestCase("count", LinkReply.BadStripe)]
    [TestCase("index", LinkReply.BadStripe)]
    public void A_probe_that_nobody_announced_is_refused(string wrong, LinkReply reply)
    {
        var (a, b) = Pair();
        b.Probe(5, a, b);
        var hello = Hello(a, b, 5);
        hello = wrong switch
        {
            "version" => hello with { Version = 2 },
            "key" => hello with { Key = default },
            "to" => hello with { To = a.Id },
            "from" => hello with { From = b.Id },
            "older" => hello with { Number = 4 },
            "no count" => hello with { Count = 0 },
            "count" => hello with { Count = 65 },
            _ => hello with { Index = 1 },
        };
        var socket = Greet(b, hello, reply);
        AssertClosed(socket);
        a.Probe(5, a, b);
        Assert.That(b.ExpectProbed().BytesPerSecond, Is.Positive, "the announced one goes on");
        a.ExpectNothing();
    }

    [Test]
    public void A_second_connection_of_one_index_is_closed()
    {
        var (a, b) = Pair();
        b.Probe(1, a, b);
        var first = Greet(b, Hello(a, b, 1) with { Count = 2 });
        AssertClosed(Greet(b, Hello(a, b, 1) with { Count = 2 }));
        first.SendAll(new byte[1000]);
        b.ExpectNothing();
    }

    [Test]
    public void An_idle_sender_ends_with_the_next_probe()
    {
        var (a, b) = Pair();
        b.Probe(1, a, b);
        var socket = Greet(b, Hello(a, b, 1));
        b.Probe(2, a, b);
        AssertClosed(socket);
        b.ExpectNothing();
    }

    private static DataHello Hello(Peer a, Peer b, ulong number) => new(TcpProbes.ProbeMagic, MessageCodec.Version, 0, 1, Peer.Key, number, a.Id, b.Id, 100);

    private static ulong Measure(Peer a, Peer b, ulong number)
    {
        b.Probe(number, a, b);
        a.Probe(number, a, b);
        var probed = b.ExpectProbed();
        Assert.That(probed.Number, Is.EqualTo(number));
        Assert.That(probed.BytesPerSecond, Is.Not.Null, probed.Detail);
        a.ExpectNothing();
        return probed.BytesPerSecond!.Value;
    }

    private (Peer A, Peer B) Pair(int stripes = 1)
    {
        var a = Open(1, stripes);
        var b = Open(2, stripes);
        a.Wire(Current, b, b);
        b.Wire(Current, a, a);
        a.ExpectWired(Current);
        b.ExpectWired(Current);
        return (a, b);
    }

    private Peer Open(int number, int stripes = 1)
    {
        var peer = new Peer(number);
        var options = new TcpTransportOptions(IPAddress.Loopback, 0, 0, stripes, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10)) { ProbeLimit = _ => _limit };
        peer.Transport = new TcpTransport(options, peer);
        peer.Address = new PeerAddress(0x7F00_0001, IsIPv6: false, peer.Transport.Port);
        _peers.Add(peer);
        return peer;
    }

    private Socket Greet(Peer target, DataHello hello, LinkReply expected = LinkReply.Accepted)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = (int)Peer.Patience.TotalMilliseconds };
        _strangers.Add(socket);
        socket.Connect(new IPEndPoint(IPAddress.Loopback, target.Transport.Port));
        var bytes = new byte[DataHello.Bytes];
        hello.Write(bytes);
        socket.SendAll(bytes);
        var answer = new byte[LinkReplyCodec.Bytes];
        Assert.That(socket.ReceiveAll(answer), Is.True);
        Assert.That(LinkReplyCodec.Parse(answer), Is.EqualTo(expected));
        return socket;
    }

    private static void AssertClosed(Socket socket)
    {
        try
        {
            Assert.That(socket.Receive(new byte[1]), Is.Zero);
        }
        catch (SocketException e)
        {
            Assert.That(e.SocketErrorCode, Is.Not.EqualTo(SocketError.TimedOut).And.Not.EqualTo(SocketError.WouldBlock), "the connection must close");
        }
    }
}
