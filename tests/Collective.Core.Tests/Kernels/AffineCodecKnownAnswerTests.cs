using System.Runtime.InteropServices;
using Collective.Kernels;
using NUnit.Framework;

namespace Collective.Core.Tests.Kernels;

/// <summary>Pieces worked out by hand from docs/quantisation.md, and the corners of float64.</summary>
[TestFixture]
internal sealed class AffineCodecKnownAnswerTests
{
    [Test]
    public void Min_max_to_uint8()
    {
        // Step 2: codes by halves are ties, which go to the even code.
        var piece = Encode<float>(AffineCodec.MinMax<float, byte>(), [-10, 500, -9, -7, -5, 0, 490.9f, -10]);
        AssertPiece(piece, new AffineMap(-10, 2, 0), [0, 255, 0, 2, 2, 5, 250, 0]);
        Assert.That(Decode<float>(AffineCodec.MinMax<float, byte>(), piece), Is.EqualTo(new float[] { -10, 500, -10, -6, -6, 0, 490, -10 }));
    }

    [Test]
    public void Min_max_to_uint16_of_float64()
    {
        var piece = Encode<double>(AffineCodec.MinMax<double, ushort>(), [1, 65536, 2.4, 2.5, 3.5]);
        AssertPiece(piece, new AffineMap(1, 1, 0), [0, 0, 0xFF, 0xFF, 1, 0, 2, 0, 2, 0]);
    }

    [Test]
    public void Min_max_to_uint64_uses_52_bits()
    {
        var piece = Encode<double>(AffineCodec.MinMax<double, ulong>(), [0, (1L << 52) - 1, 3, 1L << 51]);
        AssertPiece(piece, new AffineMap(0, 1, 0), [0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xF, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0]);
    }

    [Test]
    public void Zero_point_scale_to_uint8_and_int8()
    {
        // Mean 0, deviation sqrt((4 + 4) / 3).
        float[] values = [-2, 2, 0, 0];
        var deviation = Math.Sqrt(8.0 / 3);

        // Zero is 128; two is 2 / step = 26.02 codes away.
        AssertPiece(Encode<float>(AffineCodec.ZeroPointScale<float, byte>(isSigned: false), values), new AffineMap(0, deviation / 255 * 12, 128), [102, 154, 128, 128]);

        // Zero is 64, two is 12.96 codes away. The map counts codes from the lowest integer.
        AssertPiece(Encode<float>(AffineCodec.ZeroPointScale<float, byte>(isSigned: true), values), new AffineMap(0, deviation / 127 * 12, 64 + 128), [51, 77, 64, 64]);
    }

    [Test]
    public void Zero_point_scale_clips_beyond_six_deviations()
    {
        var values = Enumerable.Repeat(0f, 1000).ToArray();
        values[3] = 1000;
        var piece = Encode<float>(AffineCodec.ZeroPointScale<float, byte>(isSigned: false), values);
        var map = AffineMap.Read(piece);
        var deviation = Math.Sqrt((1e6 - 1e3) / 999);
        Assert.That(map.Step, Is.EqualTo(12 * deviation / 255).Within(1e-12));
        Assert.That((map.ZeroPoint, piece[AffineMap.Bytes + 3], piece[AffineMap.Bytes]), Is.EqualTo((128 - Math.Round(1 / map.Step), (byte)255, (byte)map.ZeroPoint)));
    }

    [Test]
    public void The_reference_case_42()
    {
        var codec = AffineCodec.ZeroPointScale<float, byte>(isSigned: false);
        Assert.That(Decode<float>(codec, Encode<float>(codec, [.. Enumerable.Repeat(42f, 1024)])), Is.All.EqualTo(42));
    }

    [Test]
    public void A_range_beyond_float64_is_NaN_throughout()
    {
        foreach (var codec in All)
        {
            Assert.That(Decode<double>(codec, Encode<double>(codec, [double.MaxValue, -double.MaxValue, 1])), Is.All.NaN);
        }
    }

    [Test]
    public void A_range_too_small_for_steps_counts_as_none()
    {
        foreach (var codec in All)
        {
            Assert.That(Decode<double>(codec, Encode<double>(codec, [1e-272, 0, double.Epsilon])), Is.All.Zero);
        }
    }

    [Test]
    public void A_spread_that_is_tiny_against_the_mean_is_kept_as_far_as_float64_can()
    {
        double[] values = [.. Enumerable.Range(0, 100).Select(i => 1 + (i * Math.ScaleB(1, -52)))];
        foreach (var codec in All)
        {
            Assert.That(Decode<double>(codec, Encode<double>(codec, values)), Is.All.EqualTo(1).Within(Math.ScaleB(1, -45)));
        }
    }

    private static IPieceCodec[] All => [.. CodecUnderTest.All<double>().Select(c => c.Chosen)];

    private static void AssertPiece(byte[] piece, AffineMap map, byte[] codes)
    {
        Assert.That(AffineMap.Read(piece), Is.EqualTo(map));
        Assert.That(piece[AffineMap.Bytes..], Is.EqualTo(codes));
    }

    private static byte[] Encode<T>(IPieceCodec codec, T[] values)
        where T : unmanaged
    {
        var piece = new byte[codec.PieceBytes(values.Length)];
        codec.Encode(MemoryMarshal.AsBytes(values.AsSpan()), piece);
        return piece;
    }

    private static T[] Decode<T>(IPieceCodec codec, byte[] piece)
        where T : unmanaged
    {
        var values = new T[codec.ElementsIn(piece.Length)];
        codec.Decode(piece, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
