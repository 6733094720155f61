using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Addresses as they are in the world: of both families, of one host under several names, announced ones, and ones that cannot be.</summary>
internal sealed class AddressTests : EndToEndTest
{
    [TestCase("127.0.0.1", "[::1]")]
    [TestCase("127.0.0.1", "127.0.1.1")]
    [TestCase("[::1]", "127.0.0.2", "localhost")]
    public async Task PeersOfBothFamilies(params string[] masters)
    {
        RequireIPv6();
        var master = StartMaster(listen: "[::]:0");
        await AssertReduces([.. masters.Select(host => Peer($"{host}:{master.EndPoint.Port}", masters.Length))]);
    }

    /// <summary>One is on the master's host and says localhost, the other knows the host by its network address.</summary>
    [TestCase("0.0.0.0")]
    [TestCase("[::]")]
    public async Task OnePeerComesOverLoopbackAndOneByTheNetwork(string listen)
    {
        if (NetworkAddress() is not { } address)
        {
            Assert.Ignore("this host has no IPv4 address but loopback ones");
            return;
        }

        var port = StartMaster(listen: $"{listen}:0").EndPoint.Port;
        await AssertReduces(Peer($"127.0.0.1:{port}", 3), Peer($"{address}:{port}", 3), Peer($"localhost:{port}", 3));
    }

    [Test]
    public async Task EachAddressOfANameIsTried()
    {
        RequireIPv6();
        var port = StartMaster(listen: "127.0.0.1:0").EndPoint.Port;
        IPAddress[] addresses = [IPAddress.IPv6Loopback, IPAddress.Parse("127.0.0.9"), IPAddress.Loopback];
        await Named($"name.invalid:{port}", addresses).ConnectAsync().WaitAsync(Deadline);

        var failure = await FailureOf(() => Named($"name.invalid:{port}", addresses[..2]).ConnectAsync());
        AssertFailure(failure, ErrorCode.MasterUnreachable, $"name.invalid:{port}", "::1: Connection refused; 127.0.0.9: Connection refused");
        AssertFailure(await FailureOf(() => Named("name.invalid", []).ConnectAsync()), ErrorCode.MasterUnreachable, "its name has no address");
    }

    /// <summary>Others reach the peer through a forwarded port, and by no other way.</summary>
    [Test]
    public async Task AnAnnouncedAddressIsWhereOthersConnect()
    {
        var master = StartMaster();
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port;
        using var forwarding = new Forwarding(port);
        free.Stop();
        var forwarded = NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString())
        {
            MinimumWorldSize = 2,
            ListenPort = port,
            AdvertiseAddress = $"localhost.invalid:{forwarding.Port}",
            Resolve = name => name == "localhost.invalid" ? [IPAddress.Loopback] : Dns.GetHostAddresses(name),
            LoggerFactory = Log,
        });
        await AssertReduces(forwarded, NewCommunicator(master, minimumWorldSize: 2));
        Assert.That(forwarding.Connections, Is.Positive);
    }

    [Test]
    public async Task TwoPeersAtOneAddressAreTold()
    {
        var master = StartMaster();
        Communicator Announcing(string address) => NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { ListenPort = 0, AdvertiseAddress = address, LoggerFactory = Log });
        var first = Announcing("192.0.2.77:5000");
        await first.ConnectAsync().WaitAsync(Deadline);
        var failure = await FailureOf(() => Announcing("192.0.2.77:5000").ConnectAsync());
        AssertFailure(failure, ErrorCode.MasterRefused, "it would be reached where peer", "(192.0.2.77:5000)", "a port of its own");
        Assert.That(first.World.WorldSize, Is.EqualTo(1));
        Assert.That(first.IsConnected);
    }

    [TestCase("", "is no address")]
    [TestCase("a b", "is no address")]
    [TestCase("host:99999", "is no address")]
    [TestCase("0.0.0.0:5000", "is none at which other hosts reach this one")]
    [TestCase("[::]", "is none at which other hosts reach this one")]
    [TestCase("224.0.0.1", "is none at which other hosts reach this one")]
    [TestCase("ff02::1", "is none at which other hosts reach this one")]
    [TestCase("fe80::1%1", "is none at which other hosts reach this one")]
    public void AnAnnouncedAddressThatIsNone(string address, string says)
    {
        var failure = Assert.Throws<CollectiveException>(() => _ = new Communicator(new CommunicatorOptions("localhost") { AdvertiseAddress = address }));
        AssertFailure(failure!, ErrorCode.InvalidArgument, "the advertised address", says);
    }

    [Test]
    public async Task AnAnnouncedNameThatIsUnknown()
    {
        var master = StartMaster();
        var peer = NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { ListenPort = 0, AdvertiseAddress = $"{new string('x', 64)}.invalid", LoggerFactory = Log });
        AssertFailure(await FailureOf(() => peer.ConnectAsync()), ErrorCode.InvalidArgument, "cannot announce", ".invalid");
    }

    /// <summary>The system has given the port to a connection; when that ends, the port is free.</summary>
    [Test]
    public async Task APortThatAnOutgoingConnectionHas()
    {
        var other = StartMaster();
        var connection = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { LingerState = new LingerOption(true, 0) };
        connection.Connect(other.EndPoint);
        var port = ((IPEndPoint)connection.LocalEndPoint!).Port;
        var failure = Assert.Throws<CollectiveException>(() => StartMaster(listen: $"127.0.0.1:{port}"));
        AssertFailure(failure!, ErrorCode.AddressInUse, "nothing listens there", "outgoing connection", $"ip_local_reserved_ports={port}");
        var peer = NewCommunicator(new CommunicatorOptions(other.EndPoint.ToString()) { ListenPort = port, LoggerFactory = Log });
        AssertFailure(await FailureOf(() => peer.ConnectAsync()), ErrorCode.AddressInUse, "outgoing connection", "another port");

        var waiting = Task.Run(() => StartWhenFree(port));
        connection.Dispose();
        Assert.That((await waiting.WaitAsync(Deadline)).EndPoint.Port, Is.EqualTo(port));
    }

    /// <summary>The system gives one port to several connections, so that those of other tests may have it, too.</summary>
    private CollectiveMaster StartWhenFree(int port)
    {
        while (true)
        {
            try
            {
                return StartMaster(listen: $"127.0.0.1:{port}");
            }
            catch (CollectiveException e) when (e.Code == ErrorCode.AddressInUse)
            {
                // Until the deadline of the test.
            }
        }
    }

    private Communicator Peer(string master, int worldSize)
        => NewCommunicator(new CommunicatorOptions(master) { MinimumWorldSize = worldSize, ListenPort = 0, StripeCount = 2, LoggerFactory = Log });

    private Communicator Named(string master, IPAddress[] addresses)
        => NewCommunicator(new CommunicatorOptions(master) { ListenPort = 0, Resolve = _ => addresses, LoggerFactory = Log });

    private static async Task AssertReduces(params Communicator[] peers)
    {
        await All(peers, peer => peer.ConnectAsync());
        var tensors = peers.Select((_, i) => Enumerable.Repeat(i + 1f, 100_000).ToArray()).ToArray();
        await Task.WhenAll(peers.Select((peer, i) => peer.AllReduceAsync(tensors[i].AsMemory()))).WaitAsync(Deadline);
        var sum = Enumerable.Range(1, peers.Length).Sum();
        Assert.That(tensors.Select(t => (t[0], t[^1])), Is.All.EqualTo(((float)sum, (float)sum)));
    }

    private static void RequireIPv6()
    {
        using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        }
        catch (SocketException e)
        {
            Assert.Ignore($"this host has no IPv6: {e.Message}");
        }
    }

    private static IPAddress? NetworkAddress()
        => NetworkInterface.GetAllNetworkInterfaces().Where(n => n.OperationalStatus == OperationalStatus.Up).SelectMany(n => n.GetIPProperties().UnicastAddresses).Select(u => u.Address)
            .FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(a));

    /// <summary>Passes connections on to a port of this host.</summary>
    private sealed class Forwarding : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly int _target;
        private int _connections;

        public Forwarding(int target)
        {
            _target = target;
            _listener.Start();
            _ = Serve();
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public int Connections => Volatile.Read(ref _connections);

        public void Dispose() => _listener.Stop();

        private async Task Serve()
        {
            while (true)
            {
                var incoming = await _listener.AcceptTcpClientAsync();
                var outgoing = new TcpClient { NoDelay = true };
                await outgoing.ConnectAsync(IPAddress.Loopback, _target);
                Interlocked.Increment(ref _connections);
                _ = Copy(incoming, outgoing);
                _ = Copy(outgoing, incoming);
            }
        }

        private static async Task Copy(TcpClient from, TcpClient to)
        {
            try
            {
                await from.GetStream().CopyToAsync(to.GetStream());
                to.Client.Shutdown(SocketShutdown.Send);
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
            {
                from.Dispose();
                to.Dispose();
            }
        }
    }
}
