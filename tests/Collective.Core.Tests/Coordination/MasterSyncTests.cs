using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Golden transcripts of the master: syncs of the shared state. Read Transcripts/Master/sync-*.txt.</summary>
[TestFixture]
internal sealed class MasterSyncTests
{
    private const SyncStrategy Send = SyncStrategy.SendOnly;
    private const SyncStrategy Receive = SyncStrategy.ReceiveOnly;

    [Test]
    public void Sync_of_equal_states() => new MasterScript("Nothing moves: one round trip. The next one needs the next revision.")
        .Given("AB")
        .Sync("AB", "w:1 b:2")
        .Sync("BA", "w:1 b:2", revision: 1)
        .Check();

    [Test]
    public void Sync_alone() => new MasterScript("A group of one peer is in agreement; the revision rules hold.")
        .Given("A")
        .Sync("A", "w:1", revision: 7).Sync("A", "w:1", revision: 8).Sync("A", "w:1", revision: 8)
        .Check();

    [Test]
    public void Sync_the_popular_content_wins() => new MasterScript("C voted first; it fetches what differs, from all who have it.")
        .Given("ABC")
        .Sync("C", "w:9 b:2").Sync("AB", "w:1 b:2")
        .Fetched("AC").Fetched("B")
        .Check();

    [Test]
    public void Sync_the_lowest_id_wins_a_tie() => new MasterScript("One vote each.")
        .Given("ABC")
        .Sync("C", "w:3").Sync("B", "w:2").Sync("A", "w:1")
        .Fetched("ABC")
        .Check();

    [Test]
    public void Sync_the_order_of_the_list_does_not_matter() => new MasterScript("Lists are compared as sets; a plan speaks of positions in the peer's own list.")
        .Given("ABC")
        .Sync("A", "w:1 b:2 c:3").Sync("B", "c:3 w:1 b:2").Sync("C", "b:9 c:3 w:8")
        .Fetched("ABC")
        .Check();

    [Test]
    public void Sync_a_receiver_need_not_hash() => new MasterScript("B has hashed nothing ahead, C all: it lacks only b. B may have both, and finds out by their digests.")
        .Given("ABC")
        .Sync("A", "w:1 b:2", strategy: Send).Sync("B", "w:0 b:0", strategy: Receive).Sync("C", "w:1 b:3", strategy: Receive)
        .Fetched("ABC")
        .Check();

    [Test]
    public void Sync_every_tensor_has_its_own_holders() => new MasterScript("D lacks both; of b there is another holder than of w. C is outdated, and still holds w.")
        .Given("ABCD")
        .Sync("AB", "w:1 b:2", revision: 4).Sync("C", "w:1 b:7", revision: 3).Sync("D", "w:8 b:8")
        .Fetched("ABCD")
        .Check();

    [Test]
    public void Sync_outdated_peers_follow_and_do_not_decide() => new MasterScript("B and C have another content, but only A is up to date; with equal content only the revision moves.")
        .Given("ABC")
        .Sync("ABC", "w:1", revision: 5)
        .Note("The next revision is 6.")
        .Sync("BC", "w:1", revision: 5).Sync("A", "w:2", revision: 6).Fetched("ABC")
        .Sync("A", "w:2", revision: 7).Sync("B", "w:2", revision: 6).Sync("C", "w:2", revision: 0)
        .Check();

    [Test]
    public void Sync_resumes_at_the_highest_revision() => new MasterScript("In the first sync the highest revision decides, whoever votes first.")
        .Given("ABC")
        .Sync("A", "w:1").Sync("B", "w:2", revision: 12).Sync("C", "w:3", revision: 13)
        .Fetched("ABC")
        .Check();

    [TestCase("most")]
    [TestCase("next-one")]
    [TestCase("highest")]
    [TestCase("newcomer")]
    [TestCase("newcomer-behind")]
    public void Sync_with_a_revision_that_does_not_fit(string which)
    {
        var script = new MasterScript("Those who decide: who has synchronized. Most of them; the next one before others; the highest.").Note(which).Given("ABC")
            .Sync("ABC", "w:1", revision: 3);
        _ = which switch
        {
            "most" => script.Sync("AB", "w:2", revision: 57).Sync("C", "w:2", revision: 58),
            "next-one" => script.Lose('C').Ready("AB").Sync("A", "w:2", revision: 5).Sync("B", "w:3", revision: 4).Ready("B"),
            "highest" => script.Lose('C').Ready("AB").Sync("A", "w:2", revision: 57).Sync("B", "w:3", revision: 56).Fetched("AB"),
            "newcomer" => script.Join('D').Vote("ABC").Ready("ABCD").Sync("ABC", "w:2", revision: 57).Sync("D", "w:4", revision: 900).Ready("ABC"),
            _ => script.Join('D').Vote("ABC").Ready("ABCD").Sync("ABC", "w:2", revision: 57).Sync("D", "w:4", revision: 50).Fetched("ABCD"),
        };
        script.Check(which);
    }

    [Test]
    public void Sync_with_a_forgotten_increment() => new MasterScript("The content has changed, the revision not: nobody can know which is newer. Nobody goes.")
        .Given("AB")
        .Sync("AB", "w:1", revision: 3).Sync("AB", "w:2", revision: 3)
        .Sync("AB", "w:2", revision: 2)
        .Sync("AB", "w:2", revision: 4)
        .Check();

    [Test]
    public void Sync_of_the_same_revision_and_content() => new MasterScript("No step was made since: a newcomer is handed the same once more, and who has strayed is healed.")
        .Given("AB")
        .Sync("AB", "w:1", revision: 3)
        .Join('C').Vote("AB").Ready("ABC")
        .Sync("A", "w:1", revision: 3).Sync("B", "w:8", revision: 3).Sync("C", "w:9")
        .Fetched("ABC")
        .Check();

    [Test]
    public void Sync_of_counted_revisions() => new MasterScript("They are always right: one behind the others that decides follows nobody, and a newcomer's count of another run means nothing.")
        .Given("AB")
        .Sync("AB", "w:1", revision: 0, rule: RevisionRule.Counted)
        .Join('C').Vote("AB").Ready("ABC")
        .Sync("AB", "w:2", revision: 1, rule: RevisionRule.Counted).Sync("C", "w:3", revision: 70, rule: RevisionRule.Counted)
        .Fetched("ABC")
        .Note("Beside one that is given, it is that.")
        .Sync("A", "w:4", revision: 57).Sync("BC", "w:4", revision: 2, rule: RevisionRule.Counted)
        .Check();

    [TestCase("skipped")]
    [TestCase("alone-with-it")]
    [TestCase("forgotten")]
    public void Sync_of_revisions_that_grow_by_one(string which)
    {
        var script = new MasterScript("PCCL's rule: the next one is up to date, less is outdated, more does not fit.").Note(which).Given("ABC")
            .Sync("ABC", "w:1", rule: RevisionRule.ByOne);
        _ = which switch
        {
            "skipped" => script.Sync("AB", "w:2", revision: 2, rule: RevisionRule.ByOne).Sync("C", "w:2", revision: 1, rule: RevisionRule.ByOne).Ready("C"),
            "alone-with-it" => script.Sync("A", "w:2", revision: 2, rule: RevisionRule.ByOne).Sync("BC", "w:1", rule: RevisionRule.ByOne),
            _ => script.Sync("ABC", "w:1", rule: RevisionRule.ByOne),
        };
        script.Check(which);
    }

    [TestCase("missing", "w:1")]
    [TestCase("extra", "w:1 b:2 c:3 d:4")]
    [TestCase("other", "w:1 x:2")]
    [TestCase("type", "w:1 b:2:Float64")]
    [TestCase("count", "w:1 b:2:Float32:11")]
    [TestCase("flag", "w:1 b?")]
    public void Sync_of_different_lists(string difference, string state) => new MasterScript("The error names the tensor and what differs. C goes; A and B succeed in the same call.")
        .Note(difference)
        .Given("ABC")
        .Sync("C", state).Sync("AB", "w:1 b:2")
        .Ready("AB")
        .Check(difference);

    [Test]
    public void Sync_several_misfits_go_at_once() => new MasterScript("What is elected does not depend on who goes; the others fetch without them.")
        .Given("ABCDE")
        .Sync("A", "x:1").Sync("B", "w:1:Float64").Sync("CD", "w:1").Sync("E", "w:2")
        .Ready("CDE").Fetched("CDE")
        .Check();

    [Test]
    public void Sync_newcomers_do_not_outvote() => new MasterScript("One that has synchronized outweighs three newcomers: in what is named, and in content.")
        .Given("A")
        .Sync("A", "w:1")
        .Join('B').Join('C').Join('D').Vote("A").Ready("ABCD")
        .Sync("BC", "w:7 b:1").Sync("D", "w:7").Sync("A", "w:2", revision: 1)
        .Ready("AD").Fetched("AD")
        .Check();

    [TestCase("one-each", "w:1", "w:2:Float64", "")]
    [TestCase("two-each", "w:1", "w:1 b:2", "CD")]
    public void Sync_without_a_majority(string size, string one, string other, string more) => new MasterScript("Nobody is sent away by the toss of an id: all hear the error, and may call again.")
        .Note(size)
        .Given("AB" + more)
        .Sync("A" + more.Replace("D", "", StringComparison.Ordinal), one).Sync("B" + more.Replace("C", "", StringComparison.Ordinal), other)
        .Sync("AB" + more, one)
        .Check(size);

    [Test]
    public void Sync_the_last_misfit_is_also_the_last_but_one() => new MasterScript("The one that has synchronized goes on alone.")
        .Given("A")
        .Sync("A", "w:1").Join('B').Vote("A").Ready("AB").Sync("B", "x:1").Sync("A", "w:1", revision: 1).Ready("A")
        .Check();

    [Test]
    public void Sync_fetchers_that_are_lost_are_not_counted() => new MasterScript("The log's sentence is of those who are there: two of three fetched.")
        .Given("ABCD")
        .Sync("A", "w:1", revision: 1).Sync("BCD", "w:2").Fetched("ACD").Lose('B').Ready("ACD")
        .Check();

    [Test]
    public void Sync_send_and_receive() => new MasterScript("B receives and never sends, whatever it holds: C fetches from A alone.")
        .Given("ABC")
        .Sync("A", "w:1 b:2", strategy: Send).Sync("B", "w:1 b:9", strategy: Receive).Sync("C", "w:3 b:2", strategy: Receive)
        .Fetched("ABC")
        .Check();

    [Test]
    public void Sync_receivers_follow_whatever_their_number() => new MasterScript("Two receivers with one content are no candidates.")
        .Given("ABC")
        .Sync("BC", "w:7", strategy: Receive).Sync("A", "w:1", strategy: Send)
        .Fetched("ABC")
        .Check();

    [TestCase("popular-and-receive")]
    [TestCase("popular-and-send")]
    [TestCase("popular-send-and-receive")]
    [TestCase("all-receive")]
    [TestCase("send-different")]
    [TestCase("send-one-each")]
    [TestCase("send-outdated")]
    [TestCase("newcomer-popular")]
    public void Sync_with_strategies_that_do_not_fit(string mix)
    {
        var script = new MasterScript("Whose choice it is goes; the others go on. Enforce-popular wins among equals, whatever the number.").Note(mix).Given("ABC");
        _ = mix switch
        {
            "popular-and-receive" => script.Sync("AB", "w:1").Sync("C", "w:1", strategy: Receive),
            "popular-and-send" => script.Sync("A", "w:1").Sync("BC", "w:1", strategy: Send),
            "popular-send-and-receive" => script.Sync("A", "w:1").Sync("B", "w:1", strategy: Send).Sync("C", "w:1", strategy: Receive),
            "all-receive" => script.Sync("ABC", "w:1", strategy: Receive),
            "send-different" => script.Sync("AB", "w:1 b:2", strategy: Send).Sync("C", "w:1 b:3", strategy: Send),
            "send-one-each" => script.Sync("A", "w:1", strategy: Send).Sync("B", "w:2", strategy: Send).Sync("C", "w:2", strategy: Receive),
            "newcomer-popular" => script.Sync("ABC", "w:1").Join('D').Vote("ABC").Ready("ABCD").Sync("AB", "w:1", revision: 1, Send).Sync("C", "w:1", revision: 1, Receive).Sync("D", "w:1"),
            _ => script.Sync("ABC", "w:1", revision: 4).Sync("AC", "w:2", revision: 5, Send).Sync("B", "w:1", revision: 4, Send),
        };
        script.Check(mix);
    }

    [Test]
    public void Sync_what_may_differ_goes_to_newcomers_only() => new MasterScript("C is new and gets it from who has been here; B keeps its own.")
        .Given("AB")
        .Sync("AB", "w:1 r?", revision: 3)
        .Join('C').Vote("AB").Ready("ABC")
        .Sync("AB", "w:1 r?", revision: 4).Sync("C", "w:0 r?")
        .Fetched("ABC")
        .Note("Now C is no newcomer any more.")
        .Sync("ABC", "w:1 r?", revision: 5)
        .Check();

    [Test]
    public void Sync_of_two_groups() => new MasterScript("Each for itself, with its own revisions.")
        .Given((0, "AB"), (1, "CD"))
        .Sync("A", "w:1").Sync("C", "w:1", revision: 8).Sync("B", "w:1").Sync("D", "w:2", revision: 8)
        .Fetched("CD")
        .Sync("AB", "w:1", revision: 1).Sync("CD", "w:2", revision: 9)
        .Check();

    [Test]
    public void Sync_lost_while_voting() => new MasterScript("Its vote does not count: A and B tie, and the lower id wins.")
        .Given("ABC")
        .Sync("C", "w:2").Sync("B", "w:2").Lose('C').Sync("A", "w:1")
        .Ready("AB")
        .Fetched("AB")
        .Check();

    [Test]
    public void Sync_lost_before_it_voted() => new MasterScript("The others have all voted: decided at once.")
        .Given("ABC")
        .Sync("AB", "w:2").Lose('C').Ready("AB")
        .Check();

    [Test]
    public void Sync_only_holder_lost() => new MasterScript("The election stands; who cannot fetch any more says so, and it fails for all.")
        .Given("ABC")
        .Sync("A", "w:1", strategy: Send).Sync("BC", "w:2", strategy: Receive)
        .Fetched("B").Lose('A').Ready("BC")
        .FetchFails('C', "no holder of \"w\" is left: peer A was lost")
        .Check();

    [Test]
    public void Sync_last_one_missing_lost() => new MasterScript("All who are left hold the elected content.")
        .Given("ABC")
        .Sync("AB", "w:1").Sync("C", "w:2")
        .Fetched("AB").Lose('C').Ready("AB")
        .Check();

    [Test]
    public void Sync_promised_and_lost() => new MasterScript("Its promise is not needed any more, and counts for nobody else.")
        .Given("ABC")
        .Sync("AB", "w:1").Sync("C", "w:2")
        .Fetched("B").Lose('B').Ready("AC").Fetched("A").Fetched("C")
        .Check();

    [Test]
    public void Sync_given_up() => new MasterScript("One cannot finish: it fails for all, also for who has everything.")
        .Given("ABC")
        .Sync("AB", "w:1").Sync("C", "w:2")
        .Fetched("A").FetchFails('C', "the shared state was not synchronised within 3 s")
        .Sync("ABC", "w:1")
        .Check();

    [Test]
    public void Sync_wish_after_the_promise() => new MasterScript("As long as it has not ended, one may still want out.")
        .Given("AB")
        .Sync("A", "w:1").Sync("B", "w:2").Fetched("B").FetchFails('B', "cancelled by the caller")
        .Check();

    [Test]
    public void Sync_wish_too_late() => new MasterScript("It has succeeded, also when the next one is open.")
        .Given("AB")
        .Sync("A", "w:1").Sync("B", "w:2").Fetched("BA").FetchFails('B', "cancelled by the caller")
        .Sync("A", "w:1", revision: 1).FetchFails('B', "cancelled by the caller")
        .Check();

    [Test]
    public void Sync_withdrawn() => new MasterScript("Withdrawn before all have voted; who was missing is named. Then the others decide without a vote of it.")
        .Given("ABC")
        .Sync("AB", "w:1").WithdrawSync('A').WithdrawSync('B')
        .Sync("ABC", "w:1")
        .Check();

    [Test]
    public void Sync_withdrawn_as_the_plan_is_under_way() => new MasterScript("Ignored: the peer answers the plan instead.")
        .Given("AB")
        .Sync("A", "w:1").Sync("B", "w:2").WithdrawSync('B').FetchFails('B', "cancelled by the caller")
        .Check();

    [Test]
    public void Sync_one_accuser_removes_nobody() => new MasterScript("C says so twice, of A and of B: it may be lying.")
        .Given("ABC")
        .Sync("AB", "w:1").Sync("C", "w:2")
        .Accuse('C', 'A').Accuse('C', 'A').Accuse('C', 'B', wrongBytes: false)
        .Fetched("ABC")
        .Check();

    [Test]
    public void Sync_two_accusers_of_wrong_bytes() => new MasterScript("Then it goes, with the reason, and the sync goes on without it.")
        .Given("ABCD")
        .Sync("AB", "w:1").Sync("CD", "w:2")
        .Accuse('C', 'A').Accuse('D', 'A')
        .Ready("BCD").Fetched("BCD")
        .Check();

    [Test]
    public void Sync_two_accusers_of_silence() => new MasterScript("Who does not answer others may be cut from them: no reason to go.")
        .Given("ABCD")
        .Sync("AB", "w:1").Sync("CD", "w:2")
        .Accuse('C', 'A', wrongBytes: false).Accuse('D', 'A', wrongBytes: false)
        .Check();

    [Test]
    public void Sync_and_update_topology_cross() => new MasterScript("Both are told.")
        .Given("ABC")
        .Sync("A", "w:1").Vote("B")
        .Vote("B").Sync("A", "w:1")
        .Check();

    [Test]
    public void Sync_and_a_question_cross() => new MasterScript("Both are told.")
        .Given("AB")
        .Sync("A", "w:1").Query("B")
        .Query("B").Sync("A", "w:1")
        .Check();

    [Test]
    public void Sync_and_an_all_reduce_cross() => new MasterScript("Both are told; the attempt ends with an epoch.")
        .Given("AB")
        .Sync("A", "w:1").Start("B", 7).Ready("AB")
        .Start("B", 8).Sync("A", "w:1").Ready("AB")
        .Check();

    [Test]
    public void Sync_in_one_group_and_a_vote_in_another() => new MasterScript("No crossing: A and B may vote afterwards.")
        .Given((0, "AB"), (1, "C"))
        .Sync("A", "w:1").Vote("C").Sync("B", "w:1").Vote("AB")
        .Check();

    [Test]
    public void Sync_while_the_ring_does_not_stand() => new MasterScript("Independent of epochs.")
        .Given("ABC")
        .Lose('C').Sync("AB", "w:1").Ready("AB")
        .Check();

    [Test]
    public void Sync_revision_is_forgotten_with_who_knew_it() => new MasterScript("Of those who have synchronised none is left: B may begin again. Of B's first sync somebody is left: C is too far.")
        .Given("A")
        .Sync("A", "w:1", revision: 9).Join('B').Vote("A").Ready("AB").Lose('A').Ready("B").Sync("B", "w:1", revision: 2)
        .Join('C').Vote("B").Ready("BC").Sync("C", "w:1", revision: 9).Sync("B", "w:1", revision: 3)
        .Check();

    [Test]
    public void Sync_revision_is_forgotten_with_the_group() => new MasterScript("All have gone: the next to come begin again.")
        .Given("A")
        .Sync("A", "w:1", revision: 9).Lose('A')
        .Join('B').Ready("B").Sync("B", "w:1", revision: 2)
        .Check();

    [Test]
    public void Sync_newcomers_wait() => new MasterScript("Who comes while others sync is admitted after it.")
        .Given("AB")
        .Sync("A", "w:1").Join('C').Sync("B", "w:1").Vote("AB").Ready("ABC")
        .Check();

    [Test]
    public void Sync_whereabouts() => new MasterScript("Errors of others say where a peer is.")
        .Given((0, "A"), (1, "BC"))
        .Sync("B", "w:1").Query("A").Withdraw('A')
        .Check();

    [TestCase("voted-twice")]
    [TestCase("finished-without-a-plan")]
    [TestCase("promised-twice")]
    [TestCase("no-tensor")]
    [TestCase("tensor-twice")]
    [TestCase("accused-no-holder")]
    [TestCase("asked-meanwhile")]
    [TestCase("voted-while-asking")]
    [TestCase("entered-meanwhile")]
    [TestCase("voted-while-reducing")]
    [TestCase("voted-while-pending")]
    public void Sync_protocol_violation(string what)
    {
        var script = new MasterScript("It goes.").Note(what).Given("AB");
        _ = what switch
        {
            "voted-twice" => script.Sync("A", "w:1").Sync("A", "w:1"),
            "finished-without-a-plan" => script.Sync("A", "w:1").Fetched("A"),
            "promised-twice" => script.Sync("A", "w:1").Sync("B", "w:2").Fetched("A").Fetched("A"),
            "no-tensor" => script.Sync("A", ""),
            "tensor-twice" => script.Sync("A", "w:1 b:2 w:1"),
            "accused-no-holder" => script.Sync("A", "w:1").Sync("B", "w:2").Accuse('A', 'B'),
            "asked-meanwhile" => script.Sync("A", "w:1").Query("A"),
            "voted-while-asking" => script.Query("A").Sync("A", "w:1"),
            "entered-meanwhile" => script.Sync("A", "w:1").Start("A", 7),
            "voted-while-reducing" => script.Start("A", 7).Sync("A", "w:1"),
            _ => script.Join('C').Sync("C", "w:1"),
        };
        script.Check(what);
    }
}
