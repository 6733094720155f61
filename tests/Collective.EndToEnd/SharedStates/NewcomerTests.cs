using NUnit.Framework;
using static Collective.SyncStrategy;

namespace Collective.EndToEnd.SharedStates;

/// <summary>What a newcomer is handed, by whom, and what happens when a holder does wrong.</summary>
internal sealed class NewcomerTests : SharedStateTest
{
    private const int Size = 3_000_000;

    [Test]
    public async Task TwoAtOnceFromThreeHolders()
    {
        var (master, holders, state) = await Holders(3);
        var newcomers = new[] { await Admit(holders, NewCommunicator(master)) };
        newcomers = [.. newcomers, await Admit([.. holders, .. newcomers], NewCommunicator(master))];
        var contents = newcomers.Select((_, i) => Random(i + 50, Size)).ToArray();
        state.ForEach(s => s.Revision++);
        var results = await Sync([.. holders, .. newcomers], [.. state, .. contents.Select(c => State(0, ("t", c)))]);
        Assert.That(contents, Is.All.EqualTo(Random(1, Size)));
        Assert.That(results.Skip(3).Select(r => r.BytesReceived), Is.All.EqualTo(Size));
        Assert.That(results.Take(3).Select(r => r.BytesReceived), Is.All.Zero);
        Assert.That(results.Take(3).Sum(r => r.BytesSent), Is.AtLeast(2 * Size));
    }

    [Test]
    public async Task WhatMayDifferReachesNewcomersOnly()
    {
        var master = StartMaster();
        var peers = (await ConnectGroup(master, 2)).ToList();
        var mine = new List<byte[]> { Filled(1, 100_000), Filled(2, 100_000) };
        var common = new List<byte[]> { Filled(5), Filled(5) };
        var states = mine.Zip(common, WithOwn).ToList();
        AssertNothingMoved(await Sync(peers, states)); // The first ever: all keep theirs.
        peers.Add(await Admit(peers, NewCommunicator(master)));
        mine.Add(Filled(3, 100_000));
        common.Add(Filled(5));
        states.Add(WithOwn(mine[2], common[2]));
        states[0].Revision = states[1].Revision = 1;
        var results = await Sync(peers, states);
        Assert.That(results[2].KeysReceived, Is.EqualTo(new[] { "own" }));
        Assert.That(results[2].BytesReceived, Is.EqualTo(100_000));
        Assert.That(mine[0], Is.EqualTo(Filled(1, 100_000)));
        Assert.That(mine[1], Is.EqualTo(Filled(2, 100_000)));
        Assert.That(mine[2], Is.EqualTo(mine[0]).Or.EqualTo(mine[1]), "all of it from one holder");
        mine[2].AsSpan().Fill(77);
        states.ForEach(s => s.Revision = 2);
        AssertNothingMoved(await Sync(peers, states)); // No newcomer any more.
        Assert.That(mine[2], Is.EqualTo(Filled(77, 100_000)));
    }

    /// <summary>Whose program writes to a tensor during the sync gives bytes that are not those of its hash. The honest holder is slow, so that both are asked.</summary>
    [Test]
    public async Task AHolderThatGivesWrongBytesIsReplacedAndNamed()
    {
        var (peers, contents) = await WithLiar(newcomers: 1);
        var results = await Sync(peers, contents);
        Assert.That(contents[2], Is.EqualTo(Random(1, Size)));
        Assert.That(results[2].Donors, Is.EqualTo(new[] { peers[1].Id }));
        var accusation = $"peer {peers[0].Id.ToShortString()} gave wrong bytes to peer {peers[2].Id.ToShortString()}";
        await Log.Says(Deadline, "Collective.Master", accusation, "of \"t\" does not match its digest");
        Assert.That(peers[0].IsConnected, "one accusation evicts nobody");
    }

    [Test]
    public async Task TwoAccusersEvictALiar()
    {
        var (peers, contents) = await WithLiar(newcomers: 2);
        var calls = peers.Select((p, i) => p.SynchronizeSharedStateAsync(State(0, ("t", contents[i])), i < 2 ? SendOnly : ReceiveOnly)).ToArray();
        AssertFailure(await FailureOf(() => calls[0]), ErrorCode.Evicted, peers[2].Id.ToShortString(), peers[3].Id.ToShortString(), "both got bytes");
        await Task.WhenAll(calls.Skip(1)).WaitAsync(Deadline);
        Assert.That(contents.Skip(2), Is.All.EqualTo(Random(1, Size)));
    }

    [Test]
    public async Task AnOnlyHolderThatGivesWrongBytesFailsTheSyncAndNothingIsWritten()
    {
        var content = Random(1, Size);
        var master = StartMaster();
        var liar = NewCommunicator(master, 2, probe: point => content[^1] ^= (byte)(point == "before-send:SharedStateVote" ? 1 : 0));
        Communicator[] peers = [liar, NewCommunicator(master, 2)];
        await All(peers, p => p.ConnectAsync());
        var mine = Random(2, Size);
        var states = new[] { State(3, ("t", content)), State(0, ("t", mine)) };
        var failures = await Failures(peers, states, SendOnly, ReceiveOnly);
        AssertFailure(failures[1]!, ErrorCode.SyncFailed, "no holder of \"t\" is left", "nothing was changed");
        AssertFailure(failures[0]!, ErrorCode.SyncFailed, peers[1].Id.ToShortString());
        Assert.That(mine, Is.EqualTo(Random(2, Size)));
        Assert.That(states[1].Revision, Is.Zero);
    }

    [Test]
    public async Task AHolderThatLeavesInTheMiddleIsReplaced()
    {
        var master = StartMaster();
        var options = Enumerable.Range(0, 2).Select(_ => new CommunicatorOptions(master.EndPoint.ToString())
        {
            MinimumWorldSize = 3,
            ListenPort = 0,
            StateUploadBytesPerSecond = 2_000_000,
            LoggerFactory = Log,
        });
        Communicator[] peers = [.. options.Select(NewCommunicator), NewCommunicator(master, 3)];
        await All(peers, p => p.ConnectAsync());
        var mine = Random(2, Size);
        var leaving = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = peers[0].SynchronizeSharedStateAsync(State(0, ("t", Random(1, Size))), SendOnly);
        var second = peers[1].SynchronizeSharedStateAsync(State(0, ("t", Random(1, Size))), SendOnly);
        var third = peers[2].SynchronizeSharedStateAsync(State(0, ("t", mine)), ReceiveOnly, new OnFirstBytes(() => leaving.TrySetResult()));
        await leaving.Task.WaitAsync(Deadline);
        await peers[0].DisposeAsync();
        AssertFailure(await FailureOf(() => first), ErrorCode.NotConnected);
        var results = await Task.WhenAll(second, third).WaitAsync(Deadline);
        Assert.That(mine, Is.EqualTo(Random(1, Size)));
        Assert.That(results[1].Donors, Has.Member(peers[1].Id));
    }

    [Test]
    public async Task WhenTheOnlyHolderLeavesTheSyncFailsAndNothingIsWritten()
    {
        var master = StartMaster();
        Communicator[] peers =
        [
            NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { MinimumWorldSize = 3, ListenPort = 0, StateUploadBytesPerSecond = 500_000, LoggerFactory = Log }),
            NewCommunicator(master, 3),
            NewCommunicator(master, 3),
        ];
        await All(peers, p => p.ConnectAsync());
        byte[][] mine = [Random(2, Size), Random(3, Size)];
        var leaving = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var giving = peers[0].SynchronizeSharedStateAsync(State(5, ("t", Random(1, Size))), SendOnly);
        var states = mine.Select(m => State(0, ("t", m))).ToArray();
        var taking = peers.Skip(1).Select((p, i) => p.SynchronizeSharedStateAsync(states[i], ReceiveOnly, new OnFirstBytes(() => leaving.TrySetResult()))).ToArray();
        await leaving.Task.WaitAsync(Deadline);
        await peers[0].DisposeAsync();
        AssertFailure(await FailureOf(() => giving), ErrorCode.NotConnected);
        foreach (var call in taking)
        {
            AssertFailure(await FailureOf(() => call), ErrorCode.SyncFailed, "nothing was changed", "call it again");
        }

        Assert.That(mine, Is.EqualTo(new[] { Random(2, Size), Random(3, Size) }));
        Assert.That(states.Select(s => s.Revision), Is.All.Zero);
        await Sync(peers[1..], states);
        Assert.That(mine[0], Is.EqualTo(mine[1]));
    }

    /// <summary>A holder whose content changes after its vote, an honest one with little upload, and newcomers.</summary>
    private async Task<(Communicator[] Peers, byte[][] Contents)> WithLiar(int newcomers)
    {
        var master = StartMaster();
        var content = Random(1, Size);
        var count = 2 + newcomers;
        var liar = NewCommunicator(master, count, probe: point =>
        {
            if (point == "before-send:SharedStateVote") // hashed before
            {
                Filled(0, Size).CopyTo(content, 0);
            }
        });
        var honest = NewCommunicator(new CommunicatorOptions(master.EndPoint.ToString()) { MinimumWorldSize = count, ListenPort = 0, StateUploadBytesPerSecond = 2_000_000, LoggerFactory = Log });
        Communicator[] peers = [liar, honest, .. Enumerable.Range(0, newcomers).Select(_ => NewCommunicator(master, count))];
        await All(peers, p => p.ConnectAsync());
        return (peers, [content, Random(1, Size), .. Enumerable.Range(0, newcomers).Select(i => Random(9 + i, Size))]);
    }

    private static Task<SharedStateSyncResult[]> Sync(Communicator[] peers, byte[][] contents)
        => All(peers.Select((p, i) => (p, i)), p => p.p.SynchronizeSharedStateAsync(State(0, ("t", contents[p.i])), p.i < 2 ? SendOnly : ReceiveOnly));

    private static SharedState WithOwn(byte[] mine, byte[] common)
    {
        var state = new SharedState();
        state.Add<byte>("own", mine, allowContentInequality: true);
        state.Add<byte>("common", common);
        return state;
    }

    private async Task<(CollectiveMaster Master, Communicator[] Holders, List<SharedState> States)> Holders(int count)
    {
        var master = StartMaster();
        var holders = await ConnectGroup(master, count);
        var states = holders.Select(_ => State(0, ("t", Random(1, Size)))).ToList();
        await Sync(holders, states);
        return (master, holders, states);
    }
}
