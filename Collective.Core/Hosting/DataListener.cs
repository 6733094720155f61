using System.Net;
using Collective.Transport;
using Collective.Transport.Tcp;

namespace Collective.Hosting;

/// <summary>Makes a peer's transport: listens where the others can reach it.</summary>
/// <remarks>Port: the caller's choice; null: the first free one from FirstPort on.</remarks>
internal sealed record DataListener(int? Port, int FirstPort, int StripeCount)
{
    /// <summary>See <see cref="TcpTransportOptions.ProbeLimit"/>.</summary>
    public Func<PeerId, double?>? ProbeLimit { get; init; }

    /// <summary>Listens on every address, but only on loopback when the master was reached there: nobody else could be of this run.</summary>
    public ITransport Listen(IPAddress local, TimeSpan connectTimeout, TimeSpan stallTimeout, ITransportEvents events)
    {
        var isIPv6 = local.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6;
        var address = IPAddress.IsLoopback(local) ? local : isIPv6 ? IPAddress.IPv6Any : IPAddress.Any;
        return new TcpTransport(new TcpTransportOptions(address, Port, FirstPort, StripeCount, connectTimeout, stallTimeout) { ProbeLimit = ProbeLimit }, events);
    }
}
