using System.Buffers.Binary;
using Collective.Kernels;
using Collective.Protocol;
using Collective.Transport;

namespace Collective.Sharing;

/// <summary>A holder has given what cannot be right.</summary>
internal sealed class WrongBytesException(string detail) : IOException(detail);

/// <summary>The asking side of one connection: writes requests, reads answers and verifies blocks. Owned by the connection's thread.</summary>
internal sealed class StateReceiver(IByteConnection connection)
{
    private readonly byte[] _request = GC.AllocateUninitializedArray<byte>(StateRequest.FixedBytes + Limits.StateKeyBytesMax);
    private byte[] _packed = [];
    private BlockCodec? _codec;

    /// <summary>Bytes received, with headers, digests and packed blocks.</summary>
    public long WireBytes { get; private set; }

    public void Ask(FetchTask task) => connection.Send(_request.AsSpan(0, task.Request.Write(_request)));

    public BlockDigests ReceiveDigests(FetchTask task)
    {
        var header = ReceiveHeader();
        var digests = GC.AllocateUninitializedArray<byte>(task.Blocks * TreeHash.DigestBytes);
        var heads = GC.AllocateUninitializedArray<byte>(task.Blocks * BlockDigests.HeadBytes);
        Require(header.Reply == StateReply.Plain && header.PayloadBytes == digests.Length + heads.Length);
        Receive(digests);
        Receive(heads);
        return new BlockDigests(digests, heads);
    }

    /// <summary>Receives blocks into memory of their size; throws unless they match their digests.</summary>
    public void ReceiveBlocks(FetchTask task, Span<byte> target)
    {
        var header = ReceiveHeader();
        var left = header.PayloadBytes;
        Require(header.Reply == StateReply.Packed || left == target.Length);
        for (var i = 0; i < task.Blocks; i++)
        {
            var block = target[..Math.Min(TreeHash.BlockBytes, target.Length)];
            if (header.Reply == StateReply.Plain)
            {
                if (i % Limits.StateBlocksReceived == 0)
                {
                    Receive(target[..Math.Min(Limits.StateBlocksReceived * TreeHash.BlockBytes, target.Length)]);
                }
            }
            else
            {
                ReceivePacked(task, block, ref left);
            }

            if (!TreeHash.Matches(block, task.DigestOf(i)))
            {
                throw Wrong(task, i, "does not match its digest");
            }

            target = target[block.Length..];
        }

        Require(header.Reply == StateReply.Plain || left == 0);
    }

    private void ReceivePacked(FetchTask task, Span<byte> block, ref int left)
    {
        Span<byte> lengthBytes = stackalloc byte[sizeof(uint)];
        Require(left >= lengthBytes.Length);
        Receive(lengthBytes);
        left -= lengthBytes.Length;
        var length = BinaryPrimitives.ReadUInt32LittleEndian(lengthBytes);
        Require(length > 0 && length <= block.Length && length <= left);
        left -= (int)length;
        if (length == block.Length)
        {
            Receive(block);
            return;
        }

        if (_codec is null)
        {
            _codec = new BlockCodec();
            _packed = GC.AllocateUninitializedArray<byte>(TreeHash.BlockBytes);
        }

        var packed = _packed.AsSpan(0, (int)length);
        Receive(packed);
        if (!_codec.Unpack(packed, task.Target.Tensor.ElementBytes, block))
        {
            throw Wrong(task, 0, "cannot be unpacked");
        }
    }

    private StateResponse ReceiveHeader()
    {
        Span<byte> bytes = stackalloc byte[StateResponse.Bytes];
        Receive(bytes);
        var header = StateResponse.Parse(bytes) ?? throw new WrongBytesException("sent bytes that are no answer of the protocol");
        return header.Reply switch
        {
            StateReply.NotServing => throw new IOException("does not give its shared state"),
            StateReply.NoSuchBlocks => throw new WrongBytesException("does not have a tensor that it said it has"),
            _ => header,
        };
    }

    private void Receive(Span<byte> bytes)
    {
        if (!connection.Receive(bytes))
        {
            throw new IOException("closed the connection");
        }

        WireBytes += bytes.Length;
    }

    private static void Require(bool condition)
    {
        if (!condition)
        {
            throw new WrongBytesException("sent an answer of the wrong length");
        }
    }

    private static WrongBytesException Wrong(FetchTask task, int block, string what)
        => new($"gave wrong bytes: block {task.FirstBlock + block} of \"{StateEntries.Shorten(task.Target.Tensor.Key)}\" {what}");
}
