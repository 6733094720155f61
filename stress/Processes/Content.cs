using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Collective.Stress.Processes;

/// <summary>
/// What a peer contributes to a step: numbers that depend on the peer's id, the step and the element. Sums of integers wrap, so any result that is not
/// exactly that of the reported contributors is noticed; floating-point numbers are whole and small, so that their sums are exact in any order.
/// </summary>
internal static class Content
{
    private const uint FloatValuesMax = 1021;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Fill<T>(Span<T> target, PeerId peer, ulong step)
        where T : unmanaged, INumber<T>
    {
        var seed = Seed(peer, step);
        for (var index = 0; index < target.Length; index++)
        {
            target[index] = Value<T>(seed, index);
        }
    }

    /// <summary>The index of the first element that is not the reduction over the contributors; -1 when all are.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int FirstWrong<T>(ReadOnlySpan<T> result, IReadOnlyList<PeerId> contributors, ulong step, ReduceOperation operation = ReduceOperation.Sum)
        where T : unmanaged, INumber<T>
    {
        var seeds = contributors.Select(peer => Seed(peer, step)).ToArray();
        for (var index = 0; index < result.Length; index++)
        {
            var expected = Value<T>(seeds[0], index);
            for (var other = 1; other < seeds.Length; other++)
            {
                var value = Value<T>(seeds[other], index);
                expected = operation == ReduceOperation.Max ? T.Max(expected, value) : unchecked(expected + value);
            }

            if (operation == ReduceOperation.Average)
            {
                expected /= T.CreateChecked(seeds.Length);
            }

            if (result[index] != expected)
            {
                return index;
            }
        }

        return -1;
    }

    private static ulong Seed(PeerId peer, ulong step)
    {
        Span<byte> id = stackalloc byte[16];
        peer.Value.TryWriteBytes(id);
        return BinaryPrimitives.ReadUInt64LittleEndian(id) ^ BinaryPrimitives.ReadUInt64LittleEndian(id[8..]) ^ (step * 0xD1342543DE82EF95);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Value<T>(ulong seed, int index)
        where T : unmanaged, INumber<T>
    {
        var bits = Mix(seed + ((ulong)(index + 1) * 0x9E3779B97F4A7C15));
        return typeof(T) == typeof(float) || typeof(T) == typeof(double) || typeof(T) == typeof(Half)
            ? T.CreateTruncating((uint)(bits % FloatValuesMax))
            : T.CreateTruncating(bits);
    }

    /// <summary>SplitMix64.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Mix(ulong state)
    {
        var mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }
}
