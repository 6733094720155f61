using System.Runtime.CompilerServices;

namespace Collective.Kernels;

/// <summary>
/// Conversion between IEEE 754 binary16 and float32. No float32 subnormal ever enters an operation whose result depends on
/// it, so the result is the same when the processor is set to treat subnormals as zero, and no slow path is taken.
/// </summary>
internal readonly struct HalfFormat : IPackedFormat<Half>
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private const int FractionBits = 10;

    // Float32 has 13 more bits of fraction, and the exponent that float16 writes as 1 (its smallest, 2^-14) it writes as 113.
    private const int ExtraFractionBits = 13;
    private const uint SmallestExponent = 113u << 23;

    private const uint Sign = 0x8000_0000;
    private const uint Magnitude = 0x7FFF_FFFF;
    private const uint Infinity = 0x7F80_0000;

    public static short InfinityBits => 0x7C00;

    public static short CanonicalNaNBits => 0x7E00;

    public static float Widen(Half value) => (float)value;

    public static Half Narrow(float value)
        => float.IsNaN(value) ? BitConverter.Int16BitsToHalf(CanonicalNaNBits) : (Half)value;

    [MethodImpl(Inline)]
    public static TRegister WidenLower<TRegister>(TRegister pairs)
        where TRegister : struct, IRegister<TRegister>
        => Widen(TRegister.ShiftLeft32(pairs, ExtraFractionBits), TRegister.ShiftLeft32(pairs, 16));

    [MethodImpl(Inline)]
    public static TRegister WidenUpper<TRegister>(TRegister pairs)
        where TRegister : struct, IRegister<TRegister>
        => Widen(TRegister.ShiftRight32(pairs, 16 - ExtraFractionBits), pairs);

    [MethodImpl(Inline)]
    public static TRegister Narrow<TRegister>(TRegister lower, TRegister upper)
        where TRegister : struct, IRegister<TRegister>
        => Narrow(lower) | TRegister.ShiftLeft32(Narrow(upper), 16);

    /// <param name="shifted">The 15 bits of magnitude in the place where float32 has them; anything around them.</param>
    /// <param name="signed">The sign bit where float32 has it; anything below.</param>
    [MethodImpl(Inline)]
    private static TRegister Widen<TRegister>(TRegister shifted, TRegister signed)
        where TRegister : struct, IRegister<TRegister>
    {
        TRegister magnitude = shifted & TRegister.Broadcast(0x7FFFu << ExtraFractionBits);

        // An exponent too large by 224 makes 31, which means infinity or NaN, the 255 that means the same in float32. The
        // multiplication takes half of it back from the numbers, and leaves infinity and NaN alone.
        TRegister normal = TRegister.Multiply<float>(
            TRegister.Add<uint>(magnitude, TRegister.Broadcast(224u << 23)),
            TRegister.Broadcast(BitConverter.UInt32BitsToSingle((127 - 112) << 23)));

        // A subnormal has no leading one: give it one, as part of 2^-14, and subtract that again, which is exact.
        TRegister subnormal = TRegister.Subtract<float>(
            TRegister.Add<uint>(magnitude, TRegister.Broadcast(SmallestExponent)),
            TRegister.Broadcast(SmallestExponent));

        TRegister isSubnormal = TRegister.GreaterThan<int>(TRegister.Broadcast(1 << 23), magnitude);
        return TRegister.Select<float>(isSubnormal, subnormal, normal) | (signed & TRegister.Broadcast(Sign));
    }

    /// <summary>Leaves the rounded value in the lower half of each lane, and zero in the upper half.</summary>
    [MethodImpl(Inline)]
    private static TRegister Narrow<TRegister>(TRegister values)
        where TRegister : struct, IRegister<TRegister>
    {
        TRegister magnitude = values & TRegister.Broadcast(Magnitude);

        // 2^16 is beyond the largest float16, and stands for everything beyond it: it comes out as infinity below.
        TRegister clamped = TRegister.Min<int>(magnitude, TRegister.Broadcast((127u + 16) << 23));
        TRegister exponent = TRegister.Max<int>(clamped & TRegister.Broadcast(Infinity), TRegister.Broadcast(SmallestExponent));

        // Adding 2^13 times the number's power of two pushes the extra bits out of the fraction, and the addition itself
        // rounds to nearest even. What it leaves in the fraction is the float16 fraction with its leading one explicit;
        // the power of two does not go below the smallest, so that subnormals, with no leading one, take the same way.
        TRegister pusher = TRegister.Add<uint>(exponent, TRegister.Broadcast((uint)ExtraFractionBits << 23));
        TRegister fraction = TRegister.Subtract<uint>(TRegister.Add<float>(clamped, pusher), pusher);

        // The leading one is added to the exponent, which therefore counts from 0 for the smallest.
        TRegister exponentFromZero = TRegister.Subtract<uint>(exponent, TRegister.Broadcast(SmallestExponent));
        TRegister unsigned = TRegister.Add<uint>(fraction, TRegister.ShiftRight32(exponentFromZero, 23 - FractionBits));

        TRegister sign = TRegister.ShiftRight32(values ^ magnitude, 16);
        TRegister isNaN = TRegister.GreaterThan<int>(magnitude, TRegister.Broadcast(Infinity));
        return TRegister.Select<uint>(isNaN, TRegister.Broadcast((uint)CanonicalNaNBits), unsigned | sign);
    }
}
