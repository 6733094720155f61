using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Golden transcripts: the vote to optimise, probes in rounds, the ring that follows. Read Transcripts/Master/optimise-*.txt.</summary>
[TestFixture]
internal sealed class MasterTopologyTests
{
    [Test]
    public void Optimise_three() => new MasterScript("All pairs are measured, one at a time, as each has two of the three; A to B is slow, so the ring turns round.")
        .Given("ABC")
        .VoteOptimize("ABC")
        .Measure((from, to) => (from, to) == ('A', 'B') ? 10 : 100)
        .Ready("ABC")
        .Note("Everything is known: the next call measures nothing, and the ring stays.")
        .VoteOptimize("ABC")
        .Check();

    [Test]
    public void Optimise_four_in_rounds() => new MasterScript("Two disjoint pairs a round. The next round begins when both are measured.")
        .Given("ABCD")
        .VoteOptimize("ABCD")
        .Measure((_, _) => 100)
        .Check();

    [Test]
    public void Optimise_a_ring_that_is_about_as_good() => new MasterScript("A gain within what measurements differ by is not worth new links.")
        .Given("ABC")
        .VoteOptimize("ABC")
        .Measure((from, to) => (from, to) == ('A', 'B') ? 95 : 100)
        .Check();

    [Test]
    public void Optimise_two_and_one() => new MasterScript("Of one or two peers there is one ring: answered at once.")
        .Given((0, "AB"), (1, "C"))
        .VoteOptimize("ABC")
        .Check();

    [Test]
    public void Optimise_with_a_newcomer() => new MasterScript("Only pairs with the newcomer are measured.")
        .Given("ABC")
        .VoteOptimize("ABC").Measure((_, _) => 100)
        .Join('D').Vote("ABC").Ready("ABCD")
        .VoteOptimize("ABCD").Measure((from, to) => (from, to) == ('D', 'A') ? 5 : 100)
        .Ready("ABCD")
        .Check();

    [Test]
    public void Optimise_two_groups() => new MasterScript("A barrier of the whole run; each group has a ring of its own.")
        .Given((0, "ABC"), (1, "DEF"))
        .VoteOptimize("ABCDEF")
        .Measure((from, to) => (from, to) is ('D', 'E') ? 1 : 100)
        .Ready("DEF")
        .Check();

    [Test]
    public void Optimise_when_a_probe_fails() => new MasterScript("What cannot be measured counts as slower than what can; the next call tries again.")
        .Given("ABC")
        .VoteOptimize("ABC")
        .Measure((from, to) => (from, to) == ('A', 'B') ? null : 100)
        .Ready("ABC")
        .VoteOptimize("ABC")
        .Measure((_, _) => 100)
        .Check();

    [Test]
    public void Optimise_with_a_peer_that_nobody_reaches() => new MasterScript("After three tries its other pairs are not measured; the ring has it where it was.")
        .Given("ABCD")
        .VoteOptimize("ABCD")
        .Measure((from, to) => from == 'D' || to == 'D' ? null : 100)
        .Check();

    [Test]
    public void Optimise_without_answers() => new MasterScript("Ends that live and say nothing hold nobody up; what they say later is nothing any more.")
        .Given("ABC")
        .VoteOptimize("ABC")
        .WhileBeating("ABC", 10)
        .Tick(1000).Beat("ABC")
        .Measured('B', 1, 77)
        .WhileBeating("ABC", 70)
        .VoteOptimize("ABC")
        .Check();

    [Test]
    public void Optimise_after_the_master_stood_still() => new MasterScript("In that time nobody could tell it anything.")
        .Given("ABC")
        .Tick(0)
        .VoteOptimize("ABC")
        .Tick(60_000)
        .Measured('B', 1, 100)
        .Check();

    [Test]
    public void Optimise_and_the_last_missing_voter_is_lost() => new MasterScript("Counted again.")
        .Given("ABCD")
        .VoteOptimize("ABC")
        .Lose('D')
        .Measure((_, _) => 100)
        .Ready("ABC")
        .Check();

    [Test]
    public void Optimise_and_the_sender_of_a_probe_is_lost() => new MasterScript("Its probe ends with it. The others of the round are waited for, then it goes on without it.")
        .Given("ABCD")
        .VoteOptimize("ABCD")
        .Lose('A')
        .Measured('D', 2, 100)
        .Measure((_, _) => 100)
        .Ready("BCD")
        .Check();

    [Test]
    public void Optimise_and_the_target_of_the_only_probe_is_lost() => new MasterScript("The next round begins at once.")
        .Given("ABC")
        .VoteOptimize("ABC")
        .Lose('B')
        .Measure((_, _) => 100)
        .Ready("AC")
        .Check();

    [Test]
    public void Optimise_and_a_peer_is_lost_in_the_new_ring() => new MasterScript("Survivors keep the better order.")
        .Given("ABCD")
        .VoteOptimize("ABCD")
        .Measure((from, to) => (from, to) == ('A', 'B') ? 10 : 100)
        .Lose('C')
        .Ready("ABD")
        .Check();

    [Test]
    public void Optimise_and_all_are_lost() => new MasterScript("Who waits is admitted, and may optimise on its own.")
        .Given("ABC")
        .Join('D')
        .VoteOptimize("ABC")
        .Lose('A').Lose('B').Lose('C')
        .Ready("D")
        .VoteOptimize("D")
        .Check();

    [Test]
    public void Optimise_while_somebody_is_pending() => new MasterScript("It waits: an optimisation admits nobody.")
        .Given("ABC")
        .VoteOptimize("AB").Join('D').VoteOptimize("C")
        .Measure((_, _) => 100)
        .Vote("ABC").Ready("ABCD")
        .Check();

    [Test]
    public void Optimise_while_the_own_ring_does_not_stand() => new MasterScript("Measured meanwhile; answered when the ring stands.")
        .Given("ABCD")
        .Lose('D')
        .VoteOptimize("ABC")
        .Measure((_, _) => 100)
        .Ready("ABC")
        .Check();

    [Test]
    public void Optimise_withdrawn_before_all_have_voted() => new MasterScript("The answer names who has not voted; it can vote again.")
        .Given("ABC")
        .VoteOptimize("AB").Withdraw('B')
        .VoteOptimize("BC")
        .Check();

    [Test]
    public void Optimise_withdrawn_while_measuring() => new MasterScript("One that cannot wait cuts it short for all: the ring is ordered by what is known, and all calls end alike.")
        .Given("ABC")
        .VoteOptimize("ABC")
        .Measure((from, to) => (from, to) == ('A', 'B') ? 10 : 100, probes: 3)
        .Withdraw('C')
        .Measured('A', 4, 100)
        .Check();

    [Test]
    public void Optimise_withdrawn_while_wiring() => new MasterScript("It is decided: the answer is on its way.")
        .Given("ABC")
        .VoteOptimize("ABC")
        .Measure((from, to) => (from, to) == ('A', 'B') ? 10 : 100)
        .Withdraw('C')
        .Ready("ABC")
        .Check();

    [Test]
    public void Optimise_and_update_cross() => new MasterScript("Different votes never meet.")
        .Given("ABC")
        .VoteOptimize("AB").Vote("C")
        .VoteOptimize("ABC")
        .Check();

    [Test]
    public void Optimise_and_a_question_cross() => new MasterScript("Nor do a vote and a question.")
        .Given("AB")
        .Query("A").VoteOptimize("B")
        .Check();

    [Test]
    public void Optimise_and_an_all_reduce_cross([Values] bool voteFirst)
    {
        var script = new MasterScript("One waits in a vote, the other in an all-reduce: they can never meet.").Given("AB");
        _ = voteFirst ? script.VoteOptimize("A").Start("B", 7) : script.Start("B", 7).VoteOptimize("A");
        script.Ready("AB").Check(voteFirst ? "vote-first" : "all-reduce-first");
    }

    [Test]
    public void Optimise_and_a_sync_cross([Values] bool voteFirst)
    {
        var script = new MasterScript("A sync takes all of the group, an optimisation all of the run: they can never meet.").Given("AB");
        _ = voteFirst ? script.VoteOptimize("A").Sync("B", "w:1") : script.Sync("B", "w:1").VoteOptimize("A");
        script.VoteOptimize("AB").Check(voteFirst ? "vote-first" : "sync-first");
    }

    [Test]
    public void Optimise_voted_twice() => new MasterScript("A breach of the protocol.")
        .Given("ABC")
        .VoteOptimize("AA")
        .Check();

    [Test]
    public void Optimise_reports_of_others() => new MasterScript("Only the target can have measured, and only the ends can know of a failure.")
        .Given("ABC")
        .VoteOptimize("ABC")
        .Measured('A', 1, 100)
        .ProbeFails('C', 1)
        .Measured('C', 99, 100)
        .Measured('B', 1, 100)
        .Check();

    [Test]
    public void Optimise_around_a_pair_in_trouble() => new MasterScript("A pair that the ring avoids because its link fails is not measured, and stays avoided however fast the others are not.")
        .Given("ABCD")
        .LinkFails('A', 'B', outgoing: true).LinkFails('A', 'B', outgoing: true).Tick(1000).Ready("ABCD")
        .VoteOptimize("ABCD")
        .Measure((from, to) => (from, to) is ('A', 'C') or ('B', 'C') ? 1 : 100)
        .Check();

    [Test]
    public void A_measurement_is_forgotten_with_its_peer()
    {
        var script = new MasterScript("").Given("ABCD").VoteOptimize("ABCD").Measure((_, _) => 100).Lose('D');
        script.Ready("ABC").Join('E').Vote("ABC").Ready("ABCE").VoteOptimize("ABCE");
        var asked = new HashSet<(char, char)>();
        script.Measure((from, to) =>
        {
            asked.Add((from, to));
            return 100;
        });
        Assert.That(asked, Is.EquivalentTo(new[] { ('A', 'E'), ('B', 'E'), ('C', 'E'), ('E', 'A'), ('E', 'B'), ('E', 'C') }));
    }

    /// <summary>The slow link is avoided whichever it is, and the ring begins with the same peer.</summary>
    [Test]
    public void The_slow_link_is_avoided([Values("AB", "BA", "BD", "CA", "DC")] string slow)
    {
        var script = new MasterScript("").Given("ABCD").VoteOptimize("ABCD").Measure((from, to) => $"{from}{to}" == slow ? 1 : 100);
        var ring = script.RingOf('A');
        Assert.That(ring[0], Is.EqualTo('A'));
        Assert.That($"{ring}A", Does.Not.Contain(slow));
        script.Ready(ring == "ABCD" ? "" : "ABCD");
    }

    [Test]
    public void Peers_behind_one_address_are_measured_one_at_a_time()
    {
        var host = new PeerAddress(0x0A00_00FF, IsIPv6: false, 1000);
        var script = new MasterScript("").Join('A', remote: host).Ready("A").Join('B', remote: host).Join('C', remote: host).Join('D').Vote("A").Ready("ABCD");
        var most = 0;
        script.VoteOptimize("ABCD").Measure((_, _) =>
        {
            most = Math.Max(most, script.ProbesOpen);
            return 100;
        });
        Assert.That(most, Is.Zero, "no probe beside the one that is being measured");
    }
}
