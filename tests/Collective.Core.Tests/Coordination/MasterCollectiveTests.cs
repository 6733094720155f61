using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Golden transcripts: attempts, crossed calls, protocol violations and liveness. Read Transcripts/Master/*.txt.</summary>
[TestFixture]
internal sealed class MasterCollectiveTests
{
    private const ulong Bulk = 1_000_000;

    [Test]
    public void Eager_commit() => new MasterScript("A small all-reduce needs no Go: one round trip.")
        .Given("AB")
        .Start("AB", 7)
        .Promise("BA", 7)
        .Check();

    [Test]
    public void Commit_of_nothing() => new MasterScript("Without elements there is no data, but the call is one like any other.")
        .Given("AB")
        .Start("AB", 7, count: 0, label: "barrier 1")
        .Promise("AB", 7)
        .Check();

    [Test]
    public void Commit_with_go() => new MasterScript("Bulk data waits for the Go, which comes when all are in.")
        .Given("ABC")
        .Start("CAB", 7, Bulk)
        .Promise("ABC", 7)
        .Check();

    [Test]
    public void Same_tag_again() => new MasterScript("The ordinal tells attempts of one tag apart; a fast peer may be one ahead.")
        .Given("AB")
        .Start("AB", 7)
        .Promise("AB", 7)
        .Start("A", 7, ordinal: 1).Start("B", 7, ordinal: 1)
        .Promise("AB", 7, ordinal: 1)
        .Check();

    [Test]
    public void Eager_peer_promises_before_the_last_enters() => new MasterScript("A promise may overtake another peer's entry on its way to the master.")
        .Given("AB")
        .Start("A", 7)
        .Promise("A", 7)
        .Start("B", 7)
        .Promise("B", 7)
        .Check();

    [Test]
    public void Several_tags_at_once() => new MasterScript("Attempts of different tags are independent.")
        .Given("AB")
        .Start("A", 1).Start("A", 2).Start("B", 2).Start("B", 1)
        .Promise("BA", 2)
        .Promise("AB", 1)
        .Check();

    [Test]
    public void Lost_before_anyone_entered() => new MasterScript("Nothing to abort; a start that was under way is of an older epoch and is ignored.")
        .Given("ABC")
        .Lose('C')
        .Receive('A', new CollectiveStart(new AttemptKey(new Epoch((1UL << 48) | 2), new Tag(7), 0), new CollectiveDescriptor(10, DataType.Float32, ReduceOperation.Sum, 0)))
        .Ready("AB")
        .Check();

    [Test]
    public void Lost_after_some_entered() => new MasterScript("The attempt is aborted; the application hears it when the new ring stands.")
        .Given("ABC")
        .Start("AC", 7)
        .Lose('C')
        .Ready("AB")
        .Start("AB", 7)
        .Promise("AB", 7)
        .Check();

    [Test]
    public void Lost_after_some_promised() => new MasterScript("Commit needs the promise of every member of the epoch: the two that are there are not enough.")
        .Given("ABC")
        .Start("ABC", 7)
        .Promise("AB", 7)
        .Lose('C')
        .Ready("AB")
        .Check();

    [Test]
    public void Lost_after_all_but_one_promised() => new MasterScript("The one that died had promised, but another had not: abort, and its late promise is of an older epoch.")
        .Given("ABC")
        .Start("ABC", 7)
        .Promise("AB", 7)
        .Lose('B')
        .Receive('C', new CollectiveDone(new AttemptKey(new Epoch((1UL << 48) | 2), new Tag(7), 0), Ok: true, ""))
        .Ready("AC")
        .Check();

    [Test]
    public void Lost_after_all_promised() => new MasterScript("The verdict was given before the loss: committed.")
        .Given("ABC")
        .Start("ABC", 7)
        .Promise("ABC", 7)
        .Lose('B')
        .Ready("AC")
        .Check();

    [Test]
    public void Given_up() => new MasterScript("One gives up: aborted for all, with a new epoch although nobody died.")
        .Given("AB")
        .Start("AB", 7).Start("A", 8)
        .Promise("A", 7)
        .GiveUp('B', 7)
        .Ready("AB")
        .Check();

    [TestCase("count", 11UL, DataType.Float32, ReduceOperation.Sum)]
    [TestCase("type", 10UL, DataType.Int32, ReduceOperation.Sum)]
    [TestCase("operation", 10UL, DataType.Float32, ReduceOperation.Average)]
    [TestCase("quantisation", 10UL, DataType.Float32, ReduceOperation.Sum, 0x10)]
    [TestCase("label", 10UL, DataType.Float32, ReduceOperation.Sum, 0, "step 8")]
    [TestCase("nothing", 0UL, DataType.Float32, ReduceOperation.Sum)]
    public void Mismatch(string field, ulong count, DataType type, ReduceOperation operation, byte quantisation = 0, string label = "")
    {
        var script = new MasterScript("Peers entered one all-reduce with different arguments: all hear which, when all are in; another attempt ends with the epoch.")
            .Note(field)
            .Given("ABC")
            .Start("A", 9)
            .Start("A", 7).Start("B", 7, count, type, operation, quantization: Quantization.FromByte(quantisation), label: label)
            .Promise("A", 7)
            .Start("C", 7)
            .Ready("ABC");
        script.Check(field);
    }

    [Test]
    public void Mismatch_and_the_last_peer_is_lost() => new MasterScript("The loss ends the attempt first; nobody is told of the mismatch.")
        .Given("ABC")
        .Start("A", 7).Start("B", 7, count: 11)
        .Lose('C')
        .Ready("AB")
        .Check();

    [Test]
    public void Crossed_calls_vote_first() => new MasterScript("A waits in update topology, B enters an all-reduce that A is not in: they can never meet.")
        .Given("AB")
        .Vote("A")
        .Start("B", 7)
        .Ready("AB")
        .Check();

    [Test]
    public void Crossed_calls_all_reduce_first() => new MasterScript("The same in the other order.")
        .Given("ABC")
        .Start("BC", 7)
        .Vote("A")
        .Ready("ABC")
        .Check();

    [Test]
    public void Not_crossed_in_another_group() => new MasterScript("A vote waits for all groups; a group that reduces meanwhile is not at fault.")
        .Given((0, "AB"), (1, "CD"))
        .Vote("AB")
        .Start("CD", 7)
        .Promise("CD", 7)
        .Vote("CD")
        .Check();

    [Test]
    public void Not_crossed_while_the_update_finishes_in_another_group()
        => new MasterScript("A's vote is decided, but its answer waits for the other group's ring: that the newcomer B already reduces is no crossing.")
            .Given((0, "A"), (1, "C"))
            .Join('B', group: 0).Join('D', group: 1)
            .Vote("AC")
            .Ready("AB")
            .Start("B", 7)
            .Ready("CD")
            .Start("A", 7)
            .Promise("AB", 7)
            .Check();

    [Test]
    public void Started_twice() => new MasterScript("Protocol violation: the peer goes, the others get a new epoch.")
        .Given("AB").Start("A", 7).Start("A", 7).Check();

    [Test]
    public void Done_without_start() => new MasterScript("Protocol violation, idle: not in the table.")
        .Given("AB").Promise("A", 7).Check();

    [Test]
    public void Done_of_another_attempt() => new MasterScript("Protocol violation: it is in an attempt, but not in this one.")
        .Given("AB").Start("A", 7).Start("B", 8).Promise("A", 8).Check();

    [Test]
    public void Promised_twice() => new MasterScript("Protocol violation.")
        .Given("AB").Start("AB", 7).Promise("AA", 7).Check();

    [Test]
    public void Gives_up_after_its_promise() => new MasterScript("A promise cannot be taken back.")
        .Given("AB").Start("AB", 7).Promise("A", 7).GiveUp('A', 7).Check();

    [Test]
    public void Newer_epoch() => new MasterScript("Protocol violation: epochs are the master's to make.")
        .Given("ABC")
        .Receive('A', new EpochReady(new Epoch((1UL << 48) | 99)))
        .Receive('B', new CollectiveStart(new AttemptKey(new Epoch((1UL << 48) | 99), new Tag(7), 0), default))
        .Check();

    [Test]
    public void Started_before_the_ring_stands() => new MasterScript("Protocol violation: the epoch does not stand yet.")
        .Given("ABC")
        .Lose('C')
        .Start("A", 7)
        .Check();

    [Test]
    public void Voted_twice() => new MasterScript("Protocol violation.").Given("AB").Vote("A").Vote("A").Check();

    [Test]
    public void Votes_while_reducing() => new MasterScript("Protocol violation.").Given("AB").Start("A", 7).Vote("A").Check();

    [Test]
    public void Asked_twice() => new MasterScript("Protocol violation.").Given("AB").Query("A").Query("A").Check();

    [Test]
    public void Hello_twice() => new MasterScript("Protocol violation, of an admitted peer and of a pending one.")
        .Given("AB")
        .Join('C')
        .Receive('A', new Hello(MessageCodec.Version, default, 1, 1))
        .Receive('C', new Hello(MessageCodec.Version, default, 1, 1))
        .Check();

    [Test]
    public void Message_before_hello() => new MasterScript("Protocol violation: a stranger is refused, and what it sends afterwards is not heard.")
        .Given("A")
        .Connect('B').Connect('C').Connect('D')
        .Receive('B', new Heartbeat())
        .Receive('B', new Hello(MessageCodec.Version, default, 1, 1))
        .Receive('C', new Leave())
        .Receive('D', new CollectiveStart(default, default))
        .Check();

    [Test]
    public void Pending_peer_acts_as_admitted() => new MasterScript("Protocol violation.")
        .Given("A")
        .Join('B')
        .Vote("B")
        .Check();

    [Test]
    public void Message_of_a_master() => new MasterScript("Protocol violation: not for a master.")
        .Given("AB")
        .Receive('A', new Verdict(default))
        .Check();

    [Test]
    public void Bytes_that_are_no_message() => new MasterScript("The driver reports a violation: the peer goes, a stranger is refused.")
        .Given("AB")
        .Connect('C')
        .Violate('C', "sent bytes that are no frame of the protocol")
        .Violate('A', "sent bytes that are no frame of the protocol")
        .Check();

    [Test]
    public void Silent_peer_is_evicted() => new MasterScript("No heartbeat within the timeout: evicted with a reason; the stranger that says nothing goes as well.")
        .Given("AB")
        .Start("A", 7)
        .Connect('C')
        .Tick(1000).Beat("AB")
        .Tick(1000).Beat("A")
        .Tick(1000).Beat("A")
        .Tick(1000).Beat("A")
        .Tick(1000).Beat("A")
        .Tick(1000).Beat("A")
        .Note("5 s since B was heard are within the timeout, 5.001 s are not.")
        .Tick(1)
        .Ready("A")
        .Check();

    [Test]
    public void Frozen_master_evicts_nobody() => new MasterScript("After a gap between its own ticks the master starts counting again.")
        .Given("AB")
        .Tick(1000).Beat("AB")
        .Tick(60_000)
        .Tick(1000).Beat("A")
        .Tick(1000).Tick(1000).Tick(1000).Tick(1000)
        .Tick(1)
        .Check();

    [Test]
    public void Master_that_stood_still_for_a_moment() => new MasterScript("Of the 2.9 s between two of its ticks 1 s counts as silence of the peers: B is not evicted before 5 s without them.")
        .Given("AB")
        .Tick(0).Beat("AB")
        .Tick(1000).Beat("A").Tick(1000).Beat("A")
        .Tick(2900).Beat("A")
        .Tick(1000).Beat("A")
        .Tick(1000).Beat("A")
        .Tick(1)
        .Check();

    [Test]
    public void Master_that_stands_still_takes_no_dead_peer_for_alive()
    {
        var script = new MasterScript("A dies after 2 s, unnoticed, and B reports their link again and again, and that it does not reach A. The master's standstills put off A's eviction, but are no sign of life of A: B keeps its place.")
            .Given("AB")
            .Tick(0).Beat("AB").LinkFails('B', 'A', outgoing: true)
            .Tick(1000).Beat("A").LinkFails('B', 'A', outgoing: true)
            .Tick(1000).Beat("A").LinkFails('B', 'A', outgoing: true)
            .Note("A is dead; the master is slow.");
        foreach (var afterMs in new[] { 2900, 2900, 1000, 1000, 1000 })
        {
            script.Tick(afterMs).Surveyed("B", "A");
        }

        script.Tick(1).Ready("B").Check();
    }

    [Test]
    public void Peer_that_does_not_wire_is_evicted() => new MasterScript("It beats, but neither acknowledges the epoch nor reports a link.")
        .Given("ABC")
        .Tick(0)
        .Lose('C')
        .Ready("A")
        .WhileBeating("AB", 30)
        .Tick(1)
        .Check();

    [Test]
    public void Peer_that_waits_for_one_that_does_not_wire_is_not_evicted() => new MasterScript("C does nothing, so that A, whose previous peer it is, cannot be ready: C goes.")
        .Given("ABCD")
        .Tick(0)
        .Lose('D')
        .Ready("B")
        .WhileBeating("ABC", 30)
        .Tick(1)
        .Check();

    [Test]
    public void Crossed_tags() => new MasterScript("All wait, each for another: after a while they are told who waits where.")
        .Given("ABC")
        .Start("AB", 7).Start("C", 8)
        .WhileBeating("ABC", 60).Tick(1000)
        .Check();

    [Test]
    public void Tag_that_one_has_not_entered_yet() => new MasterScript("B is in no call: it may only be slow, and is not waited out.")
        .Given("AB")
        .Start("A", 7)
        .WhileBeating("AB", 90)
        .GiveUp('A', 7, "the all-reduce with tag 7 was not done within 90 s")
        .Ready("AB")
        .Check();

    [Test]
    public void Withdrawn_after_the_promise() => new MasterScript("As long as no verdict is given the master may abort.")
        .Given("AB")
        .Start("AB", 7).Promise("A", 7).GiveUp('A', 7, "cancelled by the caller").Ready("AB")
        .Check();

    [Test]
    public void Withdrawn_as_the_verdict_is_under_way() => new MasterScript("Too late: it was committed.")
        .Given("AB")
        .Start("AB", 7).Promise("AB", 7).GiveUp('A', 7, "cancelled by the caller")
        .Check();

    [Test]
    public void Mismatch_seen_before_the_last_one_was_lost() => new MasterScript("Who differs is told, although C never entered.")
        .Given("ABC")
        .Start("A", 7).Start("B", 7, count: 11).Lose('C').Ready("AB")
        .Check();

    [Test]
    public void A_question_that_another_group_has_not_joined() => new MasterScript("B waits for C of another group, which may be slow: A waits for B without an error, until C has asked, too.")
        .Given((0, "AB"), (1, "C"))
        .Start("A", 7).Query("B")
        .WhileBeating("ABC", 70).Query("C").Tick(1000)
        .Check();
}
