using Collective.Protocol;

namespace Collective.Sharing;

/// <summary>
/// How many requests are under way on a connection. A long or slow path needs many to be filled, and to keep the holder's send buffer full, by which it measures the link.
/// On a short fast one more than fit into the caches only cost: each byte then goes out to memory and comes back between the two processes.
/// </summary>
internal static class RequestWindow
{
    /// <param name="connectMs">Time that connecting took: two round trips.</param>
    /// <param name="paceMs">Time that the latest answer took.</param>
    public static int Of(double connectMs, long paceMs)
        => connectMs <= Limits.StateNearMs && paceMs <= Limits.StateNearMs ? Limits.StateRequestsInFlightNear : Limits.StateRequestsInFlightMax;
}
