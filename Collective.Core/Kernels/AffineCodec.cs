using System.Runtime.CompilerServices;

namespace Collective.Kernels;

/// <summary>
/// Affine quantisation: a piece is its <see cref="AffineMap"/> (three float64) and one integer per element. The way from values to map differs
/// per algorithm. <c>docs/quantisation.md</c> specifies it to the bit.
/// </summary>
internal static class AffineCodec
{
    /// <summary>Partial sums of a piece, whatever the width of registers.</summary>
    public const int Partials = 16;

    /// <summary>A smaller range counts as none: 1 / step must stay finite. 2^-900.</summary>
    private const double SmallestRange = 1.1830521861667747e-271;

    /// <summary>Steps are no finer than the mean times this, 2^-50: float64 could not tell them apart.</summary>
    private const double FinestStep = 1.0 / (1L << 50);

    public static IPieceCodec MinMax<TValue, TCode>()
        where TValue : unmanaged
        where TCode : unmanaged
        => new Codec<TValue, TCode, MinMaxAlgorithm>(new CodeRange(Unsafe.SizeOf<TCode>(), isSigned: false));

    public static IPieceCodec ZeroPointScale<TValue, TCode>(bool isSigned)
        where TValue : unmanaged
        where TCode : unmanaged
        => new Codec<TValue, TCode, ZeroPointScaleAlgorithm>(new CodeRange(Unsafe.SizeOf<TCode>(), isSigned));

    /// <summary>Encodes a piece with one way to go over spans: the fastest, or a certain one in tests.</summary>
    public static void Encode<TLoop, TValue, TCode, TAlgorithm>(ReadOnlySpan<byte> values, Span<byte> piece, CodeRange range)
        where TLoop : IAffineLoop
        where TValue : unmanaged
        where TCode : unmanaged
        where TAlgorithm : IAffineAlgorithm
    {
        if (values.IsEmpty)
        {
            AffineMap.Constant(0).Write(piece);
            return;
        }

        var codes = piece[AffineMap.Bytes..];
        var (min, max) = TLoop.Extremes<TValue>(values);
        if (!double.IsFinite(max - min))
        {
            AffineMap.NotANumber.Write(piece);
            codes.Clear();
        }
        else if (max - min < SmallestRange)
        {
            AffineMap.Constant(min + 0.0).Write(piece); // A negative zero becomes a positive one.
            codes.Clear();
        }
        else
        {
            var (map, inverse) = TAlgorithm.Map<TLoop, TValue>(values, min, max, range);
            map.Write(piece);
            TLoop.Encode<TValue, TCode>(values, codes, new AffineEncoding(map.Offset, inverse, map.ZeroPoint, range.Largest, range.Bias));
        }
    }

    public static void Decode<TLoop, TValue, TCode>(ReadOnlySpan<byte> piece, int first, Span<byte> values, CodeRange range)
        where TLoop : IAffineLoop
        where TValue : unmanaged
        where TCode : unmanaged
    {
        var map = AffineMap.Read(piece);
        var elements = values.Length / Unsafe.SizeOf<TValue>();
        var codes = piece.Slice(AffineMap.Bytes + (first * Unsafe.SizeOf<TCode>()), elements * Unsafe.SizeOf<TCode>());
        if (map.IsFinite)
        {
            TLoop.Decode<TValue, TCode>(codes, values, map, range);
        }
        else
        {
            FillWithNaN<TValue>(values);
        }
    }

    private static void FillWithNaN<TValue>(Span<byte> values)
        where TValue : unmanaged
    {
        for (var offset = 0; offset < values.Length; offset += Unsafe.SizeOf<TValue>())
        {
            if (typeof(TValue) == typeof(float)) { BitConverter.TryWriteBytes(values[offset..], 0x7FC0_0000u); }
            else { BitConverter.TryWriteBytes(values[offset..], 0x7FF8_0000_0000_0000u); }
        }
    }

    /// <summary>From the values of a piece, which are finite and differ, to its map and the reciprocal of the step.</summary>
    internal interface IAffineAlgorithm
    {
        static abstract (AffineMap Map, double Inverse) Map<TLoop, TValue>(ReadOnlySpan<byte> values, double min, double max, CodeRange range)
            where TLoop : IAffineLoop
            where TValue : unmanaged;
    }

    /// <summary>The codes divide the range from minimum to maximum evenly.</summary>
    internal readonly struct MinMaxAlgorithm : IAffineAlgorithm
    {
        public static (AffineMap Map, double Inverse) Map<TLoop, TValue>(ReadOnlySpan<byte> values, double min, double max, CodeRange range)
            where TLoop : IAffineLoop
            where TValue : unmanaged
            => (new AffineMap(min + 0.0, (max - min) / range.Largest, 0), range.Largest / (max - min));
    }

    /// <summary>The codes cover six standard deviations either side of the mean, and zero is one of them; what lies outside is clipped.</summary>
    internal readonly struct ZeroPointScaleAlgorithm : IAffineAlgorithm
    {
        public static (AffineMap Map, double Inverse) Map<TLoop, TValue>(ReadOnlySpan<byte> values, double min, double max, CodeRange range)
            where TLoop : IAffineLoop
            where TValue : unmanaged
        {
            // Seen from the minimum and with a range from 1 to 4, nothing cancels, overflows or underflows.
            var factor = Math.ScaleB(1, -Math.Min(Math.ILogB(max - min), 1022));
            Span<double> sums = stackalloc double[Partials];
            Span<double> squares = stackalloc double[Partials];
            sums.Clear();
            squares.Clear();
            TLoop.AddUp<TValue>(values, min, factor, sums, squares);

            double count = values.Length / Unsafe.SizeOf<TValue>();
            var (sum, square) = (Fold(sums), Fold(squares));
            var mean = min + (sum / count / factor);
            var deviation = Math.Sqrt(Math.Max(0, square - (sum * sum / count)) / (count - 1)) / factor;
            var step = Math.Max(deviation / range.LargestWritten * 12, Math.Abs(mean) * FinestStep);
            var zeroPoint = ((range.LargestWritten + 1) / 2) + range.Bias - Math.Round(mean / step, MidpointRounding.ToEven);
            return (new AffineMap(0, step, zeroPoint), 1 / step);
        }

        private static double Fold(Span<double> partials)
        {
            for (var half = Partials / 2; half > 0; half /= 2)
            {
                for (var i = 0; i < half; i++)
                {
                    partials[i] += partials[i + half];
                }
            }

            return partials[0];
        }
    }

    private sealed class Codec<TValue, TCode, TAlgorithm>(CodeRange range) : IPieceCodec
        where TValue : unmanaged
        where TCode : unmanaged
        where TAlgorithm : IAffineAlgorithm
    {
        public int ValueBytes => Unsafe.SizeOf<TValue>();

        public int PieceBytes(int elements) => AffineMap.Bytes + (elements * Unsafe.SizeOf<TCode>());

        public int ElementsIn(int pieceBytes) => (pieceBytes - AffineMap.Bytes) / Unsafe.SizeOf<TCode>();

        public long PiecesBytesMax(long elements, long pieces) => (pieces * AffineMap.Bytes) + (elements * Unsafe.SizeOf<TCode>());

        public void Encode(ReadOnlySpan<byte> values, Span<byte> piece)
        {
            if (Register512.IsAccelerated) { Encode<RegisterAffineLoop<Register512>>(values, piece); }
            else if (Register256.IsAccelerated) { Encode<RegisterAffineLoop<Register256>>(values, piece); }
            else if (RegisterAvx2.IsAccelerated) { Encode<RegisterAffineLoop<RegisterAvx2>>(values, piece); }
            else if (Register128.IsAccelerated) { Encode<RegisterAffineLoop<Register128>>(values, piece); }
            else { Encode<ScalarAffineLoop>(values, piece); }
        }

        public void Decode(ReadOnlySpan<byte> piece, int first, Span<byte> values)
        {
            if (Register512.IsAccelerated) { Decode<RegisterAffineLoop<Register512>>(piece, first, values); }
            else if (Register256.IsAccelerated) { Decode<RegisterAffineLoop<Register256>>(piece, first, values); }
            else if (RegisterAvx2.IsAccelerated) { Decode<RegisterAffineLoop<RegisterAvx2>>(piece, first, values); }
            else if (Register128.IsAccelerated) { Decode<RegisterAffineLoop<Register128>>(piece, first, values); }
            else { Decode<ScalarAffineLoop>(piece, first, values); }
        }

        private void Encode<TLoop>(ReadOnlySpan<byte> values, Span<byte> piece)
            where TLoop : IAffineLoop
            => AffineCodec.Encode<TLoop, TValue, TCode, TAlgorithm>(values, piece, range);

        private void Decode<TLoop>(ReadOnlySpan<byte> piece, int first, Span<byte> values)
            where TLoop : IAffineLoop
            => AffineCodec.Decode<TLoop, TValue, TCode>(piece, first, values, range);
    }
}
