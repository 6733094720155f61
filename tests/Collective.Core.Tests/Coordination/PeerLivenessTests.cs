using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>What a peer takes for a sign of life of its master.</summary>
[TestFixture]
public sealed class PeerLivenessTests
{
    /// <summary>A large plan on a slow network: for longer than the timeout no message is whole.</summary>
    [Test]
    public void A_message_that_is_still_arriving_is_a_sign_of_life([Values] bool arrives)
    {
        var peer = new PeerStateMachine();
        peer.Step(0, new PeerInput.Connect(default));
        peer.Step(0, new PeerInput.Connected(1));
        peer.Step(0, new PeerInput.Received(1, new RunId(new Guid("11111111111111111111111111111111")), new Welcome(default, 5000, 4096)));
        for (var ms = 1000; ms <= 20_000 && peer.State != PeerState.Dead; ms += 1000)
        {
            peer.Step(ms, new PeerInput.Tick(default, arrives ? ms - 10 : 0));
        }

        Assert.That(peer.State == PeerState.Dead, Is.EqualTo(!arrives));
    }
}
