using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Golden transcripts of one peer, A: syncs of the shared state. Read Transcripts/Peer/sync-*.txt.</summary>
[TestFixture]
internal sealed class PeerSyncTests
{
    private static readonly PeerInput MasterCloses = new PeerInput.Lost(ErrorCode.MasterLost, "the master closed the connection");

    [Test]
    public void Sync_with_nothing_to_do() => new PeerScript("All have the same: one round trip.")
        .Given("AB").Sync(9).SyncEnds(9).Sync(10).SyncEnds(10, revision: 6)
        .Check();

    [Test]
    public void Sync_fetches() => new PeerScript("Vote, plan, promise, end.")
        .Given("ABC").Sync(9).Plan(9, "BC", 0, 1).Fetched(9).SyncEnds(9)
        .Check();

    [Test]
    public void Sync_serves_only() => new PeerScript("A plan without fetches: the driver answers at once, and serves until the end.")
        .Given("ABC").Sync(9).Plan(9).Fetched(9).SyncEnds(9)
        .Check();

    [Test]
    public void Sync_fails_for_another_reason() => new PeerScript("The master's reason is the caller's, before and after the plan.")
        .Given("ABC").Sync(9).SyncEnds(9, ErrorCode.Mismatch, "this peer cannot take part")
        .Sync(10).Plan(10, "BC", 0).SyncEnds(10, ErrorCode.SyncFailed, "peer C could not finish").Fetched(10)
        .Check();

    [Test]
    public void Sync_dismissed() => new PeerScript("The call ends with what is wrong, and the peer has left the run.")
        .Given("ABC").Sync(9).Dismissed(9, ErrorCode.Mismatch, "this peer does not fit: it lacks \"b\"").Sync(10)
        .Check();

    [Test]
    public void Sync_dismissed_while_giving_up() => new PeerScript("Its withdrawal was under way.")
        .Given("ABC").Sync(9).Withdraw(9).Dismissed(9, ErrorCode.RevisionMismatch, "its revision is 5, and 4 is elected")
        .Check();

    [Test]
    public void Sync_cannot_fetch() => new PeerScript("It is reported, and the master ends it for all.")
        .Given("AB").Sync(9).Plan(9, "B", 0).Fetched(9, ok: false, "no holder of \"w\" is left").Fetched(9)
        .SyncEnds(9, ErrorCode.SyncFailed, "this peer could not finish the sync: no holder of \"w\" is left")
        .Check();

    [Test]
    public void Sync_holder_fails() => new PeerScript("The master hears of it; what comes after the promise is of no use.")
        .Given("ABC").Sync(9).Plan(9, "BC", 0).HolderFails(9, 'B').HolderFails(9, 'C', wrongBytes: false).HolderFails(9, 'D').Fetched(9).HolderFails(9, 'B').SyncEnds(9)
        .Check();

    [Test]
    public void Sync_holder_lost() => new PeerScript("An epoch tells which holders are gone; the sync goes on meanwhile.")
        .Given("ABCD").Sync(9).Plan(9, "BC", 0)
        .Lost(2, "ABC", 'D').Lost(3, "AC", 'B').HolderFails(9, 'B').Wired(3).Fetched(9).Stands(3, 2).Lost(4, "A", 'C').SyncEnds(9)
        .Check();

    [Test]
    public void Sync_ends_before_the_ring_stands() => new PeerScript("Independent of epochs: what is called next waits for the ring if it needs it.")
        .Given("ABC").Sync(9).Lost(2, "AB", 'C').SyncEnds(9).Launch(1).Wired(2).Stands(2, 2)
        .Check();

    [Test]
    public void Sync_timeout_while_voting() => new PeerScript("Withdrawn, once; the master's answer ends the call.")
        .Given("AB").Sync(9, timeoutMs: 300).Tick(300).Withdraw(9).SyncEnds(9, ErrorCode.TimedOut, "peer B (is in no call) has not called it")
        .Check();

    [Test]
    public void Sync_timeout_as_the_plan_is_under_way() => new PeerScript("The plan is answered: it failed for all.")
        .Given("AB").Sync(9, timeoutMs: 300).Tick(300).Plan(9, "B", 0).SyncEnds(9, ErrorCode.SyncFailed, "this peer could not finish the sync")
        .Check();

    [Test]
    public void Sync_timeout_as_the_end_is_under_way() => new PeerScript("It had succeeded: so does the call.")
        .Given("AB").Sync(9, timeoutMs: 300).Tick(300).SyncEnds(9)
        .Check();

    [Test]
    public void Sync_timeout_while_fetching() => new PeerScript("Given up; what is still fetched is of no use.")
        .Given("AB").Sync(9, timeoutMs: 300).Plan(9, "B", 0).Tick(300).Fetched(9).Tick(300).SyncEnds(9, ErrorCode.SyncFailed, "this peer could not finish the sync")
        .Check();

    [Test]
    public void Sync_cancelled_after_the_promise() => new PeerScript("Only the master can end it: it is asked to, once.")
        .Given("AB").Sync(9).Plan(9, "B", 0).Fetched(9).Withdraw(9).Withdraw(9).SyncEnds(9, ErrorCode.SyncFailed, "this peer could not finish the sync")
        .Check();

    [Test]
    public void Sync_cancelled_after_the_promise_too_late() => new PeerScript("The success was under way.")
        .Given("AB").Sync(9).Plan(9, "B", 0).Fetched(9).Withdraw(9).SyncEnds(9)
        .Check();

    [Test]
    public void Sync_excludes_other_calls() => new PeerScript("Each of them is refused, and each of them refuses a sync.")
        .Given("AB").Sync(9).Sync(10).Vote(11).Query(12).Launch(1).SyncEnds(9)
        .Launch(2).Sync(13).Completed(2).Hear(new Verdict(PeerScript.Attempt(1))).Vote(14).Sync(15).Answer(14).Query(16).Sync(17).Replied(16).Sync(18)
        .Check();

    [Test]
    public void Sync_refused() => new PeerScript("Nothing is sent.")
        .Given("AB").Sync(9, "").Sync(10, "w:1 w:1").Sync(11, revision: ulong.MaxValue).Sync(12, strategy: (SyncStrategy)3).Sync(13, revision: ulong.MaxValue - 1)
        .Check();

    [Test]
    public void Sync_waits_for_the_answer_to_a_question() => new PeerScript("The master takes one question of a peer at a time.")
        .Given("A").Launch(1).Cancel(1).Sync(9).Opened(2, "AB").Stands(2, 2).LoneAnswer().SyncEnds(9)
        .Check();

    [Test]
    public void Sync_cancelled_before_it_voted() => new PeerScript("It ends here.")
        .Given("A").Launch(1).Cancel(1).Sync(9, timeoutMs: 300).Tick(300).LoneAnswer()
        .Check();

    [Test]
    public void Sync_then_alone() => new PeerScript("Newcomers take part in the next sync first: an all-reduce does not admit them.")
        .Given("A").Sync(9).SyncEnds(9).Launch(1)
        .Check();

    [Test]
    public void Sync_and_the_master_is_lost() => new PeerScript("Nothing was written; after the promise it is not known what the others were told.")
        .Given("AB").Sync(9).Plan(9, "B", 0).Fetched(9).Input(MasterCloses)
        .Check();

    [Test]
    public void Sync_and_leave() => new PeerScript("It ends at once; what the master still says is ignored.")
        .Given("AB").Sync(9).Plan(9, "B", 0).Leave().Fetched(9).SyncEnds(9, ErrorCode.SyncFailed, "late").Input(MasterCloses)
        .Check();

    [TestCase("success-without-a-promise")]
    [TestCase("end-of-another-request")]
    [TestCase("plan-of-another-request")]
    [TestCase("plan-twice")]
    [TestCase("plan-of-no-tensor")]
    [TestCase("plan-to-fetch-from-itself")]
    [TestCase("dismissed-of-another-request")]
    [TestCase("dismissed-after-the-plan")]
    public void Sync_master_breaks_the_protocol(string what)
    {
        var script = new PeerScript("Such a master cannot be trusted.").Note(what).Given("AB").Sync(9);
        _ = what switch
        {
            "success-without-a-promise" => script.Plan(9, "B", 0).SyncEnds(9),
            "end-of-another-request" => script.SyncEnds(8),
            "plan-of-another-request" => script.Plan(8),
            "plan-twice" => script.Plan(9).Plan(9),
            "dismissed-of-another-request" => script.Dismissed(8, ErrorCode.Mismatch, "it lacks \"b\""),
            "dismissed-after-the-plan" => script.Plan(9).Dismissed(9, ErrorCode.Mismatch, "it lacks \"b\""),
            "plan-of-no-tensor" => script.Plan(9, "B", 2),
            _ => script.Plan(9, "A", 0),
        };
        script.Check(what);
    }
}
