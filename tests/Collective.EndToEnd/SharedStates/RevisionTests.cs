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

    /// <summary>The others did as PCCL's rule says, and succeed in the same call; the one that goes keeps what it had, and may come back.</summary>
    [Test]
    public async Task APeerThatSkipsARevisionGoesAndTheOthersGoOn([Values(2, 3)] int worldSize, [Values] bool byOne)
    {
        var peers = await ConnectGroup(StartMaster(), worldSize);
        var contents = peers.Select(_ => Filled(1)).ToArray();
        var states = contents.Select(c => State(0, ("a", c))).ToArray();
        Array.ForEach(states, s => s.RevisionGrowsByOne = byOne);
        await Sync(peers, states);
        foreach (var (content, state) in contents.Zip(states))
        {
            content.AsSpan().Fill(9);
            state.Revision = 1;
        }

        states[0].Revision = 2;
        contents[0].AsSpan().Fill(8);
        var failures = await Failures(peers, states, SyncStrategy.EnforcePopular);
        AssertFailure(failures[0]!, ErrorCode.RevisionMismatch, "its revision is 2", "1 is elected");
        Assert.That(failures.Skip(1), Is.All.Null);
        Assert.That(states[0].Revision, Is.EqualTo(2));
        Assert.That(contents[0], Is.EqualTo(Filled(8)));

        await All(peers.Skip(1), p => p.UpdateTopologyAsync());
        await Admit([.. peers.Skip(1)], peers[0]);
        Array.ForEach(contents[1..], c => c.AsSpan().Fill(7));
        Array.ForEach(states[1..], s => s.Revision = 2);
        states[0].Revision = 0;
        await Sync(peers, states);
        Assert.That(contents, Is.All.EqualTo(Filled(7)));
    }

    /// <summary>The loop of the documentation: the number of the step is the revision, and all sync when there are newcomers, whatever number of steps were made since.</summary>
    [Test]
    public async Task TheStepAsTheRevisionAndSyncsWhenThereAreNewcomers([Values] bool counted)
    {
        var master = StartMaster();
        var atFour = new TaskCompletionSource();
        var first = Loop(NewCommunicator(master), counted, atFour);
        var second = Loop(NewCommunicator(master), counted, atFour);
        await Task.WhenAny(first, second, atFour.Task).WaitAsync(Deadline);
        var third = Loop(NewCommunicator(master), counted, atFour);
        Assert.That(await Task.WhenAll(first, second, third).WaitAsync(Deadline), Is.All.EqualTo(8));
    }

    /// <summary>Four steps by two peers, four more by three. Who waits for company drops its step, and so syncs again with the same revision.</summary>
    private static async Task<ulong> Loop(Communicator communicator, bool counted, TaskCompletionSource atFour)
    {
        await communicator.ConnectAsync();
        var step = new ulong[1];
        var state = new SharedState();
        state.Add<ulong>("step", step);
        while (step[0] < 8)
        {
            var world = await communicator.StepAsync();
            if (world.HasNewcomers)
            {
                state.Revision = counted ? null : step[0];
                await communicator.SynchronizeSharedStateAsync(state);
            }

            if (world.WorldSize < (step[0] < 4 ? 2 : 3))
            {
                continue;
            }

            await communicator.AllReduceAsync<int>(new int[1]);
            if (++step[0] == 4)
            {
                atFour.TrySetResult();
            }
        }

        return step[0];
    }

    /// <summary>Programs that give none: the communicator counts, and goes on counting after it has lost its master.</summary>
    [Test]
    public async Task TheCommunicatorCounts()
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 2);
        byte[][] contents = [Filled(1), Filled(1)];
        var states = contents.Select(c => State(null, ("a", c))).ToArray();
        for (var i = 0UL; i < 3; i++)
        {
            Assert.That((await Sync(peers, states)).Select(r => r.Revision), Is.All.EqualTo(i));
        }

        Assert.That(states.Select(s => s.Revision), Is.All.Null);
        Communicator[] three = [.. peers, await Admit(peers, NewCommunicator(master))];
        var late = Filled(5);
        Assert.That((await Sync(three, [.. states, State(null, ("a", late))])).Select(r => r.Revision), Is.All.EqualTo(3));
        Assert.That(late, Is.EqualTo(Filled(1)));
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
        Array.ForEach(states, s => s.RevisionGrowsByOne = true);
        foreach (var failure in await Failures(peers, states, SyncStrategy.EnforcePopular))
        {
            AssertFailure(failure!, ErrorCode.RevisionMismatch, "its revision is 5", "the last sync of the group had 5", "add 1");
        }

        states = [.. peers.Select(_ => State(5, ("a", Filled(2))))];
        foreach (var failure in await Failures(peers, states, SyncStrategy.EnforcePopular))
        {
            AssertFailure(failure!, ErrorCode.RevisionMismatch, "its revision is 5", "the last sync of the group had 5", "a higher one whenever it changes");
        }

        // Nobody had to go for that.
        Array.ForEach(states, s => s.Revision = 9);
        Assert.That((await Sync(peers, states)).Select(r => r.Revision), Is.All.EqualTo(9));
    }

    /// <summary>No step was made since the last sync: the same revision and content are no error, and a newcomer is handed them.</summary>
    [Test]
    public async Task TheSameContentMayKeepItsRevision()
    {
        var master = StartMaster();
        var peers = (await ConnectGroup(master, 2)).ToList();
        var states = peers.Select(_ => State(5, ("a", Filled(1)))).ToList();
        await Sync(peers, states);
        peers.Add(await Admit(peers, NewCommunicator(master)));
        var late = Filled(7);
        Assert.That((await Sync(peers, [.. states, State(0, ("a", late))])).Select(r => r.Revision), Is.All.EqualTo(5));
        Assert.That(late, Is.EqualTo(Filled(1)));
    }

    /// <summary>A newcomer of another run, or with a later checkpoint than the group has come to, harms itself only.</summary>
    [Test]
    public async Task ANewcomerThatIsAheadGoes()
    {
        var master = StartMaster();
        var peers = await ConnectGroup(master, 2);
        await Sync(peers, [State(5, ("a", Filled(1))), State(5, ("a", Filled(1)))]);
        Communicator[] three = [.. peers, await Admit(peers, NewCommunicator(master))];
        var failures = await Failures(three, [State(30, ("a", Filled(2))), State(30, ("a", Filled(2))), State(900, ("a", Filled(3)))], SyncStrategy.EnforcePopular);
        Assert.That(failures.Take(2), Is.All.Null);
        AssertFailure(failures[2]!, ErrorCode.RevisionMismatch, "its revision is 900", "30 is elected", "or 0 to take what the others have");
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
