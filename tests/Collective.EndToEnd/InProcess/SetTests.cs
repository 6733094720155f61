using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Many tensors with one verdict: all are the sum over the same peers, or all are what they were.</summary>
internal sealed class SetTests : EndToEndTest
{
    private static readonly int[] Sizes = [0, 1, 100, 20_000, 300_000, 7];

    [Test]
    public async Task AllTensorsAreReducedOverTheSamePeers([Values] bool quantised)
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var buffers = NewBuffers(peers.Length);
        var quantization = quantised ? new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8) : default;
        var results = await All(Enumerable.Range(0, 3), p => peers[p].AllReduceManyAsync([.. buffers[p].Select(b => AllReduceRequest.InPlace<float>(b, quantization: quantization))], tag: 5));
        Assert.That(Contents(buffers), Is.All.EqualTo(6f));
        Assert.That(results.Select(r => r.WorldSize), Is.All.EqualTo(3));
        Assert.That(results.Sum(r => r.BytesSent), Is.EqualTo(results.Sum(r => r.BytesReceived)).And.GreaterThan(0));
        if (!quantised)
        {
            Assert.That(results.Sum(r => r.BytesSent), Is.EqualTo(4L * Sizes.Sum() * sizeof(float)));
        }

        await All(peers, p => p.UpdateTopologyAsync()); // Nothing is in flight any more.
    }

    /// <summary>As a trainer does, whose gradients become ready one by one, and not in the same order everywhere.</summary>
    [Test]
    public async Task TensorsAreLaunchedOneByOneInAnyOrder()
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var buffers = NewBuffers(peers.Length);
        var sets = peers.Select(p => p.BeginAllReduceMany(Sizes.Length, tag: 9)).ToArray();
        for (var i = 0; i < Sizes.Length; i++)
        {
            for (var p = 0; p < peers.Length; p++)
            {
                Assert.That(sets[p].Completion.IsCompleted, Is.False);
                var position = p == 0 ? i : p == 1 ? Sizes.Length - 1 - i : (i + 2) % Sizes.Length;
                sets[p].Launch(position, AllReduceRequest.InPlace<float>(buffers[p][position]));
            }
        }

        await Task.WhenAll(sets.Select(s => s.Completion)).WaitAsync(Deadline);
        Assert.That(Contents(buffers), Is.All.EqualTo(6f));
    }

    /// <summary>A peer leaves at any point: the others have all tensors of three, or all of two, and what they did not get is what it was.</summary>
    [Test]
    public async Task APeerLeavesInTheMiddle([Values("segment-received", "before-send:CollectiveStart", "before-send:CollectiveDone", "after-send:CollectiveDone", "receive:CollectiveGo")] string point, [Values(1, 2)] int occurrence)
    {
        var master = StartMaster();
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var left = occurrence;
        var leaver = NewCommunicator(master, 3, probe: passed =>
        {
            if (passed == point && Interlocked.Decrement(ref left) == 0)
            {
                reached.SetResult();
            }
        });
        var peers = new[] { NewCommunicator(master, 3), NewCommunicator(master, 3), leaver };
        await All(peers, p => p.ConnectAsync());
        var leaverId = leaver.Id;
        var buffers = NewBuffers(peers.Length);
        var calls = peers.Select((p, i) => Call(p, buffers[i])).ToArray();
        await Task.WhenAny(reached.Task, Task.WhenAll(calls)).WaitAsync(Deadline);
        await leaver.DisposeAsync().AsTask().WaitAsync(Deadline);
        var outcomes = await Task.WhenAll(calls[0], calls[1]).WaitAsync(Deadline);
        Assert.That(outcomes[1]?.Code, Is.EqualTo(outcomes[0]?.Code));
        var expected = outcomes[0] is null ? [6f, 6f] : new[] { 1f, 2f };
        Assert.That(Contents([buffers[0]]), Is.All.EqualTo(expected[0]));
        Assert.That(Contents([buffers[1]]), Is.All.EqualTo(expected[1]));
        await calls[2].WaitAsync(Deadline);
        Assert.That(Contents([buffers[2]]), Is.All.EqualTo(6f).Or.All.EqualTo(3f));
        if (outcomes[0] is { } aborted)
        {
            AssertFailure(aborted, ErrorCode.OperationAborted, leaverId.ToShortString());
            Assert.That(await Task.WhenAll(Call(peers[0], buffers[0]), Call(peers[1], buffers[1])).WaitAsync(Deadline), Is.All.Null);
            Assert.That(Contents(buffers[..2]), Is.All.EqualTo(3f));
        }
    }

    [Test]
    public async Task CancelledWhileNotAllIsLaunchedItEndsForAll([Values] bool launched)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var buffers = NewBuffers(2);
        var sets = peers.Select(p => p.BeginAllReduceMany(2, tag: 1)).ToArray();
        sets[1].Launch(AllReduceRequest.InPlace<float>(buffers[1][4]));
        if (launched)
        {
            sets[0].Launch(AllReduceRequest.InPlace<float>(buffers[0][4]));
        }

        sets[0].Cancel();
        AssertFailure(await FailureOf(() => sets[0].Completion), ErrorCode.OperationAborted, "cancelled");
        AssertFailure(await FailureOf(() => sets[0].Launch(AllReduceRequest.InPlace<float>(buffers[0][5]))), ErrorCode.OperationAborted, "cancelled");
        if (!launched)
        {
            sets[1].Cancel(); // The other had not entered: nobody told this one.
        }

        AssertFailure(await FailureOf(() => sets[1].Completion), ErrorCode.OperationAborted, "cancelled");
        Assert.That(Contents([buffers[0]]), Is.All.EqualTo(1f));
        Assert.That(Contents([buffers[1]]), Is.All.EqualTo(2f));
        Assert.That(await Task.WhenAll(Call(peers[0], buffers[0]), Call(peers[1], buffers[1])).WaitAsync(Deadline), Is.All.Null);
    }

    [Test]
    public async Task DifferentSetsAreNamedOnEveryPeer([Values("size", "count", "label")] string what)
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var buffers = NewBuffers(3);
        AllReduceRequest Request(int peer, int tensor)
            => AllReduceRequest.InPlace<float>(buffers[peer][what == "count" && peer == 1 && tensor == 3 ? 4 : tensor], label: what == "label" && peer == 2 && tensor == 1 ? "bias" : "");
        var failures = await Task.WhenAll(Enumerable.Range(0, 3).Select(p
            => FailureOf(() => peers[p].AllReduceManyAsync([.. Enumerable.Range(0, what == "size" && p == 0 ? 5 : 6).Select(t => Request(p, t))], tag: 8)))).WaitAsync(Deadline);
        foreach (var failure in failures)
        {
            AssertFailure(failure, ErrorCode.Mismatch, "tag 8", what switch { "size" => "a set of 5 tensors", "count" => "tensor 3 of", _ => "tensor 1 of" });
        }

        Assert.That(Contents([buffers[0]]), Is.All.EqualTo(1f));
    }

    /// <summary>More tensors than collectives may be in flight, small ones that need no Go and others that do.</summary>
    [Test]
    public async Task MoreTensorsThanCollectivesMayBeInFlight()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        const int Tensors = 1_000;
        var buffers = peers.Select((_, p) => Enumerable.Range(0, Tensors).Select(t => Enumerable.Repeat(p + 1f, 1 + (t % 40)).ToArray()).ToArray()).ToArray();
        await All(Enumerable.Range(0, 2), p => peers[p].AllReduceManyAsync([.. buffers[p].Select(b => AllReduceRequest.InPlace<float>(b))]));
        Assert.That(Contents(buffers), Is.All.EqualTo(3f));
    }

    [Test]
    public async Task WrongArgumentsAreNamedAndHarmNothing()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var peer = peers[0];
        var request = AllReduceRequest.InPlace<float>(new float[3]);
        AssertFailure(await FailureOf(() => peer.AllReduceManyAsync([])), ErrorCode.InvalidArgument, "empty");
        AssertFailure(await FailureOf(() => peer.AllReduceManyAsync([request, null!])), ErrorCode.InvalidArgument, "null");
        AssertFailure(await FailureOf(() => peer.AllReduceManyAsync([request, AllReduceRequest.InPlace<float>(new float[3], operation: (ReduceOperation)99)])), ErrorCode.InvalidArgument, "99");
        AssertFailure(await FailureOf(() => peer.BeginAllReduceMany(0)), ErrorCode.InvalidArgument, "1 to 8192");
        AssertFailure(await FailureOf(() => peer.BeginAllReduceMany(8193)), ErrorCode.InvalidArgument, "1 to 8192");
        var set = peer.BeginAllReduceMany(2);
        set.Launch(1, request);
        AssertFailure(await FailureOf(() => set.Launch(1, request)), ErrorCode.InvalidArgument, "has been launched");
        AssertFailure(await FailureOf(() => set.Launch(2, request)), ErrorCode.InvalidArgument, "no position 2");
        AssertFailure(await FailureOf(() => set.Launch(-1, request)), ErrorCode.InvalidArgument, "no position -1");
        set.Launch(request);
        AssertFailure(await FailureOf(() => set.Launch(request)), ErrorCode.InvalidArgument, "all 2 tensors");
        AssertFailure(await FailureOf(() => peer.AllReduceAsync<float>(new float[3])), ErrorCode.InvalidArgument, "in use");
        AssertFailure(await FailureOf(() => peer.UpdateTopologyAsync()), ErrorCode.PendingOperations, "in flight");
        set.Cancel();
        AssertFailure(await FailureOf(() => set.Completion), ErrorCode.OperationAborted, "cancelled");
    }

    /// <summary>Two tags one after the other: the second's abort says that the first has committed, for who would repeat both.</summary>
    [Test]
    public async Task AnAbortNamesWhatHasCommitted()
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        await All(peers, p => p.AllReduceAsync<float>(new float[3], tag: 1));
        var calls = peers[..2].Select(p => FailureOf(() => p.AllReduceAsync<float>(new float[300_000], tag: 2))).ToArray();
        await peers[2].DisposeAsync().AsTask().WaitAsync(Deadline);
        foreach (var failure in await Task.WhenAll(calls).WaitAsync(Deadline))
        {
            AssertFailure(failure, ErrorCode.OperationAborted, "tag 1 has committed", "do not repeat it");
        }
    }

    private static async Task<CollectiveException?> Call(Communicator peer, float[][] buffers)
    {
        try
        {
            await peer.AllReduceManyAsync([.. buffers.Select(b => AllReduceRequest.InPlace<float>(b))]);
            return null;
        }
        catch (CollectiveException e)
        {
            return e;
        }
        catch (ObjectDisposedException)
        {
            return new CollectiveException(ErrorCode.NotConnected, "disposed");
        }
    }

    private static float[][][] NewBuffers(int peers) => [.. Enumerable.Range(0, peers).Select(p => Sizes.Select(size => Enumerable.Repeat(p + 1f, size).ToArray()).ToArray())];

    private static IEnumerable<float> Contents(float[][][] buffers) => buffers.SelectMany(b => b).SelectMany(b => b).Distinct();
}
