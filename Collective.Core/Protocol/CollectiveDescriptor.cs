using System.Globalization;
using System.Text;

namespace Collective.Protocol;

/// <summary>What all ranks must agree on before they combine data (guarantee G8).</summary>
/// <param name="Count">Elements.</param>
/// <param name="DataType">Element type.</param>
/// <param name="Operation">How contributions are combined.</param>
/// <param name="Quantisation">0: none. Otherwise a <see cref="Quantization"/> as a byte.</param>
/// <param name="Label">What the caller says that it is: compared like the other fields, and quoted where it differs.</param>
/// <param name="Tensors">How many tensors are reduced together, with one verdict, of which this is one.</param>
internal readonly record struct CollectiveDescriptor(ulong Count, DataType DataType, ReduceOperation Operation, byte Quantisation, string Label = "", ushort Tensors = 1)
{
    /// <summary>Of labels that take more bytes than this, an error quotes the part in which they differ.</summary>
    private const int QuotedWholeBytes = 160;

    public string Label { get => field ?? ""; init; } = Label;

    /// <summary>Whether the quantisation is one, and fits the elements and the operation, the label is one, and there are so many tensors.</summary>
    public bool IsPossible
    {
        get
        {
            var quantization = Quantization.FromByte(Quantisation);
            return quantization.ToByte() == Quantisation && quantization.Objection(DataType, Operation) is null && LabelObjection(Label) is null
                && Tensors is >= 1 and <= Limits.TensorsInFlightMax;
        }
    }

    public int ElementBytes => ElementBytesOf(DataType);

    public ulong Bytes => Count * (ulong)ElementBytes;

    /// <summary>Whether bulk data waits until the master has seen that all ranks entered with the same descriptor.</summary>
    public bool NeedsGo => Math.Max(Bytes, CodeBytes) > (ulong)EagerBytesMax;

    /// <summary>Bytes that may leave a peer before the master's Go: tensors that are reduced together share what one operation may send.</summary>
    public int EagerBytesMax => Limits.EagerBytesMax / Math.Max((ushort)1, Tensors);

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

            hash = (hash ^ Tensors) * 16777619u;
            Span<byte> label = stackalloc byte[Limits.LabelBytesMax];
            foreach (var value in label[..Encoding.UTF8.GetBytes(Label, label)])
            {
                hash = (hash ^ value) * 16777619u;
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
        // Before the numbers: it says more than they do.
        if (left.Label != right.Label)
        {
            return LabelDifference(left.Label, right.Label);
        }

        if (left.Tensors != right.Tensors)
        {
            return SizeDifference(left.Tensors, right.Tensors);
        }

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

        if (left.Quantisation != right.Quantisation)
        {
            return $"quantisation {Quantization.FromByte(left.Quantisation)} against {Quantization.FromByte(right.Quantisation)}";
        }

        return null;
    }

    /// <summary>Says that one of two sets, or a single tensor, is not as large as the other.</summary>
    public static string SizeDifference(int left, int right)
    {
        static string Text(int tensors) => tensors == 1 ? "a single tensor" : string.Create(CultureInfo.InvariantCulture, $"a set of {tensors} tensors");
        return $"{Text(left)} against {Text(right)}";
    }

    /// <summary>Why a text cannot be a label; null when it can.</summary>
    public static string? LabelObjection(string label)
    {
        if (Encoding.UTF8.GetByteCount(label) is > Limits.LabelBytesMax and var bytes)
        {
            return string.Create(CultureInfo.InvariantCulture, $"the label has {bytes} bytes in UTF-8: use at most {Limits.LabelBytesMax}");
        }

        foreach (var rune in label.EnumerateRunes())
        {
            if (Rune.IsControl(rune) || rune == Rune.ReplacementChar)
            {
                return "the label contains a control character, or one that is not valid Unicode: use printable text";
            }
        }

        return null;
    }

    private static string LabelDifference(string left, string right)
    {
        if (Encoding.UTF8.GetByteCount(left) <= QuotedWholeBytes && Encoding.UTF8.GetByteCount(right) <= QuotedWholeBytes)
        {
            return $"label \"{left}\" against \"{right}\"";
        }

        var same = 0;
        while (same < left.Length && same < right.Length && left[same] == right[same])
        {
            same++;
        }

        return $"label {Around(left, same)} against {Around(right, same)}";
    }

    /// <summary>At most 50 characters around a position, quoted.</summary>
    private static string Around(string label, int position)
    {
        var start = Math.Max(0, position - 20);
        var end = Math.Min(label.Length, position + 30);
        return $"\"{(start > 0 ? "…" : "")}{label[start..end]}{(end < label.Length ? "…" : "")}\"";
    }
}
