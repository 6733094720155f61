using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Collective.Kernels;
using static Collective.Kernels.AffineCodec;

namespace Collective.Core.Tests.Kernels;

/// <summary>Everything that claims to be one codec: the scalar reference, the one that is chosen, and every register width.</summary>
internal sealed record CodecUnderTest(string Name, CodeRange Range, int CodeBytes, bool IsMinMax, IPieceCodec Reference, IPieceCodec Chosen, (string Width, IPieceCodec Codec)[] Others)
{
    public static CodecUnderTest[] All<T>()
        where T : unmanaged
        => [.. Of<T, byte>("8"), .. Of<T, ushort>("16"), .. Of<T, uint>("32"), .. Of<T, ulong>("64")];

    /// <summary>The values of the lowest and of the highest code.</summary>
    public (double Lowest, double Highest) Reach(AffineMap map)
        => (((0 - map.ZeroPoint) * map.Step) + map.Offset, ((Range.Largest - map.ZeroPoint) * map.Step) + map.Offset);

    private static IEnumerable<CodecUnderTest> Of<T, TCode>(string bits)
        where T : unmanaged
        where TCode : unmanaged
    {
        yield return Of<T, TCode, MinMaxAlgorithm>($"min-max uint{bits}", isSigned: false, MinMax<T, TCode>());
        yield return Of<T, TCode, ZeroPointScaleAlgorithm>($"zero-point-scale uint{bits}", isSigned: false, ZeroPointScale<T, TCode>(isSigned: false));
        yield return Of<T, TCode, ZeroPointScaleAlgorithm>($"zero-point-scale int{bits}", isSigned: true, ZeroPointScale<T, TCode>(isSigned: true));
    }

    private static CodecUnderTest Of<T, TCode, TAlgorithm>(string name, bool isSigned, IPieceCodec chosen)
        where T : unmanaged
        where TCode : unmanaged
        where TAlgorithm : IAffineAlgorithm
    {
        var range = new CodeRange(Unsafe.SizeOf<TCode>(), isSigned);
        return new CodecUnderTest(
            name,
            range,
            Unsafe.SizeOf<TCode>(),
            typeof(TAlgorithm) == typeof(MinMaxAlgorithm),
            new Way<ScalarAffineLoop, T, TCode, TAlgorithm>(range),
            chosen,
            [
                ("chosen", chosen),
                ("128", new Way<RegisterAffineLoop<Register128>, T, TCode, TAlgorithm>(range)),
                ("256", new Way<RegisterAffineLoop<Register256>, T, TCode, TAlgorithm>(range)),
                ("512", new Way<RegisterAffineLoop<Register512>, T, TCode, TAlgorithm>(range)),
                .. Avx2.IsSupported ? [("AVX2", new Way<RegisterAffineLoop<RegisterAvx2>, T, TCode, TAlgorithm>(range))] : Array.Empty<(string, IPieceCodec)>(),
            ]);
    }

    private sealed class Way<TLoop, T, TCode, TAlgorithm>(CodeRange range) : IPieceCodec
        where TLoop : IAffineLoop
        where T : unmanaged
        where TCode : unmanaged
        where TAlgorithm : IAffineAlgorithm
    {
        public int ValueBytes => Unsafe.SizeOf<T>();

        public int PieceBytes(int elements) => AffineMap.Bytes + (elements * Unsafe.SizeOf<TCode>());

        public int ElementsIn(int pieceBytes) => (pieceBytes - AffineMap.Bytes) / Unsafe.SizeOf<TCode>();

        public long PiecesBytesMax(long elements, long pieces) => throw new NotSupportedException();

        public void Encode(ReadOnlySpan<byte> values, Span<byte> piece) => AffineCodec.Encode<TLoop, T, TCode, TAlgorithm>(values, piece, range);

        public void Decode(ReadOnlySpan<byte> piece, int first, Span<byte> values) => AffineCodec.Decode<TLoop, T, TCode>(piece, first, values, range);
    }
}
