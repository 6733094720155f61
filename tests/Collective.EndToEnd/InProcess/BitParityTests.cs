using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>However the data travels, the bits are the specified ones, and the same on all peers.</summary>
internal sealed class BitParityTests : EndToEndTest
{
    [Test]
    public async Task DoesNotDependOnStripesOrSegments([Values(1, 2, 8, 64)] int stripes, [Values(64, 4096, 512 * 1024)] int segmentBytes)
    {
        var peers = ByRank(await ConnectGroup(StartMaster(segmentBytes), 3, stripes));
        await CheckFloats(peers, segmentBytes == 64 ? 20_001 : 200_003);
    }

    [Test]
    public async Task PeersMayHaveDifferentStripeCounts()
        => await CheckFloats(ByRank(await ConnectGroup(StartMaster(4096), 4, 1, 3, 8, 2)), 150_001);

    /// <summary>NaN of every kind, infinities that cancel, overflow, denormals and signed zeros.</summary>
    [Test]
    public async Task SpecialValuesAreTheSameBitsOnEveryPeer([Values] ReduceOperation operation, [Values(2, 3)] int worldSize)
    {
        float[] special =
        [
            float.NaN, BitConverter.UInt32BitsToSingle(0x7F800001), BitConverter.UInt32BitsToSingle(0xFFC12345), float.PositiveInfinity, float.NegativeInfinity,
            float.MaxValue, -float.MaxValue, float.Epsilon, -float.Epsilon, 0f, -0f, 1f, 3e38f, 1e-38f,
        ];
        var peers = await ConnectGroup(StartMaster(), worldSize);
        var random = new Random(7);
        var singles = peers.Select(_ => Enumerable.Range(0, 5000).Select(_ => special[random.Next(special.Length)]).ToArray()).ToArray();
        await CheckEqual(peers, singles, operation, v => BitConverter.SingleToUInt32Bits(v), float.IsNaN);
        await CheckEqual(peers, [.. singles.Select(s => Array.ConvertAll(s, v => (double)v))], operation, v => BitConverter.DoubleToUInt64Bits(v), double.IsNaN);
        await CheckEqual(peers, [.. singles.Select(s => Array.ConvertAll(s, v => (Half)v))], operation, v => BitConverter.HalfToUInt16Bits(v), Half.IsNaN);
        await CheckEqual(peers, [.. singles.Select(s => Array.ConvertAll(s, v => (BFloat16)v))], operation, v => v.Bits, v => float.IsNaN((float)v));
    }

    private static async Task CheckFloats(Communicator[] byRank, int count)
    {
        var random = new Random(count);
        var inputs = byRank.Select(_ => Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() - 0.5)).ToArray()).ToArray();
        var expected = Reference.Bytes(Reference.AllReduce(inputs, ReduceOperation.Sum));
        var buffers = Array.ConvertAll(inputs, input => (float[])input.Clone());
        await All(Enumerable.Range(0, byRank.Length), rank => byRank[rank].AllReduceAsync<float>(buffers[rank]));
        Assert.That(buffers.Select(b => Reference.Bytes(b).AsSpan().SequenceEqual(expected)), Is.All.True);
    }

    private static async Task CheckEqual<T>(Communicator[] peers, T[][] inputs, ReduceOperation operation, Func<T, ulong> bits, Func<T, bool> isNaN)
        where T : unmanaged
    {
        var results = Array.ConvertAll(inputs, input => (T[])input.Clone());
        await All(Enumerable.Range(0, peers.Length), i => peers[i].AllReduceAsync<T>(results[i], operation));
        for (var i = 0; i < results[0].Length; i++)
        {
            Assert.That(results.Select(r => bits(r[i])).Distinct().Count(), Is.EqualTo(1), $"{typeof(T).Name} {operation} element {i}: {string.Join(", ", results.Select(r => bits(r[i]).ToString("x", null)))}");
            Assert.That(isNaN(results[0][i]) || !inputs.Any(input => isNaN(input[i])), Is.True, $"{typeof(T).Name} {operation} element {i}: a NaN got lost");
        }
    }
}
