using Collective.Protocol;

namespace Collective;

/// <summary>One tensor to reduce.</summary>
public sealed class AllReduceRequest
{
    private AllReduceRequest(ReadOnlyMemory<byte> source, Memory<byte> destination, DataType dataType, ReduceOperation operation, ulong tag, Quantization quantization, string label)
    {
        ArgumentNullException.ThrowIfNull(label);
        Source = source;
        Destination = destination;
        DataType = dataType;
        Operation = operation;
        Tag = tag;
        Quantization = quantization;
        Label = label;
    }

    private AllReduceRequest(nint source, nint destination, long count, DataType dataType, ReduceOperation operation, ulong tag, Quantization quantization, string label)
        : this(default, default, dataType, operation, tag, quantization, label)
    {
        UnmanagedMemory = (source, destination, count);
    }

    /// <summary>This peer's contribution; empty where it lies in unmanaged memory.</summary>
    public ReadOnlyMemory<byte> Source { get; }

    /// <summary>Where the result goes; the same memory as <see cref="Source"/> for an in-place operation; empty where it lies in unmanaged memory.</summary>
    public Memory<byte> Destination { get; }

    /// <summary>Element type of both buffers.</summary>
    public DataType DataType { get; }

    /// <summary>How contributions are combined.</summary>
    public ReduceOperation Operation { get; }

    /// <summary>Separates this operation from the others in flight; not used in a set, which has one tag.</summary>
    public ulong Tag { get; }

    /// <summary>What travels in place of the elements; by default the elements themselves.</summary>
    public Quantization Quantization { get; }

    /// <summary>What this operation is, in the caller's words: at most 255 bytes of UTF-8. Peers whose labels differ get <see cref="ErrorCode.Mismatch"/>, which quotes both, and nothing is combined.</summary>
    public string Label { get; }

    /// <summary>Addresses and number of elements, of a request made by <see cref="Unmanaged"/>.</summary>
    internal (nint Source, nint Destination, long Count)? UnmanagedMemory { get; }

    /// <summary>An in-place operation on <paramref name="buffer"/>, whose element type follows from <typeparamref name="T"/>.</summary>
    public static AllReduceRequest InPlace<T>(Memory<T> buffer, ulong tag = 0, ReduceOperation operation = ReduceOperation.Sum, Quantization quantization = default, string label = "")
        where T : unmanaged
    {
        var bytes = Buffers.AsBytes(buffer);
        return new AllReduceRequest(bytes, bytes, Buffers.DataTypeOf<T>(), operation, tag, quantization, label);
    }

    /// <summary>An out-of-place operation from <paramref name="source"/> to <paramref name="destination"/>.</summary>
    public static AllReduceRequest OutOfPlace<T>(ReadOnlyMemory<T> source, Memory<T> destination, ulong tag = 0, ReduceOperation operation = ReduceOperation.Sum, Quantization quantization = default, string label = "")
        where T : unmanaged
        => new(Buffers.AsBytes(source), Buffers.AsBytes(destination), Buffers.DataTypeOf<T>(), operation, tag, quantization, label);

    /// <summary>An operation on untyped memory holding elements of <paramref name="dataType"/>.</summary>
    public static AllReduceRequest Untyped(ReadOnlyMemory<byte> source, Memory<byte> destination, DataType dataType, ulong tag = 0, ReduceOperation operation = ReduceOperation.Sum, Quantization quantization = default, string label = "")
        => new(source, destination, dataType, operation, tag, quantization, label);

    /// <summary>
    /// An operation on memory that no garbage collector moves, of any length: from the <paramref name="count"/> elements at <paramref name="source"/> to those at
    /// <paramref name="destination"/>, the same address for an in-place operation. Both stay where they are, allocated, until the operation ends.
    /// </summary>
    public static AllReduceRequest Unmanaged(nint source, nint destination, long count, DataType dataType, ulong tag = 0, ReduceOperation operation = ReduceOperation.Sum, Quantization quantization = default, string label = "")
        => new(source, destination, count, dataType, operation, tag, quantization, label);

    /// <summary>What the peers compare.</summary>
    /// <exception cref="CollectiveException">The request is wrong in itself.</exception>
    internal CollectiveDescriptor Describe()
    {
        Communicator.RequireEqualLengths(Source.Length, Destination.Length, "bytes");
        var elementBytes = CollectiveDescriptor.ElementBytesOf(DataType);
        Communicator.Require(elementBytes > 0, $"{(int)DataType} is no data type");
        if (UnmanagedMemory is { } memory)
        {
            Communicator.Require(memory.Count >= 0, $"the count is {memory.Count}: use 0 or more");
            Communicator.Require(memory.Count == 0 || (memory.Source != 0 && memory.Destination != 0), "a buffer is null");
            Communicator.Require(memory.Count <= long.MaxValue / elementBytes, $"{memory.Count} elements of {DataType} are more than memory can hold");
            return Describe(memory.Count, DataType, Operation, Quantization, Label);
        }

        Communicator.Require(Source.Length % elementBytes == 0, $"{Source.Length} bytes are no whole number of {DataType} elements");
        return Describe(Source.Length / elementBytes, DataType, Operation, Quantization, Label);
    }

    internal static CollectiveDescriptor Describe(long count, DataType type, ReduceOperation operation, Quantization quantization, string label)
    {
        Communicator.Require(Enum.IsDefined(operation), $"{(int)operation} is no reduce operation");
        var objection = quantization.Objection(type, operation);
        Communicator.Require(objection is null, $"{objection} (docs/quantisation.md lists what there is)");
        var labelObjection = CollectiveDescriptor.LabelObjection(label);
        Communicator.Require(labelObjection is null, labelObjection!);
        return new CollectiveDescriptor((ulong)count, type, operation, quantization.ToByte(), label);
    }
}
