using System.Net;
using System.Net.Sockets;

namespace Collective;

/// <summary>Where a peer's user says that others reach it: by an option, or by the environment.</summary>
internal static class AdvertisedAddress
{
    public const string Variable = "COLLECTIVE_ADVERTISE_ADDRESS";

    /// <summary>Null when nothing is said. Port 0: the one on which the peer listens.</summary>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.InvalidArgument"/>: nobody could connect there.</exception>
    public static HostPort? Of(CommunicatorOptions options)
    {
        var text = options.AdvertiseAddress ?? Environment.GetEnvironmentVariable(Variable);
        if (string.IsNullOrEmpty(text) && options.AdvertiseAddress is null)
        {
            return null;
        }

        var what = options.AdvertiseAddress is null ? $"the advertised address (environment variable {Variable})" : "the advertised address";
        var address = HostPort.Parse(text!, 0, what);
        if (IPAddress.TryParse(address.Host, out var literal) && !IsOfAHost(literal))
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, $"{what} '{text}' is none at which other hosts reach this one: write a host name, an IPv4 address or a global IPv6 address");
        }

        return address;
    }

    private static bool IsOfAHost(IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork
        ? address.GetAddressBytes()[0] is > 0 and < 224
        : !address.Equals(IPAddress.IPv6Any) && !address.IsIPv6Multicast && !address.IsIPv6LinkLocal;
}
