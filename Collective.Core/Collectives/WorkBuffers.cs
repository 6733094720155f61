using System.Runtime.InteropServices;
using Collective.Protocol;

namespace Collective.Collectives;

/// <summary>
/// Native memory for in-place operations and for syncs, kept for the next one: in steady state nothing is allocated and no page is touched for the first time. There are never
/// more buffers than were in use at once: one that is too small makes way for a larger one. Large ones ask the system for huge pages. Of what is more than
/// <see cref="Limits.KeptWorkBytesMax"/> each buffer is kept as long as it is used, and for <see cref="Limits.KeptWorkMs"/> after that.
/// </summary>
internal sealed unsafe partial class WorkBuffers(Func<long> nowMs) : IDisposable
{
    private const int Alignment = 4096;
    private const int HugePageBytes = 2 * 1024 * 1024;
    private const int AdviceHugePage = 14;

    // Guards the list: operations are launched and finished on different threads.
    private readonly Lock _gate = new();
    private readonly List<(nint Address, long Bytes, long UsedMs)> _free = [];
    private long _freeBytes;
    private bool _disposed;

    public WorkBuffers()
        : this(static () => Environment.TickCount64)
    {
    }

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
                return (found.Address, found.Bytes);
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
            if (!_disposed)
            {
                _free.Add((buffer.Address, buffer.Bytes, nowMs()));
                _freeBytes += buffer.Bytes;
                return;
            }
        }

        NativeMemory.AlignedFree((void*)buffer.Address);
    }

    /// <summary>Gives the system back what is much and was not used for a while. To be called now and then.</summary>
    public void GiveBackUnused() => GiveBack(nowMs() - Limits.KeptWorkMs);

    /// <summary>Gives back what is much: no operation runs, and none may for long.</summary>
    public void GiveBack() => GiveBack(long.MaxValue);

    private void GiveBack(long usedBeforeMs)
    {
        while (TakeOut(usedBeforeMs) is { } address)
        {
            NativeMemory.AlignedFree((void*)address); // Outside the lock: it takes long.
        }
    }

    private nint? TakeOut(long usedBeforeMs)
    {
        lock (_gate)
        {
            var at = _freeBytes > Limits.KeptWorkBytesMax ? _free.FindIndex(b => b.UsedMs < usedBeforeMs) : -1;
            if (at < 0)
            {
                return null;
            }

            var found = _free[at];
            _free.RemoveAt(at);
            _freeBytes -= found.Bytes;
            return found.Address;
        }
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
            foreach (var (address, _, _) in _free)
            {
                NativeMemory.AlignedFree((void*)address);
            }

            _free.Clear();
            _freeBytes = 0;
        }
    }
}
