using System.Runtime.InteropServices;
using Collective.Collectives;
using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Core.Tests.Collectives;

/// <summary>The ring when its segments are quantised: the same bits for all, in any order of delivery, and reversible at every point.</summary>
[TestFixture]
internal sealed class QuantizedRingTests
{
    private static IEnumerable<TestCaseData> Combinations
        => from type in new[] { DataType.Float32, DataType.Float64 }
           from operation in Enum.GetValues<ReduceOperation>()
           from algorithm in new[] { QuantizationAlgorithm.MinMax, QuantizationAlgorithm.ZeroPointScale }
           from code in Enum.GetValues<DataType>()
           let quantization = new Quantization(algorithm, code)
           where quantization.Objection(type, operation) is null
           select new TestCaseData(type, operation, quantization);

    [TestCaseSource(nameof(Combinations))]
    public void Every_combination_gives_the_fold_in_ring_order(DataType type, ReduceOperation operation, Quantization quantization)
    {
        var random = new Random((int)type + (int)operation + quantization.ToByte());
        foreach (var (world, count) in new[] { (2, 1), (2, 17), (3, 2), (3, 100), (4, 64), (5, 7), (8, 61) })
        {
            foreach (var inPlace in new[] { false, true })
            {
                AssertReduces(random, world, Descriptor(count, type, operation, quantization), inPlace, segmentBytes: 64);
            }
        }
    }

    [Test]
    public void Every_world_size_and_count([Range(2, 8)] int world, [Values] bool inPlace)
    {
        var random = new Random(world);
        int[] counts = [.. Enumerable.Range(1, 40), 99, 100, 101, 255, 256, 257, 999, 1000];
        foreach (var count in counts)
        {
            var descriptor = Descriptor(count, DataType.Float32, ReduceOperation.Sum, new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt16));
            AssertReduces(random, world, descriptor, inPlace, segmentBytes: random.Next(4, 9) * 16);
        }
    }

    [Test]
    public void Bulk_is_released_by_the_go([Values(2, 3, 5)] int world, [Values(DataType.UInt8, DataType.UInt64)] DataType code)
        => AssertReduces(new Random(world), world, Descriptor(50_000, DataType.Float32, ReduceOperation.Average, new Quantization(QuantizationAlgorithm.ZeroPointScale, code)), inPlace: true, segmentBytes: 8000);

    [Test]
    public void Equal_contributions_are_exact([Values(2, 3, 7)] int world, [Values(QuantizationAlgorithm.MinMax, QuantizationAlgorithm.ZeroPointScale)] QuantizationAlgorithm algorithm)
    {
        var descriptor = Descriptor(1000, DataType.Float32, ReduceOperation.Sum, new Quantization(algorithm, DataType.UInt8));
        var inputs = Enumerable.Range(0, world).Select(rank => MemoryMarshal.AsBytes(Enumerable.Repeat(0.5f + rank, 1000).ToArray().AsSpan()).ToArray()).ToArray();
        using var ring = new FakeRing(descriptor, inputs, inPlace: true, segmentBytes: 256);
        Run(ring, new Random(1));
        Assert.That(MemoryMarshal.Cast<byte, float>(ring.Result(0)).ToArray(), Is.All.EqualTo(Enumerable.Range(0, world).Sum(rank => 0.5f + rank)));
    }

    [Test]
    public void What_travels_is_smaller()
    {
        var descriptor = Descriptor(100_000, DataType.Float32, ReduceOperation.Sum, new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8));
        using var ring = new FakeRing(descriptor, Inputs(new Random(1), 2, descriptor), inPlace: true, segmentBytes: 65_536);
        Run(ring, new Random(1));
        Assert.That(ring.Ranks.Select(r => r.Ring.BytesSent), Is.All.EqualTo(100_000 + (2 * 4 * 24)));
        Assert.That(ring.BytesSent, Is.EqualTo(ring.Ranks.Select(r => r.Ring.BytesSent)));
        Assert.That(ring.Ranks.Select(r => r.Ring.BytesReceived), Is.All.EqualTo(100_000 + (2 * 4 * 24)));
    }

    [TestCase(2, 50, 64)]
    [TestCase(3, 100, 64)]
    [TestCase(4, 37, 64)]
    [TestCase(5, 4, 64)]
    public void An_abort_at_any_point_leaves_the_inputs_as_they_were(int world, int count, int segmentBytes)
    {
        var descriptor = Descriptor(count, DataType.Float32, ReduceOperation.Average, new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8));
        for (var seed = 0; seed < 3; seed++)
        {
            var last = false;
            for (var stopAfter = 0; !last; stopAfter++)
            {
                foreach (var inPlace in new[] { false, true })
                {
                    using var ring = new FakeRing(descriptor, Inputs(new Random(seed), world, descriptor), inPlace, segmentBytes);
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
    public void A_piece_of_another_size_is_a_violation()
    {
        var descriptor = Descriptor(100, DataType.Float32, ReduceOperation.Sum, new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8));
        using var ring = new FakeRing(descriptor, Inputs(new Random(1), 3, descriptor), inPlace: true, segmentBytes: 64);
        var layout = ring.Layouts[0];
        var header = new SegmentHeader(FakeRing.Attempt, descriptor.Digest, 0, 0, layout.PayloadBytes(layout.ChunkReceived(0), 0));
        Assert.That(header.PayloadBytes, Is.EqualTo(24 + 16));
        foreach (var bytes in new[] { 1, 16, 24, 39, 41, 64 })
        {
            Assert.That(ring.Ranks[0].Ring.BeginReceive(header with { PayloadBytes = bytes }, out _), Is.EqualTo(SegmentVerdict.Violation), $"{bytes} bytes");
        }

        Assert.That(ring.Ranks[0].Ring.BeginReceive(header, out var target), Is.EqualTo(SegmentVerdict.Receive));
        Assert.That(target.Length, Is.EqualTo(header.PayloadBytes));
        ring.Ranks[0].Ring.EndReceive(header, received: false);
    }

    [Test]
    public void Any_bytes_in_a_piece_are_taken()
    {
        var descriptor = Descriptor(100, DataType.Float64, ReduceOperation.Min, new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt32));
        for (var seed = 0; seed < 50; seed++)
        {
            var random = new Random(seed);
            using var ring = new FakeRing(descriptor, Inputs(random, 3, descriptor), inPlace: false, segmentBytes: 128) { Corrupt = piece => random.NextBytes(piece) };
            Run(ring, random);
            Assert.That(ring.Ranks.Select(r => r.Completed), Is.All.EqualTo(1));
            Assert.That(ring.GuardsHold());
        }
    }

    private static void AssertReduces(Random random, int world, CollectiveDescriptor descriptor, bool inPlace, int segmentBytes)
    {
        using var ring = new FakeRing(descriptor, Inputs(random, world, descriptor), inPlace, segmentBytes);
        Run(ring, random);
        var expected = ring.Expected();
        for (var rank = 0; rank < world; rank++)
        {
            if (!ring.Result(rank).AsSpan().SequenceEqual(expected) || ring.Ranks[rank].Completed != 1 || (!inPlace && !ring.SourceIsIntact(rank)))
            {
                Assert.Fail($"{world} ranks, {descriptor}, in place {inPlace}, segments of {segmentBytes}: rank {rank} differs (completed {ring.Ranks[rank].Completed} times)");
            }
        }

        Assert.That(ring.SegmentsDelivered, Is.EqualTo(ring.Layouts.Sum(l => l.TotalSent().Segments)));
        Assert.That(ring.BytesSent, Is.EqualTo(ring.Ranks.Select(r => r.Ring.BytesSent)));
        Assert.That(ring.GuardsHold());
        ring.StopAndRestore();
        Assert.That(Enumerable.Range(0, world).Select(ring.SourceIsIntact), Is.All.True);
    }

    private static void Run(FakeRing ring, Random random)
    {
        ring.Start();
        ring.Deliver(random);
        ring.Release();
        ring.Deliver(random);
    }

    private static CollectiveDescriptor Descriptor(int count, DataType type, ReduceOperation operation, Quantization quantization)
        => new((ulong)count, type, operation, quantization.ToByte());

    /// <summary>Numbers around one, now and then one that is none.</summary>
    private static byte[][] Inputs(Random random, int world, CollectiveDescriptor descriptor)
        => [.. Enumerable.Range(0, world).Select(_ =>
        {
            var values = Enumerable.Range(0, (int)descriptor.Count).Select(_ => random.Next(200) == 0 ? 1 / (double)random.Next(2) : 1 + random.NextDouble()).ToArray();
            return descriptor.DataType == DataType.Float64
                ? MemoryMarshal.AsBytes(values.AsSpan()).ToArray()
                : MemoryMarshal.AsBytes(Array.ConvertAll(values, v => (float)v).AsSpan()).ToArray();
        })];
}
