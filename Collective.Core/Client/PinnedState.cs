using System.Buffers;
using Collective.Protocol;
using Collective.Sharing;

namespace Collective;

/// <summary>The tensors of a shared state, kept where they are during a sync.</summary>
internal sealed class PinnedState(SharedState state) : IDisposable
{
    private readonly List<MemoryHandle> _pins = [];
    private readonly List<StateTensor> _tensors = [];
    private readonly List<(DataType DataType, ulong Count)> _types = [];

    public IReadOnlyList<StateTensor> Tensors => _tensors;

    public Revision Revision { get; } = new(state.Revision);

    public unsafe void Add(string key, DataType dataType, long count, bool mayDiffer, MemoryHandle pin)
    {
        _pins.Add(pin);
        var elementBytes = CollectiveDescriptor.ElementBytesOf(dataType);
        _tensors.Add(new StateTensor(key, (nint)pin.Pointer, count * elementBytes, elementBytes, mayDiffer));
        _types.Add((dataType, (ulong)count));
    }

    /// <summary>What the peer votes with, once the leaves are there.</summary>
    public IReadOnlyList<StateEntry> Entries()
        => [.. _tensors.Select((t, i) => new StateEntry(t.Key, _types[i].DataType, _types[i].Count, t.MayDiffer, StateHasher.HashOf(t)))];

    /// <summary>The elected revision is the caller's now.</summary>
    public void Adopt(Revision revision) => state.Revision = revision.Value;

    public void Dispose()
    {
        _pins.ForEach(p => p.Dispose());
        _pins.Clear();
    }
}
