using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Every call that waits can be cancelled; what that means for the others is as documented.</summary>
internal sealed class CancellationTests : EndToEndTest
{
    [Test]
    public async Task ConnectWhileWaitingToBeAdmitted()
    {
        var master = StartMaster();
        var first = await ConnectAlone(master);
        var registered = new TaskCompletionSource();
        var second = NewCommunicator(master, probe: point =>
        {
            if (point == "receive:Welcome")
            {
                registered.TrySetResult();
            }
        });
        using var cancellation = new CancellationTokenSource();
        var connecting = second.ConnectAsync(cancellationToken: cancellation.Token);
        await registered.Task.WaitAsync(Deadline);
        await cancellation.CancelAsync();
        await AssertCancelled(connecting);

        // As if it had never been: the first is alone, and the second may try again.
        Assert.That((await first.UpdateTopologyAsync().WaitAsync(Deadline)).WorldSize, Is.EqualTo(1));
        await Admit([first], 2, second.ConnectAsync());
    }

    [Test]
    public async Task ConnectWhileWaitingForTheMinimum()
    {
        var registered = new TaskCompletionSource();
        var communicator = NewCommunicator(StartMaster(), 2, probe: point =>
        {
            if (point == "receive:Welcome")
            {
                registered.TrySetResult();
            }
        });
        using var cancellation = new CancellationTokenSource();
        var connecting = communicator.ConnectAsync(cancellationToken: cancellation.Token);
        await registered.Task.WaitAsync(Deadline);
        await cancellation.CancelAsync();
        await AssertCancelled(connecting);
        Assert.That(communicator.IsConnected, Is.False);
    }

    [Test]
    public async Task ConnectBeforeItBegins()
    {
        var communicator = NewCommunicator(StartMaster());
        await AssertCancelled(communicator.ConnectAsync(cancellationToken: new CancellationToken(canceled: true)));
        await communicator.ConnectAsync().WaitAsync(Deadline);
    }

    [Test]
    public async Task UpdateTopologyWithdrawsTheVote()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        using var cancellation = new CancellationTokenSource();
        var voting = peers[0].UpdateTopologyAsync(cancellationToken: cancellation.Token);
        await cancellation.CancelAsync();
        await AssertCancelled(voting);
        await All(peers, p => ReduceAgain(p, new int[3], default));
        await All(peers, p => p.UpdateTopologyAsync());
    }

    [Test]
    public async Task ArePeersPendingWithdrawsTheQuestion()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        using var cancellation = new CancellationTokenSource();
        var asking = peers[0].ArePeersPendingAsync(cancellationToken: cancellation.Token);
        await cancellation.CancelAsync();
        await AssertCancelled(asking);
        await All(peers, p => p.UpdateTopologyAsync());
        Assert.That(await All(peers, p => p.ArePeersPendingAsync()), Is.All.False);
    }

    [Test]
    public async Task AReduceThatTheOthersHaveNotEntered([Values(10, 1_000_000)] int count)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var buffer = Enumerable.Range(0, count).ToArray();
        using var cancellation = new CancellationTokenSource();
        var reducing = peers[0].AllReduceAsync<int>(buffer, cancellationToken: cancellation.Token);
        await cancellation.CancelAsync();
        await AssertCancelled(reducing);
        Assert.That(buffer.AsSpan().SequenceEqual(Enumerable.Range(0, count).ToArray()), Is.True);
        await All(peers, p => ReduceAgain(p, new int[count], default));
        AssertNoLinkWasLost();
    }

    /// <summary>In the middle of a bulk operation: it ends for all, everybody has the input back, and the next one works on the same links.</summary>
    [Test]
    public async Task AReduceInFullSwing([Values(2, 3)] int worldSize, [Values(1, 8, 40)] int segmentsBefore)
    {
        const int Count = 1_000_000;
        var master = StartMaster(4096);
        using var cancellation = new CancellationTokenSource();
        using var launched = new ManualResetEventSlim();
        var segmentsLeft = segmentsBefore;
        var peers = Enumerable.Range(0, worldSize).Select(i => NewCommunicator(master, worldSize, probe: point =>
        {
            if (i == 0 && point == "segment-received" && Interlocked.Decrement(ref segmentsLeft) == 0)
            {
                launched.Wait(Deadline); // Who launches after the abort hears of none, and waits for the others in the next epoch.
                cancellation.Cancel();
            }
        })).ToArray();
        await All(peers, p => p.ConnectAsync());
        var inputs = peers.Select((_, i) => Enumerable.Range(i, Count).ToArray()).ToArray();
        var buffers = Array.ConvertAll(inputs, input => (int[])input.Clone());
        var calls = peers.Select((p, i) => p.AllReduceAsync<int>(buffers[i], cancellationToken: i == 0 ? cancellation.Token : default)).ToArray();
        launched.Set();
        await AssertCancelled(calls[0]);
        foreach (var other in calls.Skip(1))
        {
            AssertFailure(await FailureOf(() => other), ErrorCode.OperationAborted, peers[0].Id.ToShortString(), "cancelled", "call it again");
        }

        Assert.That(buffers.Zip(inputs, (b, i) => b.AsSpan().SequenceEqual(i)), Is.All.True, "an input was not restored");
        await All(Enumerable.Range(0, worldSize), i => peers[i].AllReduceAsync<int>(buffers[i]));
        var expected = Enumerable.Range(0, Count).Select(e => (worldSize * e) + (worldSize * (worldSize - 1) / 2)).ToArray();
        Assert.That(buffers.Select(b => b.AsSpan().SequenceEqual(expected)), Is.All.True);
        AssertNoLinkWasLost();
    }

    [Test]
    public async Task ACancelledBatchIsWhollyOverWhenItEnds()
    {
        var master = StartMaster();
        var finished = 0;
        var slow = NewCommunicator(master, 2, probe: point =>
        {
            if (point == "finish-operation")
            {
                for (var i = 0; i < 1_000; i++)
                {
                    Thread.Yield(); // Gives a batch that ends too early the chance to be caught.
                }

                Interlocked.Increment(ref finished);
            }
        });
        var peers = new[] { slow, NewCommunicator(master, 2) };
        await All(peers, p => p.ConnectAsync());
        var buffers = Enumerable.Range(0, 8).Select(tag => Enumerable.Range(tag, 100_000).ToArray()).ToArray();
        using var cancellation = new CancellationTokenSource();
        AllReduceRequest[] requests = [.. buffers.Select((b, tag) => AllReduceRequest.InPlace<int>(b, (ulong)tag))];
        var running = peers[0].AllReduceMultipleWithRetryAsync(requests, 8, cancellationToken: cancellation.Token);
        await cancellation.CancelAsync();
        await AssertCancelled(running);
        Assert.That(Volatile.Read(ref finished), Is.EqualTo(8), "the caller may use the buffers now: nothing may be in flight");
        var update = peers[0].UpdateTopologyAsync();
        Assert.That(buffers.Select((b, tag) => b.AsSpan().SequenceEqual(Enumerable.Range(tag, 100_000).ToArray())), Is.All.True);
        await peers[1].UpdateTopologyAsync().WaitAsync(Deadline);
        await update.WaitAsync(Deadline);
    }

    private void AssertNoLinkWasLost()
        => Assert.That(Log.Lines.Where(l => l.Contains("Link ", StringComparison.Ordinal) && l.Contains(" lost ", StringComparison.Ordinal)), Is.Empty, "who cancels breaks no link");

    /// <summary>Reduces; a peer that had entered before the others' cancellation reached it, once more.</summary>
    private static async Task ReduceAgain(Communicator peer, int[] buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await peer.AllReduceAsync<int>(buffer, cancellationToken: cancellationToken);
                return;
            }
            catch (CollectiveException e) when (e.Code == ErrorCode.OperationAborted)
            {
                // Again.
            }
        }
    }

    private static async Task AssertCancelled(Task call)
    {
        try
        {
            await call.WaitAsync(Deadline);
        }
        catch (OperationCanceledException)
        {
            return;
        }

        Assert.Fail("the cancelled call succeeded");
    }
}
