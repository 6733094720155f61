using Collective.Collectives;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Collectives;

/// <summary>All ranks cut alike, and every byte goes where the other end expects it.</summary>
[TestFixture]
internal sealed class RingLayoutTests
{
    private static readonly (long Count, int World, int SegmentBytes, DataType Type)[] Shapes =
    [
        .. from world in new[] { 2, 3, 4, 5, 8, 64 }
           from count in new long[] { 1, 2, 3, 8, 9, 63, 65, 1000, 100_003 }
           from segment in new[] { 64, 100, 4096, 1 << 20 }
           from type in new[] { DataType.UInt8, DataType.Float64 }
           select (count, world, segment, type),
        (3_000_000_001, 3, Limits.SegmentBytesMax, DataType.Float64),
        (1L << 33, 5, 1 << 20, DataType.UInt8),
    ];

    [Test]
    public void Chunks_and_segments_tile_the_tensor()
    {
        foreach (var shape in Shapes)
        {
            var layout = Layout(shape, rank: 0);
            var elementBytes = CollectiveDescriptor.ElementBytesOf(shape.Type);
            long expected = 0;
            for (var chunk = 0; chunk < shape.World; chunk++)
            {
                Assert.That(layout.SegmentsOf(chunk), Is.LessThanOrEqualTo(layout.SegmentsPerChunkMax));
                Assert.That(layout.ChunkElements(chunk), Is.InRange(shape.Count / shape.World, (shape.Count / shape.World) + 1));
                for (var segment = 0; segment < layout.SegmentsOf(chunk); segment++)
                {
                    var (offset, bytes) = layout.Segment(chunk, segment);
                    if (offset != expected || bytes <= 0 || bytes > Math.Max(shape.SegmentBytes, elementBytes) || bytes % elementBytes != 0)
                    {
                        Assert.Fail($"{shape}, chunk {chunk}, segment {segment}: {bytes} bytes at {offset}, expected at {expected}");
                    }

                    expected += bytes;
                }
            }

            Assert.That(expected, Is.EqualTo(shape.Count * elementBytes), $"{shape}");
        }
    }

    [Test]
    public void What_a_rank_sends_the_next_one_receives()
    {
        foreach (var shape in Shapes)
        {
            for (var rank = 0; rank < shape.World; rank++)
            {
                var sender = Layout(shape, rank);
                var receiver = Layout(shape, (rank + 1) % shape.World);
                Assert.That(Enumerable.Range(0, sender.Steps).Select(sender.ChunkSent), Is.EqualTo(Enumerable.Range(0, receiver.Steps).Select(receiver.ChunkReceived)), $"{shape}");
                Assert.That(sender.TotalSent(), Is.EqualTo(receiver.TotalReceived()));
            }
        }
    }

    [Test]
    public void A_rank_forwards_what_it_has_just_received()
    {
        foreach (var shape in Shapes)
        {
            var layout = Layout(shape, rank: shape.World - 1);
            for (var step = 0; step + 1 < layout.Steps; step++)
            {
                Assert.That(layout.ChunkSent(step + 1), Is.EqualTo(layout.ChunkReceived(step)), $"{shape}, step {step}");
            }

            Assert.That(layout.ChunkSent(0), Is.EqualTo(layout.Rank), "its own chunk first");
        }
    }

    [Test]
    public void Every_chunk_is_reduced_at_one_owner_and_reaches_everybody()
    {
        foreach (var shape in Shapes)
        {
            for (var rank = 0; rank < shape.World; rank++)
            {
                var layout = Layout(shape, rank);
                var scattered = Enumerable.Range(0, layout.ScatterSteps).Select(layout.ChunkReceived).ToArray();
                var gathered = Enumerable.Range(layout.ScatterSteps, layout.ScatterSteps).Select(layout.ChunkReceived).ToArray();
                var owned = scattered[^1];
                Assert.That(scattered, Is.Unique.And.Not.Contain(rank));
                Assert.That(gathered.Append(owned), Is.EquivalentTo(Enumerable.Range(0, shape.World)), "all but its own come back final");
            }
        }
    }

    [Test]
    public void All_ranks_together_send_twice_the_tensor_less_its_share()
    {
        foreach (var shape in Shapes)
        {
            var bytes = shape.Count * CollectiveDescriptor.ElementBytesOf(shape.Type);
            var sent = Enumerable.Range(0, shape.World).Sum(rank => Layout(shape, rank).TotalSent().Bytes);
            var segments = Enumerable.Range(0, shape.World).Sum(rank => Layout(shape, rank).TotalSent().Segments);
            Assert.That(sent, Is.EqualTo(2 * (shape.World - 1) * bytes), $"{shape}");
            Assert.That(segments, Is.EqualTo(Enumerable.Range(0, shape.World).Sum(rank => Layout(shape, rank).TotalReceived().Segments)));
            if (shape.Count % shape.World == 0)
            {
                Assert.That(Layout(shape, 0).TotalSent().Bytes * shape.World, Is.EqualTo(2 * (shape.World - 1) * bytes), "2(N-1)/N of the tensor for each");
            }
        }
    }

    [Test]
    public void Every_rank_receives_something_however_small_the_tensor()
    {
        foreach (var world in new[] { 2, 3, 8, 1024 })
        {
            for (var rank = 0; rank < world; rank++)
            {
                var layout = Layout((1, world, 64, DataType.Float64), rank);
                Assert.That((layout.TotalSent().Segments > 0, layout.TotalReceived().Segments > 0), Is.EqualTo((true, true)), $"rank {rank} of {world}");
            }
        }
    }

    [Test]
    public void A_chunk_is_cut_for_the_pipeline_but_not_into_crumbs()
    {
        Assert.That(Layout((2 * 8 * 65_536, 2, 1 << 20, DataType.UInt8), 0).SegmentsPerChunkMax, Is.EqualTo(8));
        Assert.That(Layout((2 * 65_536, 2, 1 << 20, DataType.UInt8), 0).SegmentsPerChunkMax, Is.EqualTo(1));
        Assert.That(Layout((64L << 20, 2, 1 << 20, DataType.UInt8), 0).SegmentsPerChunkMax, Is.EqualTo(32));
    }

    [Test]
    public void Encoded_segments_lie_apart_and_fit_the_run_and_the_memory_of_any_world()
    {
        foreach (var shape in Shapes)
        {
            foreach (var (elements, code) in new[] { (DataType.Float32, DataType.UInt8), (DataType.Float32, DataType.UInt64), (DataType.Float64, DataType.UInt16), (DataType.Float64, DataType.UInt64) })
            {
                var quantization = new Quantization(QuantizationAlgorithm.MinMax, code);
                var descriptor = new CollectiveDescriptor((ulong)shape.Count, elements, ReduceOperation.Sum, quantization.ToByte());
                var layout = new RingLayout(descriptor, shape.World, 0, shape.SegmentBytes);
                long end = 0, sent = 0;
                for (var chunk = 0; chunk < shape.World; chunk++)
                {
                    for (var segment = 0; segment < layout.SegmentsOf(chunk); segment++)
                    {
                        var payload = layout.PayloadBytes(chunk, segment);
                        var start = layout.PieceStart(chunk, segment);
                        Assert.That((start >= end, payload <= Math.Max(shape.SegmentBytes, 32)), Is.EqualTo((true, true)), $"{shape} {quantization}, chunk {chunk}, segment {segment}");
                        Assert.That(payload, Is.EqualTo(24 + (layout.Segment(chunk, segment).Bytes / descriptor.ElementBytes * CollectiveDescriptor.ElementBytesOf(code))));
                        end = start + payload;
                        sent += payload;
                    }
                }

                Assert.That(layout.PiecesBytes, Is.InRange(end, RingLayout.PiecesBytesMax(descriptor, shape.SegmentBytes)), $"{shape} {quantization}");
                Assert.That(Enumerable.Range(0, shape.World).Sum(rank => new RingLayout(descriptor, shape.World, rank, shape.SegmentBytes).TotalSent().Bytes), Is.EqualTo(2 * (shape.World - 1) * sent));
            }
        }
    }

    [Test]
    public void What_is_sent_before_a_peer_enters_fits_its_limits()
    {
        foreach (var world in new[] { 2, 3, 100, 1000, 1024 })
        {
            foreach (var (elements, code) in new[] { (DataType.Float32, DataType.UInt8), (DataType.Float32, DataType.UInt32), (DataType.Float32, DataType.UInt64), (DataType.Float64, DataType.UInt8), (DataType.Float64, DataType.UInt64) })
            {
                var largest = (ulong)(Limits.EagerBytesMax / Math.Max(CollectiveDescriptor.ElementBytesOf(elements), CollectiveDescriptor.ElementBytesOf(code)));
                var quantization = new Quantization(QuantizationAlgorithm.MinMax, code);
                var descriptor = new CollectiveDescriptor(largest, elements, ReduceOperation.Sum, quantization.ToByte());
                Assert.That((descriptor.NeedsGo, (descriptor with { Count = largest + 1 }).NeedsGo), Is.EqualTo((false, true)), $"{elements} {quantization}");

                // Without the next peer nothing becomes final: at most the segments of reduce-scatter leave.
                var layout = new RingLayout(descriptor, world, 0, Limits.SegmentBytesMin);
                var (segments, bytes) = (0L, 0L);
                for (var step = 0; step < layout.ScatterSteps; step++)
                {
                    var chunk = layout.ChunkSent(step);
                    segments += layout.SegmentsOf(chunk);
                    bytes += Enumerable.Range(0, layout.SegmentsOf(chunk)).Sum(segment => (long)layout.PayloadBytes(chunk, segment));
                }

                Assert.That(segments, Is.LessThanOrEqualTo(Limits.EarlySegmentsPerOperationMax), $"{world} {elements} {quantization}");
                Assert.That(bytes, Is.LessThanOrEqualTo(Limits.EarlyBytesPerOperationMax), $"{world} {elements} {quantization}");
            }
        }
    }

    private static RingLayout Layout((long Count, int World, int SegmentBytes, DataType Type) shape, int rank)
        => new(new CollectiveDescriptor((ulong)shape.Count, shape.Type, ReduceOperation.Sum, 0), shape.World, rank, shape.SegmentBytes);
}
