namespace Collective;

/// <summary>Overloads that save a conversion or the name of an argument.</summary>
public static class CommunicatorExtensions
{
    /// <summary>Reduces <paramref name="buffer"/> in place over all peers of the group.</summary>
    /// <inheritdoc cref="Communicator.AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public static Task<AllReduceResult> AllReduceAsync<T>(
        this Communicator communicator,
        T[] buffer,
        ReduceOperation operation = ReduceOperation.Sum,
        ulong tag = 0,
        TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
        where T : unmanaged
        => Of(communicator).AllReduceAsync(buffer.AsMemory(), operation, tag, timeout, cancellationToken);

    /// <summary>Reduces <paramref name="source"/> over all peers of the group into <paramref name="destination"/>, which must be as long.</summary>
    /// <inheritdoc cref="Communicator.AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>
    public static Task<AllReduceResult> AllReduceAsync<T>(
        this Communicator communicator,
        T[] source,
        T[] destination,
        ReduceOperation operation = ReduceOperation.Sum,
        ulong tag = 0,
        TimeSpan? timeout = null,
        CancellationToken cancellationToken = default)
        where T : unmanaged
        => Of(communicator).AllReduceAsync<T>(source.AsMemory(), destination.AsMemory(), operation, tag, timeout, cancellationToken);

    /// <inheritdoc cref="Communicator.ConnectAsync(TimeSpan?, CancellationToken)"/>
    public static Task ConnectAsync(this Communicator communicator, CancellationToken cancellationToken)
        => Of(communicator).ConnectAsync(null, cancellationToken);

    /// <inheritdoc cref="Communicator.StepAsync(TimeSpan?, CancellationToken)"/>
    public static Task<World> StepAsync(this Communicator communicator, CancellationToken cancellationToken)
        => Of(communicator).StepAsync(null, cancellationToken);

    /// <inheritdoc cref="Communicator.UpdateTopologyAsync(TimeSpan?, CancellationToken)"/>
    public static Task<World> UpdateTopologyAsync(this Communicator communicator, CancellationToken cancellationToken)
        => Of(communicator).UpdateTopologyAsync(null, cancellationToken);

    /// <inheritdoc cref="Communicator.OptimizeTopologyAsync(TimeSpan?, CancellationToken)"/>
    public static Task<World> OptimizeTopologyAsync(this Communicator communicator, CancellationToken cancellationToken)
        => Of(communicator).OptimizeTopologyAsync(null, cancellationToken);

    /// <inheritdoc cref="Communicator.ArePeersPendingAsync(TimeSpan?, CancellationToken)"/>
    public static Task<bool> ArePeersPendingAsync(this Communicator communicator, CancellationToken cancellationToken)
        => Of(communicator).ArePeersPendingAsync(null, cancellationToken);

    private static Communicator Of(Communicator communicator)
    {
        ArgumentNullException.ThrowIfNull(communicator);
        return communicator;
    }
}
