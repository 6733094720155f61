using System.Net;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Collective.Native;

/// <summary>Reads what C passes. What is wrong is said by a <see cref="NativeException"/>.</summary>
internal static unsafe class Arguments
{
    private const int MillisecondsOfADay = 24 * 3_600_000;

    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw NativeException.InvalidArgument(message);
        }
    }

    public static string Address(in SocketAddress address)
    {
        Require(address.Protocol is 0 or 1, $"The protocol of the address is {address.Protocol}: use inetIPv4 or inetIPv6.");
        var bytes = address.Protocol == 0 ? BytesOf(in address.IPv4) : BytesOf(in address.IPv6);
        return new IPEndPoint(new IPAddress(bytes), address.Port).ToString();
    }

    /// <summary>A text of the caller's; null where there is none.</summary>
    public static string? Text(nint text, string what)
    {
        try
        {
            return text == 0 ? null : s_utf8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated((byte*)text));
        }
        catch (DecoderFallbackException)
        {
            throw NativeException.InvalidArgument($"The {what} is not UTF-8: encode it so.");
        }
    }

    /// <summary>A structure that begins with its size. What the caller does not know is 0; what this library does not know must be.</summary>
    public static T ReadSized<T>(nint pointer, string what)
        where T : unmanaged
    {
        var size = SizeOf<T>(pointer, what);
        for (var i = (nuint)sizeof(T); i < size; i++)
        {
            Require(((byte*)pointer)[i] == 0, $"The {what} of this program uses an option that this version of the library does not know.");
        }

        return Unsafe.ReadUnaligned<T>((void*)pointer);
    }

    /// <summary>Checks a structure to be written that begins with its size; null is allowed.</summary>
    public static void CheckSized<T>(nint pointer, string what)
        where T : unmanaged
    {
        if (pointer != 0)
        {
            _ = SizeOf<T>(pointer, what);
        }
    }

    private static ReadOnlySpan<byte> BytesOf<T>(in T value)
        where T : unmanaged
        => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value));

    private static nuint SizeOf<T>(nint pointer, string what)
        where T : unmanaged
    {
        Require(pointer != 0, $"The {what} is null.");
        var size = Unsafe.ReadUnaligned<nuint>((void*)pointer);
        Require(size >= (nuint)sizeof(T), $"The {what} says that its size is {size}, which is less than {sizeof(T)}: set struct_size to the size of the structure.");
        Require(size <= 4096, $"The {what} says that its size is {size}: set struct_size to the size of the structure.");
        return size;
    }

    /// <summary>The time of a call: null where none is given.</summary>
    public static TimeSpan? Timeout(nint callOptions)
        => callOptions == 0 ? null : Timeout(ReadSized<CallOptions>(callOptions, "call options").TimeoutMs);

    /// <summary>The label of a reduction: empty where none is given.</summary>
    public static string Label(nint callOptions)
        => callOptions == 0 ? "" : Text(ReadSized<CallOptions>(callOptions, "call options").Label, "label") ?? "";

    public static TimeSpan? Timeout(long milliseconds)
    {
        Require(milliseconds >= -1, $"The timeout is {milliseconds} ms: use 1 ms or more, PCCLX_NO_TIMEOUT (-1), or 0 for the default.");
        return milliseconds == 0 ? null : Span(milliseconds);
    }

    /// <summary>-1, and what is longer than can be counted, is no limit.</summary>
    public static TimeSpan Span(double milliseconds)
        => milliseconds < 0 || milliseconds >= TimeSpan.MaxValue.TotalMilliseconds ? System.Threading.Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(milliseconds);

    public static TimeSpan Duration(long milliseconds, TimeSpan defaultValue, string what)
    {
        Require(milliseconds is >= 0 and <= MillisecondsOfADay, $"The {what} is {milliseconds} ms: use 1 ms to 24 h, or 0 for the default.");
        return milliseconds == 0 ? defaultValue : TimeSpan.FromMilliseconds(milliseconds);
    }

    /// <summary>What a reduction shall do.</summary>
    /// <param name="source">The send buffer.</param>
    /// <param name="destination">The receive buffer.</param>
    /// <param name="descriptor">Its elements and what becomes of them.</param>
    /// <param name="label">What the caller says that it is; null for a call of PCCL, which has no labels, and no reductions of nothing.</param>
    public static AllReduceRequest Reduction(nint source, nint destination, in ReduceDescriptor descriptor, string? label)
    {
        var mayBeEmpty = label is not null && descriptor.Count == 0;
        Require(source != 0 || mayBeEmpty, "The send buffer is null.");
        Require(destination != 0 || mayBeEmpty, "The receive buffer is null.");
        Require(descriptor.DataType is >= 0 and <= (int)DataType.Float64, $"{descriptor.DataType} is no data type: use one of pcclDataType_t.");
        Require(descriptor.Algorithm == 0 || descriptor.QuantizedDataType is >= 0 and <= (int)DataType.Float64, $"{descriptor.QuantizedDataType} is no data type to quantise to: use one of pcclDataType_t.");
        Require(descriptor.Algorithm is >= 0 and <= 2, $"{descriptor.Algorithm} is no quantisation algorithm: use one of pcclQuantizationAlgorithm_t.");
        Require(descriptor.Operation is >= 0 and <= (int)ReduceOperation.Min, $"{descriptor.Operation} is no reduce operation: use one of pcclRedOp_t.");
        Require(descriptor.Count > 0 || mayBeEmpty, "The count is 0: a reduction needs at least one element (pcclxAllReduce does not).");
        Require((ulong)descriptor.Count <= long.MaxValue / 8, $"The count is {descriptor.Count}, which is more than memory can hold.");
        QuantizedReduction.Check(descriptor);
        var quantization = descriptor.Algorithm == 0 ? default : new Quantization((QuantizationAlgorithm)descriptor.Algorithm, (DataType)descriptor.QuantizedDataType);
        return AllReduceRequest.Unmanaged(source, destination, (long)descriptor.Count, (DataType)descriptor.DataType, descriptor.Tag, (ReduceOperation)descriptor.Operation, quantization, label ?? "");
    }
}
