using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>A peer in a group that is short of members, and what it tells of itself and of its waits.</summary>
[TestFixture]
internal sealed class PeerCompanyTests
{
    [Test]
    public void Short_and_company_comes() => new PeerScript("What was launched waits for company, and begins with it.")
        .Given("AB").Lost(2, "A", 'B').Wired(2).Stands(2, 1, keptMinimum: 2)
        .Launch(1).Launch(2, tag: 8)
        .Opened(3, "AC").Wired(3).Stands(3, 2, keptMinimum: 2).CompanyAnswer()
        .Check();

    [Test]
    public void Short_among_several() => new PeerScript("Two are left of three: they do not reduce without the third.")
        .Given("ABC").Launch(1).Lost(2, "AB", 'C').Wired(2).Stands(2, 2, keptMinimum: 3)
        .Launch(2)
        .Check();

    [Test]
    public void Short_and_the_newcomers_need_state() => new PeerScript("What waited ends, and the next step is the one that let them in.")
        .Given("AB").Lost(2, "A", 'B').Wired(2).Stands(2, 1, keptMinimum: 2)
        .Launch(1)
        .Opened(3, "AC").Wired(3).Stands(3, 2, keptMinimum: 2).CompanyAnswer(ErrorCode.TooFewPeers, "newcomers lack the state", newcomers: true)
        .Step(9).Sync(10)
        .Check();

    [Test]
    public void Short_until_the_timeout() => new PeerScript("The caller hears how many are there, and the master that nobody waits.")
        .Given("AB").Lost(2, "A", 'B').Wired(2).Stands(2, 1, keptMinimum: 2)
        .Launch(1, timeoutMs: 300).Tick(300).Launch(2).CompanyAnswer(ErrorCode.TimedOut, "group 0 has 1 of the 2 peers that it must have")
        .Check();

    [Test]
    public void Short_and_cancelled_while_company_comes() => new PeerScript("It steps meanwhile: the admission is the answer to that.")
        .Given("AB").Lost(2, "A", 'B').Wired(2).Stands(2, 1, keptMinimum: 2)
        .Launch(1, timeoutMs: 300).Tick(300).Step(9)
        .Opened(3, "AC").Wired(3).Stands(3, 2, keptMinimum: 2).CompanyAnswer(ErrorCode.TooFewPeers, "newcomers lack the state", newcomers: true)
        .Check();

    [Test]
    public void Short_no_longer() => new PeerScript("The member that asked for the minimum is lost, too.")
        .Given("ABC").Lost(2, "AB", 'C').Wired(2).Stands(2, 2, keptMinimum: 3)
        .Launch(1).Lost(3, "A", 'B').Wired(3).Stands(3, 1).CompanyAnswer()
        .Check();

    [Test]
    public void Fingerprints_before_and_after_the_hello() => new PeerScript("What is announced before is in the hello.")
        .Announce("early")
        .Input(new PeerInput.Connect(new PeerGroup(0), 2) { KeepsMinimum = true, Fingerprints = [new Fingerprint("", "resnet"), new Fingerprint("state", "0a1b")] })
        .Announce("bert").Announce(null, "state").Announce("1", "data_parallel")
        .Input(new PeerInput.Connected(Describe.DataPort('A')))
        .Announce("vgg")
        .Hear(new Welcome(Describe.Peer('A'), PeerScript.HeartbeatTimeoutMs, 1 << 20))
        .Announce("resnet")
        .Check();

    [Test]
    public void Told_for_whom_it_waits() => new PeerScript("For the log only.")
        .Given("AB").Launch(1).Hear(new Waiting(5, "in an all-reduce with tag 7: peer B (is in no call) has not entered it; 1 of 2 are there"))
        .Leave().Hear(new Waiting(35, "in an all-reduce with tag 7"))
        .Check();
}
