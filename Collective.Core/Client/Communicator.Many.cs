using Collective.Protocol;

namespace Collective;

/// <summary>Many tensors with one verdict.</summary>
public sealed partial class Communicator
{
    /// <summary>
    /// Reduces many tensors with one verdict: all of them, over the same peers, or none, and then every buffer is what it was. What a training step reduces belongs together: of tensors that
    /// are reduced one by one some may have committed when a peer is lost, and who then repeats all sums these twice.
    /// </summary>
    /// <param name="requests">The tensors, in the same order on all peers; at most 8,192. Their own tags are not used.</param>
    /// <param name="tag">The tag of the set.</param>
    /// <param name="timeout">Longest time of the call; <see langword="null"/>: <see cref="CommunicatorOptions.CallTimeout"/>.</param>
    /// <param name="cancellationToken">Cancels the call.</param>
    /// <returns>The contributors of all tensors, and the bytes of all.</returns>
    /// <exception cref="CollectiveException">As <see cref="AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>.</exception>
    /// <exception cref="OperationCanceledException">Cancelled, and aborted for all peers.</exception>
    public async Task<AllReduceResult> AllReduceManyAsync(IReadOnlyList<AllReduceRequest> requests, ulong tag = 0, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(requests);
        Require(requests.Count > 0, "the list of requests is empty");
        Require(requests.All(r => r is not null), "a request in the list is null");
        foreach (var request in requests)
        {
            request.Describe(); // What is wrong is found before anything is sent.
        }

        var set = BeginAllReduceMany(requests.Count, tag, timeout, cancellationToken);
        try
        {
            for (var i = 0; i < requests.Count; i++)
            {
                set.Launch(i, requests[i]);
            }
        }
        catch (CollectiveException) when (set.HasEnded)
        {
            // Its completion says why.
        }
        catch
        {
            set.Cancel();
            await ((Task)set.Completion).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }

        return await set.Completion.ConfigureAwait(false);
    }

    /// <summary>
    /// Begins an all-reduce of <paramref name="count"/> tensors with one verdict, whose tensors are launched one by one as they become ready: <see cref="AllReduceSet.Launch(AllReduceRequest)"/>.
    /// Nothing is sent before the first.
    /// </summary>
    /// <param name="count">Tensors of the set, 1 to 8,192.</param>
    /// <param name="tag">Separates it from other collectives in flight.</param>
    /// <param name="timeout">Longest time from now until its end; <see langword="null"/>: <see cref="CommunicatorOptions.CallTimeout"/>.</param>
    /// <param name="cancellationToken">Cancels it.</param>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.InvalidArgument"/>, <see cref="ErrorCode.NotConnected"/>.</exception>
    public AllReduceSet BeginAllReduceMany(int count, ulong tag = 0, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        Require(count is >= 1 and <= Limits.TensorsInFlightMax, $"a set has 1 to {Limits.TensorsInFlightMax} tensors, not {count}");
        var timeoutMs = TimeoutMs(timeout);
        return Current().BeginSet(new Tag(tag), count, timeoutMs, cancellationToken);
    }
}
