using Collective.Collectives;
using Collective.Protocol;
using Collective.Transport;

namespace Collective.Core.Tests.Collectives;

/// <summary>Rings that are prepared again and again, over a link that allocates nothing itself.</summary>
internal sealed class SteadyWorld : IRingEvents, IDisposable
{
    private readonly CollectiveDescriptor _descriptor;
    private readonly IReducer _reducer;
    private readonly RingAllReduce[] _rings;
    private readonly RingLayout[] _layouts;
    private readonly Memory[] _buffers;
    private readonly Memory[] _works;
    private readonly Memory[] _pieces;
    private readonly SegmentQueue[] _queues;
    private uint _ordinal;

    public SteadyWorld(CollectiveDescriptor descriptor, int size, int segmentBytes)
    {
        _descriptor = descriptor;
        _reducer = Reducers.For(descriptor.DataType, descriptor.Operation);
        _queues = [.. Enumerable.Range(0, size).Select(_ => new SegmentQueue())];
        _rings = [.. _queues.Select(queue => new RingAllReduce(new Link(queue)))];
        _layouts = [.. Enumerable.Range(0, size).Select(rank => new RingLayout(descriptor, size, rank, segmentBytes))];
        _buffers = [.. _rings.Select(_ => new Memory((int)descriptor.Bytes))];
        _works = [.. _rings.Select(_ => new Memory((int)descriptor.Bytes))];
        _pieces = [.. _layouts.Select(layout => new Memory((int)layout.PiecesBytes))];
    }

    public int Completed { get; private set; }

    public void RunOnce()
    {
        _ordinal++;
        for (var rank = 0; rank < _rings.Length; rank++)
        {
            var buffers = new RingBuffers(_buffers[rank].Address, _buffers[rank].Address, _works[rank].Address, _pieces[rank].Address);
            _rings[rank].Prepare(new AttemptKey(Epoch.First(1), new Tag(1), _ordinal), _descriptor, _layouts[rank], buffers, _reducer, this);
        }

        foreach (var ring in _rings)
        {
            ring.Start();
        }

        for (var moved = true; moved;)
        {
            moved = false;
            for (var rank = 0; rank < _rings.Length; rank++)
            {
                while (_queues[rank].Count > 0)
                {
                    Move(_queues[rank].Dequeue(), _rings[(rank + 1) % _rings.Length]);
                    moved = true;
                }
            }
        }
    }

    public void RingCompleted(RingAllReduce ring) => Completed++;

    public void RingQuiet(RingAllReduce ring)
    {
        // Nothing is stopped here.
    }

    public void Dispose()
    {
        foreach (var memory in _buffers.Concat(_works).Concat(_pieces))
        {
            memory.Dispose();
        }
    }

    private static void Move(SegmentQueue.Item item, RingAllReduce receiver)
    {
        if (item.Handler.BeginSend(item.Header, out var payload) && receiver.BeginReceive(item.Header, out var target) == SegmentVerdict.Receive)
        {
            payload.CopyTo(target);
            item.Handler.EndSend(item.Header, sent: true);
            receiver.EndReceive(item.Header, received: true);
        }
    }

    private sealed class Link(SegmentQueue queue) : ILink
    {
        public void Send(ISegmentHandler handler, in SegmentHeader header) => queue.Enqueue(handler, header);
    }
}
