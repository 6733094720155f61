using System.Globalization;
using System.Text;

namespace Collective.Protocol;

/// <summary>Address of a peer's data listener as the others reach it.</summary>
/// <param name="Address">The 4 or 16 bytes as a number, most significant first.</param>
/// <param name="IsIPv6">Whether it has 16 bytes.</param>
/// <param name="Port">TCP port.</param>
internal readonly record struct PeerAddress(UInt128 Address, bool IsIPv6, ushort Port)
{
    private const int Groups = 8;

    public bool IsLoopback => IsIPv6 ? Address == 1 : (byte)(Address >> 24) == 127;

    /// <summary>An IPv6 address that means something only together with a network interface, which another host cannot know.</summary>
    public bool IsLinkLocal => IsIPv6 && Address >> 118 == 0xFE80 >> 6;

    /// <summary>Whether a connection can be made to it at all: it is no wildcard, group or broadcast address, and has a port.</summary>
    public bool IsPossible => Port != 0 && Address != 0 && !(IsIPv6 ? Address >> 120 == 0xFF : Address >> 28 == 0xE || Address == uint.MaxValue);

    public override string ToString()
    {
        if (!IsIPv6)
        {
            var a = (uint)Address;
            return $"{a >> 24}.{(a >> 16) & 255}.{(a >> 8) & 255}.{a & 255}:{Port}";
        }

        var text = new StringBuilder("[");
        var (zeros, count) = LongestZeros();
        for (var i = 0; i < Groups; i++)
        {
            if (i == zeros)
            {
                text.Append("::");
                i += count - 1;
                continue;
            }

            text.Append(i == 0 || i == zeros + count ? "" : ":").Append(Group(i).ToString("x", CultureInfo.InvariantCulture));
        }

        return text.Append("]:").Append(Port).ToString();
    }

    private ushort Group(int index) => (ushort)(Address >> ((Groups - 1 - index) * 16));

    /// <summary>The run of zeros that "::" stands for, by RFC 5952: the first of the longest ones; none of a single group.</summary>
    private (int Start, int Count) LongestZeros()
    {
        var longest = (Start: -1, Count: 1);
        for (var start = 0; start < Groups; start++)
        {
            var count = 0;
            while (start + count < Groups && Group(start + count) == 0)
            {
                count++;
            }

            longest = count > longest.Count ? (start, count) : longest;
        }

        return longest.Start < 0 ? (-1, 0) : longest;
    }
}
