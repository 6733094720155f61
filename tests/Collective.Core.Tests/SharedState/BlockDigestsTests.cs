using Collective.Kernels;
using Collective.Sharing;
using NUnit.Framework;

namespace Collective.Core.Tests.SharedState;

/// <summary>Which blocks a peer has already, by what a holder says of its own.</summary>
[TestFixture]
internal sealed class BlockDigestsTests
{
    private const int Block = TreeHash.BlockBytes;
    private const int Size = (70 * Block) + 3;

    private readonly byte[] _content = Content(Size);

    [Test]
    public void Every_block_that_is_equal_is_found_and_no_other([Values] bool hashedAhead, [Values(0, 1, 15, 16, 17, Block - 1)] int place)
    {
        var (mine, theirs) = (new TestTensor("t", _content), new TestTensor("t", _content));
        for (var block = 0; block < theirs.Tensor.BlockCount; block += 3)
        {
            mine.Content[Math.Min((block * Block) + place, Size - 1)] ^= 1;
        }

        var said = BlockDigests.Of(theirs.Hashed(), 0, (int)theirs.Tensor.BlockCount);
        var found = said.FoundIn(hashedAhead ? mine.Hashed() : mine.Tensor, CancellationToken.None);
        var expected = Enumerable.Range(0, found.Length).Select(b => mine.Tensor.Blocks(b, 1).SequenceEqual(theirs.Tensor.Blocks(b, 1)));
        Assert.That(found, Is.EqualTo(expected));
    }

    [Test]
    public void A_range_is_of_its_own_blocks()
    {
        var theirs = new TestTensor("t", _content).Hashed();
        var (all, part) = (BlockDigests.Of(theirs, 0, 71), BlockDigests.Of(theirs, 67, 4));
        Assert.That(part.Digests, Is.EqualTo(all.Digests.AsSpan(67 * TreeHash.DigestBytes).ToArray()));
        Assert.That(part.Heads, Is.EqualTo(all.Heads.AsSpan(67 * BlockDigests.HeadBytes).ToArray()));
        Assert.That(part.Heads.AsSpan(3 * BlockDigests.HeadBytes).ToArray(), Is.EqualTo(_content[^3..].Concat(new byte[BlockDigests.HeadBytes - 3])));
    }

    /// <summary>A holder that lies about the first bytes makes work, no more.</summary>
    [Test]
    public void Heads_are_not_believed()
    {
        var (mine, theirs) = (new TestTensor("t", _content), new TestTensor("t", _content));
        mine.Content[Block] ^= 1;
        var said = BlockDigests.Of(theirs.Hashed(), 0, 71);
        mine.Tensor.Blocks(1, 1)[..BlockDigests.HeadBytes].CopyTo(said.Heads.AsSpan(BlockDigests.HeadBytes)); // "It begins as yours."
        said.Heads[2 * BlockDigests.HeadBytes] ^= 1; // "It begins otherwise."
        Assert.That(said.FoundIn(mine.Tensor, CancellationToken.None).Take(4), Is.EqualTo(new[] { true, false, false, true }), "the third is fetched for nothing");
    }

    [Test]
    public void What_may_differ_is_never_found()
    {
        var (mine, theirs) = (new TestTensor("t", _content, mayDiffer: true), new TestTensor("t", _content, mayDiffer: true));
        var said = BlockDigests.Of(theirs.Tensor, 0, 71);
        Assert.That(said.FoundIn(mine.Tensor, CancellationToken.None), Has.None.True);
        Assert.That(TreeHash.Matches(theirs.Tensor.Blocks(1, 1), said.Digests.AsSpan(TreeHash.DigestBytes, TreeHash.DigestBytes)), "computed when asked for");
    }

    private static byte[] Content(int bytes)
    {
        var content = new byte[bytes];
        new Random(1).NextBytes(content);
        return content;
    }
}
