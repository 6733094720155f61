using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;

namespace Collective.Protocol;

/// <summary>Reads little-endian fields. Total: for any bytes it gives values or sets <see cref="Failed"/>; it never throws and never reads past the end.</summary>
internal ref struct WireReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    public bool Failed { get; private set; }

    /// <summary>Whether everything was read and nothing is left over.</summary>
    public readonly bool Complete => !Failed && _rest.IsEmpty;

    public byte Byte() => Take(1) is [var value] ? value : (byte)0;

    public bool Bool()
    {
        var value = Byte();
        Failed |= value > 1;
        return value == 1;
    }

    public ushort UInt16() => Take(2) is { Length: 2 } span ? BinaryPrimitives.ReadUInt16LittleEndian(span) : (ushort)0;

    public uint UInt32() => Take(4) is { Length: 4 } span ? BinaryPrimitives.ReadUInt32LittleEndian(span) : 0;

    public ulong UInt64() => Take(8) is { Length: 8 } span ? BinaryPrimitives.ReadUInt64LittleEndian(span) : 0;

    public Guid Guid() => Take(16) is { Length: 16 } span ? new Guid(span, bigEndian: true) : default;

    public PeerId Peer() => new(Guid());

    public StateHash StateHash() => Take(16) is { Length: 16 } span ? new StateHash(BinaryPrimitives.ReadUInt128BigEndian(span)) : default;

    public Epoch Epoch() => new(UInt64());

    public string Text()
    {
        var length = UInt16();
        Failed |= length > Limits.ReasonBytesMax;
        var bytes = Take(length);
        Failed |= !Utf8.IsValid(bytes);
        return Failed ? "" : Encoding.UTF8.GetString(bytes);
    }

    public PeerAddress Address()
    {
        var isIPv6 = Bool();
        UInt128 address = isIPv6
            ? Take(16) is { Length: 16 } wide ? BinaryPrimitives.ReadUInt128BigEndian(wide) : 0
            : Take(4) is { Length: 4 } narrow ? BinaryPrimitives.ReadUInt32BigEndian(narrow) : 0;
        return new PeerAddress(address, isIPv6, UInt16());
    }

    public PeerAddress? OptionalAddress() => Bool() ? Address() : null;

    public Member Member() => new(Peer(), Address(), OptionalAddress());

    /// <summary>A length that announces <paramref name="itemBytesMin"/> bytes or more for each item; 0 when it cannot be true.</summary>
    public int Count(int max, int itemBytesMin)
    {
        var count = UInt16();
        if (count > max || (long)count * itemBytesMin > _rest.Length)
        {
            Failed = true;
            return 0;
        }

        return count;
    }

    /// <summary>A position among <paramref name="count"/> things; 0 and a failure when there is no such thing.</summary>
    public ushort Index(int count)
    {
        var index = UInt16();
        Failed |= index >= count;
        return Failed ? (ushort)0 : index;
    }

    /// <summary>What was read so far cannot be meant.</summary>
    public void Fail() => Failed = true;

    /// <summary>An enumeration value; anything above <paramref name="max"/> is a failure.</summary>
    public byte Enumeration(byte max)
    {
        var value = Byte();
        Failed |= value > max;
        return Failed ? (byte)0 : value;
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (Failed || count > _rest.Length)
        {
            Failed = true;
            return default;
        }

        var span = _rest[..count];
        _rest = _rest[count..];
        return span;
    }
}
