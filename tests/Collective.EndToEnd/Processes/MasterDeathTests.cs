using System.Net;
using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.Processes;

/// <summary>The daemon dies (SIGKILL) or freezes while peers of this process are in each kind of call: a typed error at once, inputs restored, and this process lives.</summary>
[Platform("Linux", Reason = "ends processes by signals")]
internal sealed class MasterDeathTests : EndToEndTest
{
    private const int Count = 500_000;

    /// <summary>So long that only the end of the connection can tell in time.</summary>
    private const string Patient = "--heartbeat-timeout 600";

    private static readonly Dictionary<string, Func<Communicator, Memory<int>, Task>> Calls = new()
    {
        ["update topology"] = (peer, _) => peer.UpdateTopologyAsync(),
        ["are peers pending"] = (peer, _) => peer.ArePeersPendingAsync(),
        ["all-reduce, small"] = (peer, buffer) => peer.AllReduceAsync(buffer[..10]),
        ["all-reduce, bulk"] = (peer, buffer) => peer.AllReduceAsync(buffer),
        ["all-reduce, out of place"] = (peer, buffer) => peer.AllReduceAsync<int>(buffer, new int[Count]),
        ["all-reduce, blocking"] = (peer, buffer) => OnThread(() => peer.AllReduce(buffer.Span)),
        ["multiple with retry"] = (peer, buffer) => peer.AllReduceMultipleWithRetryAsync([AllReduceRequest.InPlace(buffer[..100], 1), AllReduceRequest.InPlace(buffer[100..], 2)]),
    };

    private static IEnumerable<string> Names => Calls.Keys;

    /// <summary>The other peer has not called: all of these wait.</summary>
    [TestCaseSource(nameof(Names))]
    public async Task WhileACallWaits(string name)
    {
        var (daemon, address) = await StartDaemon(Patient);
        var sent = new TaskCompletionSource();
        var peers = new[] { NewPeer(address, 2, point => { if (point.StartsWith("after-send:", StringComparison.Ordinal) && Asks(point)) { sent.TrySetResult(); } }), NewPeer(address, 2) };
        await All(peers, p => p.ConnectAsync());
        var buffer = Enumerable.Range(0, Count).ToArray();
        var call = Calls[name](peers[0], buffer);
        await sent.Task.WaitAsync(Deadline);
        daemon.Kill();
        AssertFailure(await FailureOf(() => call), ErrorCode.MasterLost, "connect a new one");
        Assert.That(buffer.AsSpan().SequenceEqual(Enumerable.Range(0, Count).ToArray()), Is.True);

        // And whatever is called after that.
        Assert.That(peers[0].IsConnected, Is.False);
        AssertFailure(await FailureOf(() => Calls[name](peers[0], buffer)), ErrorCode.MasterLost);
    }

    [Test]
    public async Task WhileOneIsPending([Values(1, 3)] int minimumWorldSize)
    {
        var (daemon, address) = await StartDaemon(Patient);
        await NewPeer(address, 1).ConnectAsync().WaitAsync(Deadline);
        var registered = new TaskCompletionSource();
        var pending = NewPeer(address, minimumWorldSize, point => { if (point == "receive:Welcome") { registered.TrySetResult(); } });
        var connecting = pending.ConnectAsync();
        await registered.Task.WaitAsync(Deadline);
        daemon.Kill();
        AssertFailure(await FailureOf(() => connecting), ErrorCode.MasterLost, "connect a new one");
        AssertFailure(await FailureOf(() => pending.ConnectAsync()), ErrorCode.MasterUnreachable);
    }

    /// <summary>One peer has promised, the other is about to: whether they commit is not known any more, and the error says so.</summary>
    [Test]
    public async Task AfterThePromise([Values(10, Count)] int count)
    {
        var (daemon, address) = await StartDaemon(Patient);
        using var late = new ManualResetEventSlim();
        var promised = new TaskCompletionSource();
        var peers = new[]
        {
            NewPeer(address, 2, point => { if (point == "after-send:CollectiveDone") { promised.TrySetResult(); } }),
            NewPeer(address, 2, point => { if (point == "before-send:CollectiveDone") { late.Wait(Deadline); } }),
        };
        await All(peers, p => p.ConnectAsync());
        var buffers = peers.Select((_, i) => Enumerable.Range(i, count).ToArray()).ToArray();
        var calls = peers.Select((p, i) => FailureOf(() => p.AllReduceAsync<int>(buffers[i]))).ToArray();
        await promised.Task.WaitAsync(Deadline);
        daemon.Kill();
        await daemon.Exited(Deadline);
        late.Set();
        foreach (var failure in await Task.WhenAll(calls).WaitAsync(Deadline))
        {
            AssertFailure(failure, ErrorCode.MasterLost);
        }

        AssertFailure(await calls[0], ErrorCode.MasterLost, "in doubt");
        Assert.That(buffers.Select((b, i) => b.AsSpan().SequenceEqual(Enumerable.Range(i, count).ToArray())), Is.All.True);
    }

    [Test]
    public async Task WhileOneLeaves()
    {
        var (daemon, address) = await StartDaemon(Patient);
        var peers = new[] { NewPeer(address, 2), NewPeer(address, 2) };
        await All(peers, p => p.ConnectAsync());
        await daemon.Freeze(); // It does not answer.
        var leaving = peers[0].DisposeAsync().AsTask();
        daemon.Kill();
        await leaving.WaitAsync(Deadline);
    }

    /// <summary>It does not end its connections, it only stands still. Longer than the timeout every call ends; shorter, nobody minds.</summary>
    [Test]
    public async Task FrozenForLong()
    {
        var (daemon, address) = await StartDaemon("--heartbeat-timeout 5");
        var peers = new[] { NewPeer(address, 2), NewPeer(address, 2) };
        await All(peers, p => p.ConnectAsync());
        var buffer = Enumerable.Range(0, Count).ToArray();
        var calls = new[] { FailureOf(() => peers[0].AllReduceAsync<int>(buffer)), FailureOf(() => peers[1].ArePeersPendingAsync()) };
        await daemon.Freeze();
        foreach (var failure in await Task.WhenAll(calls).WaitAsync(Deadline))
        {
            AssertFailure(failure, ErrorCode.MasterLost, "no sign of life from the master for", "timeout 5.0 s");
        }

        Assert.That(buffer.AsSpan().SequenceEqual(Enumerable.Range(0, Count).ToArray()), Is.True);
    }

    [Test]
    public async Task FrozenForAMoment()
    {
        var (daemon, address) = await StartDaemon("--heartbeat-timeout 30");
        var beats = 0;
        var alive = new TaskCompletionSource();
        var peers = new[] { NewPeer(address, 2, point => { if (point == "after-send:Heartbeat" && Interlocked.Increment(ref beats) == 3) { alive.TrySetResult(); } }), NewPeer(address, 2) };
        await All(peers, p => p.ConnectAsync());
        var epoch = peers[0].World.Epoch;
        await daemon.Freeze();
        Interlocked.Exchange(ref beats, 0);
        var calls = All(peers, p => p.AllReduceAsync<int>(new int[Count]));
        await alive.Task.WaitAsync(Deadline);
        await daemon.Thaw();
        Assert.That((await calls).Select(r => r.World.Epoch), Is.All.EqualTo(epoch));
    }

    private static bool Asks(string point) => point.EndsWith(":TopologyVote", StringComparison.Ordinal) || point.EndsWith(":PendingQuery", StringComparison.Ordinal) || point.EndsWith(":CollectiveStart", StringComparison.Ordinal);

    private async Task<(TestProcess Daemon, IPEndPoint Address)> StartDaemon(string arguments)
    {
        var daemon = Own(TestProcess.Master(Log, $"--listen 127.0.0.1:0 {arguments}"));
        return (daemon, await daemon.ListensOn(Deadline));
    }

    private Communicator NewPeer(IPEndPoint master, int minimumWorldSize, Action<string>? probe = null)
        => NewCommunicator(new CommunicatorOptions(master.ToString()) { MinimumWorldSize = minimumWorldSize, ListenPort = 0, StripeCount = 2, LoggerFactory = Log, Probe = probe });
}
