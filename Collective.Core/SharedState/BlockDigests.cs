using Collective.Kernels;

namespace Collective.Sharing;

/// <summary>What a holder says of consecutive blocks: their leaf digests, and their first bytes, by which most blocks that differ are told apart without hashing them.</summary>
/// <param name="Digests">16 bytes of each block. To be checked against the elected hash.</param>
/// <param name="Heads">16 bytes of each block. Nothing vouches for them: they only ever save work.</param>
internal readonly record struct BlockDigests(byte[] Digests, byte[] Heads)
{
    /// <summary>Bytes of a head: the block's first ones, then zeros if it is shorter.</summary>
    public const int HeadBytes = 16;

    private const int BlocksPerPiece = 16;
    private const int PiecesPerThread = 4;

    public static BlockDigests Of(StateTensor tensor, long firstBlock, int blocks)
    {
        var digests = GC.AllocateUninitializedArray<byte>(blocks * TreeHash.DigestBytes);
        var heads = GC.AllocateUninitializedArray<byte>(blocks * HeadBytes);
        for (var i = 0; i < blocks; i++)
        {
            CopyHead(tensor.Blocks(firstBlock + i, 1), heads.AsSpan(i * HeadBytes, HeadBytes));
        }

        if (tensor.IsHashed)
        {
            tensor.Digests(firstBlock, blocks).CopyTo(digests);
        }
        else
        {
            HashNow(tensor, firstBlock, digests);
        }

        return new BlockDigests(digests, heads);
    }

    /// <summary>Which blocks this peer has already. If the tensor was not hashed ahead, that is done now for those that begin alike, on all processors.</summary>
    /// <param name="tensor">This peer's; the digests are of all blocks of it.</param>
    /// <param name="cancellationToken">Ends the hashing.</param>
    public bool[] FoundIn(StateTensor tensor, CancellationToken cancellationToken)
    {
        var found = new bool[tensor.BlockCount];
        if (tensor.MayDiffer)
        {
            return found;
        }

        if (tensor.IsHashed)
        {
            for (var i = 0; i < found.Length; i++)
            {
                found[i] = tensor.Digests(i, 1).SequenceEqual(DigestOf(i));
            }

            return found;
        }

        var alike = new List<int>();
        Span<byte> head = stackalloc byte[HeadBytes];
        for (var i = 0; i < found.Length; i++)
        {
            CopyHead(tensor.Blocks(i, 1), head);
            if (head.SequenceEqual(Heads.AsSpan(i * HeadBytes, HeadBytes)))
            {
                alike.Add(i);
            }
        }

        var theirs = this;
        var pieces = (alike.Count + BlocksPerPiece - 1) / BlocksPerPiece;
        InParallel.Run("collective-hash", pieces, Math.Clamp(pieces / PiecesPerThread, 1, Environment.ProcessorCount), piece =>
        {
            for (var at = piece * BlocksPerPiece; at < Math.Min(alike.Count, (piece + 1) * BlocksPerPiece); at++)
            {
                found[alike[at]] = TreeHash.Matches(tensor.Blocks(alike[at], 1), theirs.DigestOf(alike[at]));
            }
        }, cancellationToken);
        return found;
    }

    private ReadOnlySpan<byte> DigestOf(int block) => Digests.AsSpan(block * TreeHash.DigestBytes, TreeHash.DigestBytes);

    private static void HashNow(StateTensor tensor, long firstBlock, byte[] digests)
    {
        for (var i = 0; i < digests.Length / TreeHash.DigestBytes; i++)
        {
            TreeHash.HashBlock(tensor.Blocks(firstBlock + i, 1), digests.AsSpan(i * TreeHash.DigestBytes));
        }
    }

    private static void CopyHead(ReadOnlySpan<byte> block, Span<byte> head)
    {
        head.Clear();
        block[..Math.Min(head.Length, block.Length)].CopyTo(head);
    }
}
