using Collective.Protocol;

namespace Collective.Transport;

/// <summary>
/// Segments waiting for a stripe. One operation posts at most its own segments, so the length is bounded by what is in flight;
/// the ring buffer grows to the largest use and is then reused: nothing is allocated per segment.
/// </summary>
internal sealed class SegmentQueue
{
    private Item[] _items = new Item[64];
    private int _head;

    internal readonly record struct Item(ISegmentHandler Handler, SegmentHeader Header);

    public int Count { get; private set; }

    public void Enqueue(ISegmentHandler handler, in SegmentHeader header)
    {
        if (Count == _items.Length)
        {
            var larger = new Item[2 * Count];
            for (var i = 0; i < Count; i++)
            {
                larger[i] = _items[(_head + i) & (Count - 1)];
            }

            _items = larger;
            _head = 0;
        }

        _items[(_head + Count) & (_items.Length - 1)] = new Item(handler, header);
        Count++;
    }

    public Item Dequeue()
    {
        Invariant.Holds(Count > 0);
        var item = _items[_head];
        _items[_head] = default;
        _head = (_head + 1) & (_items.Length - 1);
        Count--;
        return item;
    }

    public void Clear()
    {
        Array.Clear(_items);
        _head = 0;
        Count = 0;
    }
}
