using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>The call over real connections: what it measures, what ring it gives, and what may happen meanwhile.</summary>
internal sealed class OptimizeTests : EndToEndTest
{
    /// <summary>So much slower than loopback that no noise hides it.</summary>
    private const double Slow = 500_000;

    private readonly Lock _gate = new();
    private readonly HashSet<(PeerId From, PeerId To)> _slow = [];
    private readonly HashSet<(PeerId From, PeerId To)> _measured = [];

    [Test]
    public async Task TheSlowLinkIsAvoided([Values(3, 4, 5)] int count)
    {
        var peers = ByRank(await Connect(StartMaster(), count));
        var (from, to) = MakeSlow(peers[1], peers[2]);
        var worlds = await All(peers, p => p.OptimizeTopologyAsync());
        Assert.That(worlds.Select(w => w.Epoch).Distinct().Count(), Is.EqualTo(1));
        foreach (var world in worlds)
        {
            Assert.That(world.Peers, Is.EquivalentTo(peers.Select(p => p.Id)));
            AssertNotJoined(world, from, to);
        }

        Assert.That(_measured, Has.Count.EqualTo(count * (count - 1)));
        await AssertReduces(peers);
    }

    [Test]
    public async Task MeasurementsAreKept()
    {
        var master = StartMaster();
        var peers = ByRank(await Connect(master, 3));
        MakeSlow(peers[0], peers[1]);
        var first = await All(peers, p => p.OptimizeTopologyAsync());
        _measured.Clear();
        var second = await All(peers, p => p.OptimizeTopologyAsync());
        Assert.That(_measured, Is.Empty);
        Assert.That(second[0].Epoch, Is.EqualTo(first[0].Epoch), "the ring stays, so no new epoch");

        var newcomer = NewPeer(master);
        var connecting = newcomer.ConnectAsync();
        await ArePending(peers, connecting);

        await All(peers, p => p.UpdateTopologyAsync());
        await connecting.WaitAsync(Deadline);
        await All([.. peers, newcomer], p => p.OptimizeTopologyAsync());
        Assert.That(_measured.Select(m => m.From == newcomer.Id || m.To == newcomer.Id), Is.All.True);
        Assert.That(_measured, Has.Count.EqualTo(6));
        await AssertReduces([.. peers, newcomer]);
    }

    [Test]
    public async Task OneAndTwoPeersAreAnsweredAtOnce([Values(1, 2)] int count)
    {
        var peers = await Connect(StartMaster(), count);
        await All(peers, p => p.OptimizeTopologyAsync());
        Assert.That(_measured, Is.Empty);
    }

    [Test]
    public async Task EachGroupHasARingOfItsOwn()
    {
        var master = StartMaster();
        var others = await Connect(master, 3, group: 7);
        var connecting = Connect(master, 3, group: 8);
        await ArePending(others, connecting);

        await All(others, p => p.UpdateTopologyAsync());
        var peers = ByRank(await connecting);
        var (from, to) = MakeSlow(peers[0], peers[1]);
        var epoch = others[0].World.Epoch;
        await All([.. peers, .. others], p => p.OptimizeTopologyAsync());
        AssertNotJoined(peers[0].World, from, to);
        Assert.That(_measured, Has.Count.EqualTo(12));
        await AssertReduces(peers);
        await AssertReduces(others);
        Assert.That(epoch, Is.LessThanOrEqualTo(others[0].World.Epoch));
    }

    [Test]
    public async Task APeerThatLeavesWhileItIsMeasuredHarmsNobody()
    {
        var peers = ByRank(await Connect(StartMaster(), 4));
        var began = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var leaver = peers[1].Id;
        _onMeasured = (from, to) =>
        {
            if (from == leaver || to == leaver)
            {
                began.TrySetResult();
            }
        };
        MakeSlow(peers[1], peers[0], peers[2], peers[3]); // So that it lasts.
        var (slowFrom, slowTo) = MakeSlow(peers[2], peers[3]);
        var calls = peers.Select(p => p.OptimizeTopologyAsync()).ToArray();
        await began.Task.WaitAsync(Deadline);
        await peers[1].DisposeAsync();
        AssertFailure(await FailureOf(() => calls[1]), ErrorCode.NotConnected);
        Communicator[] left = [peers[0], peers[2], peers[3]];
        foreach (var call in new[] { calls[0], calls[2], calls[3] })
        {
            var world = await call.WaitAsync(Deadline);
            Assert.That(world.Peers, Is.EquivalentTo(left.Select(p => p.Id)));
            AssertNotJoined(world, slowFrom, slowTo);
        }

        await AssertReduces(left);
    }

    [Test]
    public async Task ATimeoutBeforeAllHaveVotedNamesWhoIsMissing()
    {
        var peers = await Connect(StartMaster(), 3);
        AssertFailure(
            await FailureOf(() => peers[0].OptimizeTopologyAsync(TimeSpan.FromMilliseconds(50))),
            ErrorCode.TimedOut, "optimize topology was not decided within 0.05 s", peers[1].Id.ToShortString(), peers[2].Id.ToShortString(), "have not voted");
        using var cancellation = new CancellationTokenSource();
        var call = peers[0].OptimizeTopologyAsync(cancellationToken: cancellation.Token);
        cancellation.Cancel();
        Assert.That(async () => await call.WaitAsync(Deadline), Throws.InstanceOf<OperationCanceledException>());
        await All(peers, p => p.OptimizeTopologyAsync());
    }

    /// <summary>Once all have voted, whoever has no patience cuts it short for all, and all end alike.</summary>
    [Test]
    public async Task ACancellationWhileMeasuringEndsItForAll()
    {
        var peers = ByRank(await Connect(StartMaster(), 4));
        using var cancellation = new CancellationTokenSource();
        _onMeasured = (_, _) => cancellation.Cancel();
        var worlds = await All(peers, p => p.OptimizeTopologyAsync(cancellationToken: p == peers[0] ? cancellation.Token : default));
        Assert.That(worlds.Select(w => w.Epoch).Distinct().Count(), Is.EqualTo(1));
        Assert.That(_measured, Has.Count.LessThan(12));
        await AssertReduces(peers);
    }

    [Test]
    public async Task AnAllReduceInFlightIsPending()
    {
        var peers = await Connect(StartMaster(), 2);
        var reduce = peers[0].AllReduceAsync<int>(new int[3]);
        AssertFailure(await FailureOf(() => peers[0].OptimizeTopologyAsync()), ErrorCode.PendingOperations, "await");
        await peers[1].AllReduceAsync<int>(new int[3]).WaitAsync(Deadline);
        await reduce.WaitAsync(Deadline);
        await All(peers, p => p.OptimizeTopologyAsync());
    }

    [TestCase("update topology")]
    [TestCase("are peers pending")]
    [TestCase("an all-reduce")]
    public async Task CrossedCallsAreNamed(string other)
    {
        var peers = await Connect(StartMaster(), 2);
        Func<Task> call = other switch
        {
            "update topology" => () => peers[1].UpdateTopologyAsync(),
            "are peers pending" => () => peers[1].ArePeersPendingAsync(),
            _ => () => peers[1].AllReduceAsync<int>(new int[3], tag: 4),
        };
        foreach (var failure in await Task.WhenAll(FailureOf(() => peers[0].OptimizeTopologyAsync()), FailureOf(call)).WaitAsync(Deadline))
        {
            AssertFailure(failure, ErrorCode.CrossedCalls, $"peer {peers[0].Id.ToShortString()} waits in optimize topology", $"peer {peers[1].Id.ToShortString()} waits in {other}", "same sequence");
        }

        await All(peers, p => p.OptimizeTopologyAsync());
        await AssertReduces(peers);
    }

    private Action<PeerId, PeerId>? _onMeasured;

    private Communicator NewPeer(CollectiveMaster master, int minimumWorldSize = 1, uint group = 0)
    {
        Communicator? self = null;
        PeerId? id = null; // Asked for once: it may be disposed while it is measured.
        return self = NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString())
        {
            Group = group,
            MinimumWorldSize = minimumWorldSize,
            ListenPort = 0,
            StripeCount = 2,
            ConnectTimeout = TimeSpan.FromSeconds(30),
            LoggerFactory = Log,
            ProbeLimit = to => LimitOf(id ??= self!.Id, to),
        });
    }

    private async Task<Communicator[]> Connect(CollectiveMaster master, int count, uint group = 0)
    {
        var peers = Enumerable.Range(0, count).Select(_ => NewPeer(master, count, group)).ToArray();
        await All(peers, p => p.ConnectAsync());
        return peers;
    }

    private double? LimitOf(PeerId from, PeerId to)
    {
        bool slow;
        lock (_gate)
        {
            _measured.Add((from, to));
            slow = _slow.Contains((from, to));
        }

        _onMeasured?.Invoke(from, to);
        return slow ? Slow : null;
    }

    private (PeerId From, PeerId To) MakeSlow(Communicator from, params Communicator[] to)
    {
        foreach (var peer in to)
        {
            _slow.Add((from.Id, peer.Id));
        }

        return (from.Id, to[0].Id);
    }

    private static void AssertNotJoined(World world, PeerId from, PeerId to)
    {
        var at = world.Peers.ToList().IndexOf(from);
        Assert.That(world.Peers[(at + 1) % world.WorldSize], Is.Not.EqualTo(to));
    }

    private static async Task AssertReduces(Communicator[] peers)
    {
        var buffers = peers.Select((_, i) => Enumerable.Range(i, 50_000).ToArray()).ToArray();
        await All(peers.Zip(buffers), p => p.First.AllReduceAsync<int>(p.Second));
        var expected = Enumerable.Range(0, 50_000).Select(e => peers.Select((_, i) => e + i).Sum()).ToArray();
        Assert.That(buffers, Is.All.EqualTo(expected));
    }
}
