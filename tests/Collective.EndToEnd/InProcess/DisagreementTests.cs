using System.Collections.Concurrent;
using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Peers that call different things: all are told who differs in what, and nothing is combined.</summary>
internal sealed class DisagreementTests : EndToEndTest
{
    [Test]
    public async Task AMismatchIsNamedOnEveryPeer([Values("count", "data type", "operation")] string field, [Values(10, 100_000)] int count, [Values(2, 3)] int worldSize)
    {
        var peers = await ConnectGroup(StartMaster(), worldSize);
        var buffers = peers.Select((_, i) => Enumerable.Range(0, field == "count" && i == 0 ? count + 1 : count).Select(e => (i * 10_000) + e).ToArray()).ToArray();
        var inputs = Array.ConvertAll(buffers, b => (int[])b.Clone());
        var calls = peers.Select((peer, i) => FailureOf(() => field switch
        {
            "data type" when i == 0 => peer.AllReduceAsync(AllReduceRequest.Untyped(
                Buffers.AsBytes<int>(buffers[0].AsMemory()), Buffers.AsBytes<int>(buffers[0].AsMemory()), DataType.Float32, 3)),
            "operation" when i == 0 => peer.AllReduceAsync<int>(buffers[0], ReduceOperation.Max, 3),
            _ => peer.AllReduceAsync<int>(buffers[i], ReduceOperation.Sum, 3),
        }));
        var failures = await Task.WhenAll(calls).WaitAsync(Deadline);
        foreach (var failure in failures)
        {
            AssertFailure(failure, ErrorCode.Mismatch, field, "tag 3", peers[0].Id.ToShortString(), "make the calls equal");
            Assert.That(peers.Skip(1).Any(p => failure.Message.Contains(p.Id.ToShortString(), StringComparison.Ordinal)), Is.True, failure.Message);
            Assert.That(failure.Message, Is.EqualTo(failures[0].Message));
        }

        Assert.That(buffers, Is.EqualTo(inputs));
        Assert.That((await All(peers, p => p.AllReduceAsync<int>(new int[count], tag: 3))).Select(r => r.WorldSize), Is.All.EqualTo(worldSize));
    }

    [Test]
    public async Task CrossedCallsAreNamedOnBothSides([Values] bool voteFirst)
    {
        var points = new ConcurrentQueue<string>();
        var master = StartMaster();
        var peers = new[] { NewCommunicator(master, 2, probe: points.Enqueue), NewCommunicator(master, 2) };
        await All(peers, p => p.ConnectAsync());
        var buffer = new[] { 1, 2, 3 };
        points.Clear();

        var vote = () => FailureOf(() => peers[0].UpdateTopologyAsync());
        var reduce = () => FailureOf(() => peers[1].AllReduceAsync<int>(buffer, tag: 4));
        var calls = voteFirst ? new[] { vote(), reduce() } : [reduce(), vote()];
        foreach (var failure in await Task.WhenAll(calls).WaitAsync(Deadline))
        {
            AssertFailure(failure, ErrorCode.CrossedCalls, $"peer {peers[0].Id.ToShortString()} waits in update topology", $"peer {peers[1].Id.ToShortString()} waits in an all-reduce with tag 4", "same sequence");
        }

        Assert.That(buffer, Is.EqualTo(new[] { 1, 2, 3 }));
        Assert.That(
            points.Where(p => p is "receive:EpochOpened" or "receive:TopologyUpdated"),
            Is.EqualTo(new[] { "receive:EpochOpened", "receive:TopologyUpdated" }),
            "told before the new epoch, the voter could enter the attempt that is just being ended");
        await All(peers, p => p.AllReduceAsync<int>(new int[3], tag: 4));
        await All(peers, p => p.UpdateTopologyAsync());
    }
}
