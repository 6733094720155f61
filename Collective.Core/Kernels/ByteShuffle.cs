using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Collective.Kernels;

/// <summary>
/// Brings the first bytes of all elements together, then the second ones, and so on: exponents of floats and upper bytes of integers resemble each other and
/// compress, mantissas between them would hide that. What is left over behind the last whole element stays where it is.
/// </summary>
internal static class ByteShuffle
{
    public static void Shuffle(ReadOnlySpan<byte> source, Span<byte> target, int elementBytes)
    {
        switch (elementBytes)
        {
            case 2: Shuffle<ulong>(source, target, elementBytes); break;
            case 4: Shuffle<uint>(source, target, elementBytes); break;
            case 8: Shuffle<ushort>(source, target, elementBytes); break;
            default: source.CopyTo(target); break;
        }
    }

    public static void Unshuffle(ReadOnlySpan<byte> source, Span<byte> target, int elementBytes)
    {
        switch (elementBytes)
        {
            case 2: Unshuffle<ulong>(source, target, elementBytes); break;
            case 4: Unshuffle<uint>(source, target, elementBytes); break;
            case 8: Unshuffle<ushort>(source, target, elementBytes); break;
            default: source.CopyTo(target); break;
        }
    }

    /// <summary>A register holds 16 / elementBytes elements; their bytes of one plane are one <typeparamref name="TPiece"/>.</summary>
    private static void Shuffle<TPiece>(ReadOnlySpan<byte> source, Span<byte> target, int elementBytes)
        where TPiece : unmanaged
    {
        var count = source.Length / elementBytes;
        var perRegister = Vector128<byte>.Count / elementBytes;
        var order = Order(elementBytes);
        var i = 0;
        for (; i + perRegister <= count; i += perRegister)
        {
            var planes = Vector128.Shuffle(Vector128.Create(source[(i * elementBytes)..]), order).As<byte, TPiece>();
            for (var plane = 0; plane < elementBytes; plane++)
            {
                MemoryMarshal.Write(target[((plane * count) + i)..], planes.GetElement(plane));
            }
        }

        for (; i < count; i++)
        {
            for (var plane = 0; plane < elementBytes; plane++)
            {
                target[(plane * count) + i] = source[(i * elementBytes) + plane];
            }
        }

        source[(count * elementBytes)..].CopyTo(target[(count * elementBytes)..]);
    }

    private static void Unshuffle<TPiece>(ReadOnlySpan<byte> source, Span<byte> target, int elementBytes)
        where TPiece : unmanaged
    {
        var count = source.Length / elementBytes;
        var perRegister = Vector128<byte>.Count / elementBytes;
        var order = Order(perRegister);
        var i = 0;
        for (; i + perRegister <= count; i += perRegister)
        {
            var planes = Vector128<TPiece>.Zero;
            for (var plane = 0; plane < elementBytes; plane++)
            {
                planes = planes.WithElement(plane, MemoryMarshal.Read<TPiece>(source[((plane * count) + i)..]));
            }

            Vector128.Shuffle(planes.AsByte(), order).CopyTo(target[(i * elementBytes)..]);
        }

        for (; i < count; i++)
        {
            for (var plane = 0; plane < elementBytes; plane++)
            {
                target[(i * elementBytes) + plane] = source[(plane * count) + i];
            }
        }

        source[(count * elementBytes)..].CopyTo(target[(count * elementBytes)..]);
    }

    /// <summary>Transposes a register seen as rows of <paramref name="rowBytes"/> bytes.</summary>
    private static Vector128<byte> Order(int rowBytes) => rowBytes switch
    {
        2 => Vector128.Create((byte)0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15),
        4 => Vector128.Create((byte)0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
        _ => Vector128.Create((byte)0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15),
    };
}
