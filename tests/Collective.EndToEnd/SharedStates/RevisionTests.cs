using NUnit.Framework;

namespace Collective.EndToEnd.SharedStates;

/// <summary>Versions of the shared state: who is up to date, who follows, who is refused.</summary>
internal sealed class RevisionTests : SharedStateTest
{
    [Test]
    public async Task EqualStepsNeverMoveAnything()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var contents = peers.Select(_ => new byte[Bytes]).ToArray();
        var states = contents.Select(c => State(0, ("a", c))).ToArray();
        for (byte step = 0; step < 5; step++)
        {
            foreach (var (content, state) in contents.Zip(states))
            {
                content.AsSpan().Fill(step);
                state.Revision = step;
            }

            var results = await Sync(peers, states);
            AssertNothingMoved(results);
            Assert.That(results.Select(r => r.Revision), Is.All.EqualTo(step));
            Assert.That(states.Select(s => s.Revision), Is.All.EqualTo(step));
        }
    }

    /// <summary>A follower does not count steps itself: it takes content when there is another, and always the revision.</summary>
    [Test]
    public async Task AFollowerIsDraggedAlong([Values] bool contentAdvances)
    {
        var peers = await ConnectGroup(StartMaster(), 3);
        byte[][] contents = [Filled(42), Filled(42), Filled(1)];
        var states = contents.Select(c => State(0, ("a", c))).ToArray();
        for (byte step = 0; step < 5; step++)
        {
            foreach (var leading in new[] { 0, 1 })
            {
                states[leading].Revision = step;
                contents[leading].AsSpan().Fill((byte)(contentAdvances ? 42 + step : 42));
            }

            var results = await Sync(peers, states);
            var moves = step == 0 || contentAdvances;
            Assert.That(results[2].BytesReceived, Is.EqualTo(moves ? Bytes : 0), $"step {step}");
            Assert.That(results[0].BytesSent + results[1].BytesSent, moves ? Is.AtLeast(Bytes) : Is.Zero);
            Assert.That(results[0].BytesReceived + results[1].BytesReceived, Is.Zero);
            Assert.That(states[2].Revision, Is.EqualTo(step));
            Assert.That(contents[2], Is.EqualTo(contents[0]));
        }
    }

    [Test]
    public async Task WhoSkipsARevisionIsToldAndNothingIsLost()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        byte[][] contents = [Filled(1), Filled(1)];
        var states = contents.Select(c => State(0, ("a", c))).ToArray();
        await Sync(peers, states);
        states[0].Revision = 2;
        states[1].Revision = 1;
        contents[1].AsSpan().Fill(9);
        var failures = await Failures(peers, states, SyncStrategy.EnforcePopular);
        AssertFailure(failures[0]!, ErrorCode.RevisionMismatch, "its revision is 2", "the next one of the group is 1");
        AssertFailure(failures[1]!, ErrorCode.SyncFailed, peers[0].Id.ToShortString(), "its revision is 2", "call it again");
        Assert.That(states.Select(s => s.Revision), Is.EqualTo(new ulong[] { 2, 1 }));
        Assert.That(contents, Is.EqualTo(new[] { Filled(1), Filled(9) }));

        // Nobody had to go, and the revision was not consumed.
        states[0].Revision = 1;
        Assert.That((await Sync(peers, states)).Select(r => r.Revision), Is.All.EqualTo(1));
        Assert.That(contents[0], Is.EqualTo(contents[1]));
    }

    [Test]
    public async Task TheFirstSyncResumesFromACheckpoint([Values] bool checkpointVotesFirst)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        byte[][] contents = [Filled(1), Filled(2)];
        var states = new[] { State(13, ("a", contents[0])), State(0, ("a", contents[1])) };
        var order = checkpointVotesFirst ? new[] { 0, 1 } : [1, 0];
        var calls = order.Select(i => peers[i].SynchronizeSharedStateAsync(states[i])).ToArray();
        var results = await Task.WhenAll(calls).WaitAsync(Deadline);
        Assert.That(results.Select(r => r.Revision), Is.All.EqualTo(13));
        Assert.That(states.Select(s => s.Revision), Is.All.EqualTo(13));
        Assert.That(contents, Is.All.EqualTo(Filled(1)));
        Assert.That(results[Array.IndexOf(order, 1)].BytesReceived, Is.EqualTo(Bytes));
    }

    [Test]
    public async Task WhenAllForgetToCountTheyAreTold()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var states = peers.Select(_ => State(5, ("a", Filled(1)))).ToArray();
        await Sync(peers, states);
        var failures = await Failures(peers, states, SyncStrategy.EnforcePopular);
        Assert.That(failures.Select(f => f!.Code), Is.All.EqualTo(ErrorCode.RevisionMismatch));
        AssertFailure(failures[0]!, ErrorCode.RevisionMismatch, "its revision is 5", "the next one of the group, 6");
    }

    [Test]
    public async Task TheExpectedRevisionIsForgottenWhenTheGroupEmpties()
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 2);
        await Sync(peers, [State(7, ("a", Filled(1))), State(7, ("a", Filled(1)))]);
        foreach (var peer in peers)
        {
            await peer.DisposeAsync();
        }

        var others = await ConnectGroup(master, 2);
        Assert.That((await Sync(others, [State(3, ("a", Filled(1))), State(3, ("a", Filled(1)))])).Select(r => r.Revision), Is.All.EqualTo(3));
    }

    [Test]
    public async Task MembersChangeBetweenSyncs()
    {
        var master = StartMaster();
        var peers = (await ConnectGroup(master, 2)).ToList();
        var contents = new List<byte[]> { Filled(1), Filled(1) };
        var states = contents.Select(c => State(0, ("a", c))).ToList();
        AssertNothingMoved(await Sync(peers, states));
        states.ForEach(s => s.Revision++);
        AssertNothingMoved(await Sync(peers, states));
        peers.Add(await Admit(peers, NewCommunicator(master)));
        contents.Add(Filled(99));
        states.Add(State(0, ("a", contents[2])));
        states[0].Revision = states[1].Revision = 2;
        var results = await Sync(peers, states);
        Assert.That(results[2].BytesReceived, Is.EqualTo(Bytes));
        Assert.That(states[2].Revision, Is.EqualTo(2));
        Assert.That(contents, Is.All.EqualTo(Filled(1)));
        states.ForEach(s => s.Revision++);
        AssertNothingMoved(await Sync(peers, states));
    }
}
