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
    public async Task LabelsThatDifferAreQuotedOnEveryPeer([Values(0, 10, 100_000)] int count)
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var buffers = peers.Select((_, i) => Enumerable.Range(i, count).ToArray()).ToArray();
        var inputs = Array.ConvertAll(buffers, b => (int[])b.Clone());
        var failures = await Task.WhenAll(peers.Select((peer, i) => FailureOf(() => peer.AllReduceAsync(AllReduceRequest.InPlace<int>(buffers[i], 3, label: i == 1 ? "weights" : "biases")))))
            .WaitAsync(Deadline);
        foreach (var failure in failures)
        {
            AssertFailure(failure, ErrorCode.Mismatch, "tag 3", "\"weights\"", "\"biases\"", peers[1].Id.ToShortString(), "make the calls equal");
        }

        Assert.That(buffers, Is.EqualTo(inputs));
        Assert.That((await All(peers, p => p.AllReduceAsync(AllReduceRequest.InPlace<int>(new int[count], 3, label: "weights")))).Select(r => r.WorldSize), Is.All.EqualTo(3));
    }

    /// <summary>Empty tensors keep their place in the sequence of calls: on a peer that skipped one, the next would be summed with another's.</summary>
    [Test]
    public async Task NothingIsAMismatchWithSomething([Values] bool quantised, [Values(1, 100_000)] int count)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var quantization = quantised ? new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8) : default;
        var full = Enumerable.Repeat(1f, count).ToArray();
        var failures = await Task.WhenAll(
            FailureOf(() => peers[0].AllReduceAsync(AllReduceRequest.InPlace<float>(Memory<float>.Empty, 3, quantization: quantization))),
            FailureOf(() => peers[1].AllReduceAsync(AllReduceRequest.InPlace<float>(full, 3, quantization: quantization)))).WaitAsync(Deadline);
        foreach (var failure in failures)
        {
            AssertFailure(failure, ErrorCode.Mismatch, "count ", " against ", $"{count}");
        }

        Assert.That(full, Is.All.EqualTo(1f));
        var results = await All(peers, p => p.AllReduceAsync(AllReduceRequest.InPlace<float>(Memory<float>.Empty, 3, quantization: quantization)));
        Assert.That(results.Select(r => (r.WorldSize, r.BytesSent, r.BytesReceived)), Is.All.EqualTo((2, 0L, 0L)));
        Assert.That((await All(peers, p => Task.Run(() => p.AllReduce<int>([], tag: 3)))).Select(r => r.WorldSize), Is.All.EqualTo(2));
        Assert.That((await All(peers, p => p.AllReduceAsync(AllReduceRequest.Unmanaged(0, 0, 0, DataType.Int8, 3)))).Select(r => r.WorldSize), Is.All.EqualTo(2));
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
