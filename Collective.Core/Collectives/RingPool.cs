using Collective.Transport;

namespace Collective.Collectives;

/// <summary>Quiet rings of one communicator, kept for its next operations: at most as many as were ever in flight at once.</summary>
internal sealed class RingPool
{
    // Guards the stack: rings are rented on the peer's loop and come back on any thread.
    private readonly Lock _gate = new();
    private readonly Stack<RingAllReduce> _quiet = new();

    public RingAllReduce Rent(ILink next)
    {
        lock (_gate)
        {
            return _quiet.TryPop(out var ring) ? ring : new RingAllReduce(next);
        }
    }

    public void Return(RingAllReduce ring)
    {
        lock (_gate)
        {
            _quiet.Push(ring);
        }
    }
}
