using Collective.Kernels;
using Collective.Protocol;
using Collective.Transport;

namespace Collective.Collectives;

/// <summary>What a ring tells its peer. Called from the transport's threads.</summary>
internal interface IRingEvents
{
    /// <summary>This rank holds the whole result and everything it owed has left.</summary>
    void RingCompleted(RingAllReduce ring);

    /// <summary>A stopped ring does not touch its buffers any more.</summary>
    void RingQuiet(RingAllReduce ring);
}

/// <summary>
/// The buffers of one operation. For an in-place one <see cref="Source"/> equals <see cref="Destination"/> and <see cref="Work"/> is as large.
/// For a quantised one <see cref="Pieces"/> holds every segment as it travels (<see cref="RingLayout.PiecesBytes"/>).
/// </summary>
internal readonly record struct RingBuffers(nint Source, nint Destination, nint Work, nint Pieces = 0)
{
    public bool InPlace => Source == Destination;

    /// <summary>Where partial sums grow: the destination, or the work buffer of an in-place operation.</summary>
    public nint Partial => InPlace ? Work : Destination;
}

/// <summary>
/// Ring all-reduce, driven by the segments that arrive: each is reduced and forwarded as soon as it is here. No thread of its own, no waiting;
/// segments of different steps and stripes are independent. Element order of the reduction is fixed by ring and chunk, never by timing.
/// </summary>
/// <remarks>
/// An in-place operation reduces in a work buffer and exchanges each segment with the caller's memory when it is final, so the caller's data survives
/// in the work buffer until the verdict (guarantee G3). A segment can only become final after this rank's own contribution to it has left.
/// <para>A quantised operation sends and receives pieces. In reduce-scatter each hop decodes, combines, and encodes afresh; the owner of a chunk encodes the final
/// segment once and takes what its piece decodes to, and all-gather passes the piece on as it came, so that all hold the same bits.</para>
/// </remarks>
internal sealed unsafe class RingAllReduce(ILink next) : ISegmentHandler
{
    /// <summary>Tested with &amp;: HasFlag boxes until the method is compiled for the second time.</summary>
    [Flags]
    private enum Progress : byte
    {
        None = 0,
        PartialArriving = 1,
        PartialDone = 2,
        FinalArriving = 4,
        FinalDone = 8,
    }

    private const int DecodedBlockBytes = 8192;

    // Guards all fields below against the threads of the stripes; held for a few instructions per segment, never during IO or arithmetic.
    private readonly Lock _gate = new();
    private readonly Queue<SegmentHeader> _held = new();
    private RingLayout _layout;
    private RingBuffers _buffers;
    private IReducer _reducer = null!;
    private IPieceCodec? _codec;
    private IRingEvents _events = null!;
    private uint _digest;
    private Progress[] _progress = [];
    private long _receivesLeft;
    private long _sendsLeft;
    private int _eagerBytesLeft;
    private bool _released;
    private bool _stopped = true;
    private bool _quietReported;
    private int _moving;

    public AttemptKey Attempt { get; private set; }

    public long BytesSent { get; private set; }

    public long BytesReceived { get; private set; }

    /// <summary>Sets a new or quiet ring up for an attempt; nothing moves before <see cref="Start"/>. The memory of earlier attempts is used again.</summary>
    public void Prepare(AttemptKey attempt, CollectiveDescriptor descriptor, RingLayout layout, RingBuffers buffers, IReducer reducer, IRingEvents events)
    {
        lock (_gate)
        {
            Invariant.Holds(_moving == 0);
            Attempt = attempt;
            _digest = descriptor.Digest;
            _layout = layout;
            _buffers = buffers;
            _reducer = reducer;
            _codec = Codecs.For(descriptor);
            Invariant.Holds(_codec is null || buffers.Pieces != 0 || descriptor.Count == 0);
            _events = events;
            (_sendsLeft, BytesSent) = layout.TotalSent();
            (_receivesLeft, BytesReceived) = layout.TotalReceived();
            _eagerBytesLeft = descriptor.EagerBytesMax;
            _released = !descriptor.NeedsGo;
            _stopped = _quietReported = false;
            _held.Clear();
            var entries = layout.WorldSize * layout.SegmentsPerChunkMax;
            if (_progress.Length < entries)
            {
                _progress = new Progress[entries];
            }

            Array.Clear(_progress, 0, entries);
        }
    }

    /// <summary>Sends this rank's own chunk: eagerly what the window allows, the rest after <see cref="Release"/>.</summary>
    public void Start()
    {
        var chunk = _layout.ChunkSent(0);
        var segments = _layout.SegmentsOf(chunk);
        for (var segment = 0; segment < segments; segment++)
        {
            Post(0, segment, chunk);
        }

        if (_layout.IsEmpty)
        {
            _events.RingCompleted(this); // No segment moves whose end would say so.
        }
    }

    /// <summary>The master's Go: bulk data may flow.</summary>
    public void Release()
    {
        lock (_gate)
        {
            _released = true;
        }

        while (NextHeld() is { } header)
        {
            next.Send(this, header);
        }
    }

    /// <summary>Ends the attempt: no segment begins to move any more. <see cref="IRingEvents.RingQuiet"/> follows when none does, perhaps within this call.</summary>
    public void Stop()
    {
        bool quiet;
        IRingEvents events;
        lock (_gate)
        {
            _stopped = true;
            _held.Clear();
            quiet = BecomesQuiet();
            events = _events;
        }

        if (quiet)
        {
            events.RingQuiet(this);
        }
    }

    /// <summary>Gives an in-place operation's caller its data back. Only after the ring is quiet.</summary>
    public void Restore()
    {
        Invariant.Holds(_stopped && _moving == 0);
        if (!_buffers.InPlace)
        {
            return;
        }

        for (var chunk = 0; chunk < _layout.WorldSize; chunk++)
        {
            for (var segment = 0; segment < _layout.SegmentsOf(chunk); segment++)
            {
                if ((_progress[Index(chunk, segment)] & Progress.FinalDone) != 0)
                {
                    var (offset, bytes) = _layout.Segment(chunk, segment);
                    At(_buffers.Work, offset, bytes).CopyTo(At(_buffers.Destination, offset, bytes));
                }
            }
        }
    }

    public bool BeginSend(in SegmentHeader header, out ReadOnlySpan<byte> payload)
    {
        lock (_gate)
        {
            if (_stopped || header.Attempt != Attempt)
            {
                payload = default;
                return false;
            }

            _moving++;
        }

        var step = (int)header.Step;
        var chunk = _layout.ChunkSent(step);
        var (offset, bytes) = _layout.Segment(chunk, (int)header.Segment);
        var values = At(step == 0 ? _buffers.Source : step < _layout.ScatterSteps ? _buffers.Partial : _buffers.Destination, offset, bytes);
        payload = _codec is null ? values : Piece(chunk, (int)header.Segment);
        if (_codec is not null && step < _layout.ScatterSteps)
        {
            _codec.Encode(values, Piece(chunk, (int)header.Segment)); // Here, on the thread that sends: the one that receives decodes meanwhile.
        }

        return true;
    }

    public void EndSend(in SegmentHeader header, bool sent) => EndMove(sent ? 1 : 0, 0);

    public SegmentVerdict BeginReceive(in SegmentHeader header, out Span<byte> target)
    {
        target = default;
        lock (_gate)
        {
            // Data of an unlike operation is never combined: the master, which compares the descriptors, ends the attempt for all.
            if (_stopped || header.Attempt != Attempt || header.DescriptorDigest != _digest)
            {
                return SegmentVerdict.Discard;
            }

            if (header.Step >= _layout.Steps)
            {
                return SegmentVerdict.Violation;
            }

            var chunk = _layout.ChunkReceived((int)header.Step);
            if (header.Segment >= _layout.SegmentsOf(chunk))
            {
                return SegmentVerdict.Violation;
            }

            ref var progress = ref _progress[Index(chunk, (int)header.Segment)];
            var scattering = header.Step < _layout.ScatterSteps;
            var mark = scattering ? Progress.PartialArriving : Progress.FinalArriving;
            var outOfOrder = !scattering && chunk != _layout.ChunkSent(0) && (progress & Progress.PartialDone) == 0;
            if (header.PayloadBytes != _layout.PayloadBytes(chunk, (int)header.Segment) || (progress & mark) != 0 || outOfOrder)
            {
                return SegmentVerdict.Violation;
            }

            progress |= mark;
            _moving++;
            var (offset, bytes) = _layout.Segment(chunk, (int)header.Segment);
            target = _codec is null ? At(_buffers.Partial, offset, bytes) : Piece(chunk, (int)header.Segment);
            return SegmentVerdict.Receive;
        }
    }

    public void EndReceive(in SegmentHeader header, bool received)
    {
        if (received)
        {
            Absorb((int)header.Step, (int)header.Segment);
        }

        EndMove(0, received ? 1 : 0);
    }

    /// <summary>Combines a segment that has arrived, and forwards it.</summary>
    private void Absorb(int step, int segment)
    {
        var chunk = _layout.ChunkReceived(step);
        var (offset, bytes) = _layout.Segment(chunk, segment);
        var partial = At(_buffers.Partial, offset, bytes);
        var final = step >= _layout.ScatterSteps - 1;
        if (step < _layout.ScatterSteps)
        {
            Combine(chunk, segment, partial, At(_buffers.Source, offset, bytes), final);
        }
        else
        {
            _codec?.Decode(Piece(chunk, segment), 0, partial);
        }

        if (final && _buffers.InPlace)
        {
            ReduceKernels.Swap(partial, At(_buffers.Destination, offset, bytes));
        }

        lock (_gate)
        {
            _progress[Index(chunk, segment)] |= final ? Progress.PartialDone | Progress.FinalDone : Progress.PartialDone;
        }

        if (step + 1 < _layout.Steps)
        {
            Post(step + 1, segment, chunk);
        }
    }

    /// <summary>Adds the own contribution to what has arrived; the last hop makes the segment final.</summary>
    private void Combine(int chunk, int segment, Span<byte> partial, ReadOnlySpan<byte> own, bool final)
    {
        if (_codec is null)
        {
            _reducer.Accumulate(partial, own);
        }
        else
        {
            DecodeAndAccumulate(_codec, Piece(chunk, segment), partial, own);
        }

        if (final)
        {
            _reducer.Finish(partial, _layout.WorldSize);
            _codec?.Encode(partial, Piece(chunk, segment));
            _codec?.Decode(Piece(chunk, segment), 0, partial);
        }
    }

    /// <summary>Block by block, so that what was decoded is still in the nearest cache when it is combined.</summary>
    private void DecodeAndAccumulate(IPieceCodec codec, ReadOnlySpan<byte> piece, Span<byte> partial, ReadOnlySpan<byte> own)
    {
        for (var start = 0; start < partial.Length; start += DecodedBlockBytes)
        {
            var bytes = Math.Min(DecodedBlockBytes, partial.Length - start);
            var block = partial.Slice(start, bytes);
            codec.Decode(piece, start / codec.ValueBytes, block);
            _reducer.Accumulate(block, own.Slice(start, bytes));
        }
    }

    private void Post(int step, int segment, int chunk)
    {
        var header = new SegmentHeader(Attempt, _digest, (uint)step, (uint)segment, _layout.PayloadBytes(chunk, segment));
        lock (_gate)
        {
            if (_stopped)
            {
                return;
            }

            if (!_released)
            {
                if (header.PayloadBytes > _eagerBytesLeft)
                {
                    _held.Enqueue(header);
                    return;
                }

                _eagerBytesLeft -= header.PayloadBytes;
            }
        }

        next.Send(this, header);
    }

    private SegmentHeader? NextHeld()
    {
        lock (_gate)
        {
            return !_stopped && _held.TryDequeue(out var header) ? header : null;
        }
    }

    private void EndMove(int sent, int received)
    {
        bool completed, quiet;
        IRingEvents events;
        lock (_gate)
        {
            events = _events; // Here: outside, the ring may already serve another operation.
            _moving--;
            _sendsLeft -= sent;
            _receivesLeft -= received;
            completed = !_stopped && _sendsLeft == 0 && _receivesLeft == 0 && sent + received > 0;
            quiet = BecomesQuiet();
        }

        if (completed)
        {
            events.RingCompleted(this);
        }

        if (quiet)
        {
            events.RingQuiet(this);
        }
    }

    private bool BecomesQuiet()
    {
        if (!_stopped || _moving > 0 || _quietReported)
        {
            return false;
        }

        _quietReported = true;
        return true;
    }

    private Span<byte> Piece(int chunk, int segment) => At(_buffers.Pieces, _layout.PieceStart(chunk, segment), _layout.PayloadBytes(chunk, segment));

    private int Index(int chunk, int segment) => (chunk * _layout.SegmentsPerChunkMax) + segment;

    private static Span<byte> At(nint buffer, long offset, int bytes) => new((byte*)buffer + offset, bytes);
}
