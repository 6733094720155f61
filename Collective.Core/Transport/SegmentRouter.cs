using System.Buffers;
using Collective.Protocol;

namespace Collective.Transport;

/// <summary>Where a segment that has arrived goes.</summary>
internal enum SegmentRoute
{
    Handler,
    Early,
    Discard,
    Violation,
}

/// <summary>
/// Finds the operation of a segment. Segments of operations that this peer has not entered yet are kept, within limits, and handed over when it
/// enters; those of older epochs are dropped.
/// </summary>
internal sealed class SegmentRouter
{
    // Guards all fields: stripes look up while the peer's loop registers. Held for a dictionary access only.
    private readonly Lock _gate = new();
    private readonly Dictionary<AttemptKey, ISegmentHandler> _handlers = [];
    private readonly Dictionary<AttemptKey, EarlySegments> _early = [];
    private Epoch _epoch;
    private long _earlyBytes;
    private int _earlySegments;

    private sealed class EarlySegments
    {
        public List<(SegmentHeader Header, byte[] Payload)> Items { get; } = [];

        public int Bytes { get; set; }
    }

    /// <summary>From now on only segments of this epoch count.</summary>
    public void SetEpoch(Epoch epoch)
    {
        lock (_gate)
        {
            _epoch = epoch;
            _handlers.Clear();
            foreach (var early in _early.Values)
            {
                Release(early);
            }

            _early.Clear();
            _earlyBytes = _earlySegments = 0;
        }
    }

    /// <summary>Enters an operation and hands it what arrived early.</summary>
    public void Register(ISegmentHandler handler)
    {
        EarlySegments? early;
        lock (_gate)
        {
            if (handler.Attempt.Epoch != _epoch)
            {
                return; // Aborted before it began.
            }

            _handlers.Add(handler.Attempt, handler);
            if (_early.Remove(handler.Attempt, out early))
            {
                _earlyBytes -= early.Bytes;
                _earlySegments -= early.Items.Count;
            }
        }

        if (early is not null)
        {
            foreach (var (header, payload) in early.Items)
            {
                Deliver(handler, header, payload);
            }

            Release(early);
        }
    }

    public void Unregister(AttemptKey attempt)
    {
        lock (_gate)
        {
            _handlers.Remove(attempt);
        }
    }

    /// <summary>Decides about a segment whose header has arrived. <see cref="SegmentRoute.Early"/>: read it into a rented array and give it to <see cref="KeepEarly"/>.</summary>
    public SegmentRoute Find(in SegmentHeader header, out ISegmentHandler? handler)
    {
        lock (_gate)
        {
            handler = null;
            if (header.Attempt.Epoch != _epoch)
            {
                return header.Attempt.Epoch < _epoch ? SegmentRoute.Discard : SegmentRoute.Violation;
            }

            if (_handlers.TryGetValue(header.Attempt, out handler))
            {
                return SegmentRoute.Handler;
            }

            var known = _early.TryGetValue(header.Attempt, out var early);
            var acceptable = (known || _early.Count < 2 * Limits.TensorsInFlightMax)
                && _earlyBytes + header.PayloadBytes <= Limits.EarlyBytesMax && _earlySegments < Limits.EarlySegmentsMax
                && (early?.Bytes ?? 0) + header.PayloadBytes <= Limits.EarlyBytesPerOperationMax
                && (early?.Items.Count ?? 0) < Limits.EarlySegmentsPerOperationMax;
            return acceptable ? SegmentRoute.Early : SegmentRoute.Violation;
        }
    }

    /// <summary>Keeps a segment (the array comes from the shared pool and now belongs to the router), or delivers it if its operation was entered meanwhile.</summary>
    public void KeepEarly(in SegmentHeader header, byte[] payload)
    {
        ISegmentHandler? handler;
        lock (_gate)
        {
            if (!_handlers.TryGetValue(header.Attempt, out handler) && header.Attempt.Epoch == _epoch)
            {
                if (!_early.TryGetValue(header.Attempt, out var early))
                {
                    _early.Add(header.Attempt, early = new EarlySegments());
                }

                early.Items.Add((header, payload));
                early.Bytes += header.PayloadBytes;
                _earlyBytes += header.PayloadBytes;
                _earlySegments++;
                return;
            }
        }

        if (handler is not null)
        {
            Deliver(handler, header, payload);
        }

        ArrayPool<byte>.Shared.Return(payload);
    }

    private static void Deliver(ISegmentHandler handler, in SegmentHeader header, byte[] payload)
    {
        if (handler.BeginReceive(header, out var target) == SegmentVerdict.Receive)
        {
            payload.AsSpan(0, header.PayloadBytes).CopyTo(target);
            handler.EndReceive(header, received: true);
        }
    }

    private static void Release(EarlySegments early)
    {
        foreach (var (_, payload) in early.Items)
        {
            ArrayPool<byte>.Shared.Return(payload);
        }
    }
}
