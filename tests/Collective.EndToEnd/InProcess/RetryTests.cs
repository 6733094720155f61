using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>"Multiple with retry" reports success only when every operation holds the sum over the peers that were there.</summary>
internal sealed class RetryTests : EndToEndTest
{
    private const int Operations = 20;
    private const int Elements = 20_000;

    [Test]
    public async Task AllCommit([Values(1, 3, 20)] int maxInFlight)
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var buffers = Array.ConvertAll(peers, _ => NewBuffers());
        var results = await All(Enumerable.Range(0, peers.Length), p =>
        {
            Fill(buffers[p], p);
            return peers[p].AllReduceMultipleWithRetryAsync(Requests(buffers[p]), maxInFlight);
        });
        foreach (var buffer in buffers)
        {
            Assert.That(Enumerable.Range(0, Operations).Select(o => Contributors(buffer[o], o)), Is.All.EqualTo("0,1,2"));
        }

        Assert.That(results.Select(r => r.Retries), Is.All.Zero);
        Assert.That(results.Select(r => r.Results.Count), Is.All.EqualTo(Operations));
        Assert.That(results.SelectMany(r => r.Results).Select(r => r.Contributors), Is.All.EquivalentTo(peers.Select(p => p.Id)));
        Assert.That(results.Select(r => r.World.WorldSize), Is.All.EqualTo(3));
        Assert.That(results.Sum(r => r.BytesSent), Is.EqualTo(results.Sum(r => r.BytesReceived)).And.EqualTo(4L * Operations * Elements * sizeof(long)));
    }

    /// <summary>A peer leaves after some of its operations; what the others report as done is the sum over all three or over the two, the same on both.</summary>
    [Test]
    public async Task APeerLeavesInTheMiddle([Values(1, 4, 20)] int maxInFlight, [Values("finish-operation", "segment-received", "after-send:CollectiveDone")] string point, [Values(1, 7)] int occurrence)
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
        var buffers = Array.ConvertAll(peers, _ => NewBuffers());
        var calls = peers.Select((p, i) =>
        {
            Fill(buffers[i], i);
            return p.AllReduceMultipleWithRetryAsync(Requests(buffers[i]), maxInFlight);
        }).ToArray();
        await reached.Task.WaitAsync(Deadline);
        await leaver.DisposeAsync().AsTask().WaitAsync(Deadline);
        await Task.WhenAll(calls[0], calls[1]).WaitAsync(Deadline);
        for (var operation = 0; operation < Operations; operation++)
        {
            var contributors = Contributors(buffers[0][operation], operation);
            Assert.That(contributors, Is.EqualTo("0,1").Or.EqualTo("0,1,2"), $"operation {operation}");
            Assert.That(buffers[1][operation].AsSpan().SequenceEqual(buffers[0][operation]), Is.True, $"operation {operation} differs");
            Assert.That(calls[0].Result.Results[operation].WorldSize, Is.EqualTo(contributors == "0,1" ? 2 : 3), "what each operation reports is what is in it");
            Assert.That(calls[1].Result.Results[operation].Contributors, Is.EqualTo(calls[0].Result.Results[operation].Contributors));
        }

        // The leaver's own call failed, unless everything had committed; what had not committed holds its input.
        if (!calls[2].IsCompletedSuccessfully)
        {
            Assert.That(async () => await calls[2].WaitAsync(Deadline), Throws.TypeOf<CollectiveException>().With.Property("Code").EqualTo(ErrorCode.NotConnected).Or.TypeOf<ObjectDisposedException>());
            Assert.That(Enumerable.Range(0, Operations).Select(o => Contributors(buffers[2][o], o)), Is.All.EqualTo("2").Or.EqualTo("0,1,2"));
        }
    }

    /// <summary>All others are gone before the end: too few peers, not success; what has not committed holds its input.</summary>
    [Test]
    public async Task EverybodyElseLeaves([Values(1, 4)] int maxInFlight)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var (own, other) = (NewBuffers(), NewBuffers());
        Fill(own, 0);
        Fill(other, 1);
        var call = peers[0].AllReduceMultipleWithRetryAsync(Requests(own), maxInFlight);
        for (var operation = 0; operation < 3; operation++)
        {
            await peers[1].AllReduceAsync<long>(other[operation], tag: (ulong)operation).WaitAsync(Deadline);
        }

        await peers[1].DisposeAsync().AsTask().WaitAsync(Deadline);
        AssertFailure(await FailureOf(() => call), ErrorCode.TooFewPeers, "alone");
        Assert.That(Enumerable.Range(0, Operations).Select(o => Contributors(own[o], o)), Is.EqualTo(Enumerable.Range(0, Operations).Select(o => o < 3 ? "0,1" : "0")));
    }

    [Test]
    public async Task AMismatchOfOneIsReported()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var failures = await All(Enumerable.Range(0, 2), p => FailureOf(() => peers[p].AllReduceMultipleWithRetryAsync(
            [AllReduceRequest.InPlace<long>(new long[10], 0), AllReduceRequest.InPlace<long>(new long[10 + p], 1), AllReduceRequest.InPlace<long>(new long[10], 2)], 1)));
        foreach (var failure in failures)
        {
            AssertFailure(failure, ErrorCode.Mismatch, "count", "tag 1");
        }

        await All(peers, p => p.AllReduceAsync<long>(new long[10], tag: 1));
    }

    private static long[][] NewBuffers() => [.. Enumerable.Range(0, Operations).Select(_ => new long[Elements])];

    private static void Fill(long[][] buffers, int peer)
    {
        for (var operation = 0; operation < Operations; operation++)
        {
            for (var e = 0; e < Elements; e++)
            {
                buffers[operation][e] = Value(peer, operation, e);
            }
        }
    }

    /// <summary>A digit of its own for each peer, so that a sum tells who is in it.</summary>
    private static long Value(int peer, int operation, int element) => (1L << (20 * peer)) * (1 + ((operation + element) % 1000));

    /// <summary>Whose sum this is, when every element agrees.</summary>
    private static string Contributors(long[] result, int operation)
    {
        for (var set = 1; set < 8; set++)
        {
            var members = Enumerable.Range(0, 3).Where(p => (set & (1 << p)) != 0).ToArray();
            var matches = true;
            for (var e = 0; e < result.Length && matches; e++)
            {
                long expected = 0;
                foreach (var member in members)
                {
                    expected += Value(member, operation, e);
                }

                matches = result[e] == expected;
            }

            if (matches)
            {
                return string.Join(",", members);
            }
        }

        return "nobody's";
    }

    private static AllReduceRequest[] Requests(long[][] buffers) => [.. buffers.Select((b, tag) => AllReduceRequest.InPlace<long>(b, (ulong)tag))];
}
