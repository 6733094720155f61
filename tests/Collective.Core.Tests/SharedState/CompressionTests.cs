using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Collective.Kernels;
using Collective.Protocol;
using Collective.Sharing;
using Collective.Transport;
using Collective.Transport.InMemory;
using NUnit.Framework;

namespace Collective.Core.Tests.SharedState;

[TestFixture]
internal sealed class CompressionTests : FetchTest
{
    private const int Block = TreeHash.BlockBytes;

    [Test]
    public void A_block_that_packs_comes_back([Values(1, 2, 4, 8)] int elementBytes, [Values(201, 1000, Block)] int bytes)
    {
        var block = new byte[bytes];
        for (var i = 0; i < bytes; i++)
        {
            block[i] = (byte)(i / 8);
        }

        var codec = new BlockCodec();
        var packed = new byte[Block];
        var length = codec.Pack(block, elementBytes, packed);
        Assert.That(length, Is.InRange(1, bytes - 1));
        var back = new byte[bytes];
        Assert.That(codec.Unpack(packed.AsSpan(0, length), elementBytes, back));
        Assert.That(back, Is.EqualTo(block));
    }

    [Test]
    public void A_block_that_does_not_get_smaller_is_not_packed([Values(1, 2, 12, 1000, Block)] int bytes)
        => Assert.That(new BlockCodec().Pack(Bytes(1, bytes), 4, new byte[Block]), Is.Zero);

    [Test]
    public void Bytes_that_are_no_packed_block_are_refused()
    {
        var codec = new BlockCodec();
        var random = new Random(3);
        var packed = new byte[Block];
        var length = codec.Pack(new byte[Block], 4, packed);
        Assert.That(codec.Unpack(packed.AsSpan(0, length), 4, new byte[Block - 1]), Is.False, "another length");
        Assert.That(codec.Unpack(packed.AsSpan(0, length - 1), 4, new byte[Block]), Is.False, "truncated");
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = Bytes(i, random.Next(1, 100));
            _ = codec.Unpack(bytes, 4, new byte[random.Next(1, 2000)]);
        }
    }

    [Test]
    public void It_pays_only_where_the_link_is_slower_than_the_codec()
    {
        Assert.That(PaysOn(linkBytesPerSecond: 100e6, packedBytes: Block / 2, codecBytesPerSecond: 500e6), Is.True);
        Assert.That(PaysOn(linkBytesPerSecond: 100e6, packedBytes: Block * 9 / 10, codecBytesPerSecond: 500e6), Is.False, "saves 50 MB/s only");
        Assert.That(PaysOn(linkBytesPerSecond: 1e9, packedBytes: Block / 2, codecBytesPerSecond: 500e6), Is.False);
        Assert.That(PaysOn(linkBytesPerSecond: 1e6, packedBytes: 0, codecBytesPerSecond: 500e6), Is.False, "does not get smaller");
    }

    [Test]
    public void A_fast_link_is_not_even_sampled()
    {
        var choice = new CompressionChoice();
        for (var i = 0; i < 100; i++)
        {
            Assert.That(choice.SampleDue, Is.False);
            choice.SentPlain(1 << 20, TimeSpan.FromSeconds((1 << 20) / 4e9));
        }
    }

    [Test]
    public void Now_and_then_an_answer_leaves_as_it_is_to_measure_the_link()
    {
        var choice = new CompressionChoice();
        choice.SentPlain(1 << 20, TimeSpan.FromSeconds(1));
        choice.Sampled(Block, Block / 10, TimeSpan.FromMilliseconds(0.1));
        var plain = 0;
        for (var i = 0; i < 320; i++)
        {
            if (choice.Pays)
            {
                choice.SentPacked();
            }
            else
            {
                plain++;
                choice.SentPlain(1 << 20, TimeSpan.FromSeconds(1));
            }
        }

        Assert.That(plain, Is.EqualTo(10));
    }

    /// <summary>The holder is written by hand, to pack whatever the speed of the link.</summary>
    [Test]
    public void Packed_answers_are_understood([Values] bool lies)
    {
        var values = Enumerable.Range(0, (5 * Block / 4) + 3).Select(i => (float)i).ToArray();
        var content = MemoryMarshal.AsBytes<float>(values).ToArray();
        Bytes(5, Block).CopyTo(content, Block); // One block does not get smaller.
        var elected = new TestTensor("t", content);
        var (dialer, acceptor) = InMemoryByteConnection.Pair();
        var holder = new Thread(() =>
        {
            try
            {
                GivePacked(acceptor, elected, lies);
            }
            catch (IOException)
            {
                // The fetcher has had enough.
            }
        })
        { IsBackground = true };
        holder.Start();
        Holders.Add(elected).Fault = c => throw new NotSupportedException();
        var mine = new TestTensor("t", new byte[content.Length]);
        var plan = new SharedStatePlan(new RequestNumber(1), default, Holders.Members, [[0]], [new StateFetch(0, StateHasher.HashOf(elected.Hashed()), 0)]);
        var fetch = new Recorder(plan, [mine.Hashed()], 1, new OneConnection(dialer));
        fetch.Fetcher.Start();
        if (lies)
        {
            Assert.That(fetch.Outcome.Ok, Is.False);
            Assert.That(fetch.Failures.Single().WrongBytes);
            fetch.End();
        }
        else
        {
            fetch.Commit();
            Assert.That(mine.Content.SequenceEqual(content));
            Assert.That(fetch.Fetcher.WireBytes, Is.LessThan(content.Length * 2 / 3));
        }

        Assert.That(holder.Join(Patience));
    }

    private static bool PaysOn(double linkBytesPerSecond, int packedBytes, double codecBytesPerSecond)
    {
        var choice = new CompressionChoice();
        for (var i = 0; i < 9; i++)
        {
            choice.SentPlain(1 << 20, TimeSpan.FromSeconds((1 << 20) / linkBytesPerSecond));
        }

        choice.Sampled(Block, packedBytes, TimeSpan.FromSeconds(Block / codecBytesPerSecond));
        return choice.Pays;
    }

    private static void GivePacked(InMemoryByteConnection connection, TestTensor tensor, bool lies)
    {
        var codec = new BlockCodec();
        var sender = new StateSender(connection, new UploadLimit(0), _ => true);
        while (sender.ReceiveRequest() is { } request)
        {
            if (request.Kind == StateRequestKind.Digests)
            {
                sender.SendDigests(tensor.Hashed(), request);
                continue;
            }

            using var payload = new MemoryStream();
            foreach (var block in tensor.Tensor.Blocks(request.FirstBlock, request.Blocks).ToArray().Chunk(Block))
            {
                var packed = new byte[Block];
                var length = codec.Pack(block, 4, packed);
                var bytes = length == 0 ? block : packed[..length];
                bytes[^1] ^= (byte)(lies ? 1 : 0);
                var lengthBytes = new byte[4];
                BinaryPrimitives.WriteInt32LittleEndian(lengthBytes, bytes.Length);
                payload.Write(lengthBytes);
                payload.Write(bytes);
            }

            var header = new byte[StateResponse.Bytes];
            new StateResponse(StateReply.Packed, (int)payload.Length).Write(header);
            connection.Send(header);
            connection.Send(payload.ToArray());
        }
    }

    private sealed class OneConnection(InMemoryByteConnection connection) : IStateConnections
    {
        public IByteConnection DialState(Member holder) => connection;

        public void ServeState(Action<IByteConnection> serve) => throw new NotSupportedException();
    }
}
