using System.Globalization;

namespace Collective.Protocol;

/// <summary>What all ranks must agree on before they combine data (guarantee G8).</summary>
/// <param name="Count">Elements.</param>
/// <param name="DataType">Element type.</param>
/// <param name="Operation">How contributions are combined.</param>
/// <param name="Quantisation">0: none. Otherwise a <see cref="Quantization"/> as a byte.</param>
internal readonly record struct CollectiveDescriptor(ulong Count, DataType DataType, ReduceOperation Operation, byte Quantisation)
{
    /// <summary>Whether the quantisation is one, and fits the elements and the operation.</summary>
    public bool IsPossible
    {
        get
        {
            var quantization = Quantization.FromByte(Quantisation);
            return quantization.ToByte() == Quantisation && quantization.Objection(DataType, Operation) is null;
        }
    }

    public int ElementBytes => ElementBytesOf(DataType);

    public ulong Bytes => Count * (ulong)ElementBytes;

    /// <summary>Whether bulk data waits until the master has seen that all ranks entered with the same descriptor.</summary>
    public bool NeedsGo => Math.Max(Bytes, CodeBytes) > Limits.EagerBytesMax;

    /// <summary>Bytes of all elements as they travel, if they are quantised: integers of 64 bits are larger than float32.</summary>
    private ulong CodeBytes => Count * (ulong)(Quantisation == 0 ? 0 : ElementBytesOf(Quantization.FromByte(Quantisation).DataType));

    /// <summary>32 bits carried by every segment, so that unlike operations are never combined.</summary>
    public uint Digest
    {
        get
        {
            // FNV-1a over the fields.
            var hash = 2166136261u;
            var fields = ((ulong)DataType << 16) | ((ulong)Operation << 8) | Quantisation;
            for (var i = 0; i < 16; i++)
            {
                var value = i < 8 ? Count >> (8 * i) : fields >> (8 * (i - 8));
                hash = (hash ^ (byte)value) * 16777619u;
            }

            return hash;
        }
    }

    public static int ElementBytesOf(DataType type) => type switch
    {
        DataType.UInt8 or DataType.Int8 => 1,
        DataType.Int16 or DataType.UInt16 or DataType.Float16 or DataType.BFloat16 => 2,
        DataType.UInt32 or DataType.Int32 or DataType.Float32 => 4,
        DataType.UInt64 or DataType.Int64 or DataType.Float64 => 8,
        _ => 0,
    };

    /// <summary>Names the first field in which two descriptors differ, with both values; null when they agree.</summary>
    public static string? Difference(CollectiveDescriptor left, CollectiveDescriptor right)
    {
        if (left.Count != right.Count)
        {
            return string.Create(CultureInfo.InvariantCulture, $"count {left.Count} against {right.Count}");
        }

        if (left.DataType != right.DataType)
        {
            return $"data type {left.DataType} against {right.DataType}";
        }

        if (left.Operation != right.Operation)
        {
            return $"operation {left.Operation} against {right.Operation}";
        }

        return left.Quantisation == right.Quantisation
            ? null
            : $"quantisation {Quantization.FromByte(left.Quantisation)} against {Quantization.FromByte(right.Quantisation)}";
    }
}
