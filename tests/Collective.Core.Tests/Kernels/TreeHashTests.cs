using System.Buffers.Binary;
using Collective.Kernels;
using NUnit.Framework;

namespace Collective.Core.Tests.Kernels;

[TestFixture]
internal sealed class TreeHashTests
{
    /// <summary>Published in docs/protocol.md, so that other implementations can be checked.</summary>
    private static readonly (int Bytes, string Hash)[] s_vectors =
    [
        (0, "4f83b3b7ca3641168c375ee0bb8b2e94"),
        (1, "624d3eb0867262412d546fe728ec73a7"),
        (3, "38dd9e8c507281e54bc057c63c11fe63"),
        (4, "23fd6ac13f9589bac8959c1834704da4"),
        (8, "85f69edb80f46bdeae1c3a50cbf35d9c"),
        (16, "b97a097ac585f4f98d3fd1be4470d75e"),
        (17, "fc4242c06fc87f89d92cd7e67df396c1"),
        (128, "57a85cf51d71beeab19b3ccd3acb3b71"),
        (129, "dd89be137cec24cb2840c669b7dad40d"),
        (240, "31d99a60463b4644176973fcc3f3c318"),
        (241, "c2744e4bf795866b9293e692791c8fad"),
        (1024, "921e6234732bb3b3ed2abdb62826130a"),
        (65535, "1597c8e889cece1cec86f3f3a4ec6833"),
        (65536, "4dd513e3318721eea341078bd8fd4873"),
        (65537, "af3055fabb4ebf29750eb692cca52f92"),
        (1000000, "7616d2790ba9ad0780895462c6f45a49"),
        (16777216, "597e3863e3282abfb3db2b7474cc0706"),
    ];

    [Test]
    public void Published_vectors([ValueSource(nameof(s_vectors))] (int Bytes, string Hash) vector)
        => Assert.That(Hash(Generated(vector.Bytes)).ToString("x32"), Is.EqualTo(vector.Hash));

    [Test]
    public void An_independent_implementation_agrees(
        [Values(0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 96, 97, 128, 129, 160, 161, 239, 240, 241, 255, 256, 512, 1023, 1024, 1025, 2048, 65_535, 65_536, 65_537, 131_072, 200_001, 1_000_003)] int bytes)
    {
        var data = Generated(bytes);
        Assert.That(Hash(data), Is.EqualTo(PlainHash(data)));
    }

    [Test]
    public void Every_bit_counts([Values(1, 100, 65_536, 70_000)] int bytes)
    {
        var data = Generated(bytes);
        var hash = Hash(data);
        foreach (var position in new[] { 0, bytes / 2, bytes - 1 })
        {
            data[position] ^= 1;
            Assert.That(Hash(data), Is.Not.EqualTo(hash), $"byte {position}");
            data[position] ^= 1;
        }

        Assert.That(Hash(data), Is.EqualTo(hash));
    }

    [Test]
    public void Length_and_order_of_blocks_count()
    {
        var zeros = new byte[3 * TreeHash.BlockBytes];
        var hashes = new[] { Hash([]), Hash(zeros.AsSpan(0, 1)), Hash(zeros.AsSpan(0, TreeHash.BlockBytes)), Hash(zeros.AsSpan(0, 2 * TreeHash.BlockBytes)), Hash(zeros) };
        Assert.That(hashes, Is.Unique);
        var first = Generated(2 * TreeHash.BlockBytes);
        byte[] swapped = [.. first[TreeHash.BlockBytes..], .. first[..TreeHash.BlockBytes]];
        Assert.That(Hash(swapped), Is.Not.EqualTo(Hash(first)));
    }

    [Test]
    public void A_block_matches_its_own_digest_only()
    {
        var data = Generated(TreeHash.BlockBytes);
        var digest = new byte[TreeHash.DigestBytes];
        TreeHash.HashBlock(data, digest);
        Assert.That(TreeHash.Matches(data, digest));
        data[^1] ^= 0x80;
        Assert.That(TreeHash.Matches(data, digest), Is.False);
    }

    /// <summary>The table of the documentation is the table above.</summary>
    [Test]
    public void The_documentation_has_the_same_vectors()
    {
        var document = File.ReadAllText(DocumentPath());
        foreach (var (bytes, hash) in s_vectors)
        {
            Assert.That(document, Does.Contain($"| {bytes} |").And.Contain($"`{hash}` |"));
        }
    }

    private static string DocumentPath([System.Runtime.CompilerServices.CallerFilePath] string here = "")
        => Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "..", "docs", "protocol.md");

    /// <summary>x := 1664525·x + 1013904223 mod 2³², x₀ = 42; each byte is the upper one of the next x.</summary>
    internal static byte[] Generated(int bytes)
    {
        var data = new byte[bytes];
        var x = 42u;
        for (var i = 0; i < bytes; i++)
        {
            x = unchecked((1664525 * x) + 1013904223);
            data[i] = (byte)(x >> 24);
        }

        return data;
    }

    private static UInt128 Hash(ReadOnlySpan<byte> data)
    {
        var digests = new byte[TreeHash.BlockCount(data.Length) * TreeHash.DigestBytes];
        TreeHash.HashBlocks(data, digests);
        return TreeHash.Root(data.Length, digests);
    }

    private static UInt128 PlainHash(byte[] data)
    {
        var nodes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(nodes, data.Length);
        foreach (var block in data.Chunk(64 * 1024))
        {
            var digest = new byte[16];
            BinaryPrimitives.WriteUInt128BigEndian(digest, PlainXxHash128.Hash(block, 0));
            nodes = [.. nodes, .. digest];
        }

        return PlainXxHash128.Hash(nodes, 1);
    }
}
