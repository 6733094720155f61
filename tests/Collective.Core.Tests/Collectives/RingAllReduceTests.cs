using Collective.Collectives;
using Collective.Core.Tests.Kernels;
using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Core.Tests.Collectives;

/// <summary>The ring over a link that delivers in any order: bit for bit the fold that the ring defines, and reversible at every point.</summary>
[TestFixture]
internal sealed class RingAllReduceTests
{
    [Test]
    public void Every_type_and_operation_gives_the_fold_in_ring_order([Values] DataType type, [Values] ReduceOperation operation, [Values] bool inPlace)
    {
        var random = new Random(((int)type * 10) + (int)operation);
        foreach (var (world, count) in new[] { (2, 0), (3, 0), (2, 1), (2, 17), (3, 2), (3, 100), (4, 64), (5, 7), (8, 61) })
        {
            AssertReduces(random, world, count, type, operation, inPlace, segmentBytes: 64);
        }
    }

    [Test]
    public void Every_world_size_and_count([Range(2, 8)] int world, [Values] bool inPlace)
    {
        var random = new Random(world);
        int[] counts = [.. Enumerable.Range(1, 40), 99, 100, 101, 255, 256, 257, 999, 1000];
        foreach (var count in counts)
        {
            AssertReduces(random, world, count, DataType.Float32, ReduceOperation.Sum, inPlace, segmentBytes: random.Next(1, 5) * 16);
        }
    }

    [Test]
    public void Bulk_is_released_by_the_go([Values(2, 3, 5)] int world, [Values] bool inPlace)
        => AssertReduces(new Random(world), world, count: (Limits.EagerBytesMax / 4 * 3) + 1, DataType.Int32, ReduceOperation.Average, inPlace, segmentBytes: 8000);

    [Test]
    public void Before_the_go_no_more_than_the_eager_window_leaves([Values(2, 3, 4)] int world)
    {
        const int Count = 50_000;
        using var ring = New(new Random(1), world, Count, DataType.Float32, ReduceOperation.Sum, inPlace: true, segmentBytes: 4096);
        ring.Start();
        Assert.That(ring.WaitingBytes, Is.InRange(1, world * Limits.EagerBytesMax));
        ring.Deliver(new Random(2));
        Assert.That(ring.Waiting, Is.Zero);
        Assert.That(ring.BytesSent, Is.All.InRange(Limits.EagerBytesMax - 4096, Limits.EagerBytesMax));
        Assert.That(ring.Ranks.Select(r => r.Completed), Is.All.Zero);

        ring.Release();
        ring.Deliver(new Random(3));
        Assert.That(ring.Ranks.Select(r => r.Completed), Is.All.EqualTo(1));
        Assert.That(ring.Result(0), Is.EqualTo(ring.Expected()));
    }

    [Test]
    public void An_operation_of_the_eager_size_needs_no_go()
    {
        using var ring = New(new Random(1), 3, Limits.EagerBytesMax / 4, DataType.Float32, ReduceOperation.Sum, inPlace: true, segmentBytes: 4096);
        ring.Start();
        ring.Deliver(new Random(2));
        Assert.That(ring.Ranks.Select(r => r.Completed), Is.All.EqualTo(1));
    }

    [TestCase(2, 50, 64)]
    [TestCase(3, 100, 64)]
    [TestCase(4, 37, 16)]
    [TestCase(5, 4, 64)]
    public void An_abort_at_any_point_leaves_the_inputs_as_they_were(int world, int count, int segmentBytes)
    {
        for (var seed = 0; seed < 3; seed++)
        {
            var last = false;
            for (var stopAfter = 0; !last; stopAfter++)
            {
                foreach (var inPlace in new[] { false, true })
                {
                    using var ring = New(new Random(seed), world, count, DataType.Float32, ReduceOperation.Average, inPlace, segmentBytes);
                    ring.Start();
                    last = ring.Deliver(new Random(seed + 100), stopAfter) < stopAfter;
                    ring.StopAndRestore();
                    for (var rank = 0; rank < world; rank++)
                    {
                        Assert.That(ring.SourceIsIntact(rank), $"rank {rank}, stopped after {stopAfter} segments, in place: {inPlace}");
                        Assert.That(ring.Ranks[rank].Quiet, Is.EqualTo(1));
                    }

                    Assert.That(ring.GuardsHold());
                }
            }
        }
    }

    [Test]
    public void An_abort_while_segments_move_waits_until_they_have_moved()
    {
        using var ring = New(new Random(1), 2, 8, DataType.Float32, ReduceOperation.Sum, inPlace: true, segmentBytes: 64);
        var (rank, peer) = (ring.Ranks[0], ring.Ranks[1]);
        ring.Start();
        var header = HeaderTo(ring, 0, step: 0);
        Assert.That(rank.Ring.BeginReceive(header, out var target), Is.EqualTo(SegmentVerdict.Receive));
        Assert.That(rank.Ring.BeginSend(HeaderTo(ring, 1, step: 0), out _), Is.True);

        rank.Ring.Stop();
        Assert.That(rank.Quiet, Is.Zero);
        Assert.That(() => rank.Ring.Restore(), Throws.TypeOf<InvariantException>());
        rank.Ring.EndSend(HeaderTo(ring, 1, step: 0), sent: false);
        Assert.That(rank.Quiet, Is.Zero);
        target.Clear();
        rank.Ring.EndReceive(header, received: true);
        Assert.That((rank.Quiet, rank.Completed), Is.EqualTo((1, 0)));
        rank.Ring.Restore();
        Assert.That(ring.SourceIsIntact(0));
        rank.Ring.Stop();
        Assert.That(rank.Quiet, Is.EqualTo(1), "quiet is told once");
        Assert.That(peer.Quiet, Is.Zero);
    }

    [Test]
    public void A_segment_that_breaks_off_is_not_absorbed()
    {
        using var ring = New(new Random(1), 2, 8, DataType.Float32, ReduceOperation.Sum, inPlace: true, segmentBytes: 64);
        var header = HeaderTo(ring, 0, step: 0);
        ring.Ranks[0].Ring.BeginReceive(header, out var target);
        target.Fill(0xEE);
        ring.Ranks[0].Ring.EndReceive(header, received: false);
        Assert.That(ring.Waiting, Is.Zero, "nothing is forwarded");
        ring.StopAndRestore();
        Assert.That(ring.SourceIsIntact(0));
    }

    [Test]
    public void A_segment_that_cannot_be_is_a_violation()
    {
        using var ring = New(new Random(1), 3, 100, DataType.Float32, ReduceOperation.Sum, inPlace: true, segmentBytes: 64);
        var receiver = ring.Ranks[0].Ring;
        var header = HeaderTo(ring, 0, step: 0);
        AssertVerdict(receiver, header with { Step = 4 }, SegmentVerdict.Violation, "a step beyond the last");
        AssertVerdict(receiver, header with { Step = uint.MaxValue }, SegmentVerdict.Violation, "a step beyond 31 bits");
        AssertVerdict(receiver, header with { Segment = 99 }, SegmentVerdict.Violation, "a segment beyond the chunk");
        AssertVerdict(receiver, header with { Segment = uint.MaxValue }, SegmentVerdict.Violation, "a segment beyond 31 bits");
        AssertVerdict(receiver, header with { PayloadBytes = header.PayloadBytes - 4 }, SegmentVerdict.Violation, "too short");
        AssertVerdict(receiver, header with { PayloadBytes = header.PayloadBytes + 4 }, SegmentVerdict.Violation, "too long");
        AssertVerdict(receiver, HeaderTo(ring, 0, step: 3), SegmentVerdict.Violation, "a final segment before its partial one");
        AssertVerdict(receiver, header, SegmentVerdict.Receive, "the right one");
        AssertVerdict(receiver, header, SegmentVerdict.Violation, "the same while it arrives");
        receiver.EndReceive(header, received: true);
        AssertVerdict(receiver, header, SegmentVerdict.Violation, "the same again");
    }

    [Test]
    public void Data_of_another_operation_is_discarded()
    {
        using var ring = New(new Random(1), 3, 100, DataType.Float32, ReduceOperation.Sum, inPlace: true, segmentBytes: 64);
        var header = HeaderTo(ring, 0, step: 0);
        AssertVerdict(ring.Ranks[0].Ring, header with { DescriptorDigest = header.DescriptorDigest ^ 1 }, SegmentVerdict.Discard, "unlike descriptor, whatever else is wrong");
        AssertVerdict(ring.Ranks[0].Ring, header with { DescriptorDigest = 0, Step = 99, PayloadBytes = 1 }, SegmentVerdict.Discard, "unlike descriptor, whatever else is wrong");
        AssertVerdict(ring.Ranks[0].Ring, header with { Attempt = header.Attempt with { Ordinal = 1 } }, SegmentVerdict.Discard, "another attempt");
        ring.Ranks[0].Ring.Stop();
        AssertVerdict(ring.Ranks[0].Ring, header, SegmentVerdict.Discard, "stopped");
        Assert.That(ring.Ranks[0].Ring.BeginSend(header with { Attempt = header.Attempt with { Ordinal = 1 } }, out _), Is.False);
    }

    [Test]
    public void A_steady_all_reduce_allocates_nothing([Values] bool quantised)
    {
        const int Count = 5000;
        var quantization = quantised ? new Quantization(QuantizationAlgorithm.ZeroPointScale, DataType.Int8) : Quantization.None;
        var descriptor = new CollectiveDescriptor(Count, DataType.Float32, ReduceOperation.Average, quantization.ToByte());
        using var world = new SteadyWorld(descriptor, size: 4, segmentBytes: 256);
        Assert.That(Allocations.OfFive(world.RunOnce), Is.Zero);
        Assert.That(world.Completed, Is.EqualTo(4 * 16));
    }

    private static void AssertReduces(Random random, int world, int count, DataType type, ReduceOperation operation, bool inPlace, int segmentBytes)
    {
        using var ring = New(random, world, count, type, operation, inPlace, segmentBytes);
        ring.Start();
        ring.Deliver(random);
        ring.Release();
        ring.Deliver(random);

        var expected = ring.Expected();
        for (var rank = 0; rank < world; rank++)
        {
            if (!ring.Result(rank).AsSpan().SequenceEqual(expected) || ring.Ranks[rank].Completed != 1 || (!inPlace && !ring.SourceIsIntact(rank)))
            {
                Assert.Fail($"{world} ranks, {count} {type} {operation}, in place {inPlace}, segments of {segmentBytes}: rank {rank} differs (completed {ring.Ranks[rank].Completed} times)");
            }
        }

        Assert.That(ring.SegmentsDelivered, Is.EqualTo(ring.Layouts.Sum(l => l.TotalSent().Segments)));
        Assert.That(ring.GuardsHold());
        var bytes = count * CollectiveDescriptor.ElementBytesOf(type);
        Assert.That(ring.Ranks.Sum(r => r.Ring.BytesSent), Is.EqualTo(2L * (world - 1) * bytes));

        // The verdict may still be an abort: the caller's data is in the work buffer until then.
        ring.StopAndRestore();
        Assert.That(Enumerable.Range(0, world).Select(ring.SourceIsIntact), Is.All.True);
    }

    private static FakeRing New(Random random, int world, int count, DataType type, ReduceOperation operation, bool inPlace, int segmentBytes)
    {
        var descriptor = new CollectiveDescriptor((ulong)count, type, operation, 0);
        var inputs = new byte[world][];
        for (var rank = 0; rank < world; rank++)
        {
            inputs[rank] = new byte[descriptor.Bytes];
            random.NextBytes(inputs[rank]);
        }

        return new FakeRing(descriptor, inputs, inPlace, segmentBytes);
    }

    /// <summary>The header of the first segment that a rank receives in a step.</summary>
    private static SegmentHeader HeaderTo(FakeRing ring, int rank, int step)
    {
        var layout = ring.Layouts[rank];
        return new SegmentHeader(FakeRing.Attempt, ring.Descriptor.Digest, (uint)step, 0, layout.Segment(layout.ChunkReceived(step), 0).Bytes);
    }

    private static void AssertVerdict(RingAllReduce ring, SegmentHeader header, SegmentVerdict verdict, string why)
        => Assert.That(ring.BeginReceive(header, out _), Is.EqualTo(verdict), why);
}
