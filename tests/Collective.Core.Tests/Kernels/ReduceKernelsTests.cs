using System.Runtime.InteropServices;
using Collective.Kernels;
using CsCheck;
using NUnit.Framework;

namespace Collective.Core.Tests.Kernels;

/// <summary>Every register width gives the bits of the scalar reference, for every type and operation.</summary>
[TestFixture(typeof(byte))]
[TestFixture(typeof(sbyte))]
[TestFixture(typeof(short))]
[TestFixture(typeof(ushort))]
[TestFixture(typeof(int))]
[TestFixture(typeof(uint))]
[TestFixture(typeof(long))]
[TestFixture(typeof(ulong))]
[TestFixture(typeof(Half))]
[TestFixture(typeof(BFloat16))]
[TestFixture(typeof(float))]
[TestFixture(typeof(double))]
internal sealed class ReduceKernelsTests<T>
    where T : unmanaged
{
    [Test]
    public void Every_width_equals_the_reference_on_any_bits_at_any_address()
        => Gen.Select(Gen.Select(Elements.Any<T>(), Elements.Any<T>()).Array[0, 140], Gen.Int[0, 63], Gen.Int[0, 63])
            .Sample((pairs, leftOffset, rightOffset) =>
            {
                T[] left = [.. pairs.Select(pair => pair.Item1)];
                T[] right = [.. pairs.Select(pair => pair.Item2)];
                AssertAllAgree(left, right, leftOffset, rightOffset);
            });

    [Test]
    public void Every_width_equals_the_reference_at_every_short_length()
    {
        T[] left = Elements.Random<T>(70, seed: 1);
        T[] right = Elements.Random<T>(70, seed: 2);
        for (int count = 0; count <= 70; count++)
        {
            AssertAllAgree(left.AsSpan(0, count), right.AsSpan(0, count), leftOffset: count % 5, rightOffset: count % 3);
        }
    }

    [TestCase(4096, 0, 0)]
    [TestCase(65_537, 1, 3)]
    [TestCase(100_003, 7, 0)]
    public void Every_width_equals_the_reference_on_long_spans(int count, int leftOffset, int rightOffset)
        => AssertAllAgree(Elements.Random<T>(count, seed: 3), Elements.Random<T>(count, seed: 4), leftOffset, rightOffset);

    [Test]
    public void Every_width_equals_the_reference_on_all_pairs_of_edges()
    {
        ulong[] edges = Elements.Edges<T>();
        T[] left = [.. from l in edges from r in edges select Elements.FromBits<T>(l)];
        T[] right = [.. from l in edges from r in edges select Elements.FromBits<T>(r)];
        AssertAllAgree(left, right, leftOffset: 0, rightOffset: 0);
    }

    [Test]
    public void Division_equals_the_reference_on_any_bits_at_any_address()
        => Gen.Select(Elements.Any<T>().Array[0, 140], Gen.Int[0, 63], Gen.OneOf(Gen.Int[1, 300], Gen.Int[1, ReduceKernels.LargestDivisor]))
            .Sample((values, offset, divisor) =>
            {
                T[] expected = [.. values];
                ScalarReference.Divide<T>(expected, divisor);
                foreach (var (width, divide) in Implementations<T>.Divisions)
                {
                    Span<T> actual = Elements.Misaligned<T>(values, offset, out byte[] backing);
                    divide(actual, divisor);
                    AssertSame(expected, actual, $"Divide by {divisor}, {width}");
                    AssertUntouchedAround(backing, offset, values.Length);
                }
            });

    [Test]
    public void Operations_commute()
        => Gen.Select(Elements.Any<T>(), Elements.Any<T>()).Sample((left, right) =>
        {
            foreach (var operation in Implementations<T>.All)
            {
                T[] forth = [left];
                T[] back = [right];
                operation.Reference(forth, [right]);
                operation.Reference(back, [left]);
                AssertSame(forth, back, operation.Name);
            }
        });

    [Test]
    public void Nothing_is_allocated()
    {
        T[] left = Elements.Random<T>(10_007, seed: 5);
        T[] right = Elements.Random<T>(10_007, seed: 6);

        Assert.That(Allocations.OfFive(() => RunEverything(left, right)), Is.Zero);
    }

    [Test]
    public void Spans_of_different_length_are_refused()
    {
        Assert.That(() => ReduceKernels.Sum<T>(new T[3], new T[4]), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => ReduceKernels.Max<T>(new T[4], new T[3]), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [TestCase(0)]
    [TestCase(-1)]
    [TestCase(ReduceKernels.LargestDivisor + 1)]
    public void Divisors_out_of_range_are_refused(int divisor)
        => Assert.That(() => ReduceKernels.Divide<T>(new T[3], divisor), Throws.InstanceOf<ArgumentOutOfRangeException>());

    private static void RunEverything(T[] left, T[] right)
    {
        ReduceKernels.Sum<T>(left, right);
        ReduceKernels.Product<T>(left, right);
        ReduceKernels.Min<T>(left, right);
        ReduceKernels.Max<T>(left, right);
        ReduceKernels.Divide<T>(left, 3);
        ReduceKernels.Swap(MemoryMarshal.AsBytes(left.AsSpan()), MemoryMarshal.AsBytes(right.AsSpan()));
    }

    private static void AssertAllAgree(ReadOnlySpan<T> left, ReadOnlySpan<T> right, int leftOffset, int rightOffset)
    {
        foreach (var operation in Implementations<T>.All)
        {
            T[] expected = left.ToArray();
            operation.Reference(expected, right);
            foreach (var (width, combine) in operation.Others)
            {
                Span<T> accumulator = Elements.Misaligned(left, leftOffset, out byte[] backing);
                Span<T> operand = Elements.Misaligned(right, rightOffset, out _);
                combine(accumulator, operand);
                AssertSame(expected, accumulator, $"{operation.Name}, {width}");
                AssertSame(right, operand, $"operand of {operation.Name}, {width}");
                AssertUntouchedAround(backing, leftOffset, left.Length);
            }
        }
    }

    private static void AssertSame(ReadOnlySpan<T> expected, ReadOnlySpan<T> actual, string what)
    {
        if (Elements.SameBits(expected, actual))
        {
            return;
        }
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.That($"{Elements.ToBits(actual[i]):X}", Is.EqualTo($"{Elements.ToBits(expected[i]):X}"), $"{what}: element {i}");
        }
    }

    private static void AssertUntouchedAround(byte[] backing, int offsetBytes, int count)
    {
        int endBytes = offsetBytes + count * Marshal.SizeOf<T>();
        bool untouched = !backing.AsSpan(0, offsetBytes).ContainsAnyExcept((byte)0)
            && !backing.AsSpan(endBytes).ContainsAnyExcept((byte)0);
        Assert.That(untouched, Is.True, "bytes outside the span were written");
    }
}
