using NUnit.Framework;

namespace Collective.EndToEnd.SharedStates;

/// <summary>A peer whose call does not fit leaves the run; the others succeed in the same call, and none of their programs sees an error.</summary>
internal sealed class MisfitTests : SharedStateTest
{
    [Test]
    public async Task TheOthersGoOnAndTheMisfitMayComeBack()
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 2);
        await Sync(peers, [State(null, ("w", Filled(1))), State(null, ("w", Filled(1)))]);
        var misfit = await Admit(peers, NewCommunicator(master));
        var (id, theirs) = (misfit.Id, Filled(7, Bytes + 1));
        var failing = FailureOf(() => misfit.SynchronizeSharedStateAsync(State(null, ("w", theirs))));
        var results = await Sync(peers, [State(null, ("w", Filled(2))), State(null, ("w", Filled(2)))]);
        var failure = await failing;
        AssertFailure(failure, ErrorCode.Mismatch, "\"w\" has 1025 elements", "has 1024", "has left the run", "connect again");
        Assert.That(theirs, Is.EqualTo(Filled(7, Bytes + 1)));
        AssertNothingMoved(results);
        Assert.That(results.Select(r => r.LeftOut.Single().Id), Is.All.EqualTo(id));

        // The next call of the others is one of two peers; the next one of the misfit says why it is out.
        Assert.That((await All(peers, p => p.AllReduceAsync<int>(new int[3]))).Select(r => r.World.WorldSize), Is.All.EqualTo(2));
        AssertFailure(await FailureOf(() => misfit.StepAsync()), ErrorCode.Evicted, "does not fit the sync of the shared state");

        await Admit(peers, misfit);
        var mended = Filled(7);
        await Sync([.. peers, misfit], [State(null, ("w", Filled(3))), State(null, ("w", Filled(3))), State(null, ("w", mended))]);
        Assert.That(mended, Is.EqualTo(Filled(3)));
    }

    [Test]
    public async Task ManyNewcomersDoNotOutvoteOneThatHasSynchronized()
    {
        var master = StartMaster();
        var veteran = await ConnectAlone(master);
        await veteran.SynchronizeSharedStateAsync(State(null, ("w", Filled(1))));
        var peers = new List<Communicator> { veteran };
        while (peers.Count < 4)
        {
            peers.Add(await Admit(peers, NewCommunicator(master)));
        }

        var failures = await Failures(peers, [.. peers.Select((_, i) => State(null, (i == 0 ? "w" : "x", Filled((byte)i))))], SyncStrategy.EnforcePopular);
        Assert.That(failures[0], Is.Null);
        Assert.That(failures.Skip(1).Select(f => f!.Code), Is.All.EqualTo(ErrorCode.Mismatch));
    }

    /// <summary>Nobody knows which of two that differ is right, and an id is no reason to go.</summary>
    [Test]
    public async Task OneEachIsNoMajority()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var failures = await Failures(peers, [State(null, ("w", Filled(1))), State(null, ("w", Filled(1, 10)))], SyncStrategy.EnforcePopular);
        AssertFailure(failures[0]!, ErrorCode.Mismatch, "has 1024 elements", "has 10", "neither could be elected");
        AssertFailure(failures[1]!, ErrorCode.Mismatch, "has 10 elements", "has 1024", "neither could be elected");
        Assert.That((await Sync(peers, [State(null, ("w", Filled(1))), State(null, ("w", Filled(1)))])).SelectMany(r => r.LeftOut), Is.Empty);
    }
}
