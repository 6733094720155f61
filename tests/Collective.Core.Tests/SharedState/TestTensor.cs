using System.Runtime.InteropServices;
using Collective.Sharing;

namespace Collective.Core.Tests.SharedState;

/// <summary>A tensor in memory that does not move, at any alignment.</summary>
internal sealed class TestTensor
{
    private readonly byte[] _memory;
    private readonly int _offset;

    public TestTensor(string key, ReadOnlySpan<byte> content, bool mayDiffer = false, int elementBytes = 4, int offset = 0)
    {
        _memory = GC.AllocateUninitializedArray<byte>(content.Length + offset, pinned: true);
        _offset = offset;
        content.CopyTo(Content);
        Tensor = new StateTensor(key, Marshal.UnsafeAddrOfPinnedArrayElement(_memory, offset), content.Length, elementBytes, mayDiffer);
    }

    public StateTensor Tensor { get; }

    public Span<byte> Content => _memory.AsSpan(_offset);

    /// <summary>Keeps the tensor's memory alive with it.</summary>
    public StateTensor Hashed()
    {
        StateHasher.HashLeaves([Tensor], CancellationToken.None);
        return Tensor;
    }
}
