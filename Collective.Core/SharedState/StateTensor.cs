using Collective.Kernels;

namespace Collective.Sharing;

/// <summary>One named tensor in the caller's memory, which stays where it is during a sync.</summary>
internal sealed unsafe class StateTensor(string key, nint address, long bytes, int elementBytes, bool mayDiffer)
{
    public string Key { get; } = key;

    public nint Address { get; } = address;

    public long Bytes { get; } = bytes;

    public int ElementBytes { get; } = elementBytes;

    /// <summary>Contents may differ between peers: there are no leaves before somebody asks.</summary>
    public bool MayDiffer { get; } = mayDiffer;

    public long BlockCount { get; } = TreeHash.BlockCount(bytes);

    /// <summary>The leaf digests of all blocks; empty for a tensor whose content may differ, and for one that was not hashed ahead.</summary>
    public byte[] Leaves { get; set; } = [];

    /// <summary>Whether the leaves were computed. (Of an empty tensor there are none.)</summary>
    public bool IsHashed => Leaves.Length == BlockCount * TreeHash.DigestBytes;

    /// <summary>Whether it has these blocks.</summary>
    public bool Has(long firstBlock, int blocks) => firstBlock >= 0 && blocks > 0 && firstBlock <= BlockCount - blocks;

    /// <summary>The bytes of consecutive blocks, together at most 2 GiB.</summary>
    public Span<byte> Blocks(long firstBlock, int blocks)
    {
        var start = firstBlock * TreeHash.BlockBytes;
        return new Span<byte>((byte*)Address + start, (int)Math.Min((long)blocks * TreeHash.BlockBytes, Bytes - start));
    }

    /// <summary>The leaf digests of consecutive blocks.</summary>
    public Span<byte> Digests(long firstBlock, int blocks) => Leaves.AsSpan((int)(firstBlock * TreeHash.DigestBytes), blocks * TreeHash.DigestBytes);
}
