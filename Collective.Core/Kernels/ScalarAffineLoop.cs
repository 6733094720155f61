using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective.Kernels;

/// <summary>One element after the other: the specification, and the way for what does not fill registers.</summary>
internal readonly struct ScalarAffineLoop : IAffineLoop
{
    public static (double Min, double Max) Extremes<TValue>(ReadOnlySpan<byte> values)
        where TValue : unmanaged
    {
        var (min, max) = (double.PositiveInfinity, double.NegativeInfinity);
        for (var i = 0; i < Count<TValue>(values); i++)
        {
            var value = Value<TValue>(values, i);
            min = FloatArithmetic<double>.Min(min, value);
            max = FloatArithmetic<double>.Max(max, value);
        }

        return (min, max);
    }

    public static void AddUp<TValue>(ReadOnlySpan<byte> values, double origin, double factor, Span<double> sums, Span<double> squares)
        where TValue : unmanaged
    {
        for (var i = 0; i < Count<TValue>(values); i++)
        {
            var d = (Value<TValue>(values, i) - origin) * factor;
            sums[i % AffineCodec.Partials] += d;
            squares[i % AffineCodec.Partials] += d * d;
        }
    }

    public static void Encode<TValue, TCode>(ReadOnlySpan<byte> values, Span<byte> codes, in AffineEncoding encoding)
        where TValue : unmanaged
        where TCode : unmanaged
    {
        for (var i = 0; i < Count<TValue>(values); i++)
        {
            var exact = ((Value<TValue>(values, i) - encoding.Offset) * encoding.Inverse) + encoding.ZeroPoint;
            var code = (ulong)Math.Round(Math.Clamp(exact, 0, encoding.Largest), MidpointRounding.ToEven);
            WriteCode<TCode>(codes, i, code - encoding.Bias);
        }
    }

    public static void Decode<TValue, TCode>(ReadOnlySpan<byte> codes, Span<byte> values, in AffineMap map, CodeRange range)
        where TValue : unmanaged
        where TCode : unmanaged
    {
        for (var i = 0; i < Count<TValue>(values); i++)
        {
            var code = (ReadCode<TCode>(codes, i) + range.Bias) & range.Largest;
            WriteValue<TValue>(values, i, ((code - map.ZeroPoint) * map.Step) + map.Offset);
        }
    }

    private static int Count<TValue>(ReadOnlySpan<byte> values) => values.Length / Unsafe.SizeOf<TValue>();

    private static double Value<TValue>(ReadOnlySpan<byte> values, int index)
        where TValue : unmanaged
        => typeof(TValue) == typeof(float)
            ? MemoryMarshal.Read<float>(values[(index * sizeof(float))..])
            : MemoryMarshal.Read<double>(values[(index * sizeof(double))..]);

    private static void WriteValue<TValue>(Span<byte> values, int index, double value)
        where TValue : unmanaged
    {
        if (typeof(TValue) == typeof(float)) { MemoryMarshal.Write(values[(index * sizeof(float))..], (float)value); }
        else { MemoryMarshal.Write(values[(index * sizeof(double))..], value); }
    }

    private static ulong ReadCode<TCode>(ReadOnlySpan<byte> codes, int index)
        => Unsafe.SizeOf<TCode>() switch
        {
            1 => codes[index],
            2 => MemoryMarshal.Read<ushort>(codes[(index * 2)..]),
            4 => MemoryMarshal.Read<uint>(codes[(index * 4)..]),
            _ => MemoryMarshal.Read<ulong>(codes[(index * 8)..]),
        };

    private static void WriteCode<TCode>(Span<byte> codes, int index, ulong code)
    {
        switch (Unsafe.SizeOf<TCode>())
        {
            case 1: codes[index] = (byte)code; break;
            case 2: MemoryMarshal.Write(codes[(index * 2)..], (ushort)code); break;
            case 4: MemoryMarshal.Write(codes[(index * 4)..], (uint)code); break;
            default: MemoryMarshal.Write(codes[(index * 8)..], code); break;
        }
    }
}
