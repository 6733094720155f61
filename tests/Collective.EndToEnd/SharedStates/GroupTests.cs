using NUnit.Framework;

namespace Collective.EndToEnd.SharedStates;

/// <summary>Groups never notice each other's syncs.</summary>
internal sealed class GroupTests : SharedStateTest
{
    [Test]
    public async Task EqualWithinAndDifferentBetweenGroups([Values("shared", "different")] string keys, [Values] bool concurrent)
    {
        var (first, second) = await ConnectGroups(2);
        var secondKey = keys == "shared" ? "key" : "other";
        var left = () => Sync(first, [State(0, ("key", Filled(1))), State(0, ("key", Filled(1)))]);
        var right = () => Sync(second, [State(0, (secondKey, Filled(2))), State(0, (secondKey, Filled(2)))]);
        if (concurrent)
        {
            var results = await Task.WhenAll(left(), right());
            AssertNothingMoved([.. results.SelectMany(r => r)]);
        }
        else
        {
            AssertNothingMoved(await left());
            AssertNothingMoved(await right());
        }
    }

    [Test]
    public async Task GroupsAdvanceAtTheirOwnPace()
    {
        var (first, second) = await ConnectGroups(2);
        await Task.WhenAll(Advance(first, 5, "left"), Advance(second, 9, "right")).WaitAsync(Deadline);
    }

    [Test]
    public async Task FollowersAreDraggedAlongInEachGroup()
    {
        var (first, second) = await ConnectGroups(3);
        await Task.WhenAll(Drag(first, 10), Drag(second, 60)).WaitAsync(Deadline);
    }

    [Test]
    public async Task AMixOfStrategiesFailsInItsOwnGroupOnly()
    {
        var (first, second) = await ConnectGroups(2);
        var mixing = Failures(first, [State(0, ("a", Filled(1))), State(0, ("a", Filled(1)))], SyncStrategy.EnforcePopular, SyncStrategy.SendOnly);
        var sending = Failures(second, [State(0, ("a", Filled(2))), State(0, ("a", Filled(2)))], SyncStrategy.SendOnly);
        AssertFailure((await mixing)[1]!, ErrorCode.Mismatch, "SendOnly", "EnforcePopular");
        Assert.That((await mixing)[0], Is.Null);
        Assert.That(await sending, Is.All.Null);
    }

    private static async Task Advance(Communicator[] peers, byte steps, string key)
    {
        var contents = peers.Select(_ => new byte[Bytes]).ToArray();
        var states = contents.Select(c => State(0, (key, c))).ToArray();
        for (byte step = 0; step < steps; step++)
        {
            foreach (var (content, state) in contents.Zip(states))
            {
                content.AsSpan().Fill(step);
                state.Revision = step;
            }

            AssertNothingMoved(await Sync(peers, states));
        }
    }

    private static async Task Drag(Communicator[] peers, byte value)
    {
        var contents = peers.Select(_ => new byte[512]).ToArray();
        var states = contents.Select(c => State(0, ("a", c))).ToArray();
        contents[2].AsSpan().Fill(255);
        for (byte step = 0; step < 4; step++)
        {
            foreach (var leading in new[] { 0, 1 })
            {
                states[leading].Revision = step;
                contents[leading].AsSpan().Fill((byte)(value + step));
            }

            var results = await Sync(peers, states);
            Assert.That(results[2].BytesReceived, Is.EqualTo(512));
            Assert.That(results[0].BytesReceived + results[1].BytesReceived, Is.Zero);
            Assert.That(contents[2], Is.EqualTo(contents[0]));
        }
    }
}
