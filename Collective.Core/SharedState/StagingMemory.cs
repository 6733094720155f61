namespace Collective.Sharing;

/// <summary>Memory for blocks that have arrived and are not the caller's yet. Grows with what is fetched, in slabs that are lent, and given back as a whole.</summary>
/// <param name="rent">Lends a slab of at least so many bytes. Throws <see cref="OutOfMemoryException"/>.</param>
/// <param name="giveBack">Takes it back.</param>
internal sealed class StagingMemory(Func<long, (nint Address, long Bytes)> rent, Action<(nint Address, long Bytes)> giveBack) : IDisposable
{
    private const int SlabBytes = 32 * 1024 * 1024;
    private const int Alignment = 64;

    // Guards the slabs between the threads that receive.
    private readonly Lock _gate = new();
    private readonly List<(nint Address, long Bytes)> _slabs = [];
    private long _expectedBytes;
    private nint _next;
    private long _left;

    /// <summary>So many bytes will be asked for, about: small ones need no slab of full size.</summary>
    public void Expect(long bytes)
    {
        lock (_gate)
        {
            _expectedBytes += bytes;
        }
    }

    /// <summary>Memory for one answer. Throws <see cref="OutOfMemoryException"/>.</summary>
    public nint Rent(int bytes)
    {
        var size = (bytes + Alignment - 1) / Alignment * Alignment;
        lock (_gate)
        {
            if (size > _left)
            {
                var slab = rent(Math.Clamp(_expectedBytes, size, Math.Max(size, SlabBytes)));
                _slabs.Add(slab);
                (_next, _left) = slab;
            }

            var address = _next;
            _next += size;
            _left -= size;
            _expectedBytes -= size;
            return address;
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _slabs.ForEach(giveBack);
            _slabs.Clear();
            _left = 0;
        }
    }
}
