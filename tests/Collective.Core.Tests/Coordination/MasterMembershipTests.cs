using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Golden transcripts: registration, admission, votes, loss and links. Read Transcripts/Master/*.txt.</summary>
[TestFixture]
internal sealed class MasterMembershipTests
{
    [Test]
    public void First_peer_connects() => new MasterScript("The first peer is admitted at once: nobody has to be asked.")
        .Join('A')
        .Ready("A")
        .Check();

    [Test]
    public void Two_peers_are_admitted_by_a_vote() => new MasterScript("Who comes later waits until all admitted peers have voted; the answer comes when the ring stands.")
        .Given("A")
        .Join('B').Join('C')
        .Vote("A")
        .Ready("BAC")
        .Check();

    [Test]
    public void Vote_with_nobody_pending() => new MasterScript("Nothing changes: answered in one round trip.")
        .Given("AB")
        .Vote("AB")
        .Check();

    [Test]
    public void Vote_is_decided_by_the_loss_of_the_last_missing_voter() => new MasterScript("Every disconnect re-evaluates every open vote.")
        .Given("ABC")
        .Join('D')
        .Vote("AB")
        .Lose('C')
        .Ready("ABD")
        .Check();

    [Test]
    public void Vote_while_the_own_ring_does_not_stand() => new MasterScript("A peer that votes while its group rewires is answered when the ring stands, not with the old world.")
        .Given((0, "AB"), (1, "C"))
        .Lose('B')
        .Vote("AC")
        .Ready("A")
        .Check();

    [Test]
    public void Local_fault() => new MasterScript("A peer that cannot do its part says so and goes; that links to it fail is nobody's fault.")
        .Given("ABC").Join('D')
        .Receive('B', new LocalFault("its process has no file descriptors left"))
        .Receive('A', new LinkFailed(PeerScript.Number(1), Describe.Peer('B'), Outgoing: true, "timed out"))
        .Ready("AC")
        .Note("Of one that waits nobody else hears.")
        .Receive('D', new LocalFault("its system gives its process no more threads"))
        .Check();

    [Test]
    public void Local_fault_before_hello() => new MasterScript("A stranger has no part to do.")
        .Connect('A')
        .Receive('A', new LocalFault("its process has no file descriptors left"))
        .Check();

    [Test]
    public void Minimum_world_size() => new MasterScript("A peer waits until its group would be as large as it asks; nobody waits for it.")
        .Given("AB")
        .Join('C', minimumWorldSize: 4)
        .Join('D', group: 1)
        .Query("AB")
        .Vote("AB")
        .Note("D is of another group: it is admitted, and does not count for C.")
        .Ready("D")
        .Join('E')
        .Vote("ABD")
        .Ready("ABCE")
        .Check();

    [Test]
    public void Minimum_world_size_of_the_first() => new MasterScript("All of the first who ask for company are admitted together.")
        .Join('A', minimumWorldSize: 3)
        .Join('B', minimumWorldSize: 3)
        .Lose('B')
        .Join('C', minimumWorldSize: 2)
        .Note("A still waits, but C would be alone: it waits, too.")
        .Join('D')
        .Ready("ACD")
        .Check();

    [Test]
    public void Vote_and_query_cross() => new MasterScript("Neither can ever be decided: both hear who waits where.")
        .Given("ABCD")
        .Vote("AB").Query("D").Vote("C")
        .Check();

    [Test]
    public void Vote_withdrawn_by_timeout() => new MasterScript("The answer names who has not voted; the vote does not count, and it can vote again.")
        .Given("AB").Join('C')
        .Vote("A").Withdraw('A')
        .Vote("B").Vote("A").Ready("ABC")
        .Check();

    [Test]
    public void Vote_withdrawn_too_late() => new MasterScript("The update has been decided: the answer comes with the ring.")
        .Given("A").Join('B')
        .Vote("A").Withdraw('A').Ready("AB").Withdraw('A')
        .Check();

    [Test]
    public void Query_withdrawn() => new MasterScript("The others' question is open until it asks again.")
        .Given("AB")
        .Query("A").Withdraw('A').Query("BA")
        .Check();

    [Test]
    public void Admit_when_alone_with_company() => new MasterScript("A lone peer that wants to reduce gets who waits at the door, without a vote of other groups.")
        .Given((0, "A"), (1, "B"))
        .Join('C')
        .AskWhenAlone('A')
        .Ready("AC")
        .Check();

    [Test]
    public void Admit_when_alone_without_company() => new MasterScript("Nobody of its group waits: the question is answered at once.")
        .Given((0, "A"), (1, "B"))
        .Join('C', group: 1)
        .AskWhenAlone('A')
        .Check();

    [Test]
    public void Admit_when_alone_and_the_company_is_lost_again() => new MasterScript("The answer comes with the ring that stands, whoever is in it.")
        .Given("A")
        .Join('C')
        .AskWhenAlone('A')
        .Ready("A")
        .Lose('C')
        .Ready("A")
        .Check();

    [Test]
    public void Pending_query() => new MasterScript("The same answer for all, when all have asked.")
        .Given("AB")
        .Query("A").Query("B")
        .Join('C')
        .Query("BA")
        .Check();

    [Test]
    public void Pending_query_and_the_last_missing_peer_is_lost() => new MasterScript("The loss completes the question.")
        .Given("ABC")
        .Join('D')
        .Query("AC")
        .Lose('B')
        .Check();

    [Test]
    public void Peer_lost_while_idle() => new MasterScript("The survivors get a new epoch; nobody is asked.")
        .Given("ABC")
        .Lose('B')
        .Ready("CA")
        .Check();

    [Test]
    public void Pending_peer_lost() => new MasterScript("Nobody hears of it.")
        .Given("A")
        .Join('B')
        .Lose('B')
        .Vote("A")
        .Check();

    [Test]
    public void Stranger_lost() => new MasterScript("A connection that never said hello.")
        .Given("A")
        .Connect('B')
        .Lose('B')
        .Check();

    [Test]
    public void Last_peer_lost() => new MasterScript("The run is empty; the next to come is the first again, and epochs do not go back.")
        .Given("A")
        .Lose('A')
        .Join('B')
        .Ready("B")
        .Check();

    [Test]
    public void First_peer_lost_before_its_epoch_stands() => new MasterScript("Who waited behind it is admitted in its place.")
        .Join('A')
        .Join('B')
        .Lose('A')
        .Ready("B")
        .Check();

    [Test]
    public void Only_peer_lost_before_its_epoch_stands() => new MasterScript("The run is empty before it began.")
        .Join('A')
        .Lose('A')
        .Join('B')
        .Ready("B")
        .Check();

    [Test]
    public void Peer_lost_during_wiring() => new MasterScript("The epoch that was being wired is followed by the next; acknowledgements of the old one do not count.")
        .Given("ABCD")
        .Lose('B')
        .Ready("A")
        .Lose('C')
        .Receive('D', new EpochReady(new Epoch((1UL << 48) | 3)))
        .Ready("AD")
        .Check();

    [Test]
    public void Newcomer_lost_during_its_admission() => new MasterScript("The voters are answered when the ring without it stands.")
        .Given("AB")
        .Join('C')
        .Vote("AB")
        .Ready("A")
        .Lose('C')
        .Ready("AB")
        .Check();

    [Test]
    public void Voter_lost_during_an_admission() => new MasterScript("The other voter is answered when the ring without it stands.")
        .Given("AB")
        .Join('C')
        .Vote("AB")
        .Lose('B')
        .Ready("AC")
        .Check();

    [Test]
    public void All_voters_lost_during_an_admission() => new MasterScript("Nobody is left to be answered.")
        .Given("A")
        .Join('C')
        .Vote("A")
        .Lose('A')
        .Ready("C")
        .Check();

    [Test]
    public void Peer_comes_during_an_admission() => new MasterScript("It waits for the next vote.")
        .Given("A")
        .Join('B')
        .Vote("A")
        .Join('C')
        .Ready("AB")
        .Vote("AB")
        .Ready("ABC")
        .Check();

    [Test]
    public void Two_groups() => new MasterScript("What happens in one group is not heard in the other.")
        .Given((7, "AB"), (9, "CD"))
        .Start("C", 1)
        .Lose('B')
        .Ready("A")
        .Start("D", 1)
        .Promise("CD", 1)
        .Check();

    [Test]
    public void Leave() => new MasterScript("A clean leave ends what was open in the group, with that reason.")
        .Given("ABC")
        .Start("AC", 1)
        .Receive('B', new Leave())
        .Lose('B')
        .Ready("AC")
        .Check();

    [Test]
    public void Pending_peer_leaves() => new MasterScript("Nobody hears of it.")
        .Given("A")
        .Join('B')
        .Receive('B', new Leave())
        .Lose('B')
        .Check();

    [Test]
    public void Refusal_for_the_wire_version() => new MasterScript("Another release is refused with a reason.")
        .Connect('A')
        .Receive('A', new Hello(2, default, 0, 1))
        .Lose('A')
        .Check();

    [Test]
    public void Link_fails_once() => new MasterScript("A broken link is reopened: same ring, new epoch. The other end's report is of an older epoch and changes nothing.")
        .Given("ABC")
        .Start("AB", 1)
        .LinkFails('A', 'B', outgoing: true)
        .LinkFails('B', 'A', outgoing: false, epoch: new Epoch((1UL << 48) | 2))
        .Ready("ABC")
        .Check();

    [Test]
    public void Link_fails_in_two_epochs_among_four() => new MasterScript("The second retry waits for a tick; its ring order avoids the pair.")
        .Given("ABCD")
        .Tick(0)
        .LinkFails('A', 'B', outgoing: true)
        .LinkFails('B', 'A', outgoing: false)
        .LinkFails('A', 'B', outgoing: true)
        .Tick(1000)
        .Ready("ABCD")
        .Note("When C is lost there is no order without the pair: it is tried again.")
        .Lose('C')
        .Check();

    [Test]
    public void Link_fails_for_long_between_two()
    {
        var script = new MasterScript("There is no order that avoids the pair, and both are heard all the time: one of them has to go.").Given("AB").Tick(0);
        for (var second = 0; second < 11; second++)
        {
            script.LinkFails('A', 'B', outgoing: true).WhileBeating("AB", 1).Surveyed("A", "B").Surveyed("B", "A");
        }

        script.Tick(1).Ready("A").Check();
    }

    [Test]
    public void Links_of_one_peer_fail_among_six() => new MasterScript("After three epochs all are asked whom they reach; it takes one answer, and time enough to be sure, however many they are.")
        .Given("ABCDEF").Tick(0)
        .LinkToFails('C').LinkToFails('C').Tick(1000).Beat("ABCDEF").LinkToFails('C').Tick(1000)
        .Surveyed("ABDEF", "C").Surveyed("C", "ABDEF")
        .Note("No order does without all of these pairs. It may pass: they are asked again.")
        .Tick(1000).Beat("ABCDEF").Surveyed("ABDEF", "C").Surveyed("C", "ABDEF")
        .WhileBeating("ABCDEF", 7)
        .Surveyed("ABDEF", "C").Surveyed("C", "ABDEF")
        .Ready("ABDEF")
        .Check();

    [Test]
    public void Links_between_two_halves_fail() => new MasterScript("The smaller half has to go, at once.")
        .Given("ABCDE").Tick(0)
        .LinkToFails('C').LinkToFails('C').Tick(1000).Beat("ABCDE").LinkToFails('D').Tick(1000)
        .Surveyed("ABC", "DE").Surveyed("DE", "ABC")
        .WhileBeating("ABCDE", 8)
        .Surveyed("ABC", "DE").Surveyed("DE", "ABC")
        .Ready("ABC")
        .Check();

    [Test]
    public void Links_that_fail_are_surveyed_and_avoided() => new MasterScript("B reaches only C and D, and stays; what is found does not have to fail first.")
        .Given("ABCDEF").Tick(0)
        .LinkToFails('B').LinkToFails('B').Tick(1000).LinkToFails('B').Tick(1000)
        .Surveyed("AEF", "B").Surveyed("CD", "").Surveyed("B", "AEF")
        .Ready("ABCDEF")
        .Check();

    [Test]
    public void Links_are_surveyed_when_a_peer_is_lost() => new MasterScript("Its loss explains it; what is answered to the old question is no news.")
        .Given("ABCD").Tick(0)
        .LinkToFails('B').LinkToFails('B').Tick(1000).LinkToFails('B').Tick(1000)
        .Surveyed("AC", "B")
        .Lose('B')
        .Receive('D', new LinksSurveyed(new Epoch((1UL << 48) | 4), [0]))
        .Ready("ACD")
        .Check();

    [Test]
    public void Links_of_a_peer_that_only_beats_fail() => new MasterScript("B says nothing of epochs or links, though it beats. A and C, which cannot be ready without it, say what they see: B has to go.")
        .Given("ABC").Tick(0)
        .LinkFails('A', 'B', outgoing: true).Beat("ABC")
        .LinkFails('A', 'B', outgoing: true).Tick(1000).Beat("ABC")
        .LinkFails('A', 'B', outgoing: true).Tick(1000).Beat("ABC")
        .Surveyed("AC", "B")
        .WhileBeating("ABC", 30).Tick(1)
        .Ready("AC")
        .Check();

    [Test]
    public void Link_to_a_dead_peer_fails_again_and_again() => new MasterScript("B has died, but its connection has not ended here yet: A keeps its place.")
        .Given("AB")
        .Tick(0)
        .LinkFails('A', 'B', outgoing: false)
        .LinkFails('A', 'B', outgoing: true)
        .Tick(1000)
        .Beat("A")
        .LinkFails('A', 'B', outgoing: true)
        .Tick(1000)
        .Beat("A")
        .LinkFails('A', 'B', outgoing: true)
        .Lose('B')
        .Ready("A")
        .Check();

    [Test]
    public void Link_to_a_peer_that_died_after_an_earlier_trouble() => new MasterScript("The link broke once and stood again; then A dies unnoticed. B, the newcomer, keeps its place: no failure after the death counts.")
        .Given("AB")
        .LinkFails('B', 'A', outgoing: true).Ready("AB").WhileBeating("AB", 8)
        .LinkFails('B', 'A', outgoing: true).Tick(1000).Beat("B")
        .LinkFails('B', 'A', outgoing: true).Tick(1000).Beat("B")
        .LinkFails('B', 'A', outgoing: true).Tick(1000).Beat("B")
        .LinkFails('B', 'A', outgoing: true).Tick(1000).Beat("B")
        .Check();

    [Test]
    public void Link_on_which_bytes_are_stuck() => new MasterScript("A says that it has sent more than B says has come, and nothing more comes: something between the two keeps it.")
        .Given("ABC").Tick(0).Start("ABC", 7)
        .WhileMoving(12, _ => [('A', 1000, 1000), ('B', 1000, 900), ('C', 900, 1000)])
        .Tick(1000).Progress('B', 1000, 900).Tick(1000)
        .Note("Told once: of the new epoch nothing is known yet.")
        .Tick(1000)
        .Ready("ABC")
        .Check();

    [Test]
    public void Link_that_is_slow_is_not_stuck() => new MasterScript("A byte a second is progress; so is one that has received all that was sent, and waits for more.")
        .Given("ABC").Tick(0).Start("ABC", 7)
        .WhileMoving(60, second => [('A', 1000, 500), ('B', 700, (ulong)(900 + second)), ('C', 500, 700)])
        .Tick(1000)
        .Check();

    [Test]
    public void Link_is_not_stuck_because_the_master_was_frozen() => new MasterScript("What was reported before it stood still is too old to count; then the count begins again.")
        .Given("ABC").Tick(0).Start("ABC", 7)
        .WhileMoving(9, _ => [('A', 1000, 1000), ('B', 1000, 900), ('C', 900, 1000)])
        .Tick(8000).Beat("ABC").Progress('B', 1000, 900).Tick(1000)
        .WhileMoving(9, _ => [('A', 1000, 1000), ('B', 1000, 900), ('C', 900, 1000)])
        .Tick(1000)
        .WhileMoving(3, _ => [('A', 1000, 1000), ('B', 1000, 900), ('C', 900, 1000)])
        .Ready("ABC")
        .Check();

    [Test]
    public void Link_reported_by_both_ends() => new MasterScript("The epoch opens with the first report; what stands says what both ends reported.")
        .Given("ABC").Start("A", 7)
        .LinkFails('A', 'B', outgoing: true)
        .LinkFails('B', 'A', outgoing: false, epoch: new Epoch((1UL << 48) | 2))
        .Ready("ABC")
        .Check();

    [Test]
    public void Link_reported_before_the_death_that_broke_it() => new MasterScript("Nobody blames a link when the peer behind it is gone.")
        .Given("ABC").Start("AC", 7)
        .LinkFails('A', 'B', outgoing: true)
        .Lose('B')
        .LinkFails('C', 'B', outgoing: false)
        .Ready("AC")
        .Check();

    [Test]
    public void Link_failures_are_forgotten_when_data_has_flowed() => new MasterScript("A ring that only stands proves nothing: the second break before a commit counts, the one after it does not.")
        .Given("ABCD")
        .Tick(0)
        .LinkFails('A', 'B', outgoing: true).Ready("ABCD")
        .Start("ABCD", 7).Promise("ABCD", 7)
        .LinkFails('A', 'B', outgoing: true).Ready("ABCD")
        .Start("ABCD", 7)
        .LinkFails('A', 'B', outgoing: true).Ready("ABCD")
        .Check();

    [Test]
    public void Link_breaks_after_another_reason() => new MasterScript("What ended the attempt is said first; the link broke only while the ring was made.")
        .Given("ABC").Start("AB", 7)
        .GiveUp('A', 7, "cancelled by the caller")
        .LinkFails('A', 'B', outgoing: true)
        .Ready("ABC")
        .Check();

    [Test]
    public void Peer_lost_after_another_reason() => new MasterScript("Both are said.")
        .Given("ABC").Start("AB", 7)
        .GiveUp('A', 7, "cancelled by the caller")
        .Lose('C')
        .Ready("AB")
        .Check();
}
