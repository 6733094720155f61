using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Inputs that come together, and crowds of strangers.</summary>
[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class MasterCrowdTests
{
    private readonly MasterStateMachine _master = new(new MasterConfiguration(new RunId(new Guid("11111111111111111111111111111111")), Term: 1, HeartbeatTimeoutMs: 5000, SegmentBytes: 4096));

    [Test]
    public void Losses_that_come_together_are_one_epoch()
    {
        World(10);
        var outputs = Step(2000, [
            Lost(2),
            Received(3, new Heartbeat()),
            Received(4, new Leave()),
            new MasterInput.Violated(new ConnectionId(5), "sent bytes that are no frame of the protocol"),
            Lost(6)]);
        var epochs = outputs.OfType<MasterOutput.Send>().Select(s => s.Message).OfType<EpochOpened>().Distinct().ToList();
        Assert.That(epochs, Has.Count.EqualTo(1));
        Assert.That(epochs[0].Members, Has.Count.EqualTo(6));
        Assert.That(epochs[0].Reason, Does.Contain("3 more went at the same time"));
        Assert.That(epochs[0].Excluded, Has.Count.EqualTo(4));
    }

    [Test]
    public void All_that_are_silent_at_a_tick_go_in_one_epoch()
    {
        World(10);
        for (var ms = 2000; ms <= 6000; ms += 1000)
        {
            Step(ms, [.. Enumerable.Range(1, 4).Select(i => Received(i, new Heartbeat())), new MasterInput.Tick()]);
        }

        var outputs = Step(6500, new MasterInput.Tick());
        Assert.That(outputs.OfType<MasterOutput.Send>().Count(s => s.Message is Evicted), Is.EqualTo(6));
        Assert.That(outputs.OfType<MasterOutput.Send>().Select(s => s.Message).OfType<EpochOpened>().Distinct().Count(), Is.EqualTo(1));
    }

    [Test]
    public void What_came_before_a_tick_counts_for_it()
    {
        World(2);
        for (var ms = 2000; ms <= 6000; ms += 1000)
        {
            Step(ms, new MasterInput.Tick());
        }

        var outputs = Step(6500, [new MasterInput.Heard(new ConnectionId(1)), Received(2, new Heartbeat()), new MasterInput.Tick()]);
        Assert.That(outputs.OfType<MasterOutput.Send>().Select(s => s.Message), Has.None.TypeOf<Evicted>());
    }

    /// <summary>A stranger that sends one byte now and then is no peer that lives.</summary>
    [Test]
    public void Bytes_do_not_keep_a_stranger()
    {
        Step(0, new MasterInput.Tick());
        Step(0, new MasterInput.Connected(new ConnectionId(1), Address(1), Id(1)));
        for (var ms = 500; ms <= Limits.HandshakeMsMax; ms += 500)
        {
            Assert.That(Step(ms, [new MasterInput.Heard(new ConnectionId(1)), new MasterInput.Tick()]), Has.None.TypeOf<MasterOutput.Close>());
        }

        Assert.That(Step(Limits.HandshakeMsMax + 500, [new MasterInput.Heard(new ConnectionId(1)), new MasterInput.Tick()]), Has.One.TypeOf<MasterOutput.Close>());
    }

    [Test]
    public void Of_too_many_strangers_the_oldest_of_the_busiest_source_goes()
    {
        Step(0, new MasterInput.Connected(new ConnectionId(1), Address(1), Id(1)));
        for (var i = 2; i <= Limits.UnregisteredConnectionsMax; i++)
        {
            Assert.That(Step(0, new MasterInput.Connected(new ConnectionId(i), Address(2), Id(i))), Is.Empty);
        }

        var outputs = Step(0, new MasterInput.Connected(new ConnectionId(5000), Address(3), Id(5000)));
        Assert.That(outputs.OfType<MasterOutput.Close>().Select(c => c.Connection.Value), Is.EqualTo(new[] { 2L }));
        Assert.That(outputs.OfType<MasterOutput.Report>().Single().Event.Source, Is.EqualTo(Address(2)));
        outputs = Step(0, Received(5000, new Hello(MessageCodec.Version, default, 1, 1)));
        Assert.That(outputs.OfType<MasterOutput.Send>().Select(s => s.Message), Has.Some.TypeOf<Welcome>());
    }

    /// <summary>So many peers in one standing epoch, at 1000 ms.</summary>
    private void World(int peers)
    {
        Step(1000, new MasterInput.Tick());
        Step(1000, [.. Enumerable.Range(1, peers).Select(i => new MasterInput.Connected(new ConnectionId(i), Address(i), Id(i)))]);
        var outputs = Step(1000, [.. Enumerable.Range(1, peers).Select(i => Received(i, new Hello(MessageCodec.Version, default, 1, (ushort)peers)))]);
        var epoch = outputs.OfType<MasterOutput.Send>().Select(s => s.Message).OfType<EpochOpened>().First().Epoch;
        Step(1000, [.. Enumerable.Range(1, peers).Select(i => Received(i, new EpochReady(epoch)))]);
        Assert.That(_master.Groups.Single().Standing);
    }

    private MasterOutput[] Step(long nowMs, params MasterInput[] inputs)
    {
        var outputs = _master.Step(nowMs, inputs).ToArray();
        _master.AssertDeepInvariants();
        return outputs;
    }

    private static MasterInput.Received Received(int peer, Message message) => new(new ConnectionId(peer), message);

    private static MasterInput.Disconnected Lost(int peer) => new(new ConnectionId(peer), "its connection closed");

    private static PeerAddress Address(int host) => new((10U << 24) + (uint)host, false, 0);

    private static PeerId Id(int peer) => new(new Guid(peer, 0, 0, new byte[8]));
}
