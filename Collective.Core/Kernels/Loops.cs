using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective.Kernels;

/// <summary>A way to go over spans. Spans may start at any address.</summary>
internal interface ILoop
{
    /// <summary>Combines <paramref name="operand"/> into <paramref name="accumulator"/>, which is as long.</summary>
    static abstract void Combine<T, TArithmetic, TOperation>(Span<T> accumulator, ReadOnlySpan<T> operand)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        where TOperation : IOperation;

    static abstract void Divide<T, TArithmetic>(Span<T> values, int divisor)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>;
}

/// <summary>One element after the other: the reference, and the way for what does not fill a register.</summary>
internal readonly struct ScalarLoop : ILoop
{
    public static void Combine<T, TArithmetic, TOperation>(Span<T> accumulator, ReadOnlySpan<T> operand)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        where TOperation : IOperation
    {
        for (int i = 0; i < accumulator.Length; i++)
        {
            ref byte place = ref Place(ref accumulator[i]);
            T left = Unsafe.ReadUnaligned<T>(ref place);
            T right = Unsafe.ReadUnaligned<T>(ref Place(ref Unsafe.AsRef(in operand[i])));
            Unsafe.WriteUnaligned(ref place, TOperation.Apply<T, TArithmetic>(left, right));
        }
    }

    public static void Divide<T, TArithmetic>(Span<T> values, int divisor)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
    {
        for (int i = 0; i < values.Length; i++)
        {
            ref byte place = ref Place(ref values[i]);
            Unsafe.WriteUnaligned(ref place, TArithmetic.Divide(Unsafe.ReadUnaligned<T>(ref place), divisor));
        }
    }

    /// <summary>Where an element lies, as bytes: unlike a span of bytes, this has no limit at 2 GiB.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref byte Place<T>(ref T element) => ref Unsafe.As<T, byte>(ref element);
}

/// <summary>One register after the other, and the remainder one by one.</summary>
/// <remarks>
/// The loops are optimised on first use: until the runtime got round to it, each operation on a register would be a call.
/// </remarks>
internal readonly struct RegisterLoop<TRegister> : ILoop
    where TRegister : struct, IRegister<TRegister>
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Combine<T, TArithmetic, TOperation>(Span<T> accumulator, ReadOnlySpan<T> operand)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
        where TOperation : IOperation
    {
        ref byte left = ref ScalarLoop.Place(ref MemoryMarshal.GetReference(accumulator));
        ref byte right = ref ScalarLoop.Place(ref MemoryMarshal.GetReference(operand));
        int inRegisters = CountInRegisters<T>(accumulator.Length);
        nuint endBytes = (nuint)inRegisters * (nuint)Unsafe.SizeOf<T>();
        for (nuint offset = 0; offset < endBytes; offset += (nuint)TRegister.SizeBytes)
        {
            TOperation.Apply<T, TArithmetic, TRegister>(TRegister.Load(ref left, offset), TRegister.Load(ref right, offset))
                .Store(ref left, offset);
        }
        ScalarLoop.Combine<T, TArithmetic, TOperation>(accumulator[inRegisters..], operand[inRegisters..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Divide<T, TArithmetic>(Span<T> values, int divisor)
        where T : unmanaged
        where TArithmetic : IArithmetic<T>
    {
        ref byte place = ref ScalarLoop.Place(ref MemoryMarshal.GetReference(values));
        int inRegisters = TArithmetic.DividesRegisters ? CountInRegisters<T>(values.Length) : 0;
        nuint endBytes = (nuint)inRegisters * (nuint)Unsafe.SizeOf<T>();
        for (nuint offset = 0; offset < endBytes; offset += (nuint)TRegister.SizeBytes)
        {
            TArithmetic.Divide(TRegister.Load(ref place, offset), divisor).Store(ref place, offset);
        }
        ScalarLoop.Divide<T, TArithmetic>(values[inRegisters..], divisor);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Swap(Span<byte> left, Span<byte> right)
    {
        ref byte leftBytes = ref MemoryMarshal.GetReference(left);
        ref byte rightBytes = ref MemoryMarshal.GetReference(right);
        int inRegisters = CountInRegisters<byte>(left.Length);
        for (nuint offset = 0; offset < (nuint)inRegisters; offset += (nuint)TRegister.SizeBytes)
        {
            TRegister held = TRegister.Load(ref leftBytes, offset);
            TRegister.Load(ref rightBytes, offset).Store(ref leftBytes, offset);
            held.Store(ref rightBytes, offset);
        }
        for (int i = inRegisters; i < left.Length; i++)
        {
            (left[i], right[i]) = (right[i], left[i]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int CountInRegisters<T>(int count) => count & -(TRegister.SizeBytes / Unsafe.SizeOf<T>());
}
