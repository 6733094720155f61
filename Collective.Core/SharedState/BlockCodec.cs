using Collective.Kernels;
using K4os.Compression.LZ4;

namespace Collective.Sharing;

/// <summary>Packs one block: bytes of equal significance side by side, then LZ4. One object serves one thread.</summary>
internal sealed class BlockCodec
{
    private readonly byte[] _shuffled = GC.AllocateUninitializedArray<byte>(TreeHash.BlockBytes);

    /// <summary>Bytes written to <paramref name="target"/>; 0 when the block would not get smaller.</summary>
    public int Pack(ReadOnlySpan<byte> block, int elementBytes, Span<byte> target)
    {
        var shuffled = _shuffled.AsSpan(0, block.Length);
        ByteShuffle.Shuffle(block, shuffled, elementBytes);
        return Math.Max(0, LZ4Codec.Encode(shuffled, target[..(block.Length - 1)]));
    }

    /// <summary>Fills <paramref name="block"/>; false when the bytes are not a packed block of that length.</summary>
    public bool Unpack(ReadOnlySpan<byte> packed, int elementBytes, Span<byte> block)
    {
        var shuffled = _shuffled.AsSpan(0, block.Length);
        if (LZ4Codec.Decode(packed, shuffled) != block.Length)
        {
            return false;
        }

        ByteShuffle.Unshuffle(shuffled, block, elementBytes);
        return true;
    }
}
