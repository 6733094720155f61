using Collective.Kernels;
using Collective.Protocol;

namespace Collective.Sharing;

/// <summary>One request that a connection makes, or will make.</summary>
internal sealed class FetchTask(FetchTarget target, StateRequestKind kind, long firstBlock, int blocks)
{
    public FetchTarget Target { get; } = target;

    public StateRequestKind Kind { get; } = kind;

    public long FirstBlock { get; } = firstBlock;

    public int Blocks { get; } = blocks;

    /// <summary>Of the target when this was made: what was asked of a source that failed means nothing any more.</summary>
    public int Round { get; } = target.Round;

    /// <summary>Those of its target when this was made, which the blocks must match.</summary>
    public byte[] TargetDigests { get; } = target.Digests;

    /// <summary>Connections that wait for the answer.</summary>
    public int Askers { get; set; }

    /// <summary>The holder asked first.</summary>
    public int Holder { get; set; } = -1;

    public long AskedMs { get; set; }

    /// <summary>Where the verified blocks are; 0 while they are not here.</summary>
    public nint Staged { get; set; }

    public bool IsStale => Round != Target.Round || Target.Done;

    /// <summary>The digest that one of its blocks must have.</summary>
    public ReadOnlySpan<byte> DigestOf(int block) => TargetDigests.AsSpan((int)((FirstBlock + block) * TreeHash.DigestBytes), TreeHash.DigestBytes);

    /// <summary>Bytes of its blocks.</summary>
    public int Bytes => (int)Math.Min((long)Blocks * TreeHash.BlockBytes, Target.Tensor.Bytes - (FirstBlock * TreeHash.BlockBytes));

    public StateRequest Request => new(Kind, Target.Tensor.Bytes, FirstBlock, Blocks, Target.Tensor.Key);
}

/// <summary>The digests of a tensor are there and the elected ones. Which of the blocks this peer has, who holds no lock finds out.</summary>
internal sealed record DigestComparison(FetchTarget Target, int Round, BlockDigests Theirs);

/// <summary>One tensor to be fetched.</summary>
internal sealed class FetchTarget(StateTensor tensor, StateHash hash, int holderSet)
{
    public StateTensor Tensor { get; } = tensor;

    /// <summary>What its bytes must hash to; unused where contents may differ.</summary>
    public StateHash Hash { get; } = hash;

    public int HolderSet { get; } = holderSet;

    /// <summary>The holder that was asked for the digests; of a tensor whose content may differ, for everything. -1: none yet.</summary>
    public int Source { get; set; } = -1;

    /// <summary>Counts sources: what comes from one that failed belongs to an older round.</summary>
    public int Round { get; set; }

    /// <summary>The digests of all blocks, as far as they have come.</summary>
    public byte[] Digests { get; set; } = [];

    /// <summary>The first bytes of all blocks, as far as they have come.</summary>
    public byte[] Heads { get; set; } = [];

    public long DigestsMissing { get; set; }

    public bool DigestsKnown { get; set; }

    public long BlocksMissing { get; set; }

    /// <summary>The blocks it is fetched in.</summary>
    public List<FetchTask> Parts { get; } = [];

    public bool Done { get; set; }
}
