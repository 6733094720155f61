using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Collective.Protocol;
using Collective.Transport.Tcp;

namespace Collective.Hosting;

/// <summary>Where other peers reach this one.</summary>
internal static class OwnAddresses
{
    /// <summary>What the user announces: an address, and a second one where the name has both families. A name is resolved here, not by the others.</summary>
    /// <exception cref="SocketException">The name has no address.</exception>
    public static (PeerAddress Announced, PeerAddress? Alternative) Announced(string host, int port, Func<string, IPAddress[]> resolve)
    {
        var addresses = resolve(host);
        if (addresses.Length == 0)
        {
            throw new SocketException((int)SocketError.HostNotFound);
        }

        var other = addresses.FirstOrDefault(a => a.AddressFamily != addresses[0].AddressFamily);
        return (EndPoints.ToPeerAddress(new IPEndPoint(addresses[0], port)), other is null ? null : EndPoints.ToPeerAddress(new IPEndPoint(other, port)));
    }

    /// <summary>An address of the other family than the one that the master was reached from, on the same interface; null where there is none that others could use.</summary>
    public static PeerAddress? Alternative(IPAddress local, int port)
    {
        local = local.IsIPv4MappedToIPv6 ? local.MapToIPv4() : local;
        try
        {
            var all = NetworkInterface.GetAllNetworkInterfaces().Select(n => n.GetIPProperties().UnicastAddresses.Select(u => u.Address).ToList());
            var other = all.FirstOrDefault(addresses => addresses.Contains(local))
                ?.Find(a => a.AddressFamily != local.AddressFamily && !a.IsIPv6LinkLocal && !IPAddress.IsLoopback(a));
            return other is null ? null : EndPoints.ToPeerAddress(new IPEndPoint(other, port));
        }
        catch (Exception e) when (e is NetworkInformationException or PlatformNotSupportedException or IOException or UnauthorizedAccessException)
        {
            return null; // The system does not tell.
        }
    }
}
