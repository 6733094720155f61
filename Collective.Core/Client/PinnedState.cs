using System.Buffers;
using Collective.Protocol;
using Collective.Sharing;

namespace Collective;

/// <summary>How many syncs a communicator has seen: the revision of a state that is given none. It lives on when the communicator connects again.</summary>
internal sealed class RevisionCount
{
    private ulong _next;

    public Revision Next => new(Volatile.Read(ref _next));

    public void Adopt(Revision revision) => Volatile.Write(ref _next, revision.Next().Value);
}

/// <summary>The tensors of a shared state, kept where they are during a sync.</summary>
internal sealed class PinnedState(SharedState state, RevisionCount count) : IDisposable
{
    private readonly List<MemoryHandle> _pins = [];
    private readonly List<StateTensor> _tensors = [];
    private readonly List<(DataType DataType, ulong Count)> _types = [];

    public IReadOnlyList<StateTensor> Tensors => _tensors;

    public Revision Revision { get; } = state.Revision is { } given ? new(given) : count.Next;

    public RevisionRule Rule { get; } = state.Revision is null ? RevisionRule.Counted : state.RevisionGrowsByOne ? RevisionRule.ByOne : RevisionRule.Grows;

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

    /// <summary>The elected revision is the caller's now, if it keeps one.</summary>
    public void Adopt(Revision revision)
    {
        count.Adopt(revision);
        state.Revision = Rule == RevisionRule.Counted ? null : revision.Value;
    }

    public void Dispose()
    {
        _pins.ForEach(p => p.Dispose());
        _pins.Clear();
    }
}
