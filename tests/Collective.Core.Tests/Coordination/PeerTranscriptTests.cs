using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Golden transcripts of one peer, A. Read Transcripts/Peer/*.txt.</summary>
[TestFixture]
internal sealed class PeerTranscriptTests
{
    private const ulong Bulk = 1_000_000;

    private static readonly PeerInput NoDescriptors = new PeerInput.LocalFault("its process has no file descriptors left");

    [Test]
    public void Connect_to_ready() => new PeerScript("From connect to a standing ring.")
        .Input(new PeerInput.Connect(new PeerGroup(3)))
        .Input(new PeerInput.Connected(5001))
        .Hear(new Welcome(Describe.Peer('A'), PeerScript.HeartbeatTimeoutMs, 1 << 20))
        .Opened(1, "BA")
        .Wired(1)
        .Stands(1, 2)
        .Check();

    [Test]
    public void Refused() => new PeerScript("The master's reason is the caller's.")
        .Given(PeerState.Registering)
        .Hear(new Refused(ErrorCode.MasterRefused, "the run has its maximum of peers"))
        .Check();

    [Test]
    public void Evicted() => new PeerScript("Everything ends with the master's reason.")
        .Given("AB").Launch(1).Query(5)
        .Hear(new Evicted("its process is frozen"))
        .Check();

    [Test]
    public void Local_fault() => new PeerScript("It says that it is the one to go, before its links fail; its own calls get the reason.")
        .Given("AB").Launch(1).Completed(1).Launch(2, tag: 8).Query(5)
        .Input(NoDescriptors)
        .Note("What comes after that changes nothing.")
        .Opened(2, "B")
        .Input(NoDescriptors)
        .Check();

    [TestCase(PeerState.Connecting)]
    [TestCase(PeerState.Registering)]
    [TestCase(PeerState.Pending)]
    [TestCase(PeerState.Wiring)]
    [TestCase(PeerState.Leaving)]
    public void Local_fault_before_or_after(PeerState state) => new PeerScript($"While {state}: the master hears of it where it knows this peer, and a peer that leaves has left.")
        .Given(state)
        .Input(NoDescriptors)
        .Check($"{state}");

    [Test]
    public void Frozen_before_its_first_tick() => new PeerScript("A process that stood still does not take the master for lost: it hears why it was evicted.")
        .Given(PeerState.Pending)
        .Tick(60_000)
        .Hear(new Evicted("no heartbeat for 60.0 s"))
        .Check();

    [Test]
    public void Step_of_a_newcomer() => new PeerScript("The update that admitted it was its first step; the next is a vote.")
        .Given("AB").Step(1).Launch(1).Completed(1).Hear(new Verdict(PeerScript.Attempt(1))).Step(2).Answer(2)
        .Check();

    [Test]
    public void Step_after_another_call() => new PeerScript("Who reduces before it steps does not begin with a step: each step is a vote.")
        .Given("AB").Launch(1).Completed(1).Hear(new Verdict(PeerScript.Attempt(1))).Step(1).Answer(1)
        .Check();

    [Test]
    public void Step_after_a_question() => new PeerScript("Who has asked, or updated, does not begin with a step either.")
        .Given("AB").Query(1).Replied(1).Step(2, timeoutMs: 300).Tick(300).Answer(2, ErrorCode.TimedOut, "peer B (is in no call) has not voted")
        .Check();

    [Test]
    public void Step_while_something_is_in_flight() => new PeerScript("Refused, as an update is; the step after is a vote.")
        .Given("AB").Launch(1).Step(1).Completed(1).Hear(new Verdict(PeerScript.Attempt(1))).Step(2)
        .Check();

    [Test]
    public void Step_alone() => new PeerScript("A program that steps sees to newcomers itself: alone, its reductions admit nobody.")
        .Given("A").Step(1).Launch(1)
        .Check();

    [Test]
    public void Verdict_eager() => new PeerScript("Enter, promise, verdict.")
        .Given("AB").Launch(1).Completed(1).Hear(new Verdict(PeerScript.Attempt(1)))
        .Launch(2).Completed(2).Hear(new Verdict(PeerScript.Attempt(1, ordinal: 1)))
        .Check();

    [Test]
    public void Verdict_with_go() => new PeerScript("Bulk data is released by the Go.")
        .Given("AB").Launch(1, count: Bulk).Hear(new CollectiveGo(PeerScript.Attempt(1))).Completed(1).Hear(new Verdict(PeerScript.Attempt(1)))
        .Check();

    [Test]
    public void Abort_is_heard_only_when_the_next_epoch_stands() => new PeerScript("The ring stops at once, the application hears when it can call again.")
        .Given("ABC").Launch(1)
        .Lost(2, "AB", 'C').Wired(2).Stands(2, 2)
        .Launch(2)
        .Check();

    [Test]
    public void Two_epochs_in_a_row_join_their_reasons() => new PeerScript("Both losses are told.")
        .Given("ABCD").Launch(1)
        .Lost(2, "ABC", 'D').Lost(3, "AB", 'C').Wired(2).Wired(3).Stands(3, 2)
        .Check();

    [Test]
    public void Mismatch() => new PeerScript("The decision travels with the epoch; what has none is aborted for the epoch's reason.")
        .Given("AB").Launch(1, tag: 7).Launch(2, tag: 8)
        .Opened(2, "AB", "peer A and peer B entered tag 7 with different arguments: count 10 against 11", null, new Decision(new Tag(7), 0, false, ErrorCode.Mismatch, "count 10 against 11"))
        .Stands(2, 2)
        .Check();

    [Test]
    public void Committed_by_an_epoch() => new PeerScript("A decision may also commit what this peer has promised.")
        .Given("AB").Launch(1).Completed(1)
        .Opened(2, "A", "peer B was lost", null, new Decision(new Tag(7), 0, true, default, ""))
        .Stands(2, 1)
        .Check();

    [Test]
    public void Decision_about_another_attempt() => new PeerScript("A decision about another ordinal of the tag is not about this one.")
        .Given("AB").Launch(1).Completed(1)
        .Opened(2, "A", "peer B was lost", null, new Decision(new Tag(7), 3, true, default, ""))
        .Stands(2, 1)
        .Check();

    [Test]
    public void Cancel_while_held() => new PeerScript("Not entered yet: ends at once, nobody else hears.")
        .Given("AB").Lost(2, "AC", 'B').Launch(1).Cancel(1).Stands(2, 2)
        .Check();

    [Test]
    public void Cancel_while_running() => new PeerScript("Given up: the master ends it for all; segments that still come are dropped.")
        .Given("AB").Launch(1, count: Bulk).Cancel(1)
        .Hear(new CollectiveGo(PeerScript.Attempt(1)))
        .Completed(1).Cancel(1)
        .Opened(2, "AB", "peer A gave up tag 7: its caller cancelled").Wired(2).Stands(2, 2)
        .Check();

    [Test]
    public void Cancel_while_promised() => new PeerScript("A promise cannot be taken back: the verdict tells.")
        .Given("AB").Launch(1).Completed(1).Cancel(1).Hear(new Verdict(PeerScript.Attempt(1)))
        .Check();

    [Test]
    public void Cancel_while_aborting() => new PeerScript("It ends anyway.")
        .Given("ABC").Launch(1).Lost(2, "AB", 'C').Cancel(1).Stands(2, 2).Cancel(1)
        .Check();

    [Test]
    public void Ring_failed() => new PeerScript("A ring that cannot go on is given up.")
        .Given("AB").Launch(1).Input(new PeerInput.RingFailed(new OperationId(1), "out of memory")).Opened(2, "AB", "peer A gave up tag 7: out of memory").Stands(2, 2)
        .Check();

    [TestCase(PeerState.Created)]
    [TestCase(PeerState.Connecting)]
    [TestCase(PeerState.Registering)]
    [TestCase(PeerState.Pending)]
    [TestCase(PeerState.Wiring)]
    [TestCase(PeerState.Ready)]
    [TestCase(PeerState.Leaving)]
    [TestCase(PeerState.Dead)]
    public void Calls(PeerState state)
    {
        var script = new PeerScript($"Every call of the application while {state}.").Given(state).Launch(1).Query(1).Note("and without the all-reduce");
        if (state is PeerState.Wiring or PeerState.Ready)
        {
            script.Vote(2).Cancel(1).Opened(2, "AB").Stands(2, 2);
        }

        script.Vote(3).Vote(4).Query(5).Sync(7).Launch(6).Cancel(99).Leave().Check(state.ToString());
    }

    [Test]
    public void Launched_while_wiring() => new PeerScript("Held until the ring stands.")
        .Given("ABC").Lost(2, "AB", 'C').Launch(1).Lost(3, "AD", 'B').Stands(3, 2)
        .Check();

    [Test]
    public void Tag_in_use() => new PeerScript("One operation a tag at a time; free again after the verdict.")
        .Given("AB").Launch(1, tag: 7).Launch(2, tag: 7).Launch(3, tag: 8)
        .Completed(1).Hear(new Verdict(PeerScript.Attempt(1))).Launch(4, tag: 7)
        .Check();

    [Test]
    public void Alone_without_company() => new PeerScript("The master is asked; alone, an all-reduce makes no sense.")
        .Given("A").Launch(1).Launch(2, tag: 8).LoneAnswer().Launch(3).LoneAnswer(2)
        .Check();

    [Test]
    public void Alone_with_company() => new PeerScript("The question opens the door; the all-reduce runs with who came in.")
        .Given("A").Launch(1).Opened(2, "AB").Wired(2).Stands(2, 2).LoneAnswer()
        .Check();

    [Test]
    public void Alone_and_the_company_is_lost_again() => new PeerScript("The answer counts in the ring that stands.")
        .Given("A").Launch(1).Opened(2, "AB").Lost(3, "A", 'B').Stands(3, 1).LoneAnswer()
        .Check();

    [Test]
    public void Alone_cancelled_and_votes() => new PeerScript("A vote waits for the answer to the question: the master takes one at a time.")
        .Given("A").Launch(1).Cancel(1).Vote(9).Opened(2, "AB").Stands(2, 2).LoneAnswer().Answer(9)
        .Check();

    [Test]
    public void Alone_cancelled_and_launched_again() => new PeerScript("One question at a time; its answer is for whatever is held.")
        .Given("A").Launch(1).Cancel(1).Launch(2).LoneAnswer()
        .Check();

    [Test]
    public void Alone_in_a_program_that_admits_newcomers_itself() => new PeerScript("Nobody is let in behind its back: too few peers, at once.")
        .Given("A").Query(9).Replied(9, true).Launch(1).Vote(10).Answer(10, size: 1).Launch(2)
        .Check();

    [Test]
    public void Topology_vote() => new PeerScript("Ordinals go on within the epoch: an attempt's name is never used twice.")
        .Given("AB").Launch(1).Completed(1).Hear(new Verdict(PeerScript.Attempt(1)))
        .Vote(9).Answer(9).Launch(2)
        .Check();

    [Test]
    public void Topology_vote_that_crossed() => new PeerScript("The error names who waits where.")
        .Given("AB").Vote(9).Answer(9, ErrorCode.CrossedCalls, "peer A waits in update topology while peer B waits in an all-reduce with tag 7").Opened(2, "AB").Stands(2, 2)
        .Check();

    [Test]
    public void Pending_query() => new PeerScript("Runs beside collectives.")
        .Given("AB").Query(9).Launch(1).Replied(9, true).Query(10).Replied(10, false)
        .Check();

    [Test]
    public void Master_lost_while_running() => new PeerScript("Everything ends; inputs are restored.")
        .Given("AB").Launch(1).Query(5).Input(new PeerInput.Lost(ErrorCode.MasterLost, "the master closed the connection"))
        .Check();

    [Test]
    public void Master_lost_while_promised() => new PeerScript("Whether the others committed is in doubt, and the caller is told so.")
        .Given("AB").Launch(1, tag: 7).Launch(2, tag: 8).Completed(1).Input(new PeerInput.Lost(ErrorCode.MasterLost, "the master closed the connection"))
        .Check();

    [Test]
    public void Leave_while_running_promised_and_voting() => new PeerScript("What is pending ends at once; the connection stays until the master lets go.")
        .Given("AB").Launch(1, tag: 7).Launch(2, tag: 8).Completed(1).Query(5).Leave()
        .Hear(new Verdict(PeerScript.Attempt(1))).Opened(2, "AB").Completed(2)
        .Input(new PeerInput.Lost(ErrorCode.MasterLost, "the master closed the connection"))
        .Check();

    [Test]
    public void Leave_unanswered() => new PeerScript("A master that does not answer is not waited for.")
        .Given("AB").Leave().Tick(1000).Tick(999).Tick(1)
        .Check();

    [Test]
    public void What_has_moved_is_reported_while_an_attempt_is_open() => new PeerScript("With the heartbeats, from entering until the verdict: also who is done can have sent what has not come.")
        .Given("ABC")
        .Tick(1000, sent: 5, received: 6)
        .Launch(1)
        .Tick(1000, sent: 700, received: 300)
        .Completed(1)
        .Tick(1000, sent: 900, received: 900)
        .Hear(new Verdict(PeerScript.Attempt(1)))
        .Tick(1000, sent: 900, received: 900)
        .Check();

    [Test]
    public void Whom_it_reaches_is_found_out_for_the_epoch_that_it_knows() => new PeerScript("A question about another epoch, and an answer that comes after the next one has opened, are void.")
        .Given("ABC")
        .Opened(2, "ACB")
        .Hear(new SurveyLinks(PeerScript.Number(1), [1, 2]))
        .Hear(new SurveyLinks(PeerScript.Number(2), [1, 2, 7]))
        .Input(new PeerInput.Surveyed(PeerScript.Number(2), [2]))
        .Hear(new SurveyLinks(PeerScript.Number(2), [1]))
        .Opened(3, "ABC")
        .Input(new PeerInput.Surveyed(PeerScript.Number(2), []))
        .Check();

    [Test]
    public void Links_lost() => new PeerScript("Reported to the master with the epoch; of another epoch it is no news.")
        .Given("ABC")
        .Input(new PeerInput.LinkLost(PeerScript.Number(1), Describe.Peer('B'), true, "connection reset"))
        .Opened(2, "ABC")
        .Input(new PeerInput.LinkLost(PeerScript.Number(1), Describe.Peer('C'), false, "connection reset"))
        .Input(new PeerInput.LinkLost(PeerScript.Number(2), Describe.Peer('C'), false, "connection refused"))
        .Wired(1)
        .Check();

    [Test]
    public void Master_silent() => new PeerScript("No sign of life within the timeout.")
        .Given("AB").Tick(1000).Tick(1000).Hear(new Heartbeat()).Tick(1000).Tick(1000).Tick(1000).Tick(1000).Tick(1000).Tick(1000)
        .Check();

    [Test]
    public void Frozen_peer_does_not_blame_the_master() => new PeerScript("After a gap between its own ticks the peer starts counting again.")
        .Given("AB").Tick(1000).Tick(60_000).Tick(1000).Tick(1000).Tick(1000).Tick(1000).Tick(1000).Tick(1000)
        .Check();

    [Test]
    public void A_peer_that_stood_still_for_a_moment() => new PeerScript("Of the 2.9 s between two of its ticks 1 s counts as the master's silence.")
        .Given("AB").Tick(1000).Hear(new Heartbeat()).Tick(1000).Tick(1000).Tick(2900).Tick(1000).Tick(1000).Tick(1000)
        .Check();

    [Test]
    public void Another_run_or_an_older_term() => new PeerScript("Such a master is not this run's.")
        .Given("AB").Launch(1).Hear(new Heartbeat(), run: new RunId(new Guid("22222222222222222222222222222222")))
        .Check();

    [Test]
    public void An_older_term() => new PeerScript("A master that was replaced is not obeyed.")
        .Given("AB").Hear(new Heartbeat(), term: 0)
        .Check();

    [Test]
    public void Epoch_without_this_peer() => new PeerScript("A defect of the master: the peer ends with a reason.")
        .Given("AB").Opened(2, "BC")
        .Check();

    [Test]
    public void Master_breaks_the_protocol() => new PeerScript("A verdict that this peer has not promised.")
        .Given("AB").Launch(1).Hear(new Verdict(PeerScript.Attempt(1)))
        .Check();

    [Test]
    public void Epoch_that_is_not_newer() => new PeerScript("Epochs never go back.")
        .Given("AB").Opened(1, "AB")
        .Check();

    [Test]
    public void Answer_to_nothing() => new PeerScript("The master answers what was not asked.")
        .Given("AB").Answer(77)
        .Check();

    [Test]
    public void Operations_in_flight_have_a_limit()
    {
        var machine = new PeerScript("").Given("AB");
        for (var i = 0; i < Limits.OperationsInFlightMax; i++)
        {
            machine.Launch(i, tag: (ulong)i);
        }

        machine.Launch(1000, tag: 1000);
        Assert.That(machine.LastLine, Does.StartWith("  finish operation 1000: LimitExceeded: 256 collectives are in flight"));
        machine.Completed(3).Hear(new Verdict(PeerScript.Attempt(1, tag: 3))).Launch(1001, tag: 1001);
        Assert.That(machine.LastLine, Does.StartWith("  send CollectiveStart tag 1001 #0"));
    }

    [Test]
    public void Timeout_of_a_running_attempt() => new PeerScript("The others are told to abort; the caller hears TimedOut with what the master has established.")
        .Given("AB").Launch(1, timeoutMs: 300).Tick(299).Tick(1).Opened(2, "AB", "peer A gave up tag 7").Stands(2, 2, "peer A gave up tag 7: peer B (is in no call) had not entered it")
        .Check();

    [Test]
    public void Timeout_after_the_promise() => new PeerScript("Only the master can end it: it is asked to, once. Here the verdict was under way.")
        .Given("AB").Launch(1, timeoutMs: 300).Completed(1).Tick(300).Tick(1000).Hear(new Verdict(PeerScript.Attempt(1)))
        .Check();

    [Test]
    public void Timeout_while_the_ring_is_made() => new PeerScript("It has not been entered: it ends here.")
        .Given("AB").Opened(2, "AB", "a link failed").Launch(1, timeoutMs: 300).Tick(300)
        .Check();

    [Test]
    public void Timeout_of_a_vote() => new PeerScript("Withdrawn; the master's answer ends the call.")
        .Given("AB").Vote(9, timeoutMs: 300).Tick(300).Answer(9, ErrorCode.TimedOut, "peer B (is in no call) has not voted").Vote(10)
        .Check();

    [Test]
    public void Timeout_of_a_vote_just_decided() => new PeerScript("The update was done: the call succeeds.")
        .Given("AB").Vote(9, timeoutMs: 300).Tick(300).Answer(9)
        .Check();

    [Test]
    public void Query_cancelled() => new PeerScript("Withdrawn once, however often it is cancelled.")
        .Given("AB").Query(9).Withdraw(9).Withdraw(9).Replied(9, error: ErrorCode.TimedOut, reason: "peer B (is in no call) has not asked")
        .Check();

    [Test]
    public void Timeout_of_connect() => new PeerScript("Says how far it came.")
        .Input(new PeerInput.Connect(new PeerGroup(0), MinimumWorldSize: 2, TimeoutMs: 700)).Input(new PeerInput.Connected(5001))
        .Hear(new Welcome(Describe.Peer('A'), 5000, 1 << 20)).Tick(700)
        .Check();

    [Test]
    public void Vote_beside_a_query() => new PeerScript("They exclude each other.")
        .Given("AB").Query(9).Vote(10).Replied(9).Vote(11).Query(12)
        .Check();

    [Test]
    public void Timeouts_in_the_wrong_order() => new PeerScript("A later deadline does not put off an earlier one: the next wake-up stays at 300 ms, and the next but one is at 900 ms.")
        .Given("AB").Launch(1, timeoutMs: 300).Launch(2, tag: 8, timeoutMs: 900).Tick(300)
        .Check();
}
