using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Collective.Kernels;
using Collective.Protocol;
using Collective.Sharing;
using Collective.Transport.Tcp;
using NUnit.Framework;

namespace Collective.Transport.Tests;

/// <summary>Whatever comes on a connection for shared state costs that connection and nobody else anything (guarantee G9).</summary>
[TestFixture]
internal sealed class HostileStateTests
{
    private const int Blocks = 40;

    private readonly byte[] _content = GC.AllocateUninitializedArray<byte>(Blocks * TreeHash.BlockBytes, pinned: true);
    private readonly List<Socket> _strangers = [];
    private readonly StateDonor _donor = new(new UploadLimit(0));
    private StateTensor _tensor = null!;
    private Peer _a = null!;
    private Peer _b = null!;

    [SetUp]
    public void SetUp()
    {
        new Random(1).NextBytes(_content);
        _tensor = new StateTensor("t", Marshal.UnsafeAddrOfPinnedArrayElement(_content, 0), _content.Length, 1, mayDiffer: false);
        StateHasher.HashLeaves([_tensor], CancellationToken.None);
        _donor.Publish([_tensor]);
        _a = Open(1);
        _b = Open(2);
        _b.Transport.ServeState(_donor.Serve);
        _a.Wire(Epoch.First(1), _b, _b);
        _b.Wire(Epoch.First(1), _a, _a);
        _a.ExpectWired(Epoch.First(1));
        _b.ExpectWired(Epoch.First(1));
    }

    [TearDown]
    public void TearDown()
    {
        _strangers.ForEach(s => s.Dispose());
        _strangers.Clear();
        _donor.Withdraw();
        _a.Dispose();
        _b.Dispose();
    }

    [TestCase(LinkReply.WrongVersion)]
    [TestCase(LinkReply.WrongKey)]
    [TestCase(LinkReply.WrongPeer)]
    public void A_hello_that_is_wrong_is_answered_and_closed(LinkReply reply)
    {
        var wrong = reply switch
        {
            LinkReply.WrongVersion => Hello with { Version = 2 },
            LinkReply.WrongKey => Hello with { Key = default },
            _ => Hello with { To = _a.Id },
        };
        var socket = Connect();
        Assert.That(Greet(socket, wrong), Is.EqualTo(reply));
        AssertClosed(socket);
        AssertGives();
    }

    [Test]
    public void Random_bytes_after_the_hello([Range(1, 5)] int seed)
    {
        var socket = Connect();
        Assert.That(Greet(socket, Hello), Is.EqualTo(LinkReply.Accepted));
        var bytes = new byte[5000];
        new Random(seed).NextBytes(bytes);
        socket.SendAll(bytes);
        AssertClosed(socket);
        AssertGives();
    }

    [Test]
    public void A_request_for_more_than_one_answer_may_hold()
    {
        foreach (var request in new[] { Request with { Blocks = Limits.StateBlocksPerRequestMax + 1 }, Request with { Blocks = 0 }, Request with { Bytes = -1 }, Request with { FirstBlock = -1 } })
        {
            var socket = Connect();
            Assert.That(Greet(socket, Hello), Is.EqualTo(LinkReply.Accepted));
            socket.SendAll(Bytes(request));
            AssertClosed(socket);
        }

        AssertGives();
    }

    [TestCase(1)]
    [TestCase(StateRequest.FixedBytes)]
    public void Half_a_request(int length)
    {
        var socket = Connect();
        Assert.That(Greet(socket, Hello), Is.EqualTo(LinkReply.Accepted));
        socket.SendAll(Bytes(Request).AsSpan(0, length));
        socket.Shutdown(SocketShutdown.Send);
        AssertClosed(socket);
        AssertGives();
    }

    [Test]
    public void Blocks_that_are_not_there_are_refused_and_the_connection_goes_on()
    {
        var socket = Connect();
        Assert.That(Greet(socket, Hello), Is.EqualTo(LinkReply.Accepted));
        foreach (var request in new[] { Request with { Key = "other" }, Request with { Bytes = _content.Length - 1 }, Request with { FirstBlock = Blocks }, Request with { FirstBlock = Blocks - 1, Blocks = 2 }, Request with { FirstBlock = 1L << 40 } })
        {
            socket.SendAll(Bytes(request));
            var header = new byte[StateResponse.Bytes];
            Assert.That(socket.ReceiveAll(header));
            Assert.That(StateResponse.Parse(header), Is.EqualTo(new StateResponse(StateReply.NoSuchBlocks, 0)), $"{request}");
        }

        AssertGives();
    }

    [Test]
    public void Outside_a_sync_nothing_is_given()
    {
        _donor.Withdraw();
        var socket = Connect();
        Assert.That(Greet(socket, Hello), Is.EqualTo(LinkReply.Accepted));
        socket.SendAll(Bytes(Request));
        var header = new byte[StateResponse.Bytes];
        Assert.That(socket.ReceiveAll(header));
        Assert.That(StateResponse.Parse(header), Is.EqualTo(new StateResponse(StateReply.NotServing, 0)));
        AssertClosed(socket);
        _donor.Publish([_tensor]);
        AssertGives();
    }

    /// <summary>The sync's end must not wait for whoever does not read.</summary>
    [Test]
    public void Who_asks_and_never_reads_does_not_hold_up_the_end()
    {
        var socket = Connect();
        Assert.That(Greet(socket, Hello), Is.EqualTo(LinkReply.Accepted));
        for (var i = 0; i < 100; i++)
        {
            socket.SendAll(Bytes(Request with { Blocks = Limits.StateBlocksPerRequestMax }));
        }

        AssertGives();
        var end = Task.Run(_donor.Withdraw);
        Assert.That(end.Wait(Peer.Patience));
    }

    [Test]
    public void An_answer_that_is_none_is_wrong_bytes()
    {
        var (dialer, acceptor) = InMemory.InMemoryByteConnection.Pair();
        acceptor.Send(new byte[StateResponse.Bytes]);
        var receiver = new StateReceiver(dialer);
        var task = new FetchTask(new FetchTarget(_tensor, default, 0), StateRequestKind.Digests, 0, 1);
        Assert.That(() => receiver.ReceiveDigests(task), Throws.TypeOf<WrongBytesException>().With.Message.Contains("no answer of the protocol"));
    }

    private DataHello Hello => new(DataHello.StateMagic, MessageCodec.Version, 0, 1, Peer.Key, 0, _a.Id, _b.Id, 0);

    private StateRequest Request => new(StateRequestKind.Blocks, _content.Length, 0, 1, "t");

    /// <summary>An honest peer still gets what it asks for, and nobody was told of a loss.</summary>
    private void AssertGives()
    {
        using var connection = _a.Transport.DialState(_b.Member);
        connection.Send(Bytes(Request with { FirstBlock = 7 }));
        var header = new byte[StateResponse.Bytes];
        Assert.That(connection.Receive(header));
        Assert.That(StateResponse.Parse(header), Is.EqualTo(new StateResponse(StateReply.Plain, TreeHash.BlockBytes)));
        var block = new byte[TreeHash.BlockBytes];
        Assert.That(connection.Receive(block));
        Assert.That(block.AsSpan().SequenceEqual(_content.AsSpan(7 * TreeHash.BlockBytes, TreeHash.BlockBytes)));
        _a.ExpectNothing();
        _b.ExpectNothing();
    }

    private static LinkReply? Greet(Socket socket, DataHello hello)
    {
        var bytes = new byte[DataHello.Bytes];
        hello.Write(bytes);
        socket.SendAll(bytes);
        var reply = new byte[LinkReplyCodec.Bytes];
        return socket.ReceiveAll(reply) ? LinkReplyCodec.Parse(reply) : null;
    }

    private static byte[] Bytes(StateRequest request)
    {
        var buffer = new byte[StateRequest.FixedBytes + Limits.StateKeyBytesMax];
        return buffer[..request.Write(buffer)];
    }

    private Socket Connect()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = (int)Peer.Patience.TotalMilliseconds };
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

    private static Peer Open(int number)
    {
        var peer = new Peer(number);
        peer.Transport = new TcpTransport(new TcpTransportOptions(IPAddress.Loopback, 0, 0, 2, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(10)), peer);
        peer.Address = new PeerAddress(0x7F00_0001, IsIPv6: false, peer.Transport.Port);
        return peer;
    }
}
