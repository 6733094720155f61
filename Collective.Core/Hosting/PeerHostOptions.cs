using Collective.Protocol;

namespace Collective.Hosting;

/// <summary>How a peer reaches its master.</summary>
internal sealed record PeerHostOptions(string MasterHost, int MasterPort, PeerGroup Group, TimeSpan ConnectTimeout, Action<string>? Probe);
