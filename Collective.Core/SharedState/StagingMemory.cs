using System.Runtime.InteropServices;

namespace Collective.Sharing;

/// <summary>
/// Native memory for blocks that have arrived and are not the caller's yet. Grows with what is fetched, in pieces that the system may back with huge pages, and is freed as a whole.
/// </summary>
internal sealed unsafe partial class StagingMemory : IDisposable
{
    private const int HugePageBytes = 2 * 1024 * 1024;
    private const int SlabBytes = 16 * HugePageBytes;
    private const int Alignment = 64;
    private const int AdviceHugePage = 14;

    // Guards the slabs between the threads that receive.
    private readonly Lock _gate = new();
    private readonly List<nint> _slabs = [];
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
                AddSlab(size);
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
            _slabs.ForEach(s => NativeMemory.AlignedFree((void*)s));
            _slabs.Clear();
            _left = 0;
        }
    }

    private void AddSlab(int bytesLeast)
    {
        var bytes = Math.Clamp(_expectedBytes, bytesLeast, Math.Max(bytesLeast, SlabBytes));
        var huge = bytes >= HugePageBytes;
        _next = (nint)NativeMemory.AlignedAlloc((nuint)bytes, (nuint)(huge ? HugePageBytes : Alignment));
        _left = bytes;
        _slabs.Add(_next);
        if (huge && OperatingSystem.IsLinux())
        {
            _ = Advise(_next, (nuint)bytes / HugePageBytes * HugePageBytes, AdviceHugePage); // Only a matter of speed.
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}
