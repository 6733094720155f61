using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Peers that run something else are refused before they are admitted, and those who waited for their company hear so.</summary>
[TestFixture]
internal sealed class MasterFingerprintTests
{
    [Test]
    public void A_newcomer_of_another_fingerprint() => new MasterScript("It is refused, with both fingerprints; one that says nothing, and one that says the same, are let in.")
        .Join('A', fingerprint: "resnet").Ready("A")
        .Join('B', fingerprint: "bert")
        .Join('C').Join('D', fingerprint: "resnet")
        .Join('E', group: 1, fingerprint: "bert")
        .Vote("A").Ready("ACDE")
        .Check();

    [Test]
    public void A_fingerprint_announced_by_members_later() => new MasterScript("It counts for who waits already.")
        .Given("AB")
        .Join('C', fingerprint: "bert")
        .Announce("A", "resnet")
        .Check();

    [Test]
    public void A_fingerprint_that_the_members_do_not_share() => new MasterScript("They must know what they do: nobody is refused for it, until they agree again.")
        .Given("AB")
        .Announce("A", "resnet").Announce("B", "vgg")
        .Join('C', fingerprint: "bert")
        .Announce("B", "resnet")
        .Check();

    [Test]
    public void A_fingerprint_of_one_who_is_lost() => new MasterScript("What is left agrees.")
        .Given("AB")
        .Announce("A", "resnet").Announce("B", "vgg")
        .Join('C', fingerprint: "bert")
        .Lose('B').Ready("A")
        .Check();

    [Test]
    public void Anything_goes() => new MasterScript("A member that says so lets everybody in, and one that takes back what it said does not count.")
        .Given("AB")
        .Announce("A", "").Announce("B", "resnet").Announce("B", null)
        .Join('C', fingerprint: "bert").Vote("AB").Ready("ABC")
        .Check();

    [Test]
    public void Scopes_are_apart() => new MasterScript("A fingerprint is compared with those of its own scope.")
        .Given("A")
        .Announce("A", "1111", scope: "state")
        .Join('B', fingerprint: "2222").Announce("B", "3333", scope: "state")
        .Check();

    [Test]
    public void Founders_of_several_fingerprints() => new MasterScript("Most decide. The one that is refused was waited for: the others hear so.")
        .Join('A', minimumWorldSize: 3, fingerprint: "resnet")
        .Join('B', minimumWorldSize: 3, fingerprint: "bert")
        .Join('C', minimumWorldSize: 3, fingerprint: "resnet")
        .WhileBeating("AC", 4).Tick(1000).Beat("AC").Tick(1000)
        .Check();

    [Test]
    public void A_refusal_before_the_others_register() => new MasterScript("The order does not matter: those who were to come with it do not wait for ever.")
        .Connect('A').Receive('A', new Hello(99, default, 0, 1))
        .Join('B', minimumWorldSize: 2)
        .WhileBeating("B", 4).Tick(1000)
        .Check();

    [Test]
    public void A_refusal_long_before_the_others_register() => new MasterScript("What was refused may have been mended since.")
        .Connect('A').Receive('A', new Hello(99, default, 0, 1))
        .WhileBeating("", 12)
        .Join('B', minimumWorldSize: 2)
        .WhileBeating("B", 6)
        .Join('C').Ready("BC")
        .Check();

    [Test]
    public void A_refusal_beside_a_group_that_is_there() => new MasterScript("One bad newcomer harms only itself: who waits for the minimum goes on waiting, and is told.")
        .Join('A', fingerprint: "resnet").Ready("A")
        .Join('B', minimumWorldSize: 3, fingerprint: "resnet")
        .Join('C', fingerprint: "bert")
        .WhileBeating("AB", 4).Tick(1000)
        .Check();

    [Test]
    public void Too_many_fingerprints() => new MasterScript("A peer that announces without end breaks the protocol.")
        .Given("A")
        .Announce("A", "1", "a").Announce("A", "2", "b").Announce("A", "3", "c").Announce("A", "4", "d").Announce("A", "5", "a").Announce("A", "6", "e")
        .Check();
}
