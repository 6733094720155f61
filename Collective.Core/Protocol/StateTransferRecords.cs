using System.Text;
using System.Text.Unicode;

namespace Collective.Protocol;

/// <summary>What is asked for on a connection for shared state.</summary>
internal enum StateRequestKind : byte
{
    /// <summary>The leaf digests of consecutive blocks.</summary>
    Digests = 1,

    /// <summary>The bytes of consecutive blocks.</summary>
    Blocks = 2,
}

/// <summary>Asks a holder for consecutive blocks of one tensor, or for their digests. The key follows the fixed part.</summary>
/// <param name="Kind">What is asked for.</param>
/// <param name="Bytes">Bytes of the whole tensor: both sides mean the same one.</param>
/// <param name="FirstBlock">The first block.</param>
/// <param name="Blocks">How many.</param>
/// <param name="Key">The tensor's name.</param>
internal readonly record struct StateRequest(StateRequestKind Kind, long Bytes, long FirstBlock, int Blocks, string Key)
{
    /// <summary>"CSRQ".</summary>
    public const uint Magic = 0x51525343;

    public const int FixedBytes = 28;

    /// <summary>Writes it; returns its length.</summary>
    public int Write(Span<byte> buffer)
    {
        var keyBytes = Encoding.UTF8.GetBytes(Key, buffer[FixedBytes..]);
        var writer = new WireWriter(buffer);
        writer.UInt32(Magic);
        writer.Byte((byte)Kind);
        writer.Byte(0);
        writer.UInt16((ushort)keyBytes);
        writer.UInt64((ulong)Bytes);
        writer.UInt64((ulong)FirstBlock);
        writer.UInt32((uint)Blocks);
        return FixedBytes + keyBytes;
    }

    /// <summary>Bytes of the key that follow a fixed part; null when the bytes are none, or ask for more than one answer may hold.</summary>
    public static int? ParseFixed(ReadOnlySpan<byte> bytes, out StateRequest request)
    {
        var reader = new WireReader(bytes);
        var magic = reader.UInt32();
        var kind = reader.Byte();
        var reserved = reader.Byte();
        var keyBytes = reader.UInt16();
        var (length, first, blocks) = (reader.UInt64(), reader.UInt64(), reader.UInt32());
        request = new StateRequest((StateRequestKind)kind, (long)length, (long)first, (int)blocks, "");
        var blocksMax = kind == (byte)StateRequestKind.Digests ? Limits.StateDigestsPerRequestMax : Limits.StateBlocksPerRequestMax;
        var isOne = magic == Magic && reserved == 0 && kind is (byte)StateRequestKind.Digests or (byte)StateRequestKind.Blocks
            && keyBytes is > 0 and <= Limits.StateKeyBytesMax && length <= Limits.StateTensorBytesMax && first <= Limits.StateTensorBytesMax
            && blocks > 0 && blocks <= blocksMax;
        return !reader.Failed && isOne ? keyBytes : null;
    }

    /// <summary>Null when the bytes are no text.</summary>
    public static string? ParseKey(ReadOnlySpan<byte> bytes) => Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : null;
}

/// <summary>What a holder says to a <see cref="StateRequest"/>.</summary>
internal enum StateReply : byte
{
    /// <summary>The payload is what was asked for: digests, or blocks as they are.</summary>
    Plain = 1,

    /// <summary>The payload holds, for each block, a length (u32) and as many bytes: the block itself when it is that long, else the block byte-shuffled and packed with LZ4.</summary>
    Packed = 2,

    /// <summary>No sync is going on here, or this peer only receives.</summary>
    NotServing = 3,

    /// <summary>There is no such tensor, or it does not have that size or these blocks.</summary>
    NoSuchBlocks = 4,
}

/// <summary>Precedes the payload of an answer.</summary>
internal readonly record struct StateResponse(StateReply Reply, int PayloadBytes)
{
    /// <summary>"CSRP".</summary>
    public const uint Magic = 0x50525343;

    public const int Bytes = 12;

    public void Write(Span<byte> buffer)
    {
        var writer = new WireWriter(buffer);
        writer.UInt32(Magic);
        writer.Byte((byte)Reply);
        writer.Byte(0);
        writer.UInt16(0);
        writer.UInt32((uint)PayloadBytes);
    }

    /// <summary>Null when the bytes are no answer.</summary>
    public static StateResponse? Parse(ReadOnlySpan<byte> bytes)
    {
        var reader = new WireReader(bytes);
        var magic = reader.UInt32();
        var reply = reader.Byte();
        var reserved = reader.Byte() | reader.UInt16();
        var payload = reader.UInt32();
        var isOne = magic == Magic && reserved == 0 && reply is >= (byte)StateReply.Plain and <= (byte)StateReply.NoSuchBlocks && payload <= Limits.StatePayloadBytesMax;
        return !reader.Failed && isOne ? new StateResponse((StateReply)reply, (int)payload) : null;
    }
}
