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
        var found = said.FoundIn(hashedAhead ? mine.Hashed() : mine.Tensor, 0);
        var expected = Enumerable.Range(0, found.Length).Select(b => mine.Tensor.Blocks(b, 1).SequenceEqual(theirs.Tensor.Blocks(b, 1)));
        Assert.That(found, Is.EqualTo(expected));
    }

    [Test]
    public void A_range_is_compared_with_its_own_blocks([Values] bool hashedAhead)
    {
        var (mine, theirs) = (new TestTensor("t", _content), new TestTensor("t", _content));
        mine.Content[68 * Block] ^= 1;
        var found = BlockDigests.Of(theirs.Hashed(), 67, 4).FoundIn(hashedAhead ? mine.Hashed() : mine.Tensor, 67);
        Assert.That(found, Is.EqualTo(new[] { true, false, true, true }));
    }

    /// <summary>A holder that lies about the first bytes makes work, no more.</summary>
    [Test]
    public void Heads_are_not_believed()
    {
        var (mine, theirs) = (new TestTensor("t", _content), new TestTensor("t", _content));
        mine.Content[(5 * Block) + 100] ^= 1;
        mine.Content[6 * Block] ^= 1;
        var said = BlockDigests.Of(theirs.Hashed(), 5, 3);
        mine.Tensor.Blocks(6, 1)[..BlockDigests.HeadBytes].CopyTo(said.Heads.AsSpan(BlockDigests.HeadBytes)); // "It begins as yours."
        said.Heads[2 * BlockDigests.HeadBytes] ^= 1; // "It begins otherwise."
        Assert.That(said.FoundIn(mine.Tensor, 5), Is.EqualTo(new[] { false, false, false }), "the third is fetched for nothing");
    }

    [Test]
    public void What_may_differ_is_never_found()
    {
        var (mine, theirs) = (new TestTensor("t", _content, mayDiffer: true), new TestTensor("t", _content, mayDiffer: true));
        var said = BlockDigests.Of(theirs.Tensor, 0, 2);
        Assert.That(said.FoundIn(mine.Tensor, 0), Is.EqualTo(new[] { false, false }));
        Assert.That(TreeHash.Matches(theirs.Tensor.Blocks(1, 1), said.Digests.AsSpan(TreeHash.DigestBytes)), "computed when asked for");
    }

    private static byte[] Content(int bytes)
    {
        var content = new byte[bytes];
        new Random(1).NextBytes(content);
        return content;
    }
}
