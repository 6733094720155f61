using System.Numerics;
using System.Runtime.CompilerServices;

namespace Collective.Kernels;

/// <summary>Integers of 8 to 64 bits: sums and products wrap around; quotients truncate towards zero.</summary>
internal readonly struct IntegerArithmetic<T> : IArithmetic<T>
    where T : unmanaged, IBinaryInteger<T>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)]
    public static T Sum(T left, T right) => unchecked(left + right);

    [MethodImpl(Inline)]
    public static T Product(T left, T right) => unchecked(left * right);

    [MethodImpl(Inline)]
    public static T Min(T left, T right) => left < right ? left : right;

    [MethodImpl(Inline)]
    public static T Max(T left, T right) => left > right ? left : right;

    /// <summary>Divides in 64 bits, because the divisor need not fit in <typeparamref name="T"/>.</summary>
    [MethodImpl(Inline)]
    public static T Divide(T value, int divisor) => typeof(T) == typeof(ulong)
        ? T.CreateTruncating(ulong.CreateTruncating(value) / (ulong)divisor)
        : T.CreateTruncating(long.CreateTruncating(value) / divisor);

    [MethodImpl(Inline)]
    public static TRegister Sum<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => TRegister.Add<T>(left, right);

    [MethodImpl(Inline)]
    public static TRegister Product<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => TRegister.Multiply<T>(left, right);

    [MethodImpl(Inline)]
    public static TRegister Min<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => TRegister.Min<T>(left, right);

    [MethodImpl(Inline)]
    public static TRegister Max<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => TRegister.Max<T>(left, right);

    /// <summary>No instruction set has an integer division of vectors.</summary>
    public static bool DividesRegisters => false;

    public static TRegister Divide<TRegister>(TRegister values, int divisor)
        where TRegister : struct, IRegister<TRegister>
        => throw new NotSupportedException("Integers are divided one by one.");
}
