using System.Numerics;
using System.Runtime.CompilerServices;

namespace Collective.Kernels;

/// <summary>float32 and float64: one IEEE 754 operation per element, and one canonical NaN.</summary>
internal readonly struct FloatArithmetic<T> : IArithmetic<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private static T CanonicalNaN
    {
        [MethodImpl(Inline)]
        get => typeof(T) == typeof(float)
            ? Unsafe.BitCast<uint, T>(0x7FC0_0000)
            : Unsafe.BitCast<ulong, T>(0x7FF8_0000_0000_0000);
    }

    [MethodImpl(Inline)]
    public static T Sum(T left, T right) => Canonical(left + right);

    [MethodImpl(Inline)]
    public static T Product(T left, T right) => Canonical(left * right);

    public static T Min(T left, T right)
    {
        if (T.IsNaN(left) || T.IsNaN(right))
        {
            return CanonicalNaN;
        }
        // Equal numbers have equal bits, except the two zeros, of which the negative one is the smaller.
        bool leftIsSmaller = left == right ? T.IsNegative(left) : left < right;
        return leftIsSmaller ? left : right;
    }

    public static T Max(T left, T right)
    {
        if (T.IsNaN(left) || T.IsNaN(right))
        {
            return CanonicalNaN;
        }
        bool leftIsLarger = left == right ? T.IsPositive(left) : left > right;
        return leftIsLarger ? left : right;
    }

    [MethodImpl(Inline)]
    public static T Divide(T value, int divisor) => Canonical(value / T.CreateTruncating(divisor));

    [MethodImpl(Inline)]
    public static TRegister Sum<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => Canonical(TRegister.Add<T>(left, right));

    [MethodImpl(Inline)]
    public static TRegister Product<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => Canonical(TRegister.Multiply<T>(left, right));

    /// <summary>The platform's vector minimum is IEEE 754-2019 minimum; only the NaN it returns is its own choice.</summary>
    [MethodImpl(Inline)]
    public static TRegister Min<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => Canonical(TRegister.Min<T>(left, right));

    [MethodImpl(Inline)]
    public static TRegister Max<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => Canonical(TRegister.Max<T>(left, right));

    public static bool DividesRegisters => true;

    [MethodImpl(Inline)]
    public static TRegister Divide<TRegister>(TRegister values, int divisor)
        where TRegister : struct, IRegister<TRegister>
        => Canonical(TRegister.Divide<T>(values, TRegister.Broadcast(T.CreateTruncating(divisor))));

    [MethodImpl(Inline)]
    private static T Canonical(T value) => T.IsNaN(value) ? CanonicalNaN : value;

    [MethodImpl(Inline)]
    private static TRegister Canonical<TRegister>(TRegister values)
        where TRegister : struct, IRegister<TRegister>
        => TRegister.Select<T>(TRegister.Equal<T>(values, values), values, TRegister.Broadcast(CanonicalNaN));
}
