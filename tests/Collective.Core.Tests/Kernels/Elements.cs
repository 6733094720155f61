using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Collective.Kernels;
using CsCheck;

namespace Collective.Core.Tests.Kernels;

internal delegate void Combination<T>(Span<T> accumulator, ReadOnlySpan<T> operand);

internal delegate void Division<T>(Span<T> values, int divisor);

/// <summary>Everything that claims to do the same operation: the reference, the public way, and every register width.</summary>
internal sealed record Implementations<T>(string Name, Combination<T> Reference, (string Name, Combination<T> Run)[] Others)
    where T : unmanaged
{
    public static readonly Implementations<T>[] All =
    [
        new("Sum", ScalarReference.Sum, Of<SumOperation>(ReduceKernels.Sum)),
        new("Product", ScalarReference.Product, Of<ProductOperation>(ReduceKernels.Product)),
        new("Min", ScalarReference.Min, Of<MinOperation>(ReduceKernels.Min)),
        new("Max", ScalarReference.Max, Of<MaxOperation>(ReduceKernels.Max)),
    ];

    public static readonly (string Name, Division<T> Run)[] Divisions =
    [
        ("chosen", ReduceKernels.Divide),
        ("128", ElementTypes.Divide<RegisterLoop<Register128>, T>),
        ("256", ElementTypes.Divide<RegisterLoop<Register256>, T>),
        ("512", ElementTypes.Divide<RegisterLoop<Register512>, T>),
        .. Avx2.IsSupported ? [("AVX2", ElementTypes.Divide<RegisterLoop<RegisterAvx2>, T>)] : Array.Empty<(string, Division<T>)>(),
    ];

    private static (string, Combination<T>)[] Of<TOperation>(Combination<T> chosen)
        where TOperation : IOperation =>
    [
        ("chosen", chosen),
        ("128", ElementTypes.Combine<RegisterLoop<Register128>, T, TOperation>),
        ("256", ElementTypes.Combine<RegisterLoop<Register256>, T, TOperation>),
        ("512", ElementTypes.Combine<RegisterLoop<Register512>, T, TOperation>),
        .. Avx2.IsSupported ? [("AVX2", ElementTypes.Combine<RegisterLoop<RegisterAvx2>, T, TOperation>)] : Array.Empty<(string, Combination<T>)>(),
    ];
}

/// <summary>Elements of any type as bits: generators that like the edges, and spans at any address.</summary>
internal static class Elements
{
    // Zeros, subnormals, smallest and largest normals, ones, infinities, quiet and signalling NaNs with either sign and
    // payloads, for the floats; the extremes for the integers. The bits of one type are as good as any to another.
    private static readonly ulong[] _edges8 = [0x00, 0x01, 0x02, 0x7F, 0x80, 0x81, 0xFF];

    private static readonly ulong[] _edges16 =
    [
        0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7C01, 0xFC01,
        0x7E00, 0xFE00, 0x7FFF, 0xFFFF, 0x007F, 0x0080, 0x3F80, 0xBF80, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7F81, 0x7FC0, 0xFFC1,
    ];

    private static readonly ulong[] _edges32 =
    [
        0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00800000, 0x80800000, 0x3F800000, 0xBF800000, 0x7F7FFFFF,
        0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7F800001, 0xFF812345, 0x7FC00000, 0xFFC00000, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FC12345,
    ];

    private static readonly ulong[] _edges64 =
    [
        0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x8000000000000001, 0x000FFFFFFFFFFFFF, 0x0010000000000000,
        0x3FF0000000000000, 0xBFF0000000000000, 0x7FEFFFFFFFFFFFFF, 0xFFEFFFFFFFFFFFFF, 0x7FF0000000000000, 0xFFF0000000000000,
        0x7FF0000000000001, 0xFFF0123456789ABC, 0x7FF8000000000000, 0xFFF8000000000000, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF,
    ];

    public static ulong[] Edges<T>()
        where T : unmanaged
        => Unsafe.SizeOf<T>() switch { 1 => _edges8, 2 => _edges16, 4 => _edges32, _ => _edges64 };

    public static T FromBits<T>(ulong bits)
        where T : unmanaged
        => MemoryMarshal.Read<T>(BitConverter.GetBytes(bits));

    public static ulong ToBits<T>(T value)
        where T : unmanaged
    {
        Span<byte> bytes = stackalloc byte[8];
        bytes.Clear();
        MemoryMarshal.Write(bytes, in value);
        return MemoryMarshal.Read<ulong>(bytes);
    }

    public static Gen<T> Any<T>()
        where T : unmanaged
        => Gen.Frequency((2, (IGen<ulong>)Gen.ULong), (1, Gen.OneOf(Edges<T>()))).Select(FromBits<T>);

    /// <summary>Deterministic elements, one in four of them an edge.</summary>
    public static T[] Random<T>(int count, int seed)
        where T : unmanaged
    {
        var random = new Random(seed);
        ulong[] edges = Edges<T>();
        var elements = new T[count];
        for (int i = 0; i < count; i++)
        {
            elements[i] = FromBits<T>(random.Next(4) == 0 ? edges[random.Next(edges.Length)] : (ulong)random.NextInt64());
        }
        return elements;
    }

    /// <summary>A copy of the elements that starts the given number of bytes into an array; what follows it stays zero.</summary>
    public static Span<T> Misaligned<T>(ReadOnlySpan<T> elements, int offsetBytes, out byte[] backing)
        where T : unmanaged
    {
        backing = new byte[offsetBytes + (elements.Length + 1) * Unsafe.SizeOf<T>() + 64];
        Span<T> copy = MemoryMarshal.Cast<byte, T>(backing.AsSpan(offsetBytes))[..elements.Length];
        elements.CopyTo(copy);
        return copy;
    }

    public static bool SameBits<T>(ReadOnlySpan<T> left, ReadOnlySpan<T> right)
        where T : unmanaged
        => MemoryMarshal.AsBytes(left).SequenceEqual(MemoryMarshal.AsBytes(right));
}
