using System.Net;
using Collective.Protocol;

namespace Collective.Hosting;

/// <summary>How a peer reaches its master, and others this peer.</summary>
internal sealed record PeerHostOptions(string MasterHost, int MasterPort, PeerGroup Group, int MinimumWorldSize, TimeSpan ConnectTimeout, TimeSpan StallTimeout, Action<string>? Probe)
{
    public bool KeepsMinimum { get; init; }

    /// <summary>Where others reach this peer, as its user says; port 0: the data port. Null: where its connection to the master comes from.</summary>
    public (string Host, int Port)? Advertised { get; init; }

    /// <summary>Addresses of a name.</summary>
    public Func<string, IPAddress[]> Resolve { get; init; } = Dns.GetHostAddresses;
}
