using Collective.Coordination;
using Collective.Protocol;

namespace Collective;

/// <summary>
/// One all-reduce of several tensors, with one verdict: all of them are reduced, over the same peers, or none is and every buffer is what it was. Each tensor travels as soon as it is
/// launched, so that those which are ready early overlap with the making of the others. Made by <see cref="Communicator.BeginAllReduceMany"/>.
/// </summary>
/// <remarks>
/// All peers of the group begin it with the same tag and number of tensors, and launch each position once, with equal arguments, in whatever order each of them likes. Any thread may launch.
/// Buffers belong to the library until <see cref="Completion"/> ends. A set that will not be launched completely must be cancelled: until it has ended it is in flight.
/// </remarks>
public sealed class AllReduceSet
{
    private readonly TaskCompletionSource<AllReduceResult> _completion;
    private readonly Participation _participation;
    private readonly AllReduceOperation?[] _tensors;

    // Guards the fields below: tensors are launched by any thread, the outcome comes from the loop, and quiet from a stripe.
    private readonly Lock _gate = new();
    private Outcome? _outcome;
    private World? _seen;
    private int _launched;
    private int _next;
    private int _moving;

    internal AllReduceSet(Participation participation, OperationId id, Tag tag, int count, bool inline)
    {
        _completion = Completions.New<AllReduceResult>(inline);
        _participation = participation;
        _tensors = new AllReduceOperation?[count];
        Id = id;
        Tag = tag;
        Completion = _completion.Task;
    }

    /// <summary>Ends when no buffer is touched any more: with what was committed, or with why all was aborted. The bytes are those of all tensors.</summary>
    /// <exception cref="CollectiveException">As of <see cref="Communicator.AllReduceAsync(AllReduceRequest, TimeSpan?, CancellationToken)"/>.</exception>
    public Task<AllReduceResult> Completion { get; private set; }

    /// <summary>Tensors in the set.</summary>
    public int Count => _tensors.Length;

    internal OperationId Id { get; }

    internal Tag Tag { get; }

    /// <summary>Whether nothing can be launched any more, because it has ended.</summary>
    internal bool HasEnded
    {
        get
        {
            lock (_gate)
            {
                return _outcome is not null;
            }
        }
    }

    /// <summary>Launches the tensor at the lowest position that was not launched yet.</summary>
    /// <inheritdoc cref="Launch(int, AllReduceRequest)"/>
    public void Launch(AllReduceRequest request) => LaunchAt(null, request);

    /// <summary>Launches the tensor at a position. Its tag is not used: the set has one.</summary>
    /// <exception cref="CollectiveException">
    /// <see cref="ErrorCode.InvalidArgument"/>: the position does not exist or was launched before, or the request is wrong: the set goes on. Of another code: what has ended the set.
    /// </exception>
    public void Launch(int position, AllReduceRequest request) => LaunchAt(position, request);

    /// <summary>Aborts it for all peers, unless all had finished it.</summary>
    public void Cancel() => _participation.Cancel(Id);

    /// <summary>To be called when the state machine knows of the set.</summary>
    internal void CancelWith(CancellationToken cancellationToken)
        => Completion = cancellationToken.CanBeCanceled ? Participation.WithCancellation(_completion.Task, Cancel, cancellationToken) : Completion;

    /// <summary>The verdict, or the end without one. The caller hears it as soon as all buffers are at rest.</summary>
    internal void Finish(Outcome outcome, World? seen)
    {
        lock (_gate)
        {
            if (_outcome is not null)
            {
                return;
            }

            _outcome = outcome;
            _seen = seen;
            _moving = _launched + 1;
        }

        foreach (var tensor in _tensors)
        {
            tensor?.Finish(outcome); // Calls Quiet, perhaps later.
        }

        Quiet();
    }

    /// <summary>The buffers of one tensor are at rest.</summary>
    internal void Quiet()
    {
        lock (_gate)
        {
            if (--_moving > 0)
            {
                return;
            }
        }

        var outcome = _outcome!.Value;
        var bytes = _tensors.Sum(t => (long)(t?.Descriptor.Bytes ?? 0));
        AllReduceOperation.OffTheLoop(!outcome.Succeeded && bytes > Limits.RestoreInlineBytesMax, () => RestoreAndTell(outcome));
    }

    private void LaunchAt(int? position, AllReduceRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        AllReduceOperation operation;
        int at;
        lock (_gate)
        {
            if (_outcome is { Succeeded: false } ended)
            {
                throw Failures.Of(ended);
            }

            while (position is null && _next < _tensors.Length && _tensors[_next] is not null)
            {
                _next++;
            }

            at = position ?? _next;
            Communicator.Require(position is not null || at < _tensors.Length, $"all {_tensors.Length} tensors of the set have been launched");
            Communicator.Require(at >= 0 && at < _tensors.Length, $"there is no position {at} in a set of {_tensors.Length} tensors: use 0 to {_tensors.Length - 1}");
            Communicator.Require(_tensors[at] is null, $"tensor {at} of the set has been launched");
            operation = _participation.NewOperation(request, Tag, (ushort)_tensors.Length, this);
            _tensors[at] = operation;
            _launched++;
            _participation.Remember(operation);
        }

        // Outside: it waits while the loop is behind, which may be about to end the set.
        _participation.LaunchTensor(this, operation, (ushort)at);
    }

    private void RestoreAndTell(Outcome outcome)
    {
        World? world = null;
        var (sent, received) = (0L, 0L);
        foreach (var tensor in _tensors.OfType<AllReduceOperation>())
        {
            outcome = tensor.Restore(outcome);
            var result = tensor.Release();
            world = result.World ?? world;
            sent += result.BytesSent;
            received += result.BytesReceived;
            _participation.Forget(tensor);
        }

        if (_seen is not null)
        {
            _participation.See(_seen);
        }

        if (outcome.Succeeded)
        {
            _completion.Complete(new AllReduceResult(world!, sent, received));
        }
        else
        {
            _completion.Fail(Failures.Of(outcome, _seen));
        }
    }
}
