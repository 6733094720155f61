using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Golden transcripts: several tensors with one verdict. Read Transcripts/Master/set-*.txt and Transcripts/Peer/set-*.txt.</summary>
[TestFixture]
internal sealed class SetTests
{
    private const ulong Bulk = 1_000_000;

    [Test]
    public void Set_commits_as_one() => new MasterScript("Members enter with one tensor after the other, in any order; each is released when all have it, and one verdict follows the last promise.")
        .Given("AB")
        .Tensor("A", 7, 0, of: 3, Bulk).Tensor("B", 7, 2, of: 3).Tensor("A", 7, 2, of: 3).Tensor("B", 7, 0, of: 3, Bulk)
        .Tensor("AB", 7, 1, of: 3)
        .Promise("AB", 7)
        .Check();

    [Test]
    public void Set_is_aborted_as_one() => new MasterScript("A member is lost when one has promised all, and another has not launched all: nothing commits.")
        .Given("ABC")
        .Tensor("ABC", 7, 0, of: 2).Tensor("AC", 7, 1, of: 2)
        .Promise("A", 7)
        .Lose('C')
        .Ready("AB")
        .Check();

    [TestCase("another-number")]
    [TestCase("no-set")]
    [TestCase("no-set-first")]
    [TestCase("another-count")]
    public void Set_mismatch(string kind)
    {
        var script = new MasterScript("Told as soon as all are in, whatever tensors have not been launched yet.").Note(kind).Given("ABC");
        script = kind switch
        {
            "another-number" => script.Tensor("A", 7, 0, of: 2).Tensor("B", 7, 2, of: 3).Tensor("C", 7, 0, of: 2),
            "no-set" => script.Tensor("A", 7, 0, of: 2).Start("B", 7).Tensor("C", 7, 1, of: 2),
            "no-set-first" => script.Start("A", 7).Tensor("B", 7, 1, of: 2).Start("C", 7),
            _ => script.Tensor("A", 7, 0, of: 2).Tensor("B", 7, 1, of: 2).Tensor("C", 7, 1, of: 2, count: 11),
        };
        script.Ready("ABC").Check(kind);
    }

    [Test]
    public void Set_promised_before_all_was_launched() => new MasterScript("A promise is for all tensors.")
        .Given("AB")
        .Tensor("AB", 7, 0, of: 2)
        .Promise("A", 7)
        .Check();

    [TestCase("tensor", (ushort)0, (ushort)2)]
    [TestCase("size", (ushort)1, (ushort)3)]
    public void Set_entered_twice(string what, ushort tensor, ushort of) => new MasterScript("A member that launches a tensor twice, or changes its mind about their number, breaks the protocol.")
        .Note(what)
        .Given("AB")
        .Tensor("A", 7, 0, of: 2)
        .Tensor("A", 7, tensor, of)
        .Check(what);

    [Test]
    public void Set_too_large() => new MasterScript("What one member has in flight is bounded.")
        .Given("AB")
        .Tensor("A", 7, 0, of: Limits.TensorsInFlightMax)
        .Tensor("A", 8, 0, of: 1)
        .Check();

    [Test]
    public void Set_that_is_being_computed_is_not_waited_out() => new MasterScript("Who has not launched all tensors may still be computing them; who waits in other calls, with nothing to add, never comes.")
        .Given("AB")
        .Tensor("A", 7, 0, of: 2).Start("B", 8)
        .WhileBeating("AB", 60).Tick(1000)
        .Tensor("A", 7, 1, of: 2)
        .WhileBeating("AB", 60).Tick(1000)
        .Check();

    [Test]
    public void Set_peer_verdict() => new PeerScript("Tensors are entered one by one; the promise follows the last result.")
        .Given("AB").BeginSet(1, 2).Tensor(1, 11, 1, of: 2, Bulk).Hear(new CollectiveGo(PeerScript.Attempt(1) with { Tensor = 1 })).Completed(11)
        .Tensor(1, 10, 0, of: 2).Completed(10).Hear(new Verdict(PeerScript.Attempt(1)))
        .Check();

    [Test]
    public void Set_peer_abort() => new PeerScript("The abort ends all tensors; one that is launched later is not entered.")
        .Given("AB").BeginSet(1, 3).Tensor(1, 10, 0, of: 3).Tensor(1, 11, 1, of: 3).Completed(10)
        .Opened(2, "AB").Tensor(1, 12, 2, of: 3).Wired(2).Stands(2, 2).Tensor(1, 12, 2, of: 3)
        .Check();

    [Test]
    public void Set_peer_begun_in_one_epoch_and_launched_in_the_next() => new PeerScript("A set that was begun, but not entered, is not aborted by an epoch.")
        .Given("AB").BeginSet(1, 1).Opened(2, "AB").Wired(2).Stands(2, 2).Tensor(1, 10, 0, of: 1)
        .Check();

    [Test]
    public void Set_peer_cancelled([Values] bool launched)
    {
        var script = new PeerScript("Cancelled: before the first tensor it ends at once, then for all.").Given("AB").BeginSet(1, 2);
        (launched ? script.Tensor(1, 10, 0, of: 2).Cancel(1).Opened(2, "AB").Wired(2).Stands(2, 2) : script.Cancel(1)).Check(launched ? "launched" : "begun");
    }

    [Test]
    public void Set_peer_alone() => new PeerScript("Begun alone it asks for nobody's company; its first tensor does.")
        .Given("A").BeginSet(1, 2).Tensor(1, 10, 0, of: 2)
        .Hear(new TopologyUpdated(new RequestNumber((1UL << 63) + 1), default, "", new WorldSizes(1, 1, 1)))
        .Check();

    [Test]
    public void Set_peer_too_many_tensors() => new PeerScript("More tensors than may be in flight are refused with a sentence.")
        .Given("AB").BeginSet(1, Limits.TensorsInFlightMax - 1).BeginSet(2, 2, tag: 8).Launch(3, tag: 9).Launch(4, tag: 10)
        .Check();

    [Test]
    public void Abort_names_what_has_committed() => new PeerScript("Who repeats the aborted one must not repeat what has committed; after a topology update that is another step's.")
        .Given("AB").Launch(1, tag: 1).Launch(2, tag: 2).Completed(1).Hear(new Verdict(PeerScript.Attempt(1, tag: 1)))
        .Opened(2, "AB", "peer C was lost").Wired(2).Stands(2, 2)
        .Launch(3, tag: 2).Opened(3, "AB", "peer D was lost").Wired(3).Stands(3, 2)
        .Vote(1).Hear(new TopologyUpdated(new RequestNumber(1), default, "", new WorldSizes(2, 1, 2)))
        .Launch(4, tag: 2).Opened(4, "AB", "peer E was lost").Wired(4).Stands(4, 2)
        .Check();

    [Test]
    public void Abort_does_not_name_what_an_earlier_turn_committed() => new PeerScript("A loop that uses its tags again has begun another step.")
        .Given("AB").Launch(1, tag: 1).Completed(1).Hear(new Verdict(PeerScript.Attempt(1, tag: 1)))
        .Launch(2, tag: 1).Opened(2, "AB", "peer C was lost").Wired(2).Stands(2, 2)
        .Check();
}
