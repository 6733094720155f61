using System.Runtime.CompilerServices;

namespace Collective.Kernels;

/// <summary>A float format of 16 bits, two of which fit in the space of one float32.</summary>
internal interface IPackedFormat<T>
    where T : unmanaged
{
    /// <summary>Bits of positive infinity; everything above it, sign aside, is a NaN.</summary>
    static abstract short InfinityBits { get; }

    /// <summary>Bits of the one NaN that operations return.</summary>
    static abstract short CanonicalNaNBits { get; }

    static abstract float Widen(T value);

    /// <summary>Rounds to nearest, ties to even; a NaN becomes the canonical one.</summary>
    static abstract T Narrow(float value);

    /// <summary>Widens the lower element of each 32-bit lane to float32.</summary>
    static abstract TRegister WidenLower<TRegister>(TRegister pairs)
        where TRegister : struct, IRegister<TRegister>;

    /// <summary>Widens the upper element of each 32-bit lane to float32.</summary>
    static abstract TRegister WidenUpper<TRegister>(TRegister pairs)
        where TRegister : struct, IRegister<TRegister>;

    /// <summary>Rounds both registers of float32 and packs them into pairs: the inverse of the two above.</summary>
    static abstract TRegister Narrow<TRegister>(TRegister lower, TRegister upper)
        where TRegister : struct, IRegister<TRegister>;
}

/// <summary>
/// Half and BFloat16: widen to float32, do one operation, round once. Lanes are taken as pairs, lower and upper element of
/// each 32 bits, so that no element crosses a lane on the way to float32 and back.
/// </summary>
internal readonly struct PackedFloatArithmetic<T, TFormat> : IArithmetic<T>
    where T : unmanaged
    where TFormat : IPackedFormat<T>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    public static T Sum(T left, T right) => TFormat.Narrow(TFormat.Widen(left) + TFormat.Widen(right));

    public static T Product(T left, T right) => TFormat.Narrow(TFormat.Widen(left) * TFormat.Widen(right));

    public static T Min(T left, T right)
        => TFormat.Narrow(FloatArithmetic<float>.Min(TFormat.Widen(left), TFormat.Widen(right)));

    public static T Max(T left, T right)
        => TFormat.Narrow(FloatArithmetic<float>.Max(TFormat.Widen(left), TFormat.Widen(right)));

    public static T Divide(T value, int divisor) => TFormat.Narrow(TFormat.Widen(value) / divisor);

    [MethodImpl(Inline)]
    public static TRegister Sum<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => TFormat.Narrow(
            TRegister.Add<float>(TFormat.WidenLower(left), TFormat.WidenLower(right)),
            TRegister.Add<float>(TFormat.WidenUpper(left), TFormat.WidenUpper(right)));

    [MethodImpl(Inline)]
    public static TRegister Product<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => TFormat.Narrow(
            TRegister.Multiply<float>(TFormat.WidenLower(left), TFormat.WidenLower(right)),
            TRegister.Multiply<float>(TFormat.WidenUpper(left), TFormat.WidenUpper(right)));

    /// <summary>Order survives widening and rounding back, so minimum and maximum compare the 16 bits themselves.</summary>
    [MethodImpl(Inline)]
    public static TRegister Min<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => NaNIfAnyIs(left, right, SortKey(TRegister.Min<short>(SortKey(left), SortKey(right))));

    [MethodImpl(Inline)]
    public static TRegister Max<TRegister>(TRegister left, TRegister right)
        where TRegister : struct, IRegister<TRegister>
        => NaNIfAnyIs(left, right, SortKey(TRegister.Max<short>(SortKey(left), SortKey(right))));

    public static bool DividesRegisters => true;

    [MethodImpl(Inline)]
    public static TRegister Divide<TRegister>(TRegister values, int divisor)
        where TRegister : struct, IRegister<TRegister>
    {
        TRegister divisors = TRegister.Broadcast((float)divisor);
        return TFormat.Narrow(
            TRegister.Divide<float>(TFormat.WidenLower(values), divisors),
            TRegister.Divide<float>(TFormat.WidenUpper(values), divisors));
    }

    /// <summary>
    /// Maps sign and magnitude to a signed integer of the same order, -0 right below +0, by inverting the magnitude of
    /// negative numbers. The sign stays, so the map is its own inverse.
    /// </summary>
    [MethodImpl(Inline)]
    private static TRegister SortKey<TRegister>(TRegister values)
        where TRegister : struct, IRegister<TRegister>
        => values ^ (TRegister.SpreadSign16(values) & TRegister.Broadcast<short>(0x7FFF));

    [MethodImpl(Inline)]
    private static TRegister NaNIfAnyIs<TRegister>(TRegister left, TRegister right, TRegister result)
        where TRegister : struct, IRegister<TRegister>
    {
        TRegister magnitudeMask = TRegister.Broadcast<short>(0x7FFF);
        TRegister largerMagnitude = TRegister.Max<short>(left & magnitudeMask, right & magnitudeMask);
        TRegister isNaN = TRegister.GreaterThan<short>(largerMagnitude, TRegister.Broadcast(TFormat.InfinityBits));
        return TRegister.Select<short>(isNaN, TRegister.Broadcast(TFormat.CanonicalNaNBits), result);
    }
}
