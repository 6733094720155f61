using System.Diagnostics;
using Collective.Protocol;

namespace Collective;

/// <summary>
/// "Multiple with retry". Every peer launches what is not committed in the order of the list, so that all have the same operations in flight;
/// verdicts are the same for all, so what is left to do after an abort is too.
/// </summary>
internal sealed class RetryingBatch(Communicator communicator, IReadOnlyList<AllReduceRequest> requests, int maxInFlight, TimeSpan timeout)
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly Dictionary<ulong, AllReduceResult> _results = [];
    private World? _world;
    private long _bytesSent;
    private long _bytesReceived;
    private int _retries;

    public async Task<AllReduceMultipleResult> RunAsync(CancellationToken cancellationToken)
    {
        var left = requests.ToList();
        while (left.Count > 0)
        {
            left = await RunRound(left, cancellationToken).ConfigureAwait(false);
            _retries += left.Count;
            if (_retries > Limits.RetriesMax)
            {
                throw new CollectiveException(ErrorCode.OperationAborted, $"{Limits.RetriesMax} attempts were aborted in one call: the run loses peers faster than it reduces.");
            }
        }

        return new AllReduceMultipleResult(_world!, _bytesSent, _bytesReceived, _retries, [.. requests.Select(r => _results[r.Tag])]);
    }

    /// <summary>Runs what is left until one is aborted or all have committed; gives those that have not.</summary>
    private async Task<List<AllReduceRequest>> RunRound(List<AllReduceRequest> left, CancellationToken cancellationToken)
    {
        var notCommitted = new List<AllReduceRequest>();
        var inFlight = new Queue<(AllReduceRequest Request, Task<AllReduceResult> Task)>();
        Exception? failure = null;
        var next = 0;
        while (next < left.Count || inFlight.Count > 0)
        {
            if (next < left.Count && inFlight.Count < maxInFlight && notCommitted.Count == 0 && failure is null)
            {
                inFlight.Enqueue((left[next], Launch(left[next], cancellationToken)));
                next++;
                continue;
            }

            if (inFlight.TryDequeue(out var oldest))
            {
                failure = await Await(oldest.Request, oldest.Task, notCommitted).ConfigureAwait(false) ?? failure;
                continue;
            }

            break;
        }

        notCommitted.AddRange(left.Skip(next));
        return failure switch
        {
            null => notCommitted,

            // Alone for a moment only: the company that has come since enters all operations of the list. (Company that needs the shared state first is the caller's to see to.)
            CollectiveException { Code: ErrorCode.TooFewPeers, World: null or { WorldSize: 1 } } when communicator.LiveWorld.WorldSize > 1 => notCommitted,
            CollectiveException e => throw new CollectiveException(e.Code, e.Message, e) { World = e.World },
            _ => throw failure,
        };
    }

    /// <summary>A call that is refused at once ends like one that fails later: after what is in flight.</summary>
    private async Task<AllReduceResult> Launch(AllReduceRequest request, CancellationToken cancellationToken)
        => await communicator.AllReduceAsync(request, TimeLeft(), cancellationToken).ConfigureAwait(false);

    /// <summary>Of the whole call's time; an attempt that begins when it is over ends at once, and says so.</summary>
    private TimeSpan TimeLeft()
    {
        var left = timeout - Stopwatch.GetElapsedTime(_start);
        return timeout == Timeout.InfiniteTimeSpan ? timeout : left.TotalMilliseconds < 1 ? TimeSpan.FromMilliseconds(1) : left;
    }

    /// <summary>What ends the whole batch, once nothing of it is in flight; null when the operation committed or was aborted.</summary>
    private async Task<Exception?> Await(AllReduceRequest request, Task<AllReduceResult> task, List<AllReduceRequest> notCommitted)
    {
        try
        {
            var result = await task.ConfigureAwait(false);
            _world = result.World;
            _results.Add(request.Tag, result);
            _bytesSent += result.BytesSent;
            _bytesReceived += result.BytesReceived;
            return null;
        }
        catch (CollectiveException e)
        {
            notCommitted.Add(request);
            return e.Code == ErrorCode.OperationAborted ? null : e;
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            return e;
        }
    }
}
