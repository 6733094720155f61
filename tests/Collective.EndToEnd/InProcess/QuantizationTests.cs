using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Quantised all-reduce over TCP: the same bits on all peers, close to the exact result, refused where it makes no sense.</summary>
internal sealed class QuantizationTests : EndToEndTest
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
    public async Task EveryCombinationIsCloseAndTheSameOnAllPeers(DataType type, ReduceOperation operation, Quantization quantization)
    {
        var peers = ByRank(await ConnectGroup(StartMaster(4096), 3));
        foreach (var count in new[] { 1, 2, 1025, 40_000 })
        {
            if (type == DataType.Float32)
            {
                await CheckClose(peers, count, operation, quantization, v => (float)v, v => v);
            }
            else
            {
                await CheckClose(peers, count, operation, quantization, v => v, v => v);
            }
        }
    }

    [Test]
    public async Task PeersMayHaveDifferentStripeCounts([Values] bool inPlace)
    {
        var peers = ByRank(await ConnectGroup(StartMaster(4096), 4, 1, 3, 8, 2));
        var quantization = new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8);
        var results = await Reduce(peers, [.. peers.Select((_, rank) => Noise(150_001, rank))], ReduceOperation.Average, quantization, inPlace);
        Assert.That(results.Select(r => Reference.Bytes(r).AsSpan().SequenceEqual(Reference.Bytes(results[0]))), Is.All.True);

        // What arrives first does not matter either.
        var again = await Reduce(peers, [.. peers.Select((_, rank) => Noise(150_001, rank))], ReduceOperation.Average, quantization, inPlace);
        Assert.That(Reference.Bytes(again[0]).AsSpan().SequenceEqual(Reference.Bytes(results[0])));
    }

    /// <summary>The reference's own test: 42 and 43 with uint8 and zero-point-scale give exactly 85.</summary>
    [Test]
    public async Task ConstantTensorsAreExact()
    {
        var peers = ByRank(await ConnectGroup(StartMaster(), 2));
        var results = await Reduce(
            peers, [Enumerable.Repeat(42f, 1024).ToArray(), Enumerable.Repeat(43f, 1024).ToArray()], ReduceOperation.Sum, new Quantization(QuantizationAlgorithm.ZeroPointScale, DataType.UInt8), inPlace: false);
        Assert.That(results.SelectMany(r => r), Is.All.EqualTo(85f));
    }

    [Test]
    public async Task NotANumberSpoilsItsSegmentAndNoOther()
    {
        var peers = ByRank(await ConnectGroup(StartMaster(4096), 2));
        var inputs = peers.Select((_, rank) => Noise(8192, rank)).ToArray();
        inputs[1][5000] = float.NaN;
        foreach (var result in await Reduce(peers, inputs, ReduceOperation.Sum, new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt16), inPlace: true))
        {
            Assert.That(Enumerable.Range(0, 8192).Where(i => float.IsNaN(result[i])), Is.EqualTo(Enumerable.Range(4096, 1024)));
        }
    }

    [Test]
    public async Task BytesAreThoseThatTravel()
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var quantization = new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8);
        var results = await All(peers, peer => peer.AllReduceAsync(new float[1_000_000].AsMemory(), quantization, timeout: Deadline));
        Assert.That(results.Select(r => r.BytesSent), Is.All.InRange(1_000_000, 1_001_000));
        Assert.That(results.Select(r => r.BytesReceived), Is.EqualTo(results.Select(r => r.BytesSent)));
    }

    [TestCase(DataType.Int32, ReduceOperation.Sum, QuantizationAlgorithm.MinMax, DataType.UInt8, "Int32 cannot be quantised")]
    [TestCase(DataType.Float16, ReduceOperation.Sum, QuantizationAlgorithm.MinMax, DataType.UInt8, "Float16 cannot be quantised")]
    [TestCase(DataType.Float32, ReduceOperation.Sum, QuantizationAlgorithm.MinMax, DataType.Int8, "unsigned integers, not to Int8")]
    [TestCase(DataType.Float32, ReduceOperation.Sum, QuantizationAlgorithm.MinMax, DataType.Float16, "unsigned integers, not to Float16")]
    [TestCase(DataType.Float32, ReduceOperation.Max, QuantizationAlgorithm.ZeroPointScale, DataType.UInt8, "sum and average, not Max")]
    [TestCase(DataType.Float64, ReduceOperation.Product, QuantizationAlgorithm.ZeroPointScale, DataType.Int64, "sum and average, not Product")]
    [TestCase(DataType.Float32, ReduceOperation.Sum, QuantizationAlgorithm.ZeroPointScale, DataType.BFloat16, "integers, not to BFloat16")]
    [TestCase(DataType.Float32, ReduceOperation.Sum, (QuantizationAlgorithm)3, DataType.UInt8, "3 is no quantisation algorithm")]
    [TestCase(DataType.Float32, ReduceOperation.Sum, QuantizationAlgorithm.MinMax, (DataType)16, "not to 16")]
    public async Task WhatMakesNoSenseIsRefusedBeforeAnythingIsSent(DataType type, ReduceOperation operation, QuantizationAlgorithm algorithm, DataType code, string says)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        var buffer = new byte[64];
        var request = AllReduceRequest.Untyped(buffer, buffer, type, tag: 1, operation, new Quantization(algorithm, code));
        AssertFailure(await FailureOf(() => peers[0].AllReduceAsync(request)), ErrorCode.InvalidArgument, says);
        AssertFailure(await FailureOf(() => peers[0].AllReduceMultipleWithRetryAsync([request])), ErrorCode.InvalidArgument, says);

        // The other peer never heard of it, and the tag is free.
        await All(peers, p => p.AllReduceAsync<float>(new float[8], tag: 1));
    }

    [TestCase(QuantizationAlgorithm.MinMax, DataType.UInt16, "MinMax to UInt16")]
    [TestCase(QuantizationAlgorithm.ZeroPointScale, DataType.UInt8, "ZeroPointScale to UInt8")]
    [TestCase(QuantizationAlgorithm.None, DataType.UInt8, "none")]
    public async Task DifferentQuantisationIsNamed(QuantizationAlgorithm algorithm, DataType code, string other)
    {
        var peers = await ConnectGroup(StartMaster(), 2);
        foreach (var count in new[] { 10, 100_000 })
        {
            var inputs = peers.Select((_, i) => Noise(count, i)).ToArray();
            var buffers = Array.ConvertAll(inputs, input => (float[])input.Clone());
            var failures = await All([0, 1], i => FailureOf(() => peers[i].AllReduceAsync(
                buffers[i].AsMemory(), i == 0 ? new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8) : new Quantization(algorithm, code))));
            foreach (var failure in failures)
            {
                AssertFailure(failure, ErrorCode.Mismatch, "quantisation", "MinMax to UInt8", other, peers[0].Id.ToShortString(), peers[1].Id.ToShortString());
            }

            Assert.That(buffers, Is.EqualTo(inputs));
        }
    }

    [Test]
    public async Task AnAbortedOneIsRestoredAndRepeated()
    {
        var peers = await ConnectGroup(StartMaster(4096), 3);
        var inputs = peers.Select((_, i) => Noise(300_000, i)).ToArray();
        var buffers = Array.ConvertAll(inputs, input => (float[])input.Clone());
        var quantization = new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8);
        var calls = new[] { 0, 1 }.Select(i => FailureOf(() => peers[i].AllReduceAsync(buffers[i].AsMemory(), quantization))).ToArray();
        await peers[2].DisposeAsync();
        foreach (var failure in await Task.WhenAll(calls).WaitAsync(Deadline))
        {
            AssertFailure(failure, ErrorCode.OperationAborted);
        }

        Assert.That((buffers[0], buffers[1]), Is.EqualTo((inputs[0], inputs[1])));
        await All([0, 1], i => peers[i].AllReduceAsync(buffers[i].AsMemory(), quantization));
        Assert.That(buffers[0], Is.EqualTo(buffers[1]));
    }

    private static async Task CheckClose<T>(Communicator[] peers, int count, ReduceOperation operation, Quantization quantization, Func<double, T> from, Func<T, double> to)
        where T : unmanaged
    {
        // All contributions from 1 to 2: the partial results stay below 8, and so do their ranges.
        var random = new Random(count);
        var inputs = peers.Select(_ => Enumerable.Range(0, count).Select(_ => from(1 + random.NextDouble())).ToArray()).ToArray();
        var exact = Reference.AllReduce([.. inputs.Select(input => Array.ConvertAll(input, v => to(v)))], operation);
        var results = await Reduce(peers, inputs, operation, quantization, inPlace: count % 2 == 0);
        var (bits, isSigned) = (Math.Min(8 * Width(quantization.DataType), 52), quantization.DataType is DataType.Int8 or DataType.Int16 or DataType.Int32 or DataType.Int64);
        var covered = quantization.Algorithm == QuantizationAlgorithm.MinMax ? 8 : 6 * 8;

        // Half a step at each of three quantisations, grown by the factors of a product; and what float32 and float64 round.
        var tolerance = (3 * 4 * covered / 2 / (Math.ScaleB(1, isSigned ? bits - 1 : bits) - 1)) + (typeof(T) == typeof(float) ? 1e-5 : 1e-13);
        for (var rank = 0; rank < peers.Length; rank++)
        {
            Assert.That(Reference.Bytes(results[rank]).AsSpan().SequenceEqual(Reference.Bytes(results[0])), $"rank {rank} has other bits");
        }

        for (var i = 0; i < count; i++)
        {
            Assert.That(to(results[0][i]), Is.EqualTo(exact[i]).Within(tolerance), $"{quantization} {operation} element {i} of {count}");
        }
    }

    private static async Task<T[][]> Reduce<T>(Communicator[] byRank, T[][] inputs, ReduceOperation operation, Quantization quantization, bool inPlace)
        where T : unmanaged
    {
        var results = Array.ConvertAll(inputs, input => inPlace ? (T[])input.Clone() : new T[input.Length]);
        await All(Enumerable.Range(0, byRank.Length), rank => byRank[rank].AllReduceAsync(inPlace
            ? AllReduceRequest.InPlace(results[rank].AsMemory(), tag: 0, operation, quantization)
            : AllReduceRequest.OutOfPlace<T>(inputs[rank], results[rank], tag: 0, operation, quantization)));
        return results;
    }

    private static int Width(DataType type) => type switch
    {
        DataType.UInt8 or DataType.Int8 => 1,
        DataType.UInt16 or DataType.Int16 => 2,
        DataType.UInt32 or DataType.Int32 => 4,
        _ => 8,
    };

    private static float[] Noise(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5))];
    }
}
