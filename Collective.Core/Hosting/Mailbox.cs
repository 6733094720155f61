using System.Diagnostics.CodeAnalysis;

namespace Collective.Hosting;

/// <summary>
/// The bounded queue of inputs of one loop. Waits without spinning, unlike <see cref="System.Collections.Concurrent.BlockingCollection{T}"/>: a loop wakes
/// several times in each operation, and spinning would take the processor from the threads it waits for.
/// </summary>
internal sealed class Mailbox<T>(int capacity)
{
    // Guards the queue between whoever posts and the loop.
    private readonly object _gate = new();
    private readonly Queue<T> _items = new();
    private bool _closed;

    /// <summary>Adds an item, waiting while the mailbox is full; ignored once it is closed.</summary>
    public void Post(T item)
    {
        lock (_gate)
        {
            while (_items.Count >= capacity && !_closed)
            {
                Monitor.Wait(_gate);
            }

            if (!_closed)
            {
                _items.Enqueue(item);
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Takes the oldest item, waiting for one up to a time; false when none came, or at once when the mailbox is closed.</summary>
    public bool TryTake([MaybeNullWhen(false)] out T item, long timeoutMs)
    {
        lock (_gate)
        {
            if (_items.Count == 0 && !_closed && timeoutMs > 0)
            {
                Monitor.Wait(_gate, (int)Math.Min(timeoutMs, int.MaxValue));
            }

            if (!_items.TryDequeue(out item))
            {
                return false;
            }

            if (_items.Count == capacity - 1)
            {
                Monitor.PulseAll(_gate);
            }

            return true;
        }
    }

    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.PulseAll(_gate);
        }
    }
}
