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

    /// <summary>Whose program writes to a tensor during the sync gives bytes that are not those of its hash.</summary>
    [Test]
    public async Task AHolderThatGivesWrongBytesIsReplacedAndNamed()
    {
        var content = Random(1, Size);
        var master = StartMaster();
        var liar = NewCommunicator(master, 3, probe: point => content[^1] ^= (byte)(point == "after-send:SharedStateVote" ? 1 : 0));
        Communicator[] holders = [liar, NewCommunicator(master, 3), NewCommunicator(master, 3)];
        await All(holders, p => p.ConnectAsync());
        var newcomer = await Admit(holders, NewCommunicator(master));
        byte[][] contents = [content, Random(1, Size), Random(1, Size), Random(9, Size)];

        // The only block that the newcomer lacks is the wrong one; whom it asks first is not known, so it is asked until it lies.
        SharedStateSyncResult[] results;
        ulong revision = 0;
        do
        {
            Random(1, Size).CopyTo(contents[0], 0);
            Random(1, Size).CopyTo(contents[3], 0);
            contents[3][^1] ^= 0x55;
            results = await Sync([.. holders, newcomer], [.. contents.Select(c => State(revision, ("t", c)))]);
            revision++;
            Assert.That(contents[3], Is.EqualTo(Random(1, Size)), $"sync {revision}");
        }
        while (!Log.Lines.Any(l => l.Contains("gave wrong bytes", StringComparison.Ordinal)) && revision < 100);
        Assert.That(Log.Lines, Has.Some.Contains("Collective.Master").And.Contains($"peer {liar.Id.ToShortString()} gave wrong bytes to peer {newcomer.Id.ToShortString()}").And.Contains("block 45 of \"t\""));
        Assert.That(holders.All(h => h.IsConnected), "one accusation evicts nobody");
        Assert.That(results[3].Donors, Has.No.Member(liar.Id));
    }

    [Test]
    public async Task AnOnlyHolderThatGivesWrongBytesFailsTheSyncAndNothingIsWritten()
    {
        var content = Random(1, Size);
        var master = StartMaster();
        var liar = NewCommunicator(master, 2, probe: point => content[^1] ^= (byte)(point == "after-send:SharedStateVote" ? 1 : 0));
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
    public async Task TwoAccusersEvictALiar()
    {
        var content = Random(1, Size);
        var master = StartMaster();
        var liar = NewCommunicator(master, 3, probe: point => content[^1] ^= (byte)(point == "after-send:SharedStateVote" ? 1 : 0));
        Communicator[] peers = [liar, NewCommunicator(master, 3), NewCommunicator(master, 3)];
        await All(peers, p => p.ConnectAsync());
        var failures = await Failures(peers, [State(0, ("t", content)), State(0, ("t", Random(2, Size))), State(0, ("t", Random(3, Size)))], SendOnly, ReceiveOnly, ReceiveOnly);
        Assert.That(failures, Has.None.Null);

        // The first accuser gives up, which fails the sync; the second's accusation may come too late for it.
        Assert.That(failures.Skip(1).Select(f => f!.Code), Is.All.EqualTo(ErrorCode.SyncFailed));
        Assert.That(failures[0]!.Code, Is.AnyOf(ErrorCode.SyncFailed, ErrorCode.Evicted));
    }

    [Test]
    public async Task AHolderThatLeavesInTheMiddleIsReplaced()
    {
        var master = StartMaster();
        var options = Enumerable.Range(0, 2).Select(_ => new CommunicatorOptions(master.EndPoint.ToString())
        {
            MinimumWorldSize = 3, ListenPort = 0, StateUploadBytesPerSecond = 2_000_000, LoggerFactory = Log,
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
