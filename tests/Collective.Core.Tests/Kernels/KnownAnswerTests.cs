using System.Numerics;
using System.Runtime.InteropServices;
using Collective.Kernels;
using CsCheck;
using NUnit.Framework;

namespace Collective.Core.Tests.Kernels;

/// <summary>The specification in examples, and in properties that share no code with the kernels.</summary>
internal sealed class KnownAnswerTests
{
    private const uint NaN32 = 0x7FC00000;

    [Test]
    public void Integers_wrap_around()
    {
        Assert.That(Combine<byte>(ReduceKernels.Sum, 255, 2), Is.EqualTo(1));
        Assert.That(Combine<sbyte>(ReduceKernels.Sum, sbyte.MaxValue, 1), Is.EqualTo(sbyte.MinValue));
        Assert.That(Combine<int>(ReduceKernels.Sum, int.MinValue, -1), Is.EqualTo(int.MaxValue));
        Assert.That(Combine<ushort>(ReduceKernels.Product, 65535, 65535), Is.EqualTo(1));
        Assert.That(Combine<long>(ReduceKernels.Product, long.MinValue, -1), Is.EqualTo(long.MinValue));
        Assert.That(Combine<ulong>(ReduceKernels.Product, 1UL << 40, 1UL << 30), Is.Zero);
    }

    [Test]
    public void Signs_of_integers_matter_to_minimum_and_maximum()
    {
        Assert.That(Combine<sbyte>(ReduceKernels.Min, -128, 127), Is.EqualTo(-128));
        Assert.That(Combine<byte>(ReduceKernels.Min, 128, 127), Is.EqualTo(127));
        Assert.That(Combine<ulong>(ReduceKernels.Max, 1UL << 63, 1), Is.EqualTo(1UL << 63));
        Assert.That(Combine<long>(ReduceKernels.Max, long.MinValue, 1), Is.EqualTo(1));
    }

    // Sum, product, minimum and maximum of two float32, as bits.
    [TestCase(0x3F800000u, 0x40000000u, 0x40400000u, 0x40000000u, 0x3F800000u, 0x40000000u, TestName = "1 and 2")]
    [TestCase(0x80000000u, 0x00000000u, 0x00000000u, 0x80000000u, 0x80000000u, 0x00000000u, TestName = "-0 and +0")]
    [TestCase(0x80000000u, 0x80000000u, 0x80000000u, 0x00000000u, 0x80000000u, 0x80000000u, TestName = "-0 and -0")]
    [TestCase(0x7F800000u, 0xFF800000u, NaN32, 0xFF800000u, 0xFF800000u, 0x7F800000u, TestName = "inf and -inf")]
    [TestCase(0x00000000u, 0x7F800000u, 0x7F800000u, NaN32, 0x00000000u, 0x7F800000u, TestName = "0 and inf")]
    [TestCase(0xFFC12345u, 0x3F800000u, NaN32, NaN32, NaN32, NaN32, TestName = "NaN and 1")]
    [TestCase(0xFF800000u, 0x7F800001u, NaN32, NaN32, NaN32, NaN32, TestName = "-inf and signalling NaN")]
    [TestCase(0x7F7FFFFFu, 0x7F7FFFFFu, 0x7F800000u, 0x7F800000u, 0x7F7FFFFFu, 0x7F7FFFFFu, TestName = "largest twice")]
    [TestCase(0x00000001u, 0x00000001u, 0x00000002u, 0x00000000u, 0x00000001u, 0x00000001u, TestName = "smallest subnormal twice")]
    [TestCase(0x3F800000u, 0x33800000u, 0x3F800000u, 0x33800000u, 0x33800000u, 0x3F800000u, TestName = "1 and 2^-24: a tie, to even")]
    public void Float32(uint left, uint right, uint sum, uint product, uint min, uint max)
    {
        float a = BitConverter.UInt32BitsToSingle(left);
        float b = BitConverter.UInt32BitsToSingle(right);
        Assert.That(Bits(Combine(ReduceKernels.Sum, a, b)), Is.EqualTo(sum));
        Assert.That(Bits(Combine(ReduceKernels.Product, a, b)), Is.EqualTo(product));
        Assert.That(Bits(Combine(ReduceKernels.Min, a, b)), Is.EqualTo(min));
        Assert.That(Bits(Combine(ReduceKernels.Max, a, b)), Is.EqualTo(max));

        static uint Bits(float value) => BitConverter.SingleToUInt32Bits(value);
    }

    [TestCase(0x3C00, 0x1000, 0x3C00, TestName = "1 + 2^-11: a tie, down to even")]
    [TestCase(0x3C01, 0x1000, 0x3C02, TestName = "1 + 2^-10 + 2^-11: a tie, up to even")]
    [TestCase(0x03FF, 0x0001, 0x0400, TestName = "subnormals to the smallest normal")]
    [TestCase(0x7BFF, 0x4BFF, 0x7BFF, TestName = "65504 + 15.99: just below the tie to infinity")]
    [TestCase(0x7BFF, 0x4C00, 0x7C00, TestName = "65504 + 16: the tie to infinity")]
    [TestCase(0x7C00, 0xFC00, 0x7E00, TestName = "inf - inf")]
    [TestCase(0xFE01, 0x3C00, 0x7E00, TestName = "a NaN of another kind")]
    public void Half_sum(int left, int right, int sum)
        => Assert.That(Elements.ToBits(Combine(ReduceKernels.Sum, Half(left), Half(right))), Is.EqualTo((ulong)sum));

    [TestCase(0x3F80, 0x3B80, 0x3F80, TestName = "1 + 2^-8: a tie, down to even")]
    [TestCase(0x3F81, 0x3B80, 0x3F82, TestName = "1 + 2^-7 + 2^-8: a tie, up to even")]
    [TestCase(0x7F7F, 0x7B00, 0x7F80, TestName = "the tie to infinity")]
    [TestCase(0x0001, 0x0001, 0x0002, TestName = "subnormals")]
    [TestCase(0x7F80, 0xFF80, 0x7FC0, TestName = "bfloat16 inf - inf")]
    [TestCase(0xFFFF, 0x3F80, 0x7FC0, TestName = "a bfloat16 NaN of another kind")]
    public void BFloat16_sum(int left, int right, int sum)
        => Assert.That(
            Combine(ReduceKernels.Sum, BFloat16.FromBits((ushort)left), BFloat16.FromBits((ushort)right)).Bits,
            Is.EqualTo((ushort)sum));

    /// <summary>float32 is wide enough (24 bits, at least 2 * 11 + 2) that rounding twice is rounding once.</summary>
    [Test]
    public void Half_results_are_the_exact_ones_correctly_rounded()
        => Gen.Select(Elements.Any<Half>(), Elements.Any<Half>(), Gen.Int[1, 2000]).Sample((left, right, divisor) =>
        {
            AssertHalf(Combine(ReduceKernels.Sum, left, right), (double)left + (double)right);
            AssertHalf(Combine(ReduceKernels.Product, left, right), (double)left * (double)right);
            AssertHalf(Divide(left, divisor), (double)left / divisor);
        }, iter: 20_000);

    [Test]
    public void Double_NaNs_are_canonical()
    {
        double canonical = Combine(ReduceKernels.Sum, BitConverter.UInt64BitsToDouble(0xFFF0_0000_0000_0001), 1);
        Assert.That(BitConverter.DoubleToUInt64Bits(canonical), Is.EqualTo(0x7FF8_0000_0000_0000));
    }

    [Test]
    public void Averages_of_small_integers_take_divisors_that_do_not_fit_in_them()
    {
        Assert.That(Divide(sbyte.MinValue, 256), Is.Zero);
        Assert.That(Divide(sbyte.MinValue, 128), Is.EqualTo(-1));
        Assert.That(Divide<sbyte>(127, 129), Is.Zero);
        Assert.That(Divide<byte>(255, 256), Is.Zero);
        Assert.That(Divide<byte>(255, 255), Is.EqualTo(1));
        Assert.That(Divide(short.MinValue, 65_536), Is.Zero);
        Assert.That(Divide<ushort>(65_535, 65_535), Is.EqualTo(1));
    }

    [Test]
    public void Averages_truncate_towards_zero()
    {
        Assert.That(Divide(-7, 2), Is.EqualTo(-3));
        Assert.That(Divide(7, 2), Is.EqualTo(3));
        Assert.That(Divide(int.MinValue, 1), Is.EqualTo(int.MinValue));
        Assert.That(Divide(long.MinValue, 1_000_000), Is.EqualTo(-9_223_372_036_854));
        Assert.That(Divide(ulong.MaxValue, 2), Is.EqualTo(ulong.MaxValue >> 1));
        Assert.That(Divide(ulong.MaxValue, 1), Is.EqualTo(ulong.MaxValue));
        Assert.That(Divide(uint.MaxValue, 2), Is.EqualTo(uint.MaxValue >> 1));
    }

    [Test]
    public void Integer_averages_are_those_of_unbounded_integers()
        => Gen.Select(Gen.ULong, Gen.Int[1, ReduceKernels.LargestDivisor]).Sample((bits, divisor) =>
        {
            Check((sbyte)bits);
            Check((byte)bits);
            Check((short)bits);
            Check((ushort)bits);
            Check((int)bits);
            Check((uint)bits);
            Check((long)bits);
            Check(bits);

            void Check<T>(T value)
                where T : unmanaged, IBinaryInteger<T>
                => Assert.That(
                    BigInteger.CreateChecked(Divide(value, divisor)),
                    Is.EqualTo(BigInteger.Divide(BigInteger.CreateChecked(value), divisor)));
        });

    [Test]
    public void Averages_of_floats_round_once_in_their_type()
    {
        Assert.That(BitConverter.SingleToUInt32Bits(Divide(1f, 3)), Is.EqualTo(0x3EAA_AAABu));
        Assert.That(BitConverter.DoubleToUInt64Bits(Divide(1d, 3)), Is.EqualTo(0x3FD5_5555_5555_5555UL));
        Assert.That(Elements.ToBits(Divide(Half(0x3C00), 3)), Is.EqualTo(0x3555UL));
        Assert.That(Divide((BFloat16)1f, 3).Bits, Is.EqualTo((ushort)0x3EAB));
        Assert.That(BitConverter.SingleToUInt32Bits(Divide(float.NaN, 3)), Is.EqualTo(NaN32));
        Assert.That(BitConverter.SingleToUInt32Bits(Divide(-0f, 3)), Is.EqualTo(0x8000_0000u));
    }

    [Test]
    public void Other_element_types_are_refused()
    {
        Assert.That(() => ReduceKernels.Sum<char>(new char[3], new char[3]), Throws.InstanceOf<NotSupportedException>());
        Assert.That(() => ReduceKernels.Divide<decimal>(new decimal[3], 2), Throws.InstanceOf<NotSupportedException>());
    }

    [Test]
    public void Swap_exchanges_everything_and_nothing_else()
        => Gen.Select(Gen.OneOf(Gen.Int[0, 200], Gen.Int[10_000, 10_200]), Gen.Int[0, 63], Gen.Int[0, 63])
            .Sample((count, leftOffset, rightOffset) =>
            {
                byte[] left = Elements.Random<byte>(count, seed: 7);
                byte[] right = Elements.Random<byte>(count, seed: 8);
                SwapLoop[] loops = [ReduceKernels.Swap, RegisterLoop<Register128>.Swap, RegisterLoop<Register256>.Swap, RegisterLoop<Register512>.Swap, System.Runtime.Intrinsics.X86.Avx2.IsSupported ? RegisterLoop<RegisterAvx2>.Swap : ReduceKernels.Swap];
                foreach (SwapLoop swap in loops)
                {
                    Span<byte> first = Elements.Misaligned<byte>(left, leftOffset, out byte[] firstBacking);
                    Span<byte> second = Elements.Misaligned<byte>(right, rightOffset, out byte[] secondBacking);
                    swap(first, second);
                    Assert.That(Elements.SameBits<byte>(first, right) && Elements.SameBits<byte>(second, left), Is.True);
                    Assert.That(firstBacking.AsSpan(leftOffset + count).ContainsAnyExcept((byte)0), Is.False);
                    Assert.That(secondBacking.AsSpan(rightOffset + count).ContainsAnyExcept((byte)0), Is.False);
                }
            });

    [Test]
    public void Swap_refuses_spans_of_different_length()
        => Assert.That(() => ReduceKernels.Swap(new byte[3], new byte[4]), Throws.InstanceOf<ArgumentOutOfRangeException>());

    private delegate void SwapLoop(Span<byte> left, Span<byte> right);

    private static Half Half(int bits) => BitConverter.UInt16BitsToHalf((ushort)bits);

    /// <summary>Runs a span long enough that the answer comes from registers, and from the remainder; they must agree.</summary>
    private static T Combine<T>(Combination<T> operation, T left, T right)
        where T : unmanaged
    {
        T[] accumulator = [.. Enumerable.Repeat(left, 65)];
        operation(accumulator, [.. Enumerable.Repeat(right, 65)]);
        return Single(accumulator);
    }

    private static T Divide<T>(T value, int divisor)
        where T : unmanaged
    {
        T[] values = [.. Enumerable.Repeat(value, 65)];
        ReduceKernels.Divide<T>(values, divisor);
        return Single(values);
    }

    private static T Single<T>(T[] values)
        where T : unmanaged
    {
        Assert.That(values.Select(Elements.ToBits).Distinct().Count(), Is.EqualTo(1));
        return MemoryMarshal.GetReference(values.AsSpan());
    }

    private static void AssertHalf(Half actual, double exact)
    {
        ulong expected = double.IsNaN(exact) ? 0x7E00 : Elements.ToBits((Half)exact);
        Assert.That(Elements.ToBits(actual), Is.EqualTo(expected), $"of {exact:R}");
    }
}
