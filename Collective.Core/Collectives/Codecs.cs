using Collective.Kernels;
using Collective.Protocol;

namespace Collective.Collectives;

/// <summary>The codec of each data type and quantisation; made once, shared by all.</summary>
internal static class Codecs
{
    private static readonly Dictionary<(DataType Elements, Quantization Quantization), IPieceCodec> Table = Build();

    /// <summary>Null when the elements travel as they are.</summary>
    public static IPieceCodec? For(CollectiveDescriptor descriptor)
    {
        var quantization = Quantization.FromByte(descriptor.Quantisation);
        return quantization.IsNone ? null : Table[(descriptor.DataType, quantization)];
    }

    private static Dictionary<(DataType Elements, Quantization Quantization), IPieceCodec> Build()
    {
        var table = new Dictionary<(DataType Elements, Quantization Quantization), IPieceCodec>();
        Fill<float>(table, DataType.Float32);
        Fill<double>(table, DataType.Float64);
        return table;
    }

    private static void Fill<T>(Dictionary<(DataType Elements, Quantization Quantization), IPieceCodec> table, DataType elements)
        where T : unmanaged
    {
        Fill<T, byte>(table, elements, DataType.UInt8, DataType.Int8);
        Fill<T, ushort>(table, elements, DataType.UInt16, DataType.Int16);
        Fill<T, uint>(table, elements, DataType.UInt32, DataType.Int32);
        Fill<T, ulong>(table, elements, DataType.UInt64, DataType.Int64);
    }

    private static void Fill<T, TCode>(
        Dictionary<(DataType Elements, Quantization Quantization), IPieceCodec> table, DataType elements, DataType unsigned, DataType signed)
        where T : unmanaged
        where TCode : unmanaged
    {
        table.Add((elements, new Quantization(QuantizationAlgorithm.MinMax, unsigned)), AffineCodec.MinMax<T, TCode>());
        table.Add((elements, new Quantization(QuantizationAlgorithm.ZeroPointScale, unsigned)), AffineCodec.ZeroPointScale<T, TCode>(isSigned: false));
        table.Add((elements, new Quantization(QuantizationAlgorithm.ZeroPointScale, signed)), AffineCodec.ZeroPointScale<T, TCode>(isSigned: true));
    }
}
