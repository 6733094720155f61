using System.Runtime.InteropServices;
using Collective.Protocol;

namespace Collective.Collectives;

/// <summary>
/// Native memory for in-place operations and for syncs, kept for the next one: in steady state nothing is allocated and no page is touched for the first time. There are never
/// more buffers than were in use at once: one that is too small makes way for a larger one. Large ones ask the system for huge pages.
/// </summary>
internal sealed unsafe partial class WorkBuffers : IDisposable
{
    private const int Alignment = 4096;
    private const int HugePageBytes = 2 * 1024 * 1024;
    private const int AdviceHugePage = 14;

    // Guards the list: operations are launched and finished on different threads.
    private readonly Lock _gate = new();
    private readonly List<(nint Address, long Bytes)> _free = [];
    private long _freeBytes;
    private bool _disposed;

    /// <summary>What is kept for later.</summary>
    public long FreeBytes
    {
        get
        {
            lock (_gate)
            {
                return _freeBytes;
            }
        }
    }

    /// <summary>A buffer of at least <paramref name="bytes"/> bytes, whose size goes back with <see cref="Return"/>.</summary>
    public (nint Address, long Bytes) Rent(long bytes)
    {
        lock (_gate)
        {
            var best = -1;
            for (var i = 0; i < _free.Count; i++)
            {
                if (_free[i].Bytes >= bytes && (best < 0 || _free[i].Bytes < _free[best].Bytes))
                {
                    best = i;
                }
            }

            if (best >= 0)
            {
                var found = _free[best];
                _free.RemoveAt(best);
                _freeBytes -= found.Bytes;
                return found;
            }

            DiscardLargest();
        }

        var size = (bytes + Alignment - 1) / Alignment * Alignment;
        return (Allocate(size), size);
    }

    public void Return((nint Address, long Bytes) buffer)
    {
        lock (_gate)
        {
            if (!_disposed && _freeBytes + buffer.Bytes <= Limits.KeptWorkBytesMax)
            {
                _free.Add(buffer);
                _freeBytes += buffer.Bytes;
                return;
            }
        }

        NativeMemory.AlignedFree((void*)buffer.Address);
    }

    private static nint Allocate(long bytes)
    {
        var huge = bytes >= HugePageBytes;
        var address = (nint)NativeMemory.AlignedAlloc((nuint)bytes, (nuint)(huge ? HugePageBytes : Alignment));
        if (huge && OperatingSystem.IsLinux())
        {
            _ = Advise(address, (nuint)bytes / HugePageBytes * HugePageBytes, AdviceHugePage); // Only a matter of speed.
        }

        return address;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);

    private void DiscardLargest()
    {
        if (_free.Count == 0)
        {
            return;
        }

        var largest = _free.MaxBy(buffer => buffer.Bytes);
        _free.Remove(largest);
        _freeBytes -= largest.Bytes;
        NativeMemory.AlignedFree((void*)largest.Address);
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            foreach (var (address, _) in _free)
            {
                NativeMemory.AlignedFree((void*)address);
            }

            _free.Clear();
            _freeBytes = 0;
        }
    }
}
