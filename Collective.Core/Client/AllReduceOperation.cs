using System.Buffers;
using Collective.Collectives;
using Collective.Coordination;
using Collective.Protocol;
using Collective.Transport;

namespace Collective;

/// <summary>
/// One launched all-reduce: pins the caller's buffers, runs rings on them as the state machine says, and tells the caller only when no link touches
/// the buffers any more and, unless it committed, they are what they were.
/// </summary>
internal sealed class AllReduceOperation : IRingEvents
{
    private readonly TaskCompletionSource<AllReduceResult> _completion;
    private readonly Action<PeerInput> _post;
    private readonly WorkBuffers _workBuffers;
    private readonly RingPool _rings;
    private readonly int _segmentBytes;
    private MemoryHandle _sourcePin;
    private MemoryHandle _destinationPin;
    private nint _source;
    private nint _destination;
    private (nint Address, long Bytes) _work;
    private (nint Address, long Bytes) _pieces;
    private RingAllReduce? _ring;
    private ITransport? _transport;
    private World? _world;
    private World? _seen;

    // Guards the two fields below: the outcome comes from the loop, quiet from a stripe.
    private readonly Lock _gate = new();
    private Outcome? _outcome;
    private bool _quiet = true;

    private readonly AllReduceSet? _set;

    public AllReduceOperation(
        OperationId id,
        Tag tag,
        CollectiveDescriptor descriptor,
        int segmentBytes,
        WorkBuffers workBuffers,
        RingPool rings,
        Action<PeerInput> post,
        AllReduceSet? set = null,
        bool inline = false)
    {
        _completion = Completions.New<AllReduceResult>(inline);
        _set = set;
        Id = id;
        _segmentBytes = segmentBytes;
        Tag = tag;
        Descriptor = descriptor;
        _workBuffers = workBuffers;
        _rings = rings;
        _post = post;
    }

    public OperationId Id { get; }

    public Tag Tag { get; }

    public CollectiveDescriptor Descriptor { get; }

    /// <summary>Whether it is a tensor of a set, which ends it.</summary>
    public bool IsOfSet => _set is not null;

    public Task<AllReduceResult> Completion => _completion.Task;

    /// <summary>Told which world the caller sees from now on, just before it hears of the end.</summary>
    public Action<World>? Sees { get; init; }

    /// <summary>Keeps managed memory where it is until the operation ends.</summary>
    public unsafe void Pin(ReadOnlyMemory<byte> source, Memory<byte> destination)
    {
        _sourcePin = source.Pin();
        _destinationPin = destination.Pin();
        try
        {
            UseMemory((nint)_sourcePin.Pointer, (nint)_destinationPin.Pointer);
        }
        catch
        {
            Unpin();
            throw;
        }
    }

    /// <summary>Memory that the caller keeps in place until the operation ends.</summary>
    public void UseMemory(nint source, nint destination)
    {
        _source = source;
        _destination = destination;
        var bytes = (long)Descriptor.Bytes;
        if (source != destination && source < destination + bytes && destination < source + bytes)
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, "source and destination overlap: pass the same memory for an in-place operation, or memory apart");
        }

        RentBuffers(bytes);
    }

    public void StartRing(ITransport transport, AttemptKey attempt, Membership membership, World world)
    {
        var layout = new RingLayout(Descriptor, membership.Members.Count, membership.Rank, _segmentBytes);
        Invariant.Holds(layout.PiecesBytes <= _pieces.Bytes);
        _transport = transport;
        _world = world;
        _ring = _rings.Rent(transport);
        _ring.Prepare(attempt, Descriptor, layout, new RingBuffers(_source, _destination, _work.Address, _pieces.Address), Reducers.For(Descriptor.DataType, Descriptor.Operation), this);
        transport.Router.Register(_ring);
        _quiet = false;
        _ring.Start();
    }

    public void ReleaseRing() => _ring?.Release();

    /// <summary>The stopped ring stays where segments find it: the others may send until the next epoch, and it drops what comes.</summary>
    public void StopRing() => _ring?.Stop();

    /// <summary>The verdict. The caller hears it as soon as the buffers are at rest.</summary>
    public void Finish(Outcome outcome, World? seen = null)
    {
        StopRing();
        if (outcome.Succeeded)
        {
            _transport!.Router.Unregister(_ring!.Attempt); // Everything has come.
        }

        lock (_gate)
        {
            if (_outcome is not null)
            {
                return;
            }

            _outcome = outcome;
            _seen = seen;
            if (!_quiet)
            {
                return;
            }
        }

        End(outcome);
    }

    public void RingCompleted(RingAllReduce ring) => _post(new PeerInput.RingCompleted(Id));

    public void RingQuiet(RingAllReduce ring)
    {
        Outcome? outcome;
        lock (_gate)
        {
            _quiet = true;
            outcome = _outcome;
        }

        if (outcome is { } ended)
        {
            End(ended);
        }
    }

    private void End(Outcome outcome)
    {
        if (_set is not null)
        {
            _set.Quiet();
            return;
        }

        OffTheLoop(!outcome.Succeeded && _work.Bytes > Limits.RestoreInlineBytesMax, () => RestoreAndTell(outcome));
    }

    /// <summary>Runs what takes long on a thread of its own.</summary>
    public static void OffTheLoop(bool takesLong, Action action)
    {
        if (takesLong)
        {
            try
            {
                // Not on the thread pool: its threads may all be blocked in calls that wait for this.
                new Thread(() => action(), maxStackSize: 1024 * 1024) { IsBackground = true, Name = "collective-restore" }.Start();
                return;
            }
            catch (OutOfMemoryException)
            {
                // The system gives no more threads: then here.
            }
        }

        action();
    }

    private void RestoreAndTell(Outcome outcome)
    {
        outcome = Restore(outcome);
        var (world, sent, received) = Release();
        if (_seen is { } seen)
        {
            Sees?.Invoke(seen);
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

    /// <summary>Gives the caller its data back, unless the operation committed. Only when the ring is quiet.</summary>
    public Outcome Restore(Outcome outcome)
    {
        try
        {
            if (!outcome.Succeeded)
            {
                _ring?.Restore();
            }

            return outcome;
        }
        catch (InvariantException e)
        {
            return new Outcome(ErrorCode.InternalError, e.Message); // On a thread of its own it would end the host.
        }
    }

    /// <summary>Lets go of everything; tells what it has moved, and in which world.</summary>
    public (World? World, long BytesSent, long BytesReceived) Release()
    {
        Unpin();
        ReturnBuffers();
        var moved = (_world, _ring?.BytesSent ?? 0, _ring?.BytesReceived ?? 0);
        if (_ring is { } ring)
        {
            _ring = null;
            _rings.Return(ring);
        }

        return moved;
    }

    /// <summary>At the launch, where the caller hears of it if there is no memory.</summary>
    private void RentBuffers(long bytes)
    {
        try
        {
            if (bytes == 0)
            {
                return;
            }

            if (_source == _destination)
            {
                _work = _workBuffers.Rent(bytes);
            }

            if (RingLayout.PiecesBytesMax(Descriptor, _segmentBytes) is > 0 and var piecesBytes)
            {
                _pieces = _workBuffers.Rent(piecesBytes);
            }
        }
        catch (OutOfMemoryException)
        {
            ReturnBuffers();
            throw;
        }
    }

    private void ReturnBuffers()
    {
        if (_work.Bytes > 0)
        {
            _workBuffers.Return(_work);
        }

        if (_pieces.Bytes > 0)
        {
            _workBuffers.Return(_pieces);
        }
    }

    private void Unpin()
    {
        _sourcePin.Dispose();
        _destinationPin.Dispose();
    }
}
