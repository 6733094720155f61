using System.Buffers.Binary;
#pragma warning disable RS0030 // A namespace below System.IO by name only: hashing does no IO.
using System.IO.Hashing;

namespace Collective.Kernels;

/// <summary>
/// The 128-bit hash of a tensor's bytes: XXH128 of each block of 64 KiB (the leaves), and XXH128 over the length and all leaves (the root). Leaves are independent
/// of each other, so that they are computed in parallel, compared one by one, and each block that arrives is verified alone. See docs/protocol.md.
/// </summary>
internal static class TreeHash
{
    /// <summary>Bytes of a block; the last one of a tensor may be shorter.</summary>
    public const int BlockBytes = 64 * 1024;

    public const int DigestBytes = 16;

    private const long LeafSeed = 0;
    private const long RootSeed = 1;

    public static long BlockCount(long bytes) => (bytes + BlockBytes - 1) / BlockBytes;

    /// <summary>The leaf of one block, in canonical (big-endian) order.</summary>
    public static void HashBlock(ReadOnlySpan<byte> block, Span<byte> digest) => XxHash128.Hash(block, digest, LeafSeed);

    /// <summary>The leaves of consecutive blocks.</summary>
    public static void HashBlocks(ReadOnlySpan<byte> blocks, Span<byte> digests)
    {
        for (; !blocks.IsEmpty; digests = digests[DigestBytes..])
        {
            var block = blocks[..Math.Min(BlockBytes, blocks.Length)];
            HashBlock(block, digests);
            blocks = blocks[block.Length..];
        }
    }

    /// <summary>Whether a block's bytes are those of the leaf.</summary>
    public static bool Matches(ReadOnlySpan<byte> block, ReadOnlySpan<byte> digest)
    {
        Span<byte> actual = stackalloc byte[DigestBytes];
        HashBlock(block, actual);
        return actual.SequenceEqual(digest);
    }

    /// <summary>The hash of a tensor of so many bytes with these leaves.</summary>
    public static UInt128 Root(long bytes, ReadOnlySpan<byte> digests)
    {
        Span<byte> length = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(length, bytes);
        var hash = new XxHash128(RootSeed);
        hash.Append(length);
        hash.Append(digests);
        return hash.GetCurrentHashAsUInt128();
    }
}
#pragma warning restore RS0030
