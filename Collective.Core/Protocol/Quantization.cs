namespace Collective;

/// <summary>How a tensor is quantised for the way between peers. Values are those of the C ABI (<c>pcclQuantizationAlgorithm_t</c>).</summary>
public enum QuantizationAlgorithm
{
    /// <summary>Not at all: the elements travel as they are.</summary>
    None = 0,

    /// <summary>The codes divide the range from the smallest to the largest element of each segment evenly. Unsigned codes, every operation.</summary>
    MinMax = 1,

    /// <summary>The codes cover six standard deviations either side of the mean of each segment; what lies outside is clipped. Any integer codes; sum and average.</summary>
    ZeroPointScale = 2,
}

/// <summary>
/// What travels between the peers in place of float32 or float64 elements: integers of <paramref name="DataType"/>, one per element, and 24 bytes per segment.
/// The default is none. Which combinations there are, the arithmetic and its errors: <c>docs/quantisation.md</c>.
/// </summary>
/// <param name="Algorithm">How elements become integers.</param>
/// <param name="DataType">The integers. Without meaning, and taken as <see cref="DataType.UInt8"/>, when there is no algorithm.</param>
public readonly record struct Quantization(QuantizationAlgorithm Algorithm, DataType DataType)
{
    private const int AlgorithmShift = 4;
    private const int DataTypeMask = (1 << AlgorithmShift) - 1;

    /// <summary>The elements travel as they are.</summary>
    public static Quantization None => default;

    internal bool IsNone => Algorithm == QuantizationAlgorithm.None;

    /// <summary>One byte for the wire: 0, or the algorithm in the upper and the data type in the lower four bits.</summary>
    internal byte ToByte() => IsNone ? (byte)0 : (byte)(((int)Algorithm << AlgorithmShift) | (int)DataType);

    internal static Quantization FromByte(byte value)
        => value >> AlgorithmShift == 0 ? None : new Quantization((QuantizationAlgorithm)(value >> AlgorithmShift), (DataType)(value & DataTypeMask));

    /// <summary>Why elements of this type cannot be reduced so; null when they can.</summary>
    internal string? Objection(DataType elements, ReduceOperation operation)
    {
        if (IsNone)
        {
            return null;
        }

        if (!Enum.IsDefined(Algorithm))
        {
            return $"{(int)Algorithm} is no quantisation algorithm";
        }

        if (elements is not (DataType.Float32 or DataType.Float64))
        {
            return $"elements of {elements} cannot be quantised: only Float32 and Float64 can";
        }

        var isUnsigned = DataType is DataType.UInt8 or DataType.UInt16 or DataType.UInt32 or DataType.UInt64;
        if (Algorithm == QuantizationAlgorithm.MinMax)
        {
            return isUnsigned ? null : $"MinMax quantises to unsigned integers, not to {DataType}";
        }

        var isSigned = DataType is DataType.Int8 or DataType.Int16 or DataType.Int32 or DataType.Int64;
        return !isUnsigned && !isSigned ? $"ZeroPointScale quantises to integers, not to {DataType}"
            : operation is not (ReduceOperation.Sum or ReduceOperation.Average) ? $"ZeroPointScale serves sum and average, not {operation}: use MinMax"
            : null;
    }

    /// <summary>The quantisation in words, for messages.</summary>
    public override string ToString() => IsNone ? "none" : $"{Algorithm} to {DataType}";
}
