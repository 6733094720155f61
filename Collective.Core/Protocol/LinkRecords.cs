namespace Collective.Protocol;

/// <summary>Header of one segment on a stripe; the payload follows.</summary>
/// <param name="Attempt">The attempt, and the tensor of it, that the data belongs to.</param>
/// <param name="DescriptorDigest">Sender's <see cref="CollectiveDescriptor.Digest"/>.</param>
/// <param name="Step">Ring step, counted over both stages.</param>
/// <param name="Segment">Index within the chunk of that step.</param>
/// <param name="PayloadBytes">Bytes that follow.</param>
internal readonly record struct SegmentHeader(AttemptKey Attempt, uint DescriptorDigest, uint Step, uint Segment, int PayloadBytes)
{
    /// <summary>"CSEG".</summary>
    public const uint Magic = 0x47455343;

    public const int Bytes = 48;

    public void Write(Span<byte> buffer)
    {
        var writer = new WireWriter(buffer);
        writer.UInt32(Magic);
        writer.UInt32((uint)PayloadBytes);
        writer.UInt64(Attempt.Epoch.Value);
        writer.UInt64(Attempt.Tag.Value);
        writer.UInt32(Attempt.Ordinal);
        writer.UInt32(DescriptorDigest);
        writer.UInt32(Step);
        writer.UInt32(Segment);
        writer.UInt16(Attempt.Tensor);
        writer.UInt16(0);
        writer.UInt32(0);
    }

    /// <summary>Null when the bytes are no segment header.</summary>
    public static SegmentHeader? Parse(ReadOnlySpan<byte> bytes)
    {
        var reader = new WireReader(bytes);
        if (reader.UInt32() != Magic)
        {
            return null;
        }

        var length = reader.UInt32();
        var attempt = new AttemptKey(reader.Epoch(), new Tag(reader.UInt64()), reader.UInt32());
        var header = new SegmentHeader(attempt, reader.UInt32(), reader.UInt32(), reader.UInt32(), (int)length);
        header = header with { Attempt = attempt with { Tensor = reader.UInt16() } };
        var reserved = reader.UInt16() | reader.UInt32();
        return reader.Failed || reserved != 0 || length is 0 or > Limits.SegmentBytesMax ? null : header;
    }
}

/// <summary>Opens a stripe, or moves an open one to a new epoch. Everything sent before it on the stripe belongs to older epochs.</summary>
internal readonly record struct LinkHello(ushort Version, LinkKey Key, Epoch Epoch, PeerId From, PeerId To, byte Stripe, byte StripeCount)
{
    public const int Bytes = 72;

    public void Write(Span<byte> buffer)
    {
        var writer = new WireWriter(buffer);
        writer.UInt32(MessageCodec.Magic);
        writer.UInt16(Version);
        writer.Byte(Stripe);
        writer.Byte(StripeCount);
        writer.Guid(Key.Value);
        writer.UInt64(Epoch.Value);
        writer.Peer(From);
        writer.Peer(To);
        writer.UInt64(0);
    }

    /// <summary>Null when the bytes are no hello.</summary>
    public static LinkHello? Parse(ReadOnlySpan<byte> bytes)
    {
        var reader = new WireReader(bytes);
        if (reader.UInt32() != MessageCodec.Magic)
        {
            return null;
        }

        var version = reader.UInt16();
        var stripe = reader.Byte();
        var stripeCount = reader.Byte();
        var hello = new LinkHello(version, new LinkKey(reader.Guid()), reader.Epoch(), reader.Peer(), reader.Peer(), stripe, stripeCount);
        _ = reader.UInt64();
        return reader.Failed ? null : hello;
    }
}

/// <summary>First record of a data connection that is no stripe: its magic says what it is for. As long as a <see cref="LinkHello"/>, so that an acceptor reads it before it knows.</summary>
/// <remarks>Index and Count: which of several connections for one purpose this is. Number and Extra: what its kind counts and says.</remarks>
internal readonly record struct DataHello(uint Magic, ushort Version, byte Index, byte Count, LinkKey Key, ulong Number, PeerId From, PeerId To, ulong Extra)
{
    /// <summary>"CSTA": a connection for shared state.</summary>
    public const uint StateMagic = 0x41545343;

    public const int Bytes = LinkHello.Bytes;

    public void Write(Span<byte> buffer)
    {
        var writer = new WireWriter(buffer);
        writer.UInt32(Magic);
        writer.UInt16(Version);
        writer.Byte(Index);
        writer.Byte(Count);
        writer.Guid(Key.Value);
        writer.UInt64(Number);
        writer.Peer(From);
        writer.Peer(To);
        writer.UInt64(Extra);
    }

    /// <summary>Any bytes are one, if there are enough of them; null when not.</summary>
    public static DataHello? Parse(ReadOnlySpan<byte> bytes)
    {
        var reader = new WireReader(bytes);
        var hello = new DataHello(reader.UInt32(), reader.UInt16(), reader.Byte(), reader.Byte(), new LinkKey(reader.Guid()), reader.UInt64(), reader.Peer(), reader.Peer(), reader.UInt64());
        return reader.Failed ? null : hello;
    }
}

/// <summary>The accepting peer's answer to a <see cref="LinkHello"/> or <see cref="DataHello"/>.</summary>
internal enum LinkReply : byte
{
    Accepted = 1,
    WrongVersion = 2,
    WrongKey = 3,
    WrongPeer = 4,
    StaleEpoch = 5,
    BadStripe = 6,
}

/// <summary>The four bytes of a <see cref="LinkReply"/>: "CL", version, value.</summary>
internal static class LinkReplyCodec
{
    public const int Bytes = 4;

    public static void Write(LinkReply reply, Span<byte> buffer)
    {
        buffer[0] = (byte)'C';
        buffer[1] = (byte)'L';
        buffer[2] = (byte)MessageCodec.Version;
        buffer[3] = (byte)reply;
    }

    /// <summary>Null when the bytes are no reply.</summary>
    public static LinkReply? Parse(ReadOnlySpan<byte> bytes)
        => bytes is [(byte)'C', (byte)'L', _, >= (byte)LinkReply.Accepted and <= (byte)LinkReply.BadStripe and var reply] ? (LinkReply)reply : null;
}
