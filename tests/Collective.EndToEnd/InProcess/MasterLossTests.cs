using System.Net;
using System.Net.Sockets;
using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>The master ends while peers depend on it: every call that is pending says so, and inputs are what they were.</summary>
internal sealed class MasterLossTests : EndToEndTest
{
    [Test]
    public async Task WhilePeersWait([Values(10, 1_000_000)] int count)
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 3);
        var buffers = peers.Take(2).Select((_, i) => Enumerable.Range(i, count).ToArray()).ToArray();
        var calls = new List<Task>(buffers.Select((b, i) => peers[i].AllReduceAsync<int>(b))) { peers[0].ArePeersPendingAsync() };
        await master.DisposeAsync();
        foreach (var call in calls)
        {
            AssertFailure(await FailureOf(() => call), ErrorCode.MasterLost, "connect a new one");
        }

        for (var i = 0; i < buffers.Length; i++)
        {
            Assert.That(buffers[i].AsSpan().SequenceEqual(Enumerable.Range(i, count).ToArray()), Is.True);
        }

        AssertFailure(await FailureOf(() => UntilItFails(peers[2], new int[count])), ErrorCode.MasterLost);
        Assert.That(peers.Select(p => p.IsConnected), Is.All.False);
    }

    [Test]
    public async Task InTheMiddleOfAReduce(
        [Values("segment-sent#1", "segment-received#1", "segment-received#9", "before-send:CollectiveDone#1", "after-send:CollectiveDone#1", "before-send:CollectiveDone#3")] string at)
    {
        const int Count = 500_000;
        var (point, occurrence) = (at.Split('#')[0], int.Parse(at.Split('#')[1], null));
        var master = StartMaster(4096);
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var left = occurrence;
        var peers = Enumerable.Range(0, 3).Select(i => NewCommunicator(master, 3, probe: passed =>
        {
            if (i == 0 && passed == point && Interlocked.Decrement(ref left) == 0)
            {
                reached.SetResult();
            }
        })).ToArray();
        await All(peers, p => p.ConnectAsync());
        var calls = peers.Select((p, i) => LoopUntilItFails(p, i, Count)).ToArray();
        await reached.Task.WaitAsync(Deadline);
        await master.DisposeAsync();
        foreach (var failure in await Task.WhenAll(calls).WaitAsync(Deadline))
        {
            AssertFailure(failure, ErrorCode.MasterLost, "connect a new one");
        }
    }

    /// <summary>Reduces until the master is gone; every result is right, and the input of the failed one is restored.</summary>
    private static async Task<CollectiveException> LoopUntilItFails(Communicator peer, int index, int count)
    {
        var buffer = new int[count];
        for (var step = 0; ; step++)
        {
            for (var e = 0; e < count; e++)
            {
                buffer[e] = step + index + e;
            }

            try
            {
                await peer.AllReduceAsync<int>(buffer);
                Assert.That(FirstWrong(e => (3 * (step + e)) + 3), Is.EqualTo(-1), $"sum of step {step}");
            }
            catch (CollectiveException e)
            {
                Assert.That(FirstWrong(i => step + index + i), Is.EqualTo(-1), $"input of step {step}");
                return e;
            }
        }

        int FirstWrong(Func<int, int> expected)
        {
            for (var e = 0; e < count; e++)
            {
                if (buffer[e] != expected(e))
                {
                    return e;
                }
            }

            return -1;
        }
    }

    private static async Task UntilItFails(Communicator peer, int[] buffer)
    {
        while (true)
        {
            await peer.AllReduceAsync<int>(buffer);
        }
    }

    /// <summary>The port is free when disposal is done, though peers are just connecting.</summary>
    [Test]
    public async Task AnotherMasterListensAtTheSameAddress()
    {
        var listen = new IPEndPoint(IPAddress.Loopback, 0);
        for (var run = 0; run < 20; run++)
        {
            await using var master = CollectiveMaster.Start(new MasterOptions { Listen = listen.ToString() });
            listen = master.EndPoint;
            for (var peer = 0; peer < 4; peer++)
            {
                _ = Knock(listen);
            }
        }

        static async Task Knock(IPEndPoint master)
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(master);
            }
            catch (SocketException)
            {
                // It was too late.
            }
        }
    }
}
