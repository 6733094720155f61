using System.Net;
using System.Net.Sockets;
using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Calls in the wrong order or with wrong arguments: a typed error that says what to do, and no harm done.</summary>
internal sealed class UsageTests : EndToEndTest
{
    private static readonly int[] Three = new int[3];

    private static readonly (string Name, Func<Communicator, Task> Call)[] CallsOfAConnected =
    [
        ("update topology", c => c.UpdateTopologyAsync()),
        ("are peers pending", c => c.ArePeersPendingAsync()),
        ("all-reduce", c => c.AllReduceAsync<int>(new int[3])),
        ("all-reduce out of place", c => c.AllReduceAsync<int>(new int[3], new int[3])),
        ("blocking all-reduce", c => OnThread(() => c.AllReduce<int>(new int[3]))),
        ("blocking all-reduce out of place", c => OnThread(() => c.AllReduce<int>(Three, new int[3]))),
        ("multiple with retry", c => c.AllReduceMultipleWithRetryAsync([AllReduceRequest.InPlace<int>(new int[3], 1)])),
        ("attribute", c => OnThread(() => c.GetAttribute(CommunicatorAttribute.GlobalWorldSize))),
        ("world", c => OnThread(() => _ = c.World)),
        ("id", c => OnThread(() => _ = c.Id)),
    ];

    [Test]
    public async Task BeforeConnectEveryCallSaysSo()
    {
        var communicator = NewCommunicator(StartMaster());
        foreach (var (name, call) in CallsOfAConnected)
        {
            var failure = await FailureOf(() => call(communicator));
            Assert.That(failure.Code, Is.EqualTo(ErrorCode.NotConnected), name);
            Assert.That(failure.Message, Does.Contain("ConnectAsync"), name);
        }

        Assert.That(communicator.IsConnected, Is.False);
        await communicator.ConnectAsync().WaitAsync(Deadline);
        Assert.That(communicator.IsConnected, Is.True);
    }

    [Test]
    public async Task AfterDisposeEveryCallSaysSo()
    {
        var communicator = await ConnectAlone(StartMaster());
        await communicator.DisposeAsync().AsTask().WaitAsync(Deadline);
        await communicator.DisposeAsync().AsTask().WaitAsync(Deadline);
        foreach (var (name, call) in CallsOfAConnected.Append(("connect", c => c.ConnectAsync())))
        {
            Assert.That(async () => await call(communicator).WaitAsync(Deadline), Throws.TypeOf<ObjectDisposedException>(), name);
        }

        Assert.That(communicator.IsConnected, Is.False);
    }

    [Test]
    public async Task DisposingEndsWhatIsPending()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var buffer = new[] { 1, 2, 3 };
        var calls = new Task[] { peers[0].AllReduceAsync<int>(buffer), peers[0].ArePeersPendingAsync() };
        await peers[0].DisposeAsync().AsTask().WaitAsync(Deadline);
        foreach (var call in calls)
        {
            AssertFailure(await FailureOf(() => call), ErrorCode.NotConnected);
        }

        Assert.That(buffer, Is.EqualTo(new[] { 1, 2, 3 }));
    }

    [Test]
    public async Task ConnectingTwiceIsRefused()
    {
        var master = StartMaster();
        var communicator = NewCommunicator(master);
        var connecting = communicator.ConnectAsync();
        AssertFailure(await FailureOf(() => communicator.ConnectAsync()), ErrorCode.InvalidUsage, "already");
        await connecting.WaitAsync(Deadline);
        AssertFailure(await FailureOf(() => communicator.ConnectAsync()), ErrorCode.InvalidUsage, "already");
        Assert.That(communicator.IsConnected, Is.True);
    }

    [Test]
    public async Task AloneAPeerMayUpdateTheTopologyButNotReduce()
    {
        var communicator = await ConnectAlone(StartMaster());
        var buffer = new[] { 1, 2, 3 };
        AssertFailure(await FailureOf(() => communicator.AllReduceAsync<int>(buffer)), ErrorCode.TooFewPeers, "alone", "update topology");
        Assert.That(buffer, Is.EqualTo(new[] { 1, 2, 3 }));
        Assert.That((await communicator.UpdateTopologyAsync().WaitAsync(Deadline)).WorldSize, Is.EqualTo(1));
        Assert.That(await communicator.ArePeersPendingAsync().WaitAsync(Deadline), Is.False);
    }

    [Test]
    public async Task ASecondVoteOrQuestionIsRefused()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var voting = peers[0].UpdateTopologyAsync();
        AssertFailure(await FailureOf(() => peers[0].UpdateTopologyAsync()), ErrorCode.InvalidUsage, "already");
        AssertFailure(await FailureOf(() => peers[0].AllReduceAsync<int>(new int[3])), ErrorCode.InvalidUsage, "update topology");
        AssertFailure(await FailureOf(() => peers[0].ArePeersPendingAsync()), ErrorCode.InvalidUsage, "update topology");
        await peers[1].UpdateTopologyAsync().WaitAsync(Deadline);
        await voting.WaitAsync(Deadline);
        var asking = peers[0].ArePeersPendingAsync();
        AssertFailure(await FailureOf(() => peers[0].ArePeersPendingAsync()), ErrorCode.InvalidUsage, "already");
        AssertFailure(await FailureOf(() => peers[0].UpdateTopologyAsync()), ErrorCode.InvalidUsage, "are peers pending");
        Assert.That(await peers[1].ArePeersPendingAsync().WaitAsync(Deadline), Is.False);
        Assert.That(await asking.WaitAsync(Deadline), Is.False);
    }

    [Test]
    public async Task WrongArgumentsOfAReduceAreNamedAndHarmNothing()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var peer = peers[0];
        var memory = new int[10];
        var bytes = new byte[10];
        (Action Call, string Says)[] wrong =
        [
            (() => peer.AllReduceAsync(AllReduceRequest.InPlace<int>(memory, 1, label: new string('x', 256))), "the label has 256 bytes"),
            (() => peer.AllReduceAsync(AllReduceRequest.InPlace<int>(memory, 1, label: "two\nlines")), "printable"),
            (() => peer.AllReduceAsync(AllReduceRequest.Unmanaged(0, 0, 1, DataType.Int32, 1)), "null"),
            (() => peer.AllReduceAsync(AllReduceRequest.Unmanaged(0, 0, -1, DataType.Int32, 1)), "count is -1"),
            (() => peer.AllReduceAsync<int>(memory.AsMemory(0, 5), memory.AsMemory(4, 5)), "overlap"),
            (() => peer.AllReduce<int>(memory.AsSpan(0, 5), memory.AsSpan(4, 5)), "overlap"),
            (() => peer.AllReduceAsync<int>(new int[3], new int[4]), "must be equal"),
            (() => peer.AllReduce<int>(new int[3].AsSpan(), new int[4].AsSpan()), "must be equal"),
            (() => peer.AllReduceAsync<char>(new char[3]), "Char is no element type"),
            (() => peer.AllReduceAsync<decimal>(new decimal[3]), "Decimal is no element type"),
            (() => peer.AllReduceAsync<bool>(new bool[3]), "Boolean is no element type"),
            (() => peer.AllReduceAsync<DayOfWeek>(new DayOfWeek[3]), "DayOfWeek is no element type"),
            (() => peer.AllReduceAsync<int>(memory, (ReduceOperation)99), "99 is no reduce operation"),
            (() => peer.AllReduceAsync(AllReduceRequest.Untyped(bytes, bytes, (DataType)99, 1)), "99 is no data type"),
            (() => peer.AllReduceAsync(AllReduceRequest.Untyped(bytes, bytes, DataType.Int32, 1)), "no whole number"),
        ];
        foreach (var (call, says) in wrong)
        {
            AssertFailure(await FailureOf(call), ErrorCode.InvalidArgument, says);
        }

        var request = AllReduceRequest.InPlace<int>(new int[3], 1);
        AssertFailure(await FailureOf(() => peer.AllReduceMultipleWithRetryAsync([])), ErrorCode.InvalidArgument, "empty");
        AssertFailure(await FailureOf(() => peer.AllReduceMultipleWithRetryAsync([request, null!])), ErrorCode.InvalidArgument, "null");
        AssertFailure(await FailureOf(() => peer.AllReduceMultipleWithRetryAsync([request, request])), ErrorCode.InvalidArgument, "same tag");
        AssertFailure(await FailureOf(() => peer.AllReduceMultipleWithRetryAsync([request], 0)), ErrorCode.InvalidArgument, "1 to 256");
        AssertFailure(await FailureOf(() => peer.AllReduceMultipleWithRetryAsync([request], 257)), ErrorCode.InvalidArgument, "1 to 256");
        AssertFailure(await FailureOf(() => peer.GetAttribute((CommunicatorAttribute)99)), ErrorCode.InvalidArgument, "99 is no attribute");
        await All(peers, p => p.AllReduceAsync<int>(new int[10]));
    }

    private static IEnumerable<TestCaseData> BadOptions()
    {
        const string Good = "127.0.0.1:1234";
        yield return Case("", "no address");
        yield return Case("a b:1", "no address");
        yield return Case("host:port", "no address");
        yield return Case("host:65536", "no address");
        yield return Case("host:-1", "no address");
        yield return Case("[::1:5", "no address");
        yield return Case("a..b:1", "no address");
        yield return new TestCaseData(new CommunicatorOptions(new string('a', 5000)), "no address").SetArgDisplayNames("a name of 5000 characters");
        yield return Case("host:0", "port");
        yield return new TestCaseData(new CommunicatorOptions(Good) { CallTimeout = TimeSpan.Zero }, "1 ms or more").SetArgDisplayNames("no time for a call");
        yield return new TestCaseData(new CommunicatorOptions(Good) { LinkStallTimeout = TimeSpan.FromHours(1) }, "10 min").SetArgDisplayNames("an hour for a stalled link");
        yield return new TestCaseData(new CommunicatorOptions(Good) { StripeCount = 0 }, "1 to 64").SetArgDisplayNames("no stripes");
        yield return new TestCaseData(new CommunicatorOptions(Good) { StripeCount = 65 }, "1 to 64").SetArgDisplayNames("65 stripes");
        yield return new TestCaseData(new CommunicatorOptions(Good) { MinimumWorldSize = 0 }, "1 to 1024").SetArgDisplayNames("minimum 0");
        yield return new TestCaseData(new CommunicatorOptions(Good) { MinimumWorldSize = 1025 }, "1 to 1024").SetArgDisplayNames("minimum 1025");
        yield return new TestCaseData(new CommunicatorOptions(Good) { ConnectTimeout = TimeSpan.Zero }, "100 ms").SetArgDisplayNames("no timeout");
        yield return new TestCaseData(new CommunicatorOptions(Good) { ConnectTimeout = TimeSpan.FromHours(1) }, "10 min").SetArgDisplayNames("an hour");
        yield return new TestCaseData(new CommunicatorOptions(Good) { ListenPort = -1 }, "0 to 65535").SetArgDisplayNames("port -1");
        yield return new TestCaseData(new CommunicatorOptions(Good) { ListenPort = 65536 }, "0 to 65535").SetArgDisplayNames("port 65536");

        static TestCaseData Case(string master, string says) => new TestCaseData(new CommunicatorOptions(master), says).SetArgDisplayNames($"master '{master}'");
    }

    [TestCaseSource(nameof(BadOptions))]
    public void BadOptionsAreNamed(CommunicatorOptions options, string says)
    {
        var failure = Assert.Throws<CollectiveException>(() => _ = new Communicator(options));
        AssertFailure(failure!, ErrorCode.InvalidArgument, says);
    }

    private static IEnumerable<TestCaseData> BadMasterOptions()
    {
        const string Any = "127.0.0.1:0";
        yield return new TestCaseData(new MasterOptions { Listen = "nonsense:port" }, "no address").SetArgDisplayNames("no port");
        yield return new TestCaseData(new MasterOptions { Listen = "192.0.2.1:0" }, "cannot listen").SetArgDisplayNames("an address of somebody else");
        yield return new TestCaseData(new MasterOptions { Listen = Any, HeartbeatTimeout = TimeSpan.FromMilliseconds(199) }, "200 ms").SetArgDisplayNames("199 ms");
        yield return new TestCaseData(new MasterOptions { Listen = Any, HeartbeatTimeout = TimeSpan.FromMinutes(11) }, "10 min").SetArgDisplayNames("11 min");
        yield return new TestCaseData(new MasterOptions { Listen = Any, SegmentBytes = 63 }, "multiple of 8").SetArgDisplayNames("63 bytes");
        yield return new TestCaseData(new MasterOptions { Listen = Any, SegmentBytes = 56 }, "64").SetArgDisplayNames("56 bytes");
        yield return new TestCaseData(new MasterOptions { Listen = Any, SegmentBytes = (4 * 1024 * 1024) + 8 }, "4194304").SetArgDisplayNames("too many bytes");
    }

    [TestCaseSource(nameof(BadMasterOptions))]
    public void BadMasterOptionsAreNamed(MasterOptions options, string says)
    {
        var failure = Assert.Throws<CollectiveException>(() => CollectiveMaster.Start(options));
        AssertFailure(failure!, ErrorCode.InvalidArgument, says);
    }

    [Test]
    public async Task APortInUseIsNamed()
    {
        var master = StartMaster();
        var second = Assert.Throws<CollectiveException>(() => CollectiveMaster.Start(new MasterOptions { Listen = master.EndPoint.ToString() }));
        AssertFailure(second!, ErrorCode.AddressInUse, master.EndPoint.ToString(), "another port");

        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        var port = ((IPEndPoint)taken.LocalEndPoint!).Port;
        var peer = NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { ListenPort = port, LoggerFactory = Log });
        AssertFailure(await FailureOf(() => peer.ConnectAsync()), ErrorCode.AddressInUse, $"{port}", "another port");
    }
}
