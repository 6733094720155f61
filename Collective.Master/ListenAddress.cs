using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Collective.Daemon;

/// <summary>The syntax of <c>--listen</c>: <c>name:port</c>, <c>192.0.2.1:port</c> or <c>[2001:db8::1]:port</c>; an IPv6 address alone has the default port.</summary>
internal static class ListenAddress
{
    public const string Expectation = "host:port with a port from 0 to 65535, such as 0.0.0.0:48148, [::]:48148 (an IPv6 address with a port is in brackets) or localhost:0";

    public static bool IsValid(string text)
    {
        if (IPAddress.TryParse(text, out var address) && address.AddressFamily == AddressFamily.InterNetworkV6 && (text[0] != '[' || text[^1] == ']'))
        {
            return true;
        }

        var colon = text.LastIndexOf(':');
        return colon > 0
            && ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _)
            && IsHost(text[..colon]);
    }

    private static bool IsHost(string host) => Uri.CheckHostName(host) switch
    {
        UriHostNameType.Dns or UriHostNameType.IPv4 => true,
        // CheckHostName accepts IPv6 without brackets too, but then nobody can tell where the port begins.
        UriHostNameType.IPv6 => host[0] == '[' && IPAddress.TryParse(host, out _),
        _ => false,
    };
}
