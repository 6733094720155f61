using System.Buffers.Binary;
using System.Text;

namespace Collective.Protocol;

/// <summary>Writes little-endian fields into a caller's buffer, which is large enough for any message (see <see cref="Limits.ControlBytesMax"/>).</summary>
internal ref struct WireWriter(Span<byte> buffer)
{
    private readonly Span<byte> _buffer = buffer;

    public int Written { get; private set; }

    public void Byte(byte value) => Take(1)[0] = value;

    public void Bool(bool value) => Byte(value ? (byte)1 : (byte)0);

    public void UInt16(ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Take(2), value);

    public void UInt32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Take(4), value);

    public void UInt64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Take(8), value);

    public void Guid(Guid value) => value.TryWriteBytes(Take(16), bigEndian: true, out _);

    public void Peer(PeerId value) => Guid(value.Value);

    public void StateHash(StateHash value) => BinaryPrimitives.WriteUInt128BigEndian(Take(16), value.Value);

    /// <summary>UTF-8 with a 16-bit length; cut at <see cref="Limits.ReasonBytesMax"/> bytes, on a character.</summary>
    public void Text(string value)
    {
        var bytes = Encoding.UTF8.GetBytes(value);
        var length = bytes.Length;
        if (length > Limits.ReasonBytesMax)
        {
            length = Limits.ReasonBytesMax;
            while ((bytes[length] & 0xC0) == 0x80)
            {
                length--;
            }
        }

        UInt16((ushort)length);
        bytes.AsSpan(0, length).CopyTo(Take(length));
    }

    public void Address(PeerAddress value)
    {
        Bool(value.IsIPv6);
        if (value.IsIPv6)
        {
            BinaryPrimitives.WriteUInt128BigEndian(Take(16), value.Address);
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(Take(4), (uint)value.Address);
        }

        UInt16(value.Port);
    }

    public void OptionalAddress(PeerAddress? value)
    {
        Bool(value is not null);
        if (value is { } address)
        {
            Address(address);
        }
    }

    public void Member(Member value)
    {
        Peer(value.Id);
        Address(value.Address);
        OptionalAddress(value.Alternative);
    }

    private Span<byte> Take(int count)
    {
        var span = _buffer.Slice(Written, count);
        Written += count;
        return span;
    }
}
