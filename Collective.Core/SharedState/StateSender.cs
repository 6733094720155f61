using System.Buffers.Binary;
using System.Diagnostics;
using Collective.Kernels;
using Collective.Protocol;
using Collective.Transport;

namespace Collective.Sharing;

/// <summary>The giving side of one connection: reads requests, writes answers. Owned by the connection's thread.</summary>
internal sealed class StateSender(IByteConnection connection, UploadLimit limit, Func<double, bool> wait)
{
    private readonly byte[] _small = GC.AllocateUninitializedArray<byte>(StateRequest.FixedBytes + Limits.StateKeyBytesMax);
    private readonly CompressionChoice _choice = new();
    private BlockCodec? _codec;
    private byte[] _packed = [];

    /// <summary>The next request; null when the other side has closed, or sent something else.</summary>
    public StateRequest? ReceiveRequest()
    {
        var fixedPart = _small.AsSpan(0, StateRequest.FixedBytes);
        if (!connection.Receive(fixedPart) || StateRequest.ParseFixed(fixedPart, out var request) is not { } keyBytes)
        {
            return null;
        }

        var key = _small.AsSpan(0, keyBytes);
        return connection.Receive(key) && StateRequest.ParseKey(key) is { } text ? request with { Key = text } : null;
    }

    public void Refuse(StateReply reply) => SendHeader(reply, 0);

    public StateBytes SendDigests(StateTensor tensor, in StateRequest request)
    {
        var (digests, heads) = BlockDigests.Of(tensor, request.FirstBlock, request.Blocks);
        var bytes = digests.Length + heads.Length;
        SendHeader(StateReply.Plain, bytes);
        Send(digests);
        Send(heads);
        return new StateBytes(0, StateResponse.Bytes + bytes);
    }

    public StateBytes SendBlocks(StateTensor tensor, in StateRequest request)
    {
        var blocks = tensor.Blocks(request.FirstBlock, request.Blocks);
        if (_choice.SampleDue)
        {
            Sample(blocks[..Math.Min(TreeHash.BlockBytes, blocks.Length)], tensor.ElementBytes);
        }

        if (_choice.Pays)
        {
            var packedBytes = Pack(blocks, tensor.ElementBytes);
            SendHeader(StateReply.Packed, packedBytes);
            Send(_packed.AsSpan(0, packedBytes));
            _choice.SentPacked();
            return new StateBytes(blocks.Length, StateResponse.Bytes + packedBytes);
        }

        var started = Stopwatch.GetTimestamp();
        SendHeader(StateReply.Plain, blocks.Length);
        Send(blocks);
        _choice.SentPlain(blocks.Length, Stopwatch.GetElapsedTime(started));
        return new StateBytes(blocks.Length, StateResponse.Bytes + blocks.Length);
    }

    private void SendHeader(StateReply reply, int payloadBytes)
    {
        Span<byte> header = stackalloc byte[StateResponse.Bytes];
        new StateResponse(reply, payloadBytes).Write(header);
        connection.Send(header);
    }

    private void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var piece = bytes[..Math.Min(limit.PieceBytes, bytes.Length)];
            if (limit.Book(piece.Length, Stopwatch.GetElapsedTime(0).TotalMilliseconds) is var delayMs && delayMs > 0 && !wait(delayMs))
            {
                throw new IOException("the sync has ended");
            }

            connection.Send(piece);
            bytes = bytes[piece.Length..];
        }
    }

    private void Sample(ReadOnlySpan<byte> block, int elementBytes)
    {
        PrepareToPack();
        var started = Stopwatch.GetTimestamp();
        var packedBytes = _codec!.Pack(block, elementBytes, _packed);
        _choice.Sampled(block.Length, packedBytes, Stopwatch.GetElapsedTime(started));
    }

    /// <summary>Bytes of the payload of <see cref="StateReply.Packed"/>.</summary>
    private int Pack(ReadOnlySpan<byte> blocks, int elementBytes)
    {
        PrepareToPack();
        var written = 0;
        while (!blocks.IsEmpty)
        {
            var block = blocks[..Math.Min(TreeHash.BlockBytes, blocks.Length)];
            var target = _packed.AsSpan(written + sizeof(uint));
            var packedBytes = _codec!.Pack(block, elementBytes, target);
            if (packedBytes == 0)
            {
                block.CopyTo(target);
                packedBytes = block.Length;
            }

            BinaryPrimitives.WriteInt32LittleEndian(_packed.AsSpan(written), packedBytes);
            written += sizeof(uint) + packedBytes;
            blocks = blocks[block.Length..];
        }

        return written;
    }

    private void PrepareToPack()
    {
        if (_codec is null)
        {
            _codec = new BlockCodec();
            _packed = GC.AllocateUninitializedArray<byte>(Limits.StatePayloadBytesMax);
        }
    }
}
