using Collective.Kernels;
using Collective.Protocol;

namespace Collective.Sharing;

/// <summary>Computes the leaves of tensors on all processors: on threads of its own, because the trainer may keep the pool busy.</summary>
internal static class StateHasher
{
    private const int BlocksPerPiece = 16;
    private const int PiecesPerThread = 4;

    /// <summary>Fills in the leaves of all tensors whose content must be equal.</summary>
    public static void HashLeaves(IReadOnlyList<StateTensor> tensors, CancellationToken cancellationToken)
    {
        var pieces = new List<(StateTensor Tensor, long FirstBlock, int Blocks)>();
        foreach (var tensor in tensors.Where(t => !t.MayDiffer))
        {
            tensor.Leaves = GC.AllocateUninitializedArray<byte>((int)(tensor.BlockCount * TreeHash.DigestBytes));
            for (long first = 0; first < tensor.BlockCount; first += BlocksPerPiece)
            {
                pieces.Add((tensor, first, (int)Math.Min(BlocksPerPiece, tensor.BlockCount - first)));
            }
        }

        var threads = Math.Clamp(pieces.Count / PiecesPerThread, 1, Environment.ProcessorCount);
        InParallel.Run("collective-hash", pieces.Count, threads, HashPiece, cancellationToken);

        void HashPiece(int index)
        {
            var (tensor, first, blocks) = pieces[index];
            TreeHash.HashBlocks(tensor.Blocks(first, blocks), tensor.Digests(first, blocks));
        }
    }

    /// <summary>What to vote for a tensor: zero where contents may differ, and where the leaves were not computed.</summary>
    public static StateHash HashOf(StateTensor tensor) => tensor.MayDiffer || !tensor.IsHashed ? default : new StateHash(TreeHash.Root(tensor.Bytes, tensor.Leaves));
}
