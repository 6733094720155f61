using Collective.Protocol;
using Collective.Sharing;
using NUnit.Framework;

namespace Collective.Core.Tests.SharedState;

internal sealed class RequestWindowTests
{
    [TestCase(0.1, 0, ExpectedResult = Limits.StateRequestsInFlightNear)]
    [TestCase(Limits.StateNearMs, Limits.StateNearMs, ExpectedResult = Limits.StateRequestsInFlightNear)]
    [TestCase(40, 0, ExpectedResult = Limits.StateRequestsInFlightMax, Description = "far")]
    [TestCase(0.1, 16, ExpectedResult = Limits.StateRequestsInFlightMax, Description = "near and slow")]
    public int Few_requests_are_under_way_only_where_the_path_is_short_and_fast(double connectMs, long paceMs) => RequestWindow.Of(connectMs, paceMs);

    [Test]
    public void A_long_path_is_filled() => Assert.That(
        (long)Limits.StateRequestsInFlightMax * Limits.StateBlocksAsked * Limits.StateBlockBytes * Limits.StateConnectionsPerHolderMax,
        Is.EqualTo(16 << 20));
}
