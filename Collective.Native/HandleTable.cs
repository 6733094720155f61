using System.Collections.Concurrent;

namespace Collective.Native;

/// <summary>
/// What C holds is a number that looks like a pointer and is never followed: one that was destroyed, or never was given out, is found out. Numbers are not used again.
/// </summary>
internal sealed class HandleTable<T>(long first, string what)
    where T : class
{
    private const long Stride = 16;

    private readonly ConcurrentDictionary<nint, T> _objects = new();
    private long _last = first;

    public nint Add(T value)
    {
        var handle = (nint)Interlocked.Add(ref _last, Stride);
        _objects[handle] = value;
        return handle;
    }

    public T Get(nint handle) => _objects.TryGetValue(handle, out var value) ? value : throw None(handle);

    /// <summary>Of two threads that destroy it, one gets it.</summary>
    public T Remove(nint handle) => _objects.TryRemove(handle, out var value) ? value : throw None(handle);

    private NativeException None(nint handle)
        => new(PcclResult.InvalidArgument, handle == 0 ? PcclxError.InvalidArgument : PcclxError.Destroyed, handle == 0 ? $"The {what} is null." : $"The {what} does not exist: it was destroyed, or never made.");
}
