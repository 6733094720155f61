using NUnit.Framework;

namespace Collective.EndToEnd.SharedStates;

/// <summary>Which content becomes everybody's, and what moves for it.</summary>
internal sealed class ContentTests : SharedStateTest
{
    [Test]
    public async Task OneOfTwoContentsBecomesBoths()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        byte[][] contents = [Filled(1), Filled(2)];
        var winner = peers[0].Id.CompareTo(peers[1].Id) < 0 ? 0 : 1; // Equal votes: the lower id.
        var expected = contents[winner].ToArray();
        var results = await Sync(peers, [State(0, ("a", contents[0])), State(0, ("a", contents[1]))]);
        Assert.That(contents, Is.All.EqualTo(expected));
        Assert.That(results[winner], Has.Property("BytesSent").EqualTo(Bytes).And.Property("BytesReceived").EqualTo(0));
        Assert.That(results[1 - winner], Has.Property("BytesSent").EqualTo(0).And.Property("BytesReceived").EqualTo(Bytes));
        Assert.That(results[1 - winner].KeysReceived, Is.EqualTo(new[] { "a" }));
        Assert.That(results[1 - winner].Donors, Is.EqualTo(new[] { peers[winner].Id }));
        Assert.That(results[1 - winner].WireBytesReceived, Is.InRange(Bytes, Bytes + 100));
        Assert.That(results[winner].WireBytesSent, Is.EqualTo(results[1 - winner].WireBytesReceived));
    }

    [Test]
    public async Task NothingMovesWhenContentsAreEqual([Values(1, 2, 4)] int worldSize)
    {
        var peers = await ConnectGroup(StartMaster(), worldSize);
        AssertNothingMoved(await Sync(peers, [.. peers.Select(_ => State(0, ("a", Filled(7)), ("b", Filled(8))))]));
    }

    [Test]
    public async Task OnlyTheKeyThatDiffersMoves()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        byte[][] second = [Filled(1), Filled(2)];
        var results = await Sync(peers, [.. second.Select(b => State(0, ("equal", Filled(9)), ("different", b)))]);
        Assert.That(results.Sum(r => r.BytesReceived), Is.EqualTo(Bytes));
        Assert.That(results.SelectMany(r => r.KeysReceived), Is.EqualTo(new[] { "different" }));
        Assert.That(second[0], Is.EqualTo(second[1]));
    }

    [Test]
    public async Task KeysMayBeInAnyOrder()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        byte[][] contents = [Filled(1), Filled(2), Filled(1), Filled(3)];
        await Sync(peers, [State(0, ("x", contents[0]), ("y", contents[1])), State(0, ("y", contents[3]), ("x", contents[2]))]);
        Assert.That(contents[0], Is.EqualTo(contents[2]));
        Assert.That(contents[1], Is.EqualTo(contents[3]));
    }

    [Test]
    public async Task ThePopularContentWins()
    {
        var voted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var master = StartMaster();
        var first = NewCommunicator(master, 3, probe: point => _ = point == "after-send:SharedStateVote" && voted.TrySetResult());
        Communicator[] peers = [first, NewCommunicator(master, 3), NewCommunicator(master, 3)];
        await All(peers, p => p.ConnectAsync());
        byte[][] contents = [Filled(1), Filled(2), Filled(2)];
        var unpopular = peers[0].SynchronizeSharedStateAsync(State(0, ("a", contents[0])));
        await voted.Task.WaitAsync(Deadline);
        var others = await Sync(peers[1..], [State(0, ("a", contents[1])), State(0, ("a", contents[2]))]);
        Assert.That((await unpopular.WaitAsync(Deadline)).BytesReceived, Is.EqualTo(Bytes));
        Assert.That(contents, Is.All.EqualTo(Filled(2)));
        Assert.That(others.Sum(r => r.BytesSent), Is.AtLeast(Bytes));
        Assert.That(others.Select(r => r.BytesReceived), Is.All.Zero);
    }

    [Test]
    public async Task OfManyKeysTheDifferentOnesAreHealed()
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var contents = peers.Select((_, peer) => Enumerable.Range(0, 16).Select(key => Filled((byte)(peer == 0 && key < 4 ? 100 + key : key))).ToArray()).ToArray();
        var results = await Sync(peers, [.. contents.Select(c => State(0, [.. c.Select((b, i) => ($"key{i}", b))]))]);
        Assert.That(results[0].KeysReceived, Is.EquivalentTo(new[] { "key0", "key1", "key2", "key3" }));
        Assert.That(results[0].BytesReceived, Is.EqualTo(4 * Bytes));
        Assert.That(contents.SelectMany(c => c.Select((b, i) => b.AsSpan().SequenceEqual(Filled((byte)i)))), Is.All.True);
    }

    [Test]
    public async Task EveryElementType()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var halves = peers.Select((_, i) => new[] { (Half)i, (Half)(i + 0.5) }).ToArray();
        var brains = peers.Select((_, i) => new[] { (BFloat16)(float)i, (BFloat16)3f, (BFloat16)(-1f) }).ToArray();
        var shorts = peers.Select((_, i) => new[] { (short)i }).ToArray();
        var unsigned = peers.Select((_, i) => new[] { (ushort)(i + 40_000) }).ToArray();
        var doubles = peers.Select((_, i) => new[] { i * 1.5, double.NaN }).ToArray();
        var longs = peers.Select((_, i) => new[] { long.MinValue + i }).ToArray();
        var untyped = peers.Select((_, i) => Random(i, 10)).ToArray();
        var states = peers.Select((_, i) =>
        {
            var state = new SharedState();
            state.Add<Half>("half", halves[i]);
            state.Add<BFloat16>("brain", brains[i]);
            state.Add<short>("short", shorts[i]);
            state.Add<ushort>("unsigned", unsigned[i]);
            state.Add<double>("double", doubles[i]);
            state.Add<long>("long", longs[i]);
            state.Add("untyped", untyped[i], DataType.Float16);
            Assert.That(state.Count, Is.EqualTo(7));
            return state;
        }).ToArray();
        var results = await Sync(peers, states);
        Assert.That(results.Sum(r => r.BytesReceived), Is.EqualTo(4 + 6 + 2 + 2 + 16 + 8 + 10));
        Assert.That(halves[0], Is.EqualTo(halves[1]));
        Assert.That(brains[0], Is.EqualTo(brains[1]));
        Assert.That(shorts[0], Is.EqualTo(shorts[1]));
        Assert.That(unsigned[0], Is.EqualTo(unsigned[1]));
        Assert.That(doubles[0], Is.EqualTo(doubles[1]));
        Assert.That(longs[0], Is.EqualTo(longs[1]));
        Assert.That(untyped[0], Is.EqualTo(untyped[1]));
    }

    [Test]
    public async Task AnySizeAndAlignment([Values(0, 1, 3, 65_535, 65_536, 65_537, 5_000_001)] int bytes)
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var memory = peers.Select((_, i) => Random(i == 2 ? 2 : 1, bytes + 3)).ToArray();
        var before = memory.Select(m => m.ToArray()).ToArray();
        var states = memory.Select((m, i) =>
        {
            var state = new SharedState();
            state.Add("t", m.AsMemory(i, bytes), DataType.UInt8);
            return state;
        }).ToArray();
        before[0].AsSpan(0, bytes).CopyTo(memory[1].AsSpan(1)); // Two are equal.
        var results = await Sync(peers, states);
        Assert.That(memory[2].AsSpan(2, bytes).SequenceEqual(before[0].AsSpan(0, bytes)));
        Assert.That(memory[2].AsSpan(0, 2).SequenceEqual(before[2].AsSpan(0, 2)) && memory[2][^1] == before[2][^1], "what lies around it is untouched");
        Assert.That(results[2].BytesReceived, Is.EqualTo(bytes));
    }

    [Test]
    public async Task TwoHundredKeys()
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var contents = peers.Select((_, peer) => Enumerable.Range(0, 200).Select(key => Random((peer == 1 ? 1000 : 0) + key, 1 + (key * 701 % 90_000))).ToArray()).ToArray();
        var results = await Sync(peers, [.. contents.Select(c => State(0, [.. c.Select((b, i) => ($"key{i}", b))]))]);
        Assert.That(results[1].KeysReceived, Has.Count.EqualTo(200));
        for (var i = 0; i < 200; i++)
        {
            Assert.That(contents[1][i].AsSpan().SequenceEqual(contents[0][i]), $"key {i}");
        }
    }

    [Test]
    public async Task ProgressIsReported()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        const int Size = 3_000_000;
        var progress = new Recorder();
        var giving = peers[0].SynchronizeSharedStateAsync(State(0, ("t", Random(1, Size))), SyncStrategy.SendOnly);
        var taking = peers[1].SynchronizeSharedStateAsync(State(0, ("t", Random(2, Size))), SyncStrategy.ReceiveOnly, progress);
        await Task.WhenAll(giving, taking).WaitAsync(Deadline);
        var last = progress.Reports[^1];
        Assert.That(last, Has.Property("BytesDone").EqualTo(Size).And.Property("BytesTotal").EqualTo(Size));
        Assert.That(last.Donors, Is.EqualTo(new[] { peers[0].Id }));
        Assert.That(progress.Reports.Select(r => r.BytesDone), Is.Ordered);
    }

    [Test]
    public async Task AProgressCallbackThatThrowsDoesNoHarm()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var giving = peers[0].SynchronizeSharedStateAsync(State(0, ("t", Filled(1))), SyncStrategy.SendOnly);
        var taking = peers[1].SynchronizeSharedStateAsync(State(0, ("t", Filled(2))), SyncStrategy.ReceiveOnly, new Thrower());
        await Task.WhenAll(giving, taking).WaitAsync(Deadline);
        await Log.Says(Deadline, "progress callback failed");
    }

    [Test]
    public async Task AnUploadLimitIsNoObstacle()
    {
        var master = StartMaster();
        Communicator[] peers =
        [
            NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { MinimumWorldSize = 2, ListenPort = 0, StateUploadBytesPerSecond = 4_000_000, LoggerFactory = Log }),
            NewCommunicator(master, 2),
        ];
        await All(peers, p => p.ConnectAsync());
        byte[][] contents = [Random(1, 1_000_000), Random(2, 1_000_000)];
        var giving = peers[0].SynchronizeSharedStateAsync(State(0, ("t", contents[0])), SyncStrategy.SendOnly);
        var taking = peers[1].SynchronizeSharedStateAsync(State(0, ("t", contents[1])), SyncStrategy.ReceiveOnly);
        await Task.WhenAll(giving, taking).WaitAsync(Deadline);
        Assert.That(contents[1], Is.EqualTo(contents[0]));
    }

    private sealed class Recorder : IProgress<SharedStateProgress>
    {
        public List<SharedStateProgress> Reports { get; } = [];

        public void Report(SharedStateProgress value) => Reports.Add(value);
    }

    private sealed class Thrower : IProgress<SharedStateProgress>
    {
        public void Report(SharedStateProgress value) => throw new InvalidOperationException("a defect of the caller");
    }
}
