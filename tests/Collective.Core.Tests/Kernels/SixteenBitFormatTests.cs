using System.Runtime.InteropServices;
using Collective.Kernels;
using NUnit.Framework;

namespace Collective.Core.Tests.Kernels;

/// <summary>Half and BFloat16, all 65,536 values of each.</summary>
internal sealed class SixteenBitFormatTests
{
    [Test]
    public void Half_widens_exactly() => AssertWidens<HalfFormat, Half>(half => (float)half);

    [Test]
    public void BFloat16_widens_exactly()
        => AssertWidens<BFloat16Format, BFloat16>(value => BitConverter.Int32BitsToSingle(value.Bits << 16));

    [Test]
    public void Half_narrows_to_the_nearest()
        => AssertNarrows<HalfFormat, Half>(value => float.IsNaN(value) ? BitConverter.UInt16BitsToHalf(0x7E00) : (Half)value);

    [Test]
    public void BFloat16_narrows_to_the_nearest() => AssertNarrows<BFloat16Format, BFloat16>(NearestBFloat16);

    [Test]
    public void BFloat16_scalar_conversion_is_to_the_nearest()
    {
        foreach (float value in InterestingFloats<BFloat16Format, BFloat16>())
        {
            Assert.That(((BFloat16)value).Bits, Is.EqualTo(NearestBFloat16(value).Bits), $"{BitConverter.SingleToUInt32Bits(value):X8}");
        }
    }

    [Test]
    public void Half_operations_on_every_value() => AssertOperationsOnEveryValue<Half>();

    [Test]
    public void BFloat16_operations_on_every_value() => AssertOperationsOnEveryValue<BFloat16>();

    private static void AssertWidens<TFormat, T>(Func<T, float> expected)
        where TFormat : IPackedFormat<T>
        where T : unmanaged
    {
        AssertWidens<Register128>();
        AssertWidens<Register256>();
        AssertWidens<Register512>();
        if (System.Runtime.Intrinsics.X86.Avx2.IsSupported)
        {
            AssertWidens<RegisterAvx2>();
        }

        void AssertWidens<TRegister>()
            where TRegister : struct, IRegister<TRegister>
        {
            T[] all = Everything<T>();
            Span<byte> bytes = MemoryMarshal.AsBytes(all.AsSpan());
            var lower = new float[TRegister.SizeBytes / 4];
            var upper = new float[TRegister.SizeBytes / 4];
            for (int start = 0; start < all.Length; start += lower.Length * 2)
            {
                TRegister pairs = TRegister.Load(ref bytes[0], (nuint)start * 2);
                Store(TFormat.WidenLower(pairs), lower);
                Store(TFormat.WidenUpper(pairs), upper);
                for (int i = 0; i < lower.Length; i++)
                {
                    AssertFloat(lower[i], expected(all[start + 2 * i]), all[start + 2 * i]);
                    AssertFloat(upper[i], expected(all[start + 2 * i + 1]), all[start + 2 * i + 1]);
                }
            }
        }

        static void AssertFloat(float actual, float wanted, T value)
        {
            // Widening may quieten a NaN, as the platform's own does; a NaN is all that matters.
            bool same = float.IsNaN(wanted) ? float.IsNaN(actual) : Elements.ToBits(actual) == Elements.ToBits(wanted);
            if (!same)
            {
                Assert.Fail($"{Elements.ToBits(value):X4} became {actual:R}, not {wanted:R}");
            }
        }
    }

    private static void AssertNarrows<TFormat, T>(Func<float, T> expected)
        where TFormat : IPackedFormat<T>
        where T : unmanaged
    {
        float[] values = [.. InterestingFloats<TFormat, T>()];
        AssertNarrows<Register128>();
        AssertNarrows<Register256>();
        AssertNarrows<Register512>();
        if (System.Runtime.Intrinsics.X86.Avx2.IsSupported)
        {
            AssertNarrows<RegisterAvx2>();
        }

        void AssertNarrows<TRegister>()
            where TRegister : struct, IRegister<TRegister>
        {
            int perRegister = TRegister.SizeBytes / 4;
            Span<byte> bytes = MemoryMarshal.AsBytes(values.AsSpan());
            var pairs = new T[perRegister * 2];
            for (int start = 0; start + 2 * perRegister <= values.Length; start += 2 * perRegister)
            {
                TRegister lower = TRegister.Load(ref bytes[0], (nuint)start * 4);
                TRegister upper = TRegister.Load(ref bytes[0], (nuint)(start + perRegister) * 4);
                Store(TFormat.Narrow(lower, upper), pairs);
                for (int i = 0; i < perRegister; i++)
                {
                    AssertElement(pairs[2 * i], values[start + i]);
                    AssertElement(pairs[2 * i + 1], values[start + perRegister + i]);
                }
            }
        }

        void AssertElement(T actual, float value)
        {
            ulong wanted = Elements.ToBits(expected(value));
            if (Elements.ToBits(actual) != wanted)
            {
                Assert.Fail($"{BitConverter.SingleToUInt32Bits(value):X8} became {Elements.ToBits(actual):X4}, not {wanted:X4}");
            }
        }
    }

    private static void AssertOperationsOnEveryValue<T>()
        where T : unmanaged
    {
        T[] left = Everything<T>();
        T[] partners = [.. Elements.Edges<T>().Select(Elements.FromBits<T>), .. Elements.Random<T>(10, seed: 9)];
        foreach (T partner in partners)
        {
            T[] right = [.. Enumerable.Repeat(partner, left.Length)];
            foreach (var operation in Implementations<T>.All)
            {
                T[] expected = [.. left];
                operation.Reference(expected, right);
                foreach (var (width, combine) in operation.Others)
                {
                    T[] actual = [.. left];
                    combine(actual, right);
                    Assert.That(Elements.SameBits<T>(actual, expected), Is.True, $"{operation.Name}, {width}, with {Elements.ToBits(partner):X4}");
                }
            }
        }
    }

    /// <summary>
    /// Every value of the format, the middle between it and the next, the floats beside both; a sweep over all floats; their
    /// negatives. Filled up to whole registers.
    /// </summary>
    private static IEnumerable<float> InterestingFloats<TFormat, T>()
        where TFormat : IPackedFormat<T>
        where T : unmanaged
    {
        var bits = new List<uint>();
        for (ushort value = 0; value <= TFormat.InfinityBits; value++)
        {
            uint low = BitConverter.SingleToUInt32Bits(TFormat.Widen(Elements.FromBits<T>(value)));
            uint high = BitConverter.SingleToUInt32Bits(TFormat.Widen(Elements.FromBits<T>((ulong)value + 1)));
            uint middle = BitConverter.SingleToUInt32Bits((float)(
                ((double)BitConverter.UInt32BitsToSingle(low) + BitConverter.UInt32BitsToSingle(high)) / 2));
            bits.AddRange([low, low + 1, middle - 1, middle, middle + 1]);
        }
        // Halves' largest is far below float32's: the tie to infinity is not between two values of the format.
        bits.AddRange([0x477FEFFF, 0x477FF000, 0x477FF001, 0x47800000, 0x7F7FFFFF, 0x7F800001, 0x7FC00000, 0x7FFFFFFF]);
        for (uint sweep = 0; sweep < 0x7FFF_0000; sweep += 4093)
        {
            bits.Add(sweep);
        }
        while (bits.Count % 32 != 0)
        {
            bits.Add(0);
        }
        return bits.Concat(bits.Select(b => b | 0x8000_0000)).Select(BitConverter.UInt32BitsToSingle);
    }

    /// <summary>By distance to the two neighbours, in float64, where both distances are exact.</summary>
    private static BFloat16 NearestBFloat16(float value)
    {
        if (float.IsNaN(value))
        {
            return BFloat16.FromBits(0x7FC0);
        }
        var towardsZero = BFloat16.FromBits((ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        if (float.IsInfinity(value))
        {
            return towardsZero;
        }
        var away = BFloat16.FromBits((ushort)(towardsZero.Bits + 1));
        double magnitude = Math.Abs((double)value);
        double below = magnitude - Math.Abs((double)(float)towardsZero);
        double above = Math.Min(Math.Abs((double)(float)away), Math.Pow(2, 128)) - magnitude;
        bool toEven = (towardsZero.Bits & 1) == 0;
        return below < above || (below == above && toEven) ? towardsZero : away;
    }

    private static T[] Everything<T>()
        where T : unmanaged
        => [.. Enumerable.Range(0, 65_536).Select(bits => Elements.FromBits<T>((ulong)bits))];

    private static void Store<TRegister, T>(TRegister register, T[] destination)
        where TRegister : struct, IRegister<TRegister>
        where T : unmanaged
        => register.Store(ref MemoryMarshal.AsBytes(destination.AsSpan())[0], 0);
}
