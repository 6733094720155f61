using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective.Kernels;

/// <summary>
/// From an element type to its arithmetic. The comparisons of types are settled when a method is compiled for its
/// <c>T</c>, so that nothing of the choice is left at run time.
/// </summary>
internal static class ElementTypes
{
    public static void Combine<TLoop, T, TOperation>(Span<T> accumulator, ReadOnlySpan<T> operand)
        where TLoop : ILoop
        where T : unmanaged
        where TOperation : IOperation
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(operand.Length, accumulator.Length);
        if (typeof(T) == typeof(byte)) { As<byte, IntegerArithmetic<byte>>(accumulator, operand); }
        else if (typeof(T) == typeof(sbyte)) { As<sbyte, IntegerArithmetic<sbyte>>(accumulator, operand); }
        else if (typeof(T) == typeof(short)) { As<short, IntegerArithmetic<short>>(accumulator, operand); }
        else if (typeof(T) == typeof(ushort)) { As<ushort, IntegerArithmetic<ushort>>(accumulator, operand); }
        else if (typeof(T) == typeof(int)) { As<int, IntegerArithmetic<int>>(accumulator, operand); }
        else if (typeof(T) == typeof(uint)) { As<uint, IntegerArithmetic<uint>>(accumulator, operand); }
        else if (typeof(T) == typeof(long)) { As<long, IntegerArithmetic<long>>(accumulator, operand); }
        else if (typeof(T) == typeof(ulong)) { As<ulong, IntegerArithmetic<ulong>>(accumulator, operand); }
        else if (typeof(T) == typeof(Half)) { As<Half, PackedFloatArithmetic<Half, HalfFormat>>(accumulator, operand); }
        else if (typeof(T) == typeof(BFloat16)) { As<BFloat16, PackedFloatArithmetic<BFloat16, BFloat16Format>>(accumulator, operand); }
        else if (typeof(T) == typeof(float)) { As<float, FloatArithmetic<float>>(accumulator, operand); }
        else if (typeof(T) == typeof(double)) { As<double, FloatArithmetic<double>>(accumulator, operand); }
        else { throw Unsupported<T>(); }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void As<TElement, TArithmetic>(Span<T> accumulator, ReadOnlySpan<T> operand)
            where TElement : unmanaged
            where TArithmetic : IArithmetic<TElement>
            => TLoop.Combine<TElement, TArithmetic, TOperation>(
                MemoryMarshal.Cast<T, TElement>(accumulator), MemoryMarshal.Cast<T, TElement>(operand));
    }

    public static void Divide<TLoop, T>(Span<T> values, int divisor)
        where TLoop : ILoop
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(divisor, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(divisor, ReduceKernels.LargestDivisor);
        if (typeof(T) == typeof(byte)) { As<byte, IntegerArithmetic<byte>>(values, divisor); }
        else if (typeof(T) == typeof(sbyte)) { As<sbyte, IntegerArithmetic<sbyte>>(values, divisor); }
        else if (typeof(T) == typeof(short)) { As<short, IntegerArithmetic<short>>(values, divisor); }
        else if (typeof(T) == typeof(ushort)) { As<ushort, IntegerArithmetic<ushort>>(values, divisor); }
        else if (typeof(T) == typeof(int)) { As<int, IntegerArithmetic<int>>(values, divisor); }
        else if (typeof(T) == typeof(uint)) { As<uint, IntegerArithmetic<uint>>(values, divisor); }
        else if (typeof(T) == typeof(long)) { As<long, IntegerArithmetic<long>>(values, divisor); }
        else if (typeof(T) == typeof(ulong)) { As<ulong, IntegerArithmetic<ulong>>(values, divisor); }
        else if (typeof(T) == typeof(Half)) { As<Half, PackedFloatArithmetic<Half, HalfFormat>>(values, divisor); }
        else if (typeof(T) == typeof(BFloat16)) { As<BFloat16, PackedFloatArithmetic<BFloat16, BFloat16Format>>(values, divisor); }
        else if (typeof(T) == typeof(float)) { As<float, FloatArithmetic<float>>(values, divisor); }
        else if (typeof(T) == typeof(double)) { As<double, FloatArithmetic<double>>(values, divisor); }
        else { throw Unsupported<T>(); }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void As<TElement, TArithmetic>(Span<T> values, int divisor)
            where TElement : unmanaged
            where TArithmetic : IArithmetic<TElement>
            => TLoop.Divide<TElement, TArithmetic>(MemoryMarshal.Cast<T, TElement>(values), divisor);
    }

    private static NotSupportedException Unsupported<T>() => new($"Tensors have no elements of type {typeof(T)}.");
}
