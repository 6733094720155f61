using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Who is admitted when, and into which group.</summary>
internal sealed class MembershipTests : EndToEndTest
{
    [TestCase(0u, 0u)]
    [TestCase(0u, 7u)]
    public async Task NewcomersAreAdmittedByUpdateTopology(uint firstGroup, uint secondGroup)
    {
        var master = StartMaster();
        var first = NewCommunicator(master, group: firstGroup);
        await first.ConnectAsync().WaitAsync(Deadline);
        Assert.That(first.World.GlobalWorldSize, Is.EqualTo(1));

        var second = NewCommunicator(master, group: secondGroup);
        await Admit([first], 2, second.ConnectAsync());
        Assert.That(first.World.GlobalWorldSize, Is.EqualTo(2));
        var sameGroup = firstGroup == secondGroup;
        foreach (var peer in new[] { first, second })
        {
            Assert.That(peer.GetAttribute(CommunicatorAttribute.GlobalWorldSize), Is.EqualTo(2));
            Assert.That(peer.GetAttribute(CommunicatorAttribute.PeerGroupWorldSize), Is.EqualTo(sameGroup ? 2 : 1));
            Assert.That(peer.GetAttribute(CommunicatorAttribute.NumberOfDistinctPeerGroups), Is.EqualTo(sameGroup ? 1 : 2));
            Assert.That(peer.GetAttribute(CommunicatorAttribute.LargestPeerGroupWorldSize), Is.EqualTo(sameGroup ? 2 : 1));
        }
    }

    [Test]
    public async Task APendingPeerIsSeenByAllAndNotAdmittedByReducing()
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 2);
        Assert.That(await All(peers, p => p.ArePeersPendingAsync()), Is.All.False);

        var newcomer = NewCommunicator(master);
        var connecting = newcomer.ConnectAsync();
        await ArePending(peers, connecting);

        var results = await All(peers, p => p.AllReduceAsync<int>(new int[10]));
        Assert.That(results.Select(r => r.WorldSize), Is.All.EqualTo(2));
        Assert.That(connecting.IsCompleted, Is.False);
        Assert.That(newcomer.IsConnected, Is.False);

        await All(peers, p => p.UpdateTopologyAsync());
        await connecting.WaitAsync(Deadline);
        Assert.That(await All(peers.Append(newcomer), p => p.ArePeersPendingAsync()), Is.All.False);
        Assert.That((await All(peers.Append(newcomer), p => p.AllReduceAsync<int>(new int[10]))).Select(r => r.WorldSize), Is.All.EqualTo(3));
    }

    [Test]
    public async Task MinimumWorldSizeWaitsForTheWholeGroup([Values(1, 2, 4)] int worldSize)
    {
        var master = StartMaster();
        var peers = Enumerable.Range(0, worldSize).Select(_ => NewCommunicator(master, worldSize)).ToArray();
        var first = peers[0].ConnectAsync();
        if (worldSize > 1)
        {
            Assert.That(first.IsCompleted, Is.False);
        }

        await Task.WhenAll([first, .. peers.Skip(1).Select(p => p.ConnectAsync())]).WaitAsync(Deadline);
        Assert.That(peers.Select(p => p.World.WorldSize), Is.All.EqualTo(worldSize));
        Assert.That(peers.Select(p => p.World.Epoch).Distinct().Count(), Is.EqualTo(1));
        Assert.That(peers.Select(p => p.World.Peers), Is.All.EqualTo(peers[0].World.Peers));
        Assert.That(ByRank(peers).Select(p => p.Id), Is.EqualTo(peers[0].World.Peers));
    }

    [Test]
    public async Task GroupsAreIndependent()
    {
        var master = StartMaster();
        var left = Enumerable.Range(0, 2).Select(_ => NewCommunicator(master, group: 1)).ToArray();
        var right = Enumerable.Range(0, 3).Select(_ => NewCommunicator(master, group: uint.MaxValue)).ToArray();
        await ConnectOneAfterTheOther([.. left, .. right]);

        var rightEpoch = right[0].World.Epoch;
        var running = right.Select(p => p.AllReduceAsync<int>(new int[100], tag: 5)).Take(2).ToArray(); // The third has not called yet.
        await left[1].DisposeAsync();
        AssertFailure(await FailureOf(() => ReduceUntilNotAborted(left[0])), ErrorCode.TooFewPeers, "update topology");
        await right[2].AllReduceAsync<int>(new int[100], tag: 5).WaitAsync(Deadline);
        await Task.WhenAll(running).WaitAsync(Deadline);
        Assert.That(right.Select(p => p.World.Epoch), Is.All.EqualTo(rightEpoch), "a loss in another group is no news");
    }

    [TestCase("[::1]:0", "[::1]")]
    [TestCase("127.0.0.1:0", "localhost")]
    [TestCase("localhost:0", "localhost")]
    public async Task TheMasterIsReachedByAddressAndByName(string listen, string host)
    {
        var master = StartMaster(listen: listen);
        var peers = Enumerable.Range(0, 2).Select(_ => NewCommunicator(new CommunicatorOptions($"{host}:{master.EndPoint.Port}") { MinimumWorldSize = 2, ListenPort = 0, LoggerFactory = Log })).ToArray();
        await All(peers, p => p.ConnectAsync());
        var buffers = new int[][] { [1, 2, 3], [10, 20, 30] };
        await All(Enumerable.Range(0, 2), i => peers[i].AllReduceAsync<int>(buffers[i]));
        Assert.That(buffers, Is.All.EqualTo(new[] { 11, 22, 33 }));
    }

    [Test]
    public async Task ACommunicatorConnectsAgainAfterTheMasterWasRestarted()
    {
        var master = StartMaster();
        var port = master.EndPoint.Port;
        var peers = await ConnectGroup(master, 2);
        var ids = Array.ConvertAll(peers, p => p.Id);
        await master.DisposeAsync();
        foreach (var peer in peers)
        {
            AssertFailure(await FailureOf(async () =>
            {
                while (true)
                {
                    await peer.UpdateTopologyAsync();
                }
            }), ErrorCode.MasterLost, "connect");
            Assert.That(peer.IsConnected, Is.False);
        }

        StartMaster(listen: $"127.0.0.1:{port}");
        await All(peers, p => p.ConnectAsync());
        Assert.That(peers.Select(p => p.Id), Is.Not.EquivalentTo(ids));
        Assert.That((await All(peers, p => p.AllReduceAsync<int>(new int[3]))).Select(r => r.WorldSize), Is.All.EqualTo(2));
    }

    /// <summary>The program that everybody writes first: connect, then reduce in a loop. Nobody calls update topology.</summary>
    [Test]
    public async Task TheNaiveProgramMeets()
    {
        var master = StartMaster();
        await All(Enumerable.Range(1, 2), async value =>
        {
            var peer = NewCommunicator(master);
            await peer.ConnectAsync();
            for (var done = 0; done < 10;)
            {
                var buffer = new[] { value, 100 * value };
                try
                {
                    await peer.AllReduceAsync<int>(buffer);
                    Assert.That(buffer, Is.EqualTo(new[] { 3, 300 }));
                    done++;
                }
                catch (CollectiveException e) when (e.Code == ErrorCode.TooFewPeers)
                {
                    Assert.That(buffer, Is.EqualTo(new[] { value, 100 * value }));
                }
            }
        });
    }

    /// <summary>A peer alone gives up its reduce just when its wish has let a newcomer in, and votes at once: it must not be taken for a liar.</summary>
    [Test]
    public async Task ALonePeerMayCancelItsReduceAndVoteWhileANewcomerIsLetIn()
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
        var connecting = second.ConnectAsync();
        await registered.Task.WaitAsync(Deadline);

        using var cancellation = new CancellationTokenSource();
        var reducing = first.AllReduceAsync<int>(new int[3], cancellationToken: cancellation.Token);
        await cancellation.CancelAsync();
        var updating = first.UpdateTopologyAsync();
        try
        {
            await reducing.WaitAsync(Deadline);
            Assert.Fail("the cancelled reduce succeeded");
        }
        catch (OperationCanceledException)
        {
            // As it should be.
        }

        await connecting.WaitAsync(Deadline);
        await second.UpdateTopologyAsync().WaitAsync(Deadline); // Also the vote that the first one may still wait for.
        await updating.WaitAsync(Deadline);
        Assert.That(first.World.WorldSize, Is.EqualTo(2));
    }

    /// <summary>Who asks for more peers than there are stays pending: nobody waits for it, and nobody loses a call to it.</summary>
    [Test]
    public async Task AMinimumThatIsNotReachedHoldsNobodyUp()
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 2);
        var registrations = new SemaphoreSlim(0);
        var third = NewCommunicator(master, minimumWorldSize: 4, probe: point =>
        {
            if (point == "receive:Welcome")
            {
                registrations.Release();
            }
        });
        AssertFailure(await FailureOf(() => third.ConnectAsync(TimeSpan.FromSeconds(4))), ErrorCode.TimedOut, "minimum world size", "(4)");
        await Log.Says(Deadline, "Collective.Master", " of group 0 left"); // Else the one that gave up still counts.
        await registrations.WaitAsync().WaitAsync(Deadline);
        var connecting = third.ConnectAsync();
        await registrations.WaitAsync().WaitAsync(Deadline); // Before the fourth, which would be admitted alone.
        Assert.That(await All(peers, p => p.ArePeersPendingAsync()), Is.All.False);
        await All(peers, p => p.UpdateTopologyAsync());
        await All(peers, p => p.AllReduceAsync<int>(new int[3]));

        var joining = NewCommunicator(master).ConnectAsync();
        await Admit(peers, 4, connecting, joining);
    }

    private static async Task ConnectOneAfterTheOther(Communicator[] peers)
    {
        for (var i = 0; i < peers.Length; i++)
        {
            var connected = peers.Take(i).ToArray();
            await Admit(connected, i + 1, peers[i].ConnectAsync());
        }
    }

    private static async Task ReduceUntilNotAborted(Communicator peer)
    {
        while (true)
        {
            try
            {
                await peer.AllReduceAsync<int>(new int[100], tag: 5);
                return;
            }
            catch (CollectiveException e) when (e.Code == ErrorCode.OperationAborted)
            {
                // It had entered before it heard of the loss.
            }
        }
    }

    /// <summary>Also when the epoch that the newcomer sees is not any more the one in which it was admitted.</summary>
    [Test]
    public async Task AStepTellsAllAlikeWhetherItAdmittedSomebody()
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 2);
        Assert.That(await All(peers, Admits), Is.All.True, "the step that admitted both is the first of both");
        Assert.That(await All(peers, Admits), Is.All.False);

        var newcomer = NewCommunicator(master);
        var connecting = newcomer.ConnectAsync();
        bool[] admitted;
        do
        {
            admitted = await All(peers, Admits);
            Assert.That(admitted.Distinct().Count(), Is.EqualTo(1));
        }
        while (!admitted[0] && !connecting.IsFaulted);

        await connecting.WaitAsync(Deadline);
        await peers[1].DisposeAsync();
        await Until(() => newcomer.LiveWorld.WorldSize == 2);
        Assert.That(newcomer.World.WorldSize, Is.EqualTo(3), "between calls it does not change");
        Assert.That(newcomer.LiveWorld.HasNewcomers, Is.False, "it does not come from a call");
        Assert.That(await Admits(newcomer).WaitAsync(Deadline), Is.True);
        Assert.That(await All([peers[0], newcomer], Admits), Is.All.False);
        Assert.That((await All([peers[0], newcomer], p => p.UpdateTopologyAsync())).Select(w => w.HasNewcomers), Is.All.False);

        static async Task<bool> Admits(Communicator peer) => (await peer.StepAsync()).HasNewcomers;
    }

    /// <summary>What is lost between two calls shows in the live view only: else survivors of the same call would take different branches.</summary>
    [TestCase("all-reduce")]
    [TestCase("step")]
    [TestCase("optimize")]
    [TestCase("sync")]
    public async Task TheWorldChangesOnlyInsideCalls(string call)
    {
        var peers = await ConnectGroup(StartMaster(), 4);
        await All(peers, Call);
        var before = peers[0].World;
        await peers[3].DisposeAsync();
        var left = peers[..3];
        await Until(() => left.All(p => p.LiveWorld.WorldSize == 3));
        Assert.That(left.Select(p => p.World.WorldSize), Is.All.EqualTo(4), "the call had four");
        Assert.That(left.Select(p => p.World.Epoch), Is.All.EqualTo(before.Epoch));
        Assert.That(left.Select(p => p.GetAttribute(CommunicatorAttribute.GlobalWorldSize)), Is.All.EqualTo(4));

        await All(left, Call);
        Assert.That(left.Select(p => p.World.WorldSize), Is.All.EqualTo(3));
        Assert.That(left.Select(p => p.World.Epoch), Is.All.EqualTo(left[0].LiveWorld.Epoch));
        Assert.That(left.Select(p => p.World.GlobalWorldSize), Is.All.EqualTo(3));

        async Task<World> Call(Communicator peer)
        {
            switch (call)
            {
                case "all-reduce": return (await peer.AllReduceAsync<int>(new int[3])).World;
                case "step": await peer.StepAsync(); return await peer.StepAsync();
                case "optimize": return await peer.OptimizeTopologyAsync();
                default:
                    var state = new SharedState { Revision = (ulong)(5 - peer.LiveWorld.WorldSize) };
                    state.Add<float>("w", new float[3]);
                    await peer.SynchronizeSharedStateAsync(state);
                    return peer.World;
            }
        }
    }

    /// <summary>An aborted call ends for all in the same world, which the failure and the communicator tell.</summary>
    [Test]
    public async Task AfterAnAbortAllReadTheWorldInWhichTheyGoOn()
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        var calls = peers[..2].Select(p => FailureOf(() => p.AllReduceAsync<int>(new int[3]))).ToArray();
        Assert.That(await All(peers, p => p.ArePeersPendingAsync()), Is.All.False, "so the two have entered");
        await peers[2].DisposeAsync();
        var failures = await Task.WhenAll(calls).WaitAsync(Deadline);
        Assert.That(failures.Select(f => f.Code), Is.All.EqualTo(ErrorCode.OperationAborted));
        Assert.That(failures.Select(f => f.World!.WorldSize), Is.All.EqualTo(2));
        Assert.That(peers[..2].Select(p => p.World.Epoch), Is.All.EqualTo(failures[0].World!.Epoch));
        Assert.That(failures[1].World!.Epoch, Is.EqualTo(failures[0].World!.Epoch));
    }

    /// <summary>The others make their ring without it, which ends its links: it has left, so that is no news.</summary>
    [Test]
    public async Task APeerThatLeavesLogsNoLostLink()
    {
        var master = StartMaster();
        CommunicatorOptions OptionsOf(int peer) => new(master.EndPoint.ToString()) { MinimumWorldSize = 3, ListenPort = 0, LoggerFactory = peer == 0 ? Log.For("leaver") : Log };
        var peers = Enumerable.Range(0, 3).Select(i => NewCommunicator(OptionsOf(i))).ToArray();
        await All(peers, p => p.ConnectAsync());
        await All(peers, p => p.AllReduceAsync<int>(new int[3]));
        await peers[0].DisposeAsync();
        await Log.Says(Deadline, "leaver", "ended: left");
        Assert.That(Log.Lines.Where(l => l.Contains("leaver: Warning", StringComparison.Ordinal)), Is.Empty);
    }

    private static async Task Until(Func<bool> holds)
    {
        while (!holds())
        {
            await Task.Yield();
        }
    }
}
