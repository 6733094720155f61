using System.Buffers.Binary;

namespace Collective.Kernels;

/// <summary>What codes of an affine quantisation mean: code u stands for (u − <paramref name="ZeroPoint"/>) · <paramref name="Step"/> + <paramref name="Offset"/>.</summary>
internal readonly record struct AffineMap(double Offset, double Step, double ZeroPoint)
{
    public const int Bytes = 3 * sizeof(double);

    /// <summary>Every code stands for NaN.</summary>
    public static AffineMap NotANumber => new(double.NaN, 0, 0);

    /// <summary>Every code stands for one value.</summary>
    public static AffineMap Constant(double value) => new(value, 0, 0);

    public bool IsFinite => double.IsFinite(Offset) && double.IsFinite(Step) && double.IsFinite(ZeroPoint);

    public static AffineMap Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        BinaryPrimitives.ReadDoubleLittleEndian(bytes[sizeof(double)..]),
        BinaryPrimitives.ReadDoubleLittleEndian(bytes[(2 * sizeof(double))..]));

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, Offset);
        BinaryPrimitives.WriteDoubleLittleEndian(bytes[sizeof(double)..], Step);
        BinaryPrimitives.WriteDoubleLittleEndian(bytes[(2 * sizeof(double))..], ZeroPoint);
    }
}

/// <summary>
/// The codes of an integer type, counted from 0: a code of a signed type lies <see cref="Bias"/> higher than the integer that is
/// written. Types of 64 bits use the lowest 52, all that float64 arithmetic can tell apart.
/// </summary>
internal readonly struct CodeRange(int codeBytes, bool isSigned)
{
    /// <summary>Of float64: no code has more.</summary>
    private const int FractionBits = 52;

    private readonly int _bits = Math.Min(8 * codeBytes, FractionBits);

    public ulong Largest => (1UL << _bits) - 1;

    public ulong Bias => isSigned ? 1UL << (_bits - 1) : 0;

    /// <summary>The B of the formulas: the largest integer that is written.</summary>
    public double LargestWritten => Largest - Bias;
}

/// <summary>How values become codes: the nearest integer (ties to even) to (x − Offset) · Inverse + ZeroPoint, at least 0 and at most Largest.</summary>
internal readonly record struct AffineEncoding(double Offset, double Inverse, double ZeroPoint, ulong Largest, ulong Bias);
