using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Collective.Stress.Processes;

namespace Collective.Stress.Churn;

/// <summary>One all-reduce of each step: its length, and whether it is in place, follow from the step, the same for all peers.</summary>
internal abstract class ChurnOperation(int index, string name)
{
    /// <summary>Place in the list, and tag; the agreement on the step is 0.</summary>
    public int Index { get; } = index;

    public string Name { get; } = name;

    /// <summary>The operations of a step, in order: first those that are called one by one, last those of one "multiple with retry".</summary>
    public static (IReadOnlyList<ChurnOperation> Single, IReadOnlyList<ChurnOperation> Batch) All() => (
        [
            new Typed<long>(1, "tiny int64 sum", 4, ReduceOperation.Sum),
            new Typed<byte>(2, "odd uint8 sum", 5_000, ReduceOperation.Sum),
            new Typed<ulong>(3, "bulk uint64 sum", 768 * 1024, ReduceOperation.Sum),
            new Typed<float>(4, "float32 sum", 100_000, ReduceOperation.Sum),
        ],
        [
            new Typed<uint>(5, "uint32 sum", 1_000, ReduceOperation.Sum),
            new Typed<double>(6, "float64 average", 40_000, ReduceOperation.Average),
            new Typed<ulong>(7, "uint64 sum", 200_000, ReduceOperation.Sum),
            new Typed<Half>(8, "float16 maximum", 3_000, ReduceOperation.Max),
        ]);

    /// <summary>Writes this peer's contribution and gives the call.</summary>
    public abstract AllReduceRequest Prepare(PeerId self, ulong step);

    /// <summary>Whether the input, still or again, is this peer's contribution.</summary>
    public abstract bool IsInputIntact { get; }

    /// <summary>After a commit: whether the input of an operation that is not in place was left alone.</summary>
    public abstract bool IsSourceIntact { get; }

    /// <summary>The first element of the result that the contributors do not make; -1 when all is right.</summary>
    public abstract int FirstWrong(IReadOnlyList<PeerId> contributors);

    /// <summary>Names the bits of the result.</summary>
    public abstract string Digest();

    /// <summary>A number that names the content of this operation in a step.</summary>
    private ulong ContentOf(ulong step) => (step * 16) + (ulong)Index;

    private sealed class Typed<T>(int index, string name, int lengthMax, ReduceOperation operation) : ChurnOperation(index, name)
        where T : unmanaged, INumber<T>
    {
        private readonly T[] _original = new T[lengthMax];
        private readonly T[] _source = new T[lengthMax];
        private readonly T[] _destination = new T[lengthMax];
        private ulong _step;
        private int _length;
        private bool _inPlace;

        public override bool IsInputIntact => _source.AsSpan(0, _length).SequenceEqual(_original.AsSpan(0, _length));

        public override bool IsSourceIntact => _inPlace || IsInputIntact;

        private T[] Result => _inPlace ? _source : _destination;

        public override AllReduceRequest Prepare(PeerId self, ulong step)
        {
            var random = Content.Mix(ContentOf(step) * 0x9E3779B97F4A7C15);
            _step = step;
            _inPlace = (random & 1) == 0;
            _length = 1 + (int)((random >> 1) % (ulong)lengthMax);
            Content.Fill(_original.AsSpan(0, _length), self, ContentOf(step));
            _original.AsSpan(0, _length).CopyTo(_source);
            _destination.AsSpan(0, _length).Clear();
            return _inPlace
                ? AllReduceRequest.InPlace(_source.AsMemory(0, _length), (ulong)Index, operation)
                : AllReduceRequest.OutOfPlace<T>(_source.AsMemory(0, _length), _destination.AsMemory(0, _length), (ulong)Index, operation);
        }

        public override int FirstWrong(IReadOnlyList<PeerId> contributors)
            => Content.FirstWrong<T>(Result.AsSpan(0, _length), contributors, ContentOf(_step), operation);

        public override string Digest()
            => Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(Result.AsSpan(0, _length))).AsSpan(0, 8));
    }
}
