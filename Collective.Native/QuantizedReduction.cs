namespace Collective.Native;

/// <summary>Which combinations of data type, quantised type, algorithm and operation there are.</summary>
internal static class QuantizedReduction
{
    private const int MinMaxAlgorithm = 1;

    public static void Check(in ReduceDescriptor descriptor)
    {
        if (descriptor.Algorithm == 0)
        {
            return;
        }

        var quantized = (DataType)descriptor.QuantizedDataType;
        Arguments.Require((DataType)descriptor.DataType is DataType.Float32 or DataType.Float64, $"Elements of type {(DataType)descriptor.DataType} cannot be quantised: use float32 or float64, or no quantisation.");
        if (descriptor.Algorithm == MinMaxAlgorithm)
        {
            Arguments.Require(
                quantized is DataType.UInt8 or DataType.UInt16 or DataType.UInt32 or DataType.UInt64,
                $"Min-max quantisation has no codes of type {quantized}: use an unsigned integer.");
        }
        else
        {
            Arguments.Require(quantized <= DataType.Int64, $"Zero-point-scale quantisation has no codes of type {quantized}: use an integer.");
            Arguments.Require(
                (ReduceOperation)descriptor.Operation is ReduceOperation.Sum or ReduceOperation.Average,
                $"Zero-point-scale quantisation does not allow the operation {(ReduceOperation)descriptor.Operation}: use sum or average, or min-max quantisation.");
        }
    }
}
