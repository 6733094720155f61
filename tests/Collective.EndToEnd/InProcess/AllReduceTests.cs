using Collective.EndToEnd.Support;
using NUnit.Framework;

namespace Collective.EndToEnd.InProcess;

/// <summary>Every type, operation, size and way of calling, against <see cref="Reference"/>, bit for bit on every peer.</summary>
[TestFixture(typeof(byte))]
[TestFixture(typeof(sbyte))]
[TestFixture(typeof(short))]
[TestFixture(typeof(ushort))]
[TestFixture(typeof(int))]
[TestFixture(typeof(uint))]
[TestFixture(typeof(long))]
[TestFixture(typeof(ulong))]
[TestFixture(typeof(Half))]
[TestFixture(typeof(BFloat16))]
[TestFixture(typeof(float))]
[TestFixture(typeof(double))]
internal sealed class AllReduceTests<T> : EndToEndTest
    where T : unmanaged
{
    private static readonly int[] Counts = [1, 2, 3, 1025, 203_530];

    [TestCase(2)]
    [TestCase(3)]
    [TestCase(4)]
    public async Task GivesTheSpecifiedBitsOnEveryPeer(int worldSize)
    {
        var peers = ByRank(await ConnectGroup(StartMaster(), worldSize));
        foreach (var count in Counts)
        {
            var inputs = Inputs(worldSize, count);
            foreach (var operation in count < Counts[^1] ? Enum.GetValues<ReduceOperation>() : [ReduceOperation.Sum, ReduceOperation.Average])
            {
                var expected = Reference.Bytes(Reference.AllReduce(inputs, operation));
                await Check(peers, inputs, operation, expected, inPlace: true);
                if (count < Counts[^1] || operation == ReduceOperation.Sum)
                {
                    await Check(peers, inputs, operation, expected, inPlace: false);
                }
            }
        }
    }

    private static async Task Check(Communicator[] peers, T[][] inputs, ReduceOperation operation, byte[] expected, bool inPlace)
    {
        var sources = Array.ConvertAll(inputs, input => (T[])input.Clone());
        var destinations = inPlace ? sources : Array.ConvertAll(inputs, input => new T[input.Length]);
        var results = await All(Enumerable.Range(0, peers.Length), rank => inPlace
            ? peers[rank].AllReduceAsync<T>(sources[rank], operation)
            : peers[rank].AllReduceAsync<T>(sources[rank], destinations[rank], operation));
        for (var rank = 0; rank < peers.Length; rank++)
        {
            var what = $"{operation} of {inputs[0].Length}, {(inPlace ? "in place" : "out of place")}, rank {rank} of {peers.Length}";
            Assert.That(Reference.Bytes(destinations[rank]).AsSpan().SequenceEqual(expected), Is.True, what);
            Assert.That(inPlace || Reference.Bytes(sources[rank]).AsSpan().SequenceEqual(Reference.Bytes(inputs[rank])), Is.True, $"source of {what}");
            Assert.That(results[rank].Contributors, Is.EqualTo(peers[rank].World.Peers), what);
            Assert.That(results[rank].WorldSize, Is.EqualTo(peers.Length), what);
        }
    }

    /// <summary>All bit patterns of integers (sums wrap), and floats of many magnitudes and both signs (rounding shows the order of additions).</summary>
    private static T[][] Inputs(int worldSize, int count)
    {
        var random = new Random(count);
        return [.. Enumerable.Range(0, worldSize).Select(_ => Enumerable.Range(0, count).Select(_ => Value(random)).ToArray())];
    }

    private static T Value(Random random)
    {
        var real = (float)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-6, 6)));
        object value = default(T) switch
        {
            byte => (byte)random.Next(),
            sbyte => (sbyte)random.Next(),
            short => (short)random.Next(),
            ushort => (ushort)random.Next(),
            int => (int)random.NextInt64(),
            uint => (uint)random.NextInt64(),
            long => random.NextInt64(long.MinValue, long.MaxValue),
            ulong => (ulong)random.NextInt64(long.MinValue, long.MaxValue),
            Half => (Half)real,
            BFloat16 => (BFloat16)real,
            float => real,
            _ => (object)((random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-20, 20))),
        };
        return (T)value;
    }
}
