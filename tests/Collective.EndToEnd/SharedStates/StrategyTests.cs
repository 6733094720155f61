using NUnit.Framework;
using static Collective.SyncStrategy;

namespace Collective.EndToEnd.SharedStates;

/// <summary>Who may send, who may receive, and which mixes go together.</summary>
internal sealed class StrategyTests : SharedStateTest
{
    private static readonly object[] s_mixes =
    [
        new object[] { new[] { EnforcePopular, ReceiveOnly } },
        new object[] { new[] { EnforcePopular, SendOnly } },
        new object[] { new[] { EnforcePopular, SendOnly, SendOnly } },
        new object[] { new[] { EnforcePopular, SendOnly, ReceiveOnly } },
    ];

    [TestCaseSource(nameof(s_mixes))]
    public async Task EnforcePopularDoesNotMix(SyncStrategy[] strategies)
    {
        var peers = await ConnectGroup(StartMaster(), strategies.Length);
        var states = peers.Select(_ => State(0, ("a", Filled(1)))).ToArray();
        var failures = await Failures(peers, states, strategies);
        Assert.That(failures[0], Is.Null, "the one that did as PCCL's rules say succeeds in the same call");
        for (var i = 1; i < peers.Length; i++)
        {
            AssertFailure(failures[i]!, ErrorCode.Mismatch, $"it chose {strategies[i]}", $"peer {peers[0].Id.ToShortString()} chose EnforcePopular");
        }

        var again = await Failures(peers, [.. peers.Select(_ => State(1, ("a", Filled(1))))], EnforcePopular);
        Assert.That(again[0], Is.Null);
        Assert.That(again.Skip(1).Select(f => f!.Code), Is.All.EqualTo(ErrorCode.Evicted));
    }

    [Test]
    public async Task SomebodyMustSend([Values] bool equal)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        byte[][] contents = [Filled(1), Filled((byte)(equal ? 1 : 2))];
        var states = contents.Select(c => State(0, ("a", c))).ToArray();
        foreach (var failure in await Failures(peers, states, ReceiveOnly))
        {
            AssertFailure(failure!, ErrorCode.Mismatch, "at least one must choose SendOnly");
        }

        Assert.That(contents[0], Is.EqualTo(Filled(1)));
    }

    [Test]
    public async Task SendersMustAgree()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        byte[][] contents = [Filled(1), Filled(2)];
        var failures = await Failures(peers, [.. contents.Select(c => State(0, ("a", c)))], SendOnly);
        foreach (var failure in failures)
        {
            AssertFailure(failure!, ErrorCode.Mismatch, "\"a\"", "SendOnly", "neither could be elected");
        }

        Assert.That(contents, Is.EqualTo(new[] { Filled(1), Filled(2) }));
        Assert.That(peers.Select(p => p.IsConnected), Is.All.True, "one each is no majority: nobody goes");
    }

    [Test]
    public async Task ASenderWithAnotherContentThanMostGoes()
    {
        var peers = await ConnectGroup(StartMaster(), 4);
        byte[][] contents = [Filled(1), Filled(2), Filled(1), Filled(3)];
        var failures = await Failures(peers, [.. contents.Select(c => State(0, ("a", c)))], SendOnly, SendOnly, SendOnly, ReceiveOnly);
        AssertFailure(failures[1]!, ErrorCode.Mismatch, "\"a\"", "SendOnly");
        Assert.That(failures.Where((_, i) => i != 1), Is.All.Null);
        Assert.That(contents, Is.EqualTo(new[] { Filled(1), Filled(2), Filled(1), Filled(1) }));
    }

    [Test]
    public async Task ReceiversTakeWhatTheSenderHas()
    {
        var peers = await ConnectGroup(StartMaster(), 4);
        byte[][] contents = [Filled(1), Filled(2), Filled(2), Filled(2)];
        var results = await All(peers.Select((p, i) => (p, i)), p => p.p.SynchronizeSharedStateAsync(State(0, ("a", contents[p.i])), p.i == 0 ? SendOnly : ReceiveOnly));
        Assert.That(contents, Is.All.EqualTo(Filled(1)));
        Assert.That(results[0].BytesSent, Is.EqualTo(3 * Bytes));
        Assert.That(results.Skip(1).Select(r => r.BytesSent), Is.All.Zero);
    }

    /// <summary>It promised never to transmit, also when it has what another lacks.</summary>
    [Test]
    public async Task AReceiverThatHoldsTheContentDoesNotSend()
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        byte[][] contents = [Filled(1), Filled(1), Filled(3)];
        var results = await All(peers.Select((p, i) => (p, i)), p => p.p.SynchronizeSharedStateAsync(State(0, ("a", contents[p.i])), p.i == 0 ? SendOnly : ReceiveOnly));
        Assert.That(results.Select(r => r.BytesSent), Is.EqualTo(new[] { (long)Bytes, 0, 0 }));
    }

    /// <summary>A receiver hashes before the vote only if it had everything in the last sync. Either way what is equal does not move.</summary>
    [Test]
    public async Task WhatAReceiverHasDoesNotMove()
    {
        const int Block = 64 * 1024;
        var peers = await ConnectGroup(StartMaster(), 2);
        byte[][] contents = [Random(1, 5 * Block), Random(1, 5 * Block)];
        var first = await Exchange(0);
        Assert.That(first[1], Has.Property("BytesReceived").Zero.And.Property("WireBytesReceived").GreaterThan(0), "digests only");
        AssertNothingMoved(await Exchange(1));
        contents[0][(2 * Block) + 100] ^= 1;
        Assert.That((await Exchange(2))[1].BytesReceived, Is.EqualTo(Block));
        contents[0][4 * Block] ^= 1;
        Assert.That((await Exchange(3))[1].BytesReceived, Is.EqualTo(Block));
        Assert.That(contents[1], Is.EqualTo(contents[0]));

        Task<SharedStateSyncResult[]> Exchange(ulong revision)
            => All(peers.Select((p, i) => (p, i)), p => p.p.SynchronizeSharedStateAsync(State(revision, ("a", contents[p.i])), p.i == 0 ? SendOnly : ReceiveOnly));
    }

    [Test]
    public async Task WhatIsOutdatedCannotBeSent()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        await Sync(peers, [State(4, ("a", Filled(1))), State(4, ("a", Filled(1)))]);
        var failures = await Failures(peers, [State(4, ("a", Filled(1))), State(5, ("a", Filled(1)))], SendOnly);
        AssertFailure(failures[0]!, ErrorCode.RevisionMismatch, "what is outdated cannot be sent");
        Assert.That(failures[1], Is.Null);
    }

    [Test]
    public async Task AnUnknownStrategyIsRefused()
    {
        var peer = await ConnectAlone(StartMaster());
        AssertFailure(await FailureOf(() => peer.SynchronizeSharedStateAsync(State(0, ("a", Filled(1))), (SyncStrategy)3)), ErrorCode.InvalidArgument, "3 is no sync strategy");
    }
}
