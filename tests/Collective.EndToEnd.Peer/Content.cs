using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Collective.EndToEnd.Peer;

/// <summary>
/// What a peer contributes to a step: 64-bit numbers that depend on the peer's id, the step and the element. Sums wrap, so any result that is not
/// exactly the sum over the reported contributors is noticed.
/// </summary>
internal static class Content
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Fill(Span<ulong> target, PeerId peer, ulong step)
    {
        target.Clear();
        Add(target, peer, step);
    }

    /// <summary>The index of the first element that is not the sum over the contributors; -1 when all are.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int FirstWrong(ReadOnlySpan<ulong> result, IReadOnlyList<PeerId> contributors, ulong step)
    {
        var expected = new ulong[result.Length];
        foreach (var peer in contributors)
        {
            Add(expected, peer, step);
        }

        var common = result.CommonPrefixLength(expected);
        return common == result.Length ? -1 : common;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add(Span<ulong> target, PeerId peer, ulong step)
    {
        Span<byte> id = stackalloc byte[16];
        peer.Value.TryWriteBytes(id);
        var state = BinaryPrimitives.ReadUInt64LittleEndian(id) ^ BinaryPrimitives.ReadUInt64LittleEndian(id[8..]) ^ (step * 0xD1342543DE82EF95);
        for (var i = 0; i < target.Length; i++)
        {
            // SplitMix64.
            state += 0x9E3779B97F4A7C15;
            var mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
            target[i] += mixed ^ (mixed >> 31);
        }
    }
}
