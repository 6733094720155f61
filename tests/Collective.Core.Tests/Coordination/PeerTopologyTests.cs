using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Golden transcripts of one peer, A, in an optimisation. Read Transcripts/Peer/optimise-*.txt.</summary>
[TestFixture]
internal sealed class PeerTopologyTests
{
    [Test]
    public void Optimise() => new PeerScript("Vote, probes as sender and as target, the new ring, the answer.")
        .Given("ABC")
        .VoteOptimize(1)
        .Probe(1, 'A', 'B')
        .Probe(2, 'C', 'A').Probed(2, 12_500_000)
        .Opened(2, "ACB", "the ring order is optimised").Wired(2).Stands(2, 3)
        .Answer(1, size: 3)
        .Check();

    [Test]
    public void Optimise_and_the_ring_stays() => new PeerScript("No new epoch: the answer is all. Tags go on: they are forgotten at topology updates only.")
        .Given("ABC")
        .Launch(1).Completed(1).Hear(new Verdict(PeerScript.Attempt(1)))
        .VoteOptimize(1).Answer(1, size: 3)
        .Launch(2)
        .Check();

    [Test]
    public void Optimise_and_a_probe_fails() => new PeerScript("Told to the master; the call goes on.")
        .Given("ABC")
        .VoteOptimize(1).Probe(1, 'A', 'B').Probed(1)
        .Answer(1, size: 3)
        .Check();

    [Test]
    public void Optimise_and_a_peer_is_lost() => new PeerScript("Probes and the new ring go on side by side.")
        .Given("ABC")
        .VoteOptimize(1).Probe(1, 'B', 'A')
        .Lost(2, "AC", 'B').Probe(2, 'C', 'A').Probed(1).Wired(2).Probed(2, 1_000_000).Stands(2, 2)
        .Answer(1)
        .Check();

    [Test]
    public void Optimise_excludes_other_calls() => new PeerScript("What cannot be done while it waits, and what it cannot be called in.")
        .Given("ABC")
        .VoteOptimize(1).VoteOptimize(2).Vote(3).Query(4).Launch(5)
        .Answer(1, ErrorCode.CrossedCalls, "peer A waits in optimize topology while peer B waits in update topology", size: 3)
        .Vote(6).VoteOptimize(7).Answer(6, size: 3)
        .Query(8).VoteOptimize(9).Replied(8)
        .Launch(10).VoteOptimize(11)
        .Check();

    [TestCase(PeerState.Created)]
    [TestCase(PeerState.Pending)]
    [TestCase(PeerState.Wiring)]
    [TestCase(PeerState.Leaving)]
    [TestCase(PeerState.Dead)]
    public void Optimise_while(PeerState state) => new PeerScript($"The call, and a probe, while {state}.")
        .Given(state)
        .VoteOptimize(1)
        .Probe(1, 'B', 'A').Probed(1, 5)
        .Check(state.ToString());

    [Test]
    public void Optimise_timed_out() => new PeerScript("The vote is withdrawn; the master's answer is the end of the call.")
        .Given("AB")
        .VoteOptimize(1, timeoutMs: 300).Tick(300)
        .Answer(1, ErrorCode.TimedOut, "peer B (is in no call) has not voted")
        .Check();

    [Test]
    public void Optimise_cancelled_too_late() => new PeerScript("All had voted: it is cut short, and the call ends with what was decided.")
        .Given("AB")
        .VoteOptimize(1).Withdraw(1).Withdraw(1).Answer(1)
        .Check();

    [Test]
    public void Optimise_and_the_master_is_lost() => new PeerScript("Every call ends.")
        .Given("AB")
        .VoteOptimize(1).Input(new PeerInput.Lost(ErrorCode.MasterLost, "closed"))
        .Check();

    [Test]
    public void Optimise_alone() => new PeerScript("A program that sees to its topology itself: a later all-reduce alone does not ask for company.")
        .Given("A")
        .VoteOptimize(1).Answer(1, size: 1)
        .Launch(1)
        .Check();

    [Test]
    public void Probe_of_others() => new PeerScript("An order that is not for this peer breaks the protocol.")
        .Given("ABC")
        .Probe(1, 'B', 'C')
        .Check();

    [Test]
    public void Probe_of_itself() => new PeerScript("As does one from this peer to itself.")
        .Given("ABC")
        .Probe(1, 'A', 'A')
        .Check();
}
