using System.Numerics.Tensors;

namespace Collective;

/// <summary>All-reduce of the tensors of System.Numerics.Tensors, of any shape and strides. All peers pass the same shape.</summary>
/// <remarks>A tensor whose elements do not lie in row-major order without gaps is copied, and copied back.</remarks>
public static class TensorExtensions
{
    /// <summary>Reduces <paramref name="tensor"/> in place over all peers of the group, and blocks until it is done.</summary>
    /// <inheritdoc cref="Communicator.AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public static AllReduceResult AllReduce<T>(
        this Communicator communicator,
        TensorSpan<T> tensor,
        ReduceOperation operation = ReduceOperation.Sum,
        ulong tag = 0,
        TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
        where T : unmanaged
        => communicator.AllReduce(tensor, tensor, operation, tag, timeout, cancellationToken);

    /// <summary>
    /// Reduces <paramref name="source"/> over all peers of the group into <paramref name="destination"/>, which has the same shape, and blocks until it is done.
    /// </summary>
    /// <inheritdoc cref="Communicator.AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public static unsafe AllReduceResult AllReduce<T>(
        this Communicator communicator,
        ReadOnlyTensorSpan<T> source,
        TensorSpan<T> destination,
        ReduceOperation operation = ReduceOperation.Sum,
        ulong tag = 0,
        TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(communicator);
        RequireTarget(source.Lengths, destination.Lengths, destination.Strides);
        if (!IsRowMajor(source.Lengths, source.Strides) || !IsRowMajor(destination.Lengths, destination.Strides))
        {
            var copy = new T[checked((int)source.FlattenedLength)];
            source.FlattenTo(copy);
            var result = communicator.AllReduce(copy.AsSpan(), operation, tag, timeout, cancellationToken);
            new ReadOnlyTensorSpan<T>(copy, destination.Lengths).CopyTo(destination);
            return result;
        }

        fixed (T* from = source, to = destination)
        {
            var request = AllReduceRequest.Unmanaged((nint)from, (nint)to, source.FlattenedLength, Buffers.DataTypeOf<T>(), tag, operation);
            return communicator.AllReduceAsync(request, timeout, cancellationToken).GetAwaiter().GetResult();
        }
    }

    /// <summary>Reduces <paramref name="tensor"/> in place over all peers of the group.</summary>
    /// <inheritdoc cref="Communicator.AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public static Task<AllReduceResult> AllReduceAsync<T>(
        this Communicator communicator,
        Tensor<T> tensor,
        ReduceOperation operation = ReduceOperation.Sum,
        ulong tag = 0,
        TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
        where T : unmanaged
        => communicator.AllReduceAsync(tensor, tensor, operation, tag, timeout, cancellationToken);

    /// <summary>Reduces <paramref name="source"/> over all peers of the group into <paramref name="destination"/>, which has the same shape.</summary>
    /// <inheritdoc cref="Communicator.AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public static async Task<AllReduceResult> AllReduceAsync<T>(
        this Communicator communicator,
        Tensor<T> source,
        Tensor<T> destination,
        ReduceOperation operation = ReduceOperation.Sum,
        ulong tag = 0,
        TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(communicator);
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(destination);
        RequireTarget(source.Lengths, destination.Lengths, destination.Strides);
        if (!IsRowMajor(source.Lengths, source.Strides) || !IsRowMajor(destination.Lengths, destination.Strides))
        {
            var copy = new T[checked((int)source.FlattenedLength)];
            source.FlattenTo(copy);
            var result = await communicator.AllReduceAsync(copy.AsMemory(), operation, tag, timeout, cancellationToken).ConfigureAwait(false);
            new ReadOnlyTensorSpan<T>(copy, destination.Lengths).CopyTo(destination);
            return result;
        }

        using var from = source.GetPinnedHandle();
        using var to = destination.GetPinnedHandle();
        var request = Request(from, to, source.FlattenedLength, Buffers.DataTypeOf<T>(), tag, operation);
        return await communicator.AllReduceAsync(request, timeout, cancellationToken).ConfigureAwait(false);
    }

    private static unsafe AllReduceRequest Request(
        System.Buffers.MemoryHandle from, System.Buffers.MemoryHandle to, nint count, DataType type, ulong tag, ReduceOperation operation)
        => AllReduceRequest.Unmanaged((nint)from.Pointer, (nint)to.Pointer, count, type, tag, operation);

    private static bool IsRowMajor(ReadOnlySpan<nint> lengths, ReadOnlySpan<nint> strides)
    {
        nint expected = 1;
        for (var i = lengths.Length - 1; i >= 0; i--)
        {
            if (lengths[i] != 1 && strides[i] != expected)
            {
                return false;
            }

            expected *= lengths[i];
        }

        return true;
    }

    private static void RequireTarget(ReadOnlySpan<nint> source, ReadOnlySpan<nint> destination, ReadOnlySpan<nint> strides)
    {
        if (!source.SequenceEqual(destination))
        {
            var (from, to) = (string.Join(" x ", source.ToArray()), string.Join(" x ", destination.ToArray()));
            throw new CollectiveException(ErrorCode.InvalidArgument, $"the source's shape is {from}, the destination's {to}: they must be equal");
        }

        for (var i = 0; i < strides.Length; i++)
        {
            if (strides[i] == 0 && destination[i] > 1)
            {
                throw new CollectiveException(ErrorCode.InvalidArgument, $"dimension {i} of the destination is broadcast: its elements share memory. Pass a copy");
            }
        }
    }
}
