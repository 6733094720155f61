using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Collective.Kernels;
using CsCheck;
using NUnit.Framework;

namespace Collective.Core.Tests.Kernels;

/// <summary>Every register width gives the bits of the scalar reference, for every element type, code type and algorithm; and what they mean holds.</summary>
[TestFixture(typeof(float))]
[TestFixture(typeof(double))]
internal sealed class AffineCodecTests<T>
    where T : unmanaged
{
    private static readonly CodecUnderTest[] Codecs = CodecUnderTest.All<T>();

    /// <summary>Values as they come: a magnitude, a spread around it, now and then an outlier; or any bits at all.</summary>
    private static readonly Gen<T[]> Pieces = Gen.Frequency(
        (3, (IGen<T[]>)Gen.Select(Gen.Double[-40, 40], Gen.Double[-40, 40], Gen.Double[-1, 1].Array[0, 200])
            .Select((magnitude, spread, noise) => noise.Select(x => From(Math.Exp(magnitude) + (x * Math.Exp(spread)))).ToArray())),
        (1, Elements.Any<T>().Array[0, 200]),
        (1, Gen.Select(Gen.Double, Gen.Double.Array[1, 200]).Select((scale, noise) => noise.Select(x => From(x * scale)).ToArray())));

    [Test]
    public void Every_width_equals_the_reference_at_any_address()
        => Gen.Select(Pieces, Gen.Int[0, 63], Gen.Int[0, 63]).Sample((values, valueOffset, pieceOffset) => AssertAllAgree(values, valueOffset, pieceOffset));

    [Test]
    public void Every_width_equals_the_reference_at_every_short_length()
    {
        var values = Noise(300, seed: 1, mean: 3, deviation: 2);
        for (var count = 0; count <= values.Length; count++)
        {
            AssertAllAgree(values.AsSpan(0, count), valueOffset: count % 7, pieceOffset: count % 5);
        }
    }

    [TestCase(4096)]
    [TestCase(65_537)]
    [TestCase(100_003)]
    public void Every_width_equals_the_reference_on_long_pieces(int count)
        => AssertAllAgree(Noise(count, seed: 2, mean: -1e3, deviation: 17), valueOffset: 4, pieceOffset: 1);

    [Test]
    public void Any_bytes_decode_to_the_same_at_every_width()
        => Gen.Select(Elements.Any<double>(), Elements.Any<double>(), Elements.Any<double>(), Gen.Byte.Array[8 * 200]).Sample((offset, step, zeroPoint, codes) =>
        {
            foreach (var codec in Codecs)
            {
                var piece = new byte[AffineMap.Bytes + codes.Length];
                new AffineMap(offset, step, zeroPoint).Write(piece);
                codes.CopyTo(piece, AffineMap.Bytes);
                var count = codes.Length / codec.CodeBytes;
                var expected = new byte[count * Unsafe.SizeOf<T>()];
                codec.Reference.Decode(piece, 0, expected);
                Assert.That(Values(expected), Has.None.Matches<double>(double.IsNaN).Or.All.NaN, codec.Name);
                foreach (var (width, way) in codec.Others)
                {
                    var actual = new byte[expected.Length];
                    way.Decode(piece, 0, actual);
                    Assert.That(actual.AsSpan().SequenceEqual(expected), $"{codec.Name}, {width}");
                }
            }
        });

    [Test]
    public void Parts_decode_as_the_whole()
    {
        var values = MemoryMarshal.AsBytes(Noise(1000, seed: 3, mean: 0, deviation: 1).AsSpan());
        foreach (var codec in Codecs)
        {
            var piece = Encode(codec.Chosen, values);
            var whole = Decode(codec.Chosen, piece);
            foreach (var (first, count) in new[] { (0, 1), (1, 77), (64, 128), (333, 667), (999, 1), (1000, 0) })
            {
                var part = new byte[count * Unsafe.SizeOf<T>()];
                codec.Chosen.Decode(piece, first, part);
                Assert.That(part.AsSpan().SequenceEqual(whole.AsSpan(first * Unsafe.SizeOf<T>(), part.Length)), $"{codec.Name} from {first}");
            }
        }
    }

    [Test]
    public void No_value_is_further_off_than_half_a_step()
        => Gen.Select(Gen.Double[-30, 30], Gen.Double[-30, 30], Gen.Double[-1, 1].Array[2, 200]).Sample((magnitude, spread, noise) =>
        {
            T[] values = [.. noise.Select(x => From(Math.Exp(magnitude) + (x * Math.Exp(spread))))];
            foreach (var codec in Codecs)
            {
                var piece = Encode(codec.Chosen, MemoryMarshal.AsBytes(values.AsSpan()));
                var map = AffineMap.Read(piece);
                var exact = values.Select(ToDouble).ToArray();
                var decoded = Values(Decode(codec.Chosen, piece));
                var rounding = exact.Max(Math.Abs) * (typeof(T) == typeof(float) ? Math.ScaleB(1, -24) : Math.ScaleB(1, -50));
                var (lowest, highest) = codec.Reach(map);
                for (var i = 0; i < exact.Length; i++)
                {
                    var reachable = map.Step == 0 ? exact[i] : Math.Clamp(exact[i], lowest, highest);
                    Assert.That(Math.Abs(decoded[i] - reachable), Is.LessThanOrEqualTo((map.Step * 0.5000001) + rounding), $"{codec.Name}: {exact[i]:R}, {map}");
                }
            }
        });

    [Test]
    public void Min_max_covers_the_range_and_zero_point_scale_six_deviations()
    {
        var values = Noise(50_000, seed: 4, mean: 5, deviation: 2);
        foreach (var codec in Codecs)
        {
            var map = AffineMap.Read(Encode(codec.Chosen, MemoryMarshal.AsBytes(values.AsSpan())));
            var (lowest, highest) = codec.Reach(map);
            var exact = values.Select(ToDouble).ToArray();
            if (codec.IsMinMax)
            {
                Assert.That(lowest, Is.EqualTo(exact.Min()), codec.Name);
                Assert.That(highest, Is.EqualTo(exact.Max()).Within(1e-14), codec.Name);
            }
            else
            {
                Assert.That(highest, Is.EqualTo(5 + 12).Within(0.25), codec.Name);
                Assert.That(lowest, Is.LessThanOrEqualTo(5 - 12 + 0.25), codec.Name);
            }
        }
    }

    [Test]
    public void Zero_is_a_code_of_zero_point_scale()
    {
        var values = Noise(999, seed: 5, mean: 0.3, deviation: 1);
        values[17] = default;
        foreach (var codec in Codecs.Where(c => !c.IsMinMax))
        {
            Assert.That(Values(Decode(codec.Chosen, Encode(codec.Chosen, MemoryMarshal.AsBytes(values.AsSpan()))))[17], Is.Zero, codec.Name);
        }
    }

    [Test]
    public void A_constant_piece_is_exact()
    {
        foreach (var value in new[] { 0, 42, -42, 1e30, -1e30, 1e-40, 1e-45, 0.1, (double)float.MaxValue })
        {
            foreach (var count in new[] { 1, 2, 63, 1000 })
            {
                AssertDecodes(Enumerable.Repeat(From(value), count), ToDouble(From(value)));
            }
        }
    }

    [Test]
    public void A_negative_zero_becomes_positive()
    {
        foreach (var codec in Codecs)
        {
            var decoded = Values(Decode(codec.Chosen, Encode(codec.Chosen, MemoryMarshal.AsBytes(new[] { From(-0.0), From(-0.0) }.AsSpan()))));
            Assert.That(decoded.Select(double.IsNegative), Is.All.False, codec.Name);
            Assert.That(double.IsNegative(AffineMap.Read(Encode(codec.Chosen, MemoryMarshal.AsBytes(new[] { From(-0.0), From(0), From(1) }.AsSpan()))).Offset), Is.False);
        }
    }

    [TestCase(double.NaN)]
    [TestCase(double.PositiveInfinity)]
    [TestCase(double.NegativeInfinity)]
    public void A_piece_with_a_value_that_is_no_finite_number_is_NaN_throughout(double value)
    {
        foreach (var count in new[] { 1, 2, 31, 64, 129 })
        {
            for (var at = 0; at < count; at += 7)
            {
                var values = Noise(count, seed: count, mean: 1, deviation: 1);
                values[at] = From(value);
                AssertDecodes(values, double.NaN);
            }
        }

        AssertDecodes(Enumerable.Repeat(From(value), 40), double.NaN);
    }

    [Test]
    public void The_widest_ranges_of_finite_values_stay_finite()
    {
        var largest = (typeof(T) == typeof(float) ? float.MaxValue : double.MaxValue) / 2.5; // Half a step beyond it is still finite.
        T[] values = [From(largest), From(-largest), From(0), From(largest / 3)];
        foreach (var codec in Codecs)
        {
            var decoded = Values(Decode(codec.Chosen, Encode(codec.Chosen, MemoryMarshal.AsBytes(values.AsSpan()))));
            Assert.That(decoded, Is.All.Matches<double>(double.IsFinite), codec.Name);
            Assert.That(decoded[0], Is.EqualTo(largest).Within(largest / 20), codec.Name);
            Assert.That(decoded[1], Is.EqualTo(-largest).Within(largest / 20), codec.Name);
        }
    }

    [Test]
    public void An_empty_piece_is_its_map_alone()
    {
        foreach (var codec in Codecs)
        {
            var piece = Encode(codec.Chosen, []);
            Assert.That(piece, Has.Length.EqualTo(AffineMap.Bytes));
            Assert.That(Decode(codec.Chosen, piece), Is.Empty);
        }
    }

    [Test]
    public void Sizes_agree()
    {
        foreach (var codec in Codecs)
        {
            for (var bytes = AffineMap.Bytes; bytes < 200; bytes++)
            {
                var elements = codec.Chosen.ElementsIn(bytes);
                Assert.That(codec.Chosen.PieceBytes(elements), Is.LessThanOrEqualTo(bytes));
                Assert.That(codec.Chosen.PieceBytes(elements + 1), Is.GreaterThan(bytes));
                Assert.That(codec.Chosen.PiecesBytesMax(elements + 3, 2), Is.GreaterThanOrEqualTo(codec.Chosen.PieceBytes(elements) + codec.Chosen.PieceBytes(3)));
            }

            Assert.That(codec.Chosen.ValueBytes, Is.EqualTo(Unsafe.SizeOf<T>()));
        }
    }

    [Test]
    public void Nothing_is_allocated()
    {
        var values = Noise(10_007, seed: 6, mean: 0, deviation: 1);
        var piece = new byte[AffineMap.Bytes + (8 * 10_007)];
        foreach (var codec in Codecs)
        {
            var allocated = Allocations.OfFive(() =>
            {
                codec.Chosen.Encode(MemoryMarshal.AsBytes(values.AsSpan()), piece.AsSpan(0, codec.Chosen.PieceBytes(10_007)));
                codec.Chosen.Decode(piece, 0, MemoryMarshal.AsBytes(values.AsSpan()));
            });
            Assert.That(allocated, Is.Zero);
        }
    }

    private static void AssertDecodes(IEnumerable<T> values, double expected)
    {
        T[] all = [.. values];
        foreach (var codec in Codecs)
        {
            foreach (var (width, way) in codec.Others.Append(("reference", codec.Reference)))
            {
                var decoded = Decode(way, Encode(way, MemoryMarshal.AsBytes(all.AsSpan())));
                Assert.That(Values(decoded), Is.All.EqualTo(expected), $"{codec.Name}, {width}, {all.Length} elements");
                if (double.IsNaN(expected))
                {
                    var canonical = typeof(T) == typeof(float) ? 0x7FC0_0000 : 0x7FF8_0000_0000_0000;
                    Assert.That(MemoryMarshal.Cast<byte, T>(decoded).ToArray().Select(Elements.ToBits), Is.All.EqualTo(canonical));
                }
            }
        }
    }

    private static void AssertAllAgree(ReadOnlySpan<T> values, int valueOffset, int pieceOffset)
    {
        foreach (var codec in Codecs)
        {
            var expected = Encode(codec.Reference, MemoryMarshal.AsBytes(values));
            var expectedValues = Decode(codec.Reference, expected);
            foreach (var (width, way) in codec.Others)
            {
                var source = MemoryMarshal.AsBytes(Elements.Misaligned(values, valueOffset, out _));
                var backing = new byte[pieceOffset + expected.Length + 64];
                var piece = backing.AsSpan(pieceOffset, expected.Length);
                way.Encode(source, piece);
                Assert.That(piece.SequenceEqual(expected), $"{codec.Name}, {width}: encoding {values.Length} elements");
                Assert.That(MemoryMarshal.AsBytes(values).SequenceEqual(source), "the values are only read");
                var untouched = !backing.AsSpan(0, pieceOffset).ContainsAnyExcept((byte)0) && !backing.AsSpan(pieceOffset + expected.Length).ContainsAnyExcept((byte)0);
                Assert.That(untouched, "bytes outside the piece were written");

                var decoded = Elements.Misaligned<T>(new T[values.Length], valueOffset, out var around);
                way.Decode(piece, 0, MemoryMarshal.AsBytes(decoded));
                Assert.That(MemoryMarshal.AsBytes(decoded).SequenceEqual(expectedValues), $"{codec.Name}, {width}: decoding {values.Length} elements");
                Assert.That(around.AsSpan(valueOffset + expectedValues.Length).ContainsAnyExcept((byte)0), Is.False, "bytes outside the values were written");
            }
        }
    }

    private static byte[] Encode(IPieceCodec codec, ReadOnlySpan<byte> values)
    {
        var piece = new byte[codec.PieceBytes(values.Length / Unsafe.SizeOf<T>())];
        codec.Encode(values, piece);
        return piece;
    }

    private static byte[] Decode(IPieceCodec codec, byte[] piece)
    {
        var values = new byte[codec.ElementsIn(piece.Length) * Unsafe.SizeOf<T>()];
        codec.Decode(piece, 0, values);
        return values;
    }

    /// <summary>Normally distributed values (Box and Muller).</summary>
    private static T[] Noise(int count, int seed, double mean, double deviation)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => From(mean + (deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))))];
    }

    private static T From(double value) => typeof(T) == typeof(float) ? Elements.FromBits<T>(BitConverter.SingleToUInt32Bits((float)value)) : Elements.FromBits<T>(BitConverter.DoubleToUInt64Bits(value));

    private static double ToDouble(T value) => typeof(T) == typeof(float) ? BitConverter.UInt32BitsToSingle((uint)Elements.ToBits(value)) : BitConverter.UInt64BitsToDouble(Elements.ToBits(value));

    private static double[] Values(byte[] bytes) => [.. MemoryMarshal.Cast<byte, T>(bytes).ToArray().Select(ToDouble)];
}
