using System.Buffers;
using System.Globalization;
using System.Net;
using Collective.Protocol;

namespace Collective;

/// <summary>Text such as <c>host</c>, <c>host:port</c>, <c>192.0.2.1:48148</c>, <c>[2001:db8::1]:48148</c> or <c>2001:db8::1</c>.</summary>
internal readonly record struct HostPort(string Host, int Port)
{
    private static readonly SearchValues<char> NotInHosts = SearchValues.Create(" /\\@?#\t");

    public static HostPort Parse(string text, int defaultPort, string what)
    {
        var (host, port) = Split(text ?? "");
        var portNumber = defaultPort;
        if (host.Length is 0 or > Limits.HostCharactersMax || host.Contains("..", StringComparison.Ordinal) || host.AsSpan().ContainsAny(NotInHosts) || (port is not null && !int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out portNumber)) || portNumber is < 0 or > ushort.MaxValue)
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, $"{what} '{(text?.Length > Limits.HostCharactersMax ? $"{text[..40]}..." : text ?? "(null)")}' is no address: write host:port, 192.0.2.1:48148 or [2001:db8::1]:48148");
        }

        return new HostPort(host, portNumber);
    }

    private static (string Host, string? Port) Split(string text)
    {
        if (text.StartsWith('[') && text.IndexOf(']', StringComparison.Ordinal) is > 0 and var end)
        {
            var rest = text[(end + 1)..];
            return rest.Length == 0 ? (text[1..end], null) : rest[0] == ':' ? (text[1..end], rest[1..]) : ("", null);
        }

        if (IPAddress.TryParse(text, out var address) && address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6)
        {
            return (text, null);
        }

        var colon = text.LastIndexOf(':');
        return colon < 0 ? (text, null) : text.IndexOf(':', StringComparison.Ordinal) == colon ? (text[..colon], text[(colon + 1)..]) : ("", null);
    }
}
