using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Who waits for long is told for whom, after 5 s and every 30 s; the log says it once for all of them.</summary>
[TestFixture]
internal sealed class MasterWaiterTests
{
    [Test]
    public void Waiting_for_a_vote() => new MasterScript("B does not vote; a newcomer waits for the update, too.")
        .Given("ABC")
        .Vote("AC").Join('D')
        .WhileBeating("ABCD", 4).Tick(1000).Beat("ABCD").Tick(1000)
        .WhileBeating("ABCD", 28).Tick(1000)
        .Check();

    [Test]
    public void Waiting_for_a_collective() => new MasterScript("B has not entered it.")
        .Given("ABC")
        .Start("AC", 7)
        .WhileBeating("ABC", 4).Tick(1000)
        .Check();

    [Test]
    public void Waiting_for_a_sync() => new MasterScript("B and C have not called it.")
        .Given("ABC")
        .Sync("A", "w:1")
        .WhileBeating("ABC", 4).Tick(1000)
        .Check();

    [Test]
    public void Waiting_for_an_answer() => new MasterScript("C has not asked.")
        .Given("ABC")
        .Query("AB")
        .WhileBeating("ABC", 4).Tick(1000)
        .Check();

    [Test]
    public void Waiting_to_optimize() => new MasterScript("Nobody else has voted.")
        .Given("ABC")
        .VoteOptimize("A")
        .WhileBeating("ABC", 4).Tick(1000)
        .Check();

    [Test]
    public void Waiting_for_the_minimum() => new MasterScript("Of three there are two.")
        .Join('A', minimumWorldSize: 3).Join('B', minimumWorldSize: 3)
        .WhileBeating("AB", 4).Tick(1000)
        .Check();

    [Test]
    public void Waiting_for_company() => new MasterScript("One of two is left.")
        .GivenKeepers("AB", 2)
        .Lose('B').Ready("A")
        .AskWhenAlone('A')
        .WhileBeating("A", 4).Tick(1000)
        .Check();

    [Test]
    public void Not_waiting() => new MasterScript("Who is in no call, or in one that all have made, is told nothing.")
        .Given("ABC")
        .Vote("ABC").Start("ABC", 7)
        .WhileBeating("ABC", 4).Tick(1000)
        .Check();
}
