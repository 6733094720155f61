using Collective.Protocol;

namespace Collective.Hosting;

/// <summary>How a peer reaches its master.</summary>
internal sealed record PeerHostOptions(string MasterHost, int MasterPort, PeerGroup Group, int MinimumWorldSize, TimeSpan ConnectTimeout, TimeSpan StallTimeout, Action<string>? Probe)
{
    public bool KeepsMinimum { get; init; }
}
