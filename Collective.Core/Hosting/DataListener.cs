using System.Net;
using System.Net.Sockets;
using Collective.Transport;
using Collective.Transport.Tcp;

namespace Collective.Hosting;

/// <summary>Makes a peer's transport: listens where the others can reach it.</summary>
/// <remarks>Port: the caller's choice; null: the first free one from FirstPort on.</remarks>
internal sealed record DataListener(int? Port, int FirstPort, int StripeCount)
{
    /// <summary>See <see cref="TcpTransportOptions.ProbeLimit"/>.</summary>
    public Func<PeerId, double?>? ProbeLimit { get; init; }

    /// <summary>
    /// Listens on every address, of both families where the host has both: peers may come by another way than this one went to the master, which may be on this very host.
    /// </summary>
    public ITransport Listen(TimeSpan connectTimeout, TimeSpan stallTimeout, ITransportEvents events, Func<bool> givesState)
    {
        var address = Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any;
        var tcp = new TcpTransportOptions(address, Port, FirstPort, StripeCount, connectTimeout, stallTimeout) { ProbeLimit = ProbeLimit, GivesState = givesState };
        return new TcpTransport(tcp, events);
    }
}
