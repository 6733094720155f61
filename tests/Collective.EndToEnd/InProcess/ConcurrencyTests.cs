using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Several collectives in flight at once.</summary>
internal sealed class ConcurrencyTests : EndToEndTest
{
    private const int InFlightMax = 256;

    [Test]
    public async Task TwoTagsAtOnce()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var sums = peers.Select((_, i) => Enumerable.Range(0, 256).Select(e => e * (i + 1)).ToArray()).ToArray();
        var maxima = peers.Select((_, i) => Enumerable.Range(0, 256).Select(e => i == 0 ? e : 255 - e).ToArray()).ToArray();
        var running = peers.SelectMany((p, i) => new[] { p.AllReduceAsync<int>(sums[i], ReduceOperation.Sum, 123), p.AllReduceAsync<int>(maxima[i], ReduceOperation.Max, 456) });
        await Task.WhenAll(running).WaitAsync(Deadline);
        Assert.That(sums, Is.All.EqualTo(Enumerable.Range(0, 256).Select(e => 3 * e)));
        Assert.That(maxima, Is.All.EqualTo(Enumerable.Range(0, 256).Select(e => Math.Max(e, 255 - e))));
    }

    /// <summary>64 tags, launched by four threads of each of three peers, each in an order of its own; some need a Go, most do not.</summary>
    [Test]
    public async Task ManyTagsFromManyThreadsInAnyOrder([Values(1, 2, 3)] int seed)
    {
        const int Tags = 64;
        const int Threads = 4;
        var peers = await ConnectGroup(StartMaster(4096), 3);
        var results = new long[peers.Length, Tags][];
        await Task.WhenAll(peers.SelectMany((peer, p) => Enumerable.Range(0, Threads).Select(thread => OnThread(() =>
        {
            var tags = Enumerable.Range(0, Tags).Where(t => t % Threads == thread).ToArray();
            new Random((seed * 1000) + (p * Threads) + thread).Shuffle(tags);
            var running = tags.Select(tag =>
            {
                results[p, tag] = [.. Enumerable.Range(0, 1 + (tag * 400)).Select(e => ((long)p << 32) + (tag * e))];
                return peer.AllReduceAsync<long>(results[p, tag], ReduceOperation.Sum, (ulong)tag);
            }).ToArray();
            Task.WaitAll(running, Deadline);
        })))).WaitAsync(Deadline);
        for (var tag = 0; tag < Tags; tag++)
        {
            var expected = Enumerable.Range(0, 1 + (tag * 400)).Select(e => (3L << 32) + (3L * tag * e)).ToArray();
            for (var p = 0; p < peers.Length; p++)
            {
                Assert.That(results[p, tag].AsSpan().SequenceEqual(expected), Is.True, $"tag {tag} on peer {p}");
            }
        }
    }

    [Test]
    public async Task ATagInUseIsRefusedAndTheFirstUseGoesOn()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var first = new[] { 1, 2, 3 };
        var running = peers[0].AllReduceAsync<int>(first, tag: 9);
        var second = new[] { 7 };
        AssertFailure(await FailureOf(() => peers[0].AllReduceAsync<int>(second, tag: 9)), ErrorCode.InvalidArgument, "tag 9", "in use");
        Assert.That(second, Is.EqualTo(new[] { 7 }));
        await peers[1].AllReduceAsync<int>(new[] { 10, 20, 30 }, tag: 9).WaitAsync(Deadline);
        await running.WaitAsync(Deadline);
        Assert.That(first, Is.EqualTo(new[] { 11, 22, 33 }));
        await All(peers, p => p.AllReduceAsync<int>(new int[3], tag: 9));
    }

    [Test]
    public async Task TheTopologyIsNotUpdatedWhileACollectiveIsInFlight()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var buffers = new int[][] { [1], [2] };
        var first = peers[0].AllReduceAsync<int>(buffers[0]);
        AssertFailure(await FailureOf(() => peers[0].UpdateTopologyAsync()), ErrorCode.PendingOperations, "await");
        await peers[1].AllReduceAsync<int>(buffers[1]).WaitAsync(Deadline);
        await first.WaitAsync(Deadline);
        Assert.That(buffers, Is.All.EqualTo(new[] { 3 }));
        await All(peers, p => p.UpdateTopologyAsync());
    }

    [Test]
    public async Task OneTooManyInFlightIsRefusedAndTheOthersFinish()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var buffers = peers.Select((_, p) => Enumerable.Range(0, InFlightMax).Select(tag => new[] { (p * 1000) + tag }).ToArray()).ToArray();
        var first = buffers[0].Select((b, tag) => peers[0].AllReduceAsync<int>(b, tag: (ulong)tag)).ToArray();
        AssertFailure(await FailureOf(() => peers[0].AllReduceAsync<int>(new int[1], tag: InFlightMax)), ErrorCode.LimitExceeded, "256", "await");
        var second = buffers[1].Select((b, tag) => peers[1].AllReduceAsync<int>(b, tag: (ulong)tag)).ToArray();
        await Task.WhenAll([.. first, .. second]).WaitAsync(Deadline);
        for (var tag = 0; tag < InFlightMax; tag++)
        {
            Assert.That(new[] { buffers[0][tag][0], buffers[1][tag][0] }, Is.All.EqualTo(1000 + (2 * tag)));
        }

        await All(peers, p => p.AllReduceAsync<int>(new int[1], tag: InFlightMax));
    }

    [Test]
    public async Task BlockingCallsMeetAsynchronousOnes()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var source = new[] { 1.5, 2.5 };
        var destination = new double[2];
        var inPlace = new[] { 10.0, 20.0 };
        await Task.WhenAll(
            OnThread(() =>
            {
                peers[0].AllReduce<double>(source, destination);
                peers[0].AllReduce<double>(destination, ReduceOperation.Max, 5);
            }),
            ((Func<Task>)(async () =>
            {
                await peers[1].AllReduceAsync<double>(inPlace);
                await peers[1].AllReduceAsync<double>(inPlace, ReduceOperation.Max, 5);
            }))()).WaitAsync(Deadline);
        Assert.That(source, Is.EqualTo(new[] { 1.5, 2.5 }));
        Assert.That(destination, Is.EqualTo(new[] { 11.5, 22.5 }));
        Assert.That(inPlace, Is.EqualTo(destination));
    }

    /// <summary>A trainer may block every thread of the pool: neither the master in its process nor a peer depends on them.</summary>
    [Test]
    [NonParallelizable]
    public void AHostThatBlocksTheThreadPoolCostsNobodyItsPlace()
    {
        var heartbeat = TimeSpan.FromSeconds(2);
        var peers = ConnectGroup(StartMaster(heartbeat: heartbeat), 2).GetAwaiter().GetResult();
        using var release = new ManualResetEventSlim();
        var blocked = Enumerable.Range(0, 200).Select(_ => Task.Run(release.Wait)).ToArray();
        var began = Environment.TickCount64;
        var failures = new List<Exception>();
        var threads = peers.Select(peer => new Thread(() =>
        {
            try
            {
                var goesOn = new int[1];
                do
                {
                    goesOn[0] = Environment.TickCount64 - began < 2.5 * heartbeat.TotalMilliseconds ? 1 : 0;
                    peer.AllReduce<int>(goesOn, ReduceOperation.Min);
                }
                while (goesOn[0] == 1);
            }
            catch (Exception e)
            {
                lock (failures)
                {
                    failures.Add(e);
                }
            }
        })).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        release.Set();
        Assert.That(failures, Is.Empty);
        Assert.That(Task.WaitAll(blocked, Deadline), Is.True);
    }
}
