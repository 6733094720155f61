using System.Buffers;
using Collective.Protocol;
using Collective.Sharing;

namespace Collective;

/// <summary>
/// The named tensors that all peers of a group hold alike (parameters, optimiser moments, counters), and their version. The library reads and writes them during
/// <see cref="Communicator.SynchronizeSharedStateAsync"/> only, and keeps no copy.
/// </summary>
/// <remarks>Any number from 1 to 16,384, of any element type, size (to 4 TiB each) and alignment; they must not overlap. Not to be changed while a sync runs.</remarks>
public sealed class SharedState
{
    private readonly List<Entry> _entries = [];

    /// <summary>
    /// Version of the content, for example the number of the training step. <see langword="null"/> (the default): the communicator counts syncs, and a newcomer takes what the others have.
    /// One that is given has to be higher than that of the last sync when the content has changed. Whoever presents less than the others is brought up to date; whoever presents more than
    /// most is dismissed (<see cref="ErrorCode.RevisionMismatch"/>). In the first sync of a group the highest wins: give the step of the checkpoint to resume from it.
    /// </summary>
    /// <remarks>A successful sync sets one that was given to the elected revision; nothing else in the library changes it.</remarks>
    public ulong? Revision { get; set; }

    /// <summary>PCCL's rule for a given revision: after a success at revision r the next one is r + 1. Less is outdated, and more does not fit. Defaults to <see langword="false"/>.</summary>
    public bool RevisionGrowsByOne { get; set; }

    /// <summary>How many tensors there are.</summary>
    public int Count => _entries.Count;

    /// <summary>Adds a tensor whose element type follows from <typeparamref name="T"/>.</summary>
    /// <param name="key">Its name, at most 512 bytes in UTF-8; each tensor has its own.</param>
    /// <param name="tensor">Its elements.</param>
    /// <param name="allowContentInequality">Its content may differ between peers: it is handed to newcomers only, and not compared.</param>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.InvalidArgument"/>: <typeparamref name="T"/> is no element type.</exception>
    public void Add<T>(string key, Memory<T> tensor, bool allowContentInequality = false)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(key);
        _entries.Add(new Entry(key, Buffers.DataTypeOf<T>(), tensor.Length, allowContentInequality, () => tensor.Pin()));
    }

    /// <summary>Adds a tensor in untyped memory.</summary>
    /// <inheritdoc cref="Add{T}(string, Memory{T}, bool)"/>
    /// <param name="key">Its name, at most 512 bytes in UTF-8; each tensor has its own.</param>
    /// <param name="tensor">Its elements' bytes.</param>
    /// <param name="dataType">Their type.</param>
    /// <param name="allowContentInequality">Its content may differ between peers: it is handed to newcomers only, and not compared.</param>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.InvalidArgument"/>: no data type, or no whole number of elements.</exception>
    public void Add(string key, Memory<byte> tensor, DataType dataType, bool allowContentInequality = false)
    {
        ArgumentNullException.ThrowIfNull(key);
        var elementBytes = ElementBytesOf(dataType);
        Require(tensor.Length % elementBytes == 0, $"the {tensor.Length} bytes of \"{StateEntries.Shorten(key)}\" are no whole number of {dataType} elements");
        _entries.Add(new Entry(key, dataType, tensor.Length / elementBytes, allowContentInequality, () => tensor.Pin()));
    }

    /// <summary>Adds a tensor in native memory, of any size; the memory stays where it is while a sync runs.</summary>
    /// <param name="key">Its name, at most 512 bytes in UTF-8; each tensor has its own.</param>
    /// <param name="address">Where it begins.</param>
    /// <param name="count">Its elements.</param>
    /// <param name="dataType">Their type.</param>
    /// <param name="allowContentInequality">Its content may differ between peers: it is handed to newcomers only, and not compared.</param>
    /// <exception cref="CollectiveException"><see cref="ErrorCode.InvalidArgument"/>: no data type, a null address, or more than 4 TiB.</exception>
    public void Add(string key, nint address, long count, DataType dataType, bool allowContentInequality = false)
    {
        ArgumentNullException.ThrowIfNull(key);
        var elementBytes = ElementBytesOf(dataType);
        Require(count >= 0 && count <= Limits.StateTensorBytesMax / elementBytes, $"\"{StateEntries.Shorten(key)}\" has {count} elements: 0 to {Limits.StateTensorBytesMax / elementBytes} are possible");
        Require(address != 0 || count == 0, $"the address of \"{StateEntries.Shorten(key)}\" is null");
        _entries.Add(new Entry(key, dataType, count, allowContentInequality, () => At(address)));
    }

    /// <summary>Keeps all tensors where they are; refuses what cannot be synchronised.</summary>
    /// <param name="count">Gives the revision where the caller does not.</param>
    internal PinnedState Pin(RevisionCount count)
    {
        if (StateEntries.Refusal([.. _entries.Select(e => e.Key)]) is { } refusal)
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, refusal);
        }

        Require(Revision != Protocol.Revision.Limit.Value, $"the revision is {Revision}: there must be a next one");
        var pinned = new PinnedState(this, count);
        try
        {
            _entries.ForEach(e => pinned.Add(e.Key, e.DataType, e.Count, e.MayDiffer, e.Pin()));
            RequireApart(pinned.Tensors);
            return pinned;
        }
        catch
        {
            pinned.Dispose();
            throw;
        }
    }

    /// <summary>What is written to one tensor must not change another: the hashes would be of bytes that nobody has.</summary>
    private static void RequireApart(IReadOnlyList<StateTensor> tensors)
    {
        StateTensor? below = null;
        foreach (var tensor in tensors.Where(t => t.Bytes > 0).OrderBy(t => (nuint)t.Address))
        {
            Require(
                below is null || below.Address + (nint)below.Bytes <= tensor.Address,
                $"the tensors \"{StateEntries.Shorten(below?.Key ?? "")}\" and \"{StateEntries.Shorten(tensor.Key)}\" overlap: give each its own memory");
            below = tensor;
        }
    }

    private static unsafe MemoryHandle At(nint address) => new((void*)address);

    private static int ElementBytesOf(DataType dataType)
    {
        var elementBytes = CollectiveDescriptor.ElementBytesOf(dataType);
        Require(elementBytes > 0, $"{(int)dataType} is no data type");
        return elementBytes;
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new CollectiveException(ErrorCode.InvalidArgument, message);
        }
    }

    private sealed record Entry(string Key, DataType DataType, long Count, bool MayDiffer, Func<MemoryHandle> Pin);
}
