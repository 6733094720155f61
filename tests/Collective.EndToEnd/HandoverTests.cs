using Collective.Stress.Demo;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>How newcomers of the demo get their state, between communicators of one process.</summary>
[CancelAfter(60_000)]
internal sealed class HandoverTests
{
    [Test]
    public async Task At_the_start_everybody_keeps_what_follows_from_the_seed(CancellationToken cancellationToken)
    {
        await using var master = StartMaster();
        await using var first = new Member(master, minimumWorldSize: 2);
        await using var second = new Member(master, minimumWorldSize: 2);
        var received = await Task.WhenAll(first.JoinAsync(cancellationToken), second.JoinAsync(cancellationToken));
        Assert.That(received.Select(h => h.Received), Is.EqualTo(new[] { false, false }));
        Assert.That(second.State.Digest(), Is.EqualTo(first.State.Digest()));
    }

    [Test]
    public async Task A_newcomer_gets_the_state_of_the_others(CancellationToken cancellationToken)
    {
        await using var master = StartMaster();
        await using var first = new Member(master, minimumWorldSize: 2);
        await using var second = new Member(master, minimumWorldSize: 2);
        await using var newcomer = new Member(master, minimumWorldSize: 1);
        await GatherAsync(first, second, newcomer, cancellationToken);

        var received = await Task.WhenAll(
            first.Handover.RunAsync(cancellationToken), second.Handover.RunAsync(cancellationToken), newcomer.Handover.RunAsync(cancellationToken));

        Assert.That(received.Select(h => h.Received), Is.EqualTo(new[] { false, false, true }));
        AssertSameState(newcomer, first);
        AssertSameState(second, first);
    }

    [Test]
    public async Task When_a_holder_leaves_the_others_hand_over(CancellationToken cancellationToken)
    {
        await using var master = StartMaster();
        await using var first = new Member(master, minimumWorldSize: 2);
        await using var second = new Member(master, minimumWorldSize: 2);
        await using var newcomer = new Member(master, minimumWorldSize: 1);
        await GatherAsync(first, second, newcomer, cancellationToken);
        var handovers = Task.WhenAll(second.Handover.RunAsync(cancellationToken), newcomer.Handover.RunAsync(cancellationToken));
        await first.Communicator.DisposeAsync();
        Assert.That((await handovers).Select(h => h.Received), Is.EqualTo(new[] { false, true }));
        AssertSameState(newcomer, second);
    }

    [Test]
    public async Task Handovers_go_on_counting(CancellationToken cancellationToken)
    {
        await using var master = StartMaster();
        await using var alone = new Member(master, minimumWorldSize: 1);
        for (var count = 0; count < 3; count++)
        {
            Assert.That((await (count == 0 ? alone.JoinAsync(cancellationToken) : alone.Handover.RunAsync(cancellationToken))).Received, Is.False);
        }
    }

    private static CollectiveMaster StartMaster() => CollectiveMaster.Start(new MasterOptions { Listen = "127.0.0.1:0" });

    /// <summary>Brings two members with a state, and one without, into one world.</summary>
    private static async Task GatherAsync(Member first, Member second, Member newcomer, CancellationToken cancellationToken)
    {
        await Task.WhenAll(first.JoinAsync(cancellationToken), second.JoinAsync(cancellationToken));
        first.Train();
        second.Train();

        var connecting = newcomer.Communicator.ConnectAsync(cancellationToken: cancellationToken);
        while (!connecting.IsFaulted && !(await Task.WhenAll(first.Communicator.ArePeersPendingAsync(cancellationToken: cancellationToken), second.Communicator.ArePeersPendingAsync(cancellationToken: cancellationToken)))[0])
        {
            cancellationToken.ThrowIfCancellationRequested();
        }

        await Task.WhenAll(
            first.Communicator.UpdateTopologyAsync(cancellationToken: cancellationToken), second.Communicator.UpdateTopologyAsync(cancellationToken: cancellationToken), connecting);
    }

    private static void AssertSameState(Member actual, Member expected)
    {
        Assert.That(actual.State.StepsDone, Is.EqualTo(expected.State.StepsDone));
        Assert.That(actual.State.Digest(), Is.EqualTo(expected.State.Digest()));
        Assert.That(actual.State.Momentum, Is.EqualTo(expected.State.Momentum));
    }

    /// <summary>A peer with a small state.</summary>
    private sealed class Member : IAsyncDisposable
    {
        public Member(CollectiveMaster master, int minimumWorldSize)
        {
            Communicator = new Communicator(new CommunicatorOptions(master.EndPoint.ToString()) { MinimumWorldSize = minimumWorldSize, ListenPort = 0 });
            State = new TrainingState([0.5f, -0f, 3]);
            Handover = new Handover(Communicator, State);
        }

        public Communicator Communicator { get; }

        public TrainingState State { get; }

        public Handover Handover { get; }

        public async Task<HandoverResult> JoinAsync(CancellationToken cancellationToken)
        {
            await Communicator.ConnectAsync(cancellationToken: cancellationToken);
            return await Handover.RunAsync(cancellationToken);
        }

        /// <summary>Stands for some steps of training: the same on every peer.</summary>
        public void Train()
        {
            OuterOptimizer.Apply(State, [1, 2, 3]);
            OuterOptimizer.Apply(State, [-1, 0.25f, 1e-30f]);
        }

        public ValueTask DisposeAsync() => Communicator.DisposeAsync();
    }
}
