using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>Groups that keep a minimum size: below it members wait for company, and hold nobody up.</summary>
[TestFixture]
internal sealed class MasterCompanyTests
{
    [Test]
    public void Company_for_those_who_reduce() => new MasterScript("Two of three are left and want to reduce: they wait, and one that comes is let in when both do.")
        .GivenKeepers("ABC", 3)
        .Lose('C').Ready("AB")
        .AskWhenAlone('A')
        .Join('D')
        .Note("B computes yet: without its consent nobody is let in.")
        .AskWhenAlone('B').Ready("ABD")
        .Start("ABD", 7).Promise("ABD", 7)
        .Check();

    [Test]
    public void Company_for_those_who_share_state() => new MasterScript("Newcomers need the state before they can reduce: who waited goes back to the top of its loop, where all are told so.")
        .GivenKeepers("ABC", 3, synced: true)
        .Lose('C').Ready("AB")
        .AskWhenAlone('A').AskWhenAlone('B')
        .Join('D').Ready("ABD")
        .Sync("ABD", "w:1", revision: 1)
        .Check();

    [Test]
    public void Company_for_those_who_step() => new MasterScript("A step of too few returns when company has come, to all members at once.")
        .GivenKeepers("AB", 2)
        .Lose('B').Ready("A")
        .Vote("A")
        .Join('C').Ready("AC")
        .Check();

    [Test]
    public void Too_little_company_waits_outside() => new MasterScript("A newcomer that does not make the group complete stays pending until another comes.")
        .GivenKeepers("ABC", 3)
        .Lose('B').Lose('C').Ready("A")
        .Vote("A")
        .Join('D')
        .Join('E').Ready("ADE")
        .Check();

    [Test]
    public void Company_is_not_waited_for_by_others() => new MasterScript("A group that waits for company holds up no vote and no question of another group.")
        .GivenKeepers("AB", 2)
        .Join('C', group: 1).Vote("AB").Ready("C")
        .Lose('B').Ready("A")
        .Vote("A")
        .Query("C").Vote("C").VoteOptimize("C")
        .Join('D', group: 1).Vote("C").Ready("CD")
        .Check();

    [Test]
    public void Company_lost_again() => new MasterScript("The newcomer is lost before its ring stands: who waited is answered all the same, asks again, and waits.")
        .GivenKeepers("AB", 2)
        .Lose('B').Ready("A")
        .AskWhenAlone('A')
        .Join('C')
        .Lose('C').Ready("A")
        .AskWhenAlone('A')
        .Join('D').Ready("AD")
        .Check();

    [Test]
    public void Wait_for_company_withdrawn() => new MasterScript("The caller's time is over: the answer says how many are there.")
        .GivenKeepers("AB", 2)
        .Lose('B').Ready("A")
        .Vote("A").Withdraw('A')
        .Vote("A").Join('C').Ready("AC")
        .Check();

    [Test]
    public void Some_step_and_others_reduce() => new MasterScript("Company would not bring them together: both hear who waits where.")
        .GivenKeepers("ABC", 3)
        .Lose('C').Ready("AB")
        .Vote("A").AskWhenAlone('B')
        .Check();

    [Test]
    public void Some_synchronize_and_others_reduce() => new MasterScript("A sync does not wait for company; who does is not waited for by it.")
        .GivenKeepers("ABC", 3)
        .Lose('C').Ready("AB")
        .AskWhenAlone('A').Sync("B", "w:1")
        .Check();

    [Test]
    public void The_one_who_kept_the_minimum_is_lost() => new MasterScript("Nobody asks for a minimum any more: those who waited go on.")
        .Join('A', minimumWorldSize: 3).Join('B', minimumWorldSize: 3).Join('C', minimumWorldSize: 3, keeps: true).Join('D', minimumWorldSize: 3)
        .Vote("ABC").Ready("ABCD")
        .Lose('D').Lose('B').Ready("AC")
        .AskWhenAlone('A')
        .Lose('C').Ready("A")
        .Check();

    [Test]
    public void Votes_that_wait_for_all_wait_for_company_after_a_loss() => new MasterScript("A has voted, and waits for B and C; C is lost: now A waits for company, which B lets in by voting too.")
        .GivenKeepers("ABC", 3)
        .Join('D')
        .Vote("A")
        .Lose('C').Ready("AB")
        .Vote("B").Ready("ABD")
        .Check();
}
