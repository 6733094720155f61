using System.Globalization;

namespace Collective;

/// <summary>
/// The bfloat16 number format: the upper half of an IEEE 754 binary32, that is one sign bit, eight exponent bits and seven
/// fraction bits. The type stores and converts; it does no arithmetic of its own.
/// </summary>
/// <remarks>
/// Equality compares bits, not numbers: <c>+0</c> and <c>-0</c> differ, and a NaN equals a NaN with the same bits. Convert to
/// <see cref="float"/> to compare numerically.
/// </remarks>
public readonly struct BFloat16 : IEquatable<BFloat16>
{
    private const int FractionShift = 16;
    private const ushort CanonicalNaN = 0x7FC0;

    private BFloat16(ushort bits) => Bits = bits;

    /// <summary>The 16 bits of the value.</summary>
    public ushort Bits { get; }

    /// <summary>The value with the given 16 bits.</summary>
    public static BFloat16 FromBits(ushort bits) => new(bits);

    /// <summary>Widens to <see cref="float"/>. Exact for every value; the payload of a NaN is kept.</summary>
    public static explicit operator float(BFloat16 value)
        => BitConverter.UInt32BitsToSingle((uint)value.Bits << FractionShift);

    /// <summary>
    /// Rounds to the nearest bfloat16, ties to even. Values from 2^128 - 2^119 upwards in magnitude become infinite; every NaN
    /// becomes the quiet NaN <c>0x7FC0</c>.
    /// </summary>
    public static explicit operator BFloat16(float value)
    {
        if (float.IsNaN(value))
        {
            return new BFloat16(CanonicalNaN);
        }
        uint bits = BitConverter.SingleToUInt32Bits(value);
        // Adding just under half a unit, and one more when the kept part is odd, carries exactly when rounding goes up.
        uint keptIsOdd = (bits >> FractionShift) & 1;
        return new BFloat16((ushort)((bits + 0x7FFF + keptIsOdd) >> FractionShift));
    }

    /// <summary>Whether two values have the same bits.</summary>
    public static bool operator ==(BFloat16 left, BFloat16 right) => left.Bits == right.Bits;

    /// <summary>Whether two values have different bits.</summary>
    public static bool operator !=(BFloat16 left, BFloat16 right) => left.Bits != right.Bits;

    /// <summary>Whether both values have the same bits.</summary>
    public bool Equals(BFloat16 other) => Bits == other.Bits;

    /// <summary>Whether <paramref name="obj"/> is a <see cref="BFloat16"/> with the same bits.</summary>
    public override bool Equals(object? obj) => obj is BFloat16 other && Equals(other);

    /// <summary>A hash of the bits.</summary>
    public override int GetHashCode() => Bits;

    /// <summary>The value as the equal <see cref="float"/> prints it, in the invariant culture.</summary>
    public override string ToString() => ((float)this).ToString(CultureInfo.InvariantCulture);
}
