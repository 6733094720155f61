using System.Runtime.InteropServices;
using NUnit.Framework;
using static Collective.SyncStrategy;

namespace Collective.EndToEnd.SharedStates;

/// <summary>Arguments that cannot be, calls at the wrong time, and the end of patience.</summary>
internal sealed class UsageTests : SharedStateTest
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(50);

    [Test]
    public async Task ListsThatCannotBeAreRefusedAtOnce()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var memory = new byte[100];
        var overlapping = new SharedState();
        overlapping.Add("low", memory.AsMemory(0, 60), DataType.UInt8);
        overlapping.Add("high", memory.AsMemory(59), DataType.UInt8);
        (SharedState State, string Says)[] wrong =
        [
            (new SharedState(), "has no entries"),
            (State(0, ("a", memory), ("a", Filled(1))), "\"a\" is used twice"),
            (State(0, ("", memory)), "a key of the shared state is empty"),
            (State(0, (new string('k', 513), memory)), "choose a shorter name"),
            (State(ulong.MaxValue, ("a", memory)), "there must be a next one"),
            (overlapping, "\"low\" and \"high\" overlap"),
        ];
        foreach (var (state, says) in wrong)
        {
            AssertFailure(await FailureOf(() => peers[0].SynchronizeSharedStateAsync(state)), ErrorCode.InvalidArgument, says);
        }

        await Sync(peers, [State(0, ("a", Filled(1))), State(0, ("a", Filled(1)))]);
    }

    [Test]
    public async Task TensorsThatCannotBeAreRefusedWhenAdded()
    {
        var state = new SharedState();
        AssertFailure(await FailureOf(() => state.Add("a", new byte[3], DataType.Float32)), ErrorCode.InvalidArgument, "no whole number of Float32");
        AssertFailure(await FailureOf(() => state.Add("a", new byte[3], (DataType)99)), ErrorCode.InvalidArgument, "99 is no data type");
        AssertFailure(await FailureOf(() => state.Add<char>("a", new char[3])), ErrorCode.InvalidArgument, "Char");
        AssertFailure(await FailureOf(() => state.Add("a", 0, 1, DataType.Float32)), ErrorCode.InvalidArgument, "is null");
        AssertFailure(await FailureOf(() => state.Add("a", 16, -1, DataType.Float32)), ErrorCode.InvalidArgument, "-1 elements");
        AssertFailure(await FailureOf(() => state.Add("a", 16, 1L << 41, DataType.Float32)), ErrorCode.InvalidArgument, "are possible");
        Assert.That(() => state.Add<byte>(null!, new byte[1]), Throws.ArgumentNullException);
        Assert.That(state.Count, Is.Zero);
    }

    [Test]
    public async Task ListsThatDifferAreNamed()
    {
        var master = StartMaster();
        var peers = (await ConnectGroup(master, 2)).ToList();
        var good = () => State(null, ("key", Filled(1)));
        var typed = new SharedState();
        typed.Add("key", new byte[Bytes], DataType.Int8);
        var flagged = new SharedState();
        flagged.Add<byte>("key", Filled(1), allowContentInequality: true);
        (SharedState State, string Says)[] wrong =
        [
            (State(0, ("other", Filled(1))), "it lacks \"key\""),
            (State(0, ("key", Filled(1)), ("more", Filled(1))), "\"more\""),
            (State(0, ("key", Filled(1, 1000))), "\"key\" has 1000 elements"),
            (typed, "\"key\" is Int8"),
            (flagged, "\"key\" may differ"),
        ];
        foreach (var (state, says) in wrong)
        {
            peers.Add(await Admit(peers, NewCommunicator(master)));
            var misfit = peers[2];
            var id = misfit.Id;
            var failing = FailureOf(() => misfit.SynchronizeSharedStateAsync(state));
            var results = await Sync([.. peers.Take(2)], [good(), good()]);
            AssertFailure(await failing, ErrorCode.Mismatch, says);
            Assert.That(results.Select(r => r.LeftOut.Single()), Is.All.Matches<LeftOutPeer>(p => p.Id == id && p.Code == ErrorCode.Mismatch && p.Reason.Contains(says, StringComparison.Ordinal)));
            peers.Remove(misfit);
            await All(peers, p => p.UpdateTopologyAsync());
        }

        await Sync(peers, [good(), good()]);
    }

    [Test]
    public async Task OneSyncAtATime()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var first = peers[0].SynchronizeSharedStateAsync(State(0, ("a", Filled(1))));
        AssertFailure(await FailureOf(() => peers[0].SynchronizeSharedStateAsync(State(0, ("a", Filled(1))))), ErrorCode.InvalidUsage, "already in a sync");
        await peers[1].SynchronizeSharedStateAsync(State(0, ("a", Filled(1)))).WaitAsync(Deadline);
        await first.WaitAsync(Deadline);
    }

    [Test]
    public async Task NotWhileACollectiveIsInFlight()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var reducing = peers[0].AllReduceAsync<int>(new int[10]);
        AssertFailure(await FailureOf(() => peers[0].SynchronizeSharedStateAsync(State(0, ("a", Filled(1))))), ErrorCode.PendingOperations, "await");
        await peers[1].AllReduceAsync<int>(new int[10]).WaitAsync(Deadline);
        await reducing.WaitAsync(Deadline);
    }

    [Test]
    public void OnlyWhileConnected()
    {
        var communicator = NewCommunicator(StartMaster());
        Assert.That(() => communicator.SynchronizeSharedState(State(0, ("a", Filled(1)))), Throws.TypeOf<CollectiveException>().With.Property("Code").EqualTo(ErrorCode.NotConnected));
        Assert.That(
            () => new Communicator(new CommunicatorOptions("localhost") { StateUploadBytesPerSecond = 1000 }),
            Throws.TypeOf<CollectiveException>().With.Message.Contains("upload limit is 1000"));
    }

    [Test]
    public async Task TheBlockingCallDoesTheSame()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        byte[][] contents = [Filled(1), Filled(2)];
        await All(Enumerable.Range(0, 2), i => OnThread(() => peers[i].SynchronizeSharedState(State(0, ("a", contents[i])))));
        Assert.That(contents[0], Is.EqualTo(contents[1]));
    }

    [Test]
    public async Task ATimeoutBeforeAllHaveVotedNamesWhoIsMissing()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        AssertFailure(
            await FailureOf(() => peers[0].SynchronizeSharedStateAsync(State(0, ("a", Filled(1))), timeout: Short)),
            ErrorCode.TimedOut, peers[1].Id.ToShortString(), "has not called it");
        AssertNothingMoved(await Sync(peers, [State(0, ("a", Filled(1))), State(0, ("a", Filled(1)))]));
    }

    [Test]
    public async Task CancellingBeforeAllHaveVotedWithdraws([Values] bool before)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        using var cancellation = new CancellationTokenSource();
        if (before)
        {
            await cancellation.CancelAsync();
        }

        var call = Task.Run(() => peers[0].SynchronizeSharedStateAsync(State(0, ("a", Filled(1))), cancellationToken: cancellation.Token));
        await cancellation.CancelAsync();
        Assert.That(async () => await call.WaitAsync(Deadline), Throws.InstanceOf<OperationCanceledException>());
        AssertNothingMoved(await Sync(peers, [State(0, ("a", Filled(1))), State(0, ("a", Filled(1)))]));
    }

    [Test]
    public async Task GivingUpInTheMiddleFailsItForAllAndNothingIsWritten([Values] bool cancels)
    {
        const int Size = 3_000_000;
        var master = StartMaster();
        Communicator[] peers =
        [
            NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { MinimumWorldSize = 2, ListenPort = 0, StateUploadBytesPerSecond = 250_000, LoggerFactory = Log }),
            NewCommunicator(master, 2),
        ];
        await All(peers, p => p.ConnectAsync());
        using var cancellation = new CancellationTokenSource();
        var mine = Random(2, Size);
        var state = State(0, ("t", mine));
        var giving = peers[0].SynchronizeSharedStateAsync(State(1, ("t", Random(1, Size))), SendOnly);
        var taking = peers[1].SynchronizeSharedStateAsync(
            state, ReceiveOnly, new OnFirstBytes(() => _ = cancels && Task.Run(cancellation.Cancel).IsCompleted), cancels ? null : TimeSpan.FromSeconds(5), cancellation.Token);
        if (cancels)
        {
            Assert.That(async () => await taking.WaitAsync(Deadline), Throws.InstanceOf<OperationCanceledException>());
        }
        else
        {
            AssertFailure(await FailureOf(() => taking), ErrorCode.TimedOut);
        }

        AssertFailure(await FailureOf(() => giving), ErrorCode.SyncFailed, peers[1].Id.ToShortString(), "call it again");
        Assert.That(mine, Is.EqualTo(Random(2, Size)));
        Assert.That(state.Revision, Is.Zero);
        AssertNothingMoved(await Sync(peers, [State(1, ("t", Filled(1))), State(1, ("t", Filled(1)))]));
    }

    [Test]
    public async Task ALostMasterEndsItAndNothingIsWritten()
    {
        const int Size = 3_000_000;
        var master = StartMaster();
        Communicator[] peers =
        [
            NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { MinimumWorldSize = 2, ListenPort = 0, StateUploadBytesPerSecond = 250_000, LoggerFactory = Log }),
            NewCommunicator(master, 2),
        ];
        await All(peers, p => p.ConnectAsync());
        var mine = Random(2, Size);
        var giving = peers[0].SynchronizeSharedStateAsync(State(1, ("t", Random(1, Size))), SendOnly);
        var taking = peers[1].SynchronizeSharedStateAsync(State(0, ("t", mine)), ReceiveOnly, new OnFirstBytes(() => _ = master.DisposeAsync().AsTask()));
        AssertFailure(await FailureOf(() => giving), ErrorCode.MasterLost);
        AssertFailure(await FailureOf(() => taking), ErrorCode.MasterLost);
        Assert.That(mine, Is.EqualTo(Random(2, Size)));
    }

    /// <summary>More than 4 GiB, of which nearly all is the zero page.</summary>
    [Test]
    public async Task BeyondFourGiB()
    {
        const long Size = (4L << 30) + 100_000;
        var peers = await ConnectGroup(StartMaster(), 2);
        var memory = peers.Select(_ => Zeros(Size)).ToArray();
        try
        {
            Write(memory[0], Size - 1, 7);
            Write(memory[0], 3, 5);
            var states = memory.Select(m =>
            {
                var state = new SharedState();
                state.Add("huge", m, Size, DataType.UInt8);
                return state;
            }).ToArray();
            var giving = peers[0].SynchronizeSharedStateAsync(states[0], SendOnly);
            var taking = peers[1].SynchronizeSharedStateAsync(states[1], ReceiveOnly);
            var results = await Task.WhenAll(giving, taking).WaitAsync(TimeSpan.FromMinutes(5));
            Assert.That(results[1].BytesReceived, Is.EqualTo(65_536 + (Size % 65_536)));
            Assert.That(Read(memory[1], Size - 1), Is.EqualTo(7));
            Assert.That(Read(memory[1], 3), Is.EqualTo(5));
        }
        finally
        {
            Free(memory);
        }
    }

    private static unsafe nint Zeros(long bytes) => (nint)NativeMemory.AllocZeroed((nuint)bytes);

    private static unsafe void Free(nint[] memory) => Array.ForEach(memory, m => NativeMemory.Free((void*)m));

    private static unsafe void Write(nint memory, long offset, byte value) => ((byte*)memory)[offset] = value;

    private static unsafe byte Read(nint memory, long offset) => ((byte*)memory)[offset];
}
