using System.Runtime.InteropServices;

namespace Collective.Core.Tests.Collectives;

/// <summary>Native memory of exactly the given size, with a guard of known bytes on both sides.</summary>
internal sealed unsafe class Memory : IDisposable
{
    private const int GuardBytes = 64;
    private const byte Guard = 0xA5;

    private readonly byte* _start;
    private readonly int _bytes;

    public Memory(int bytes)
    {
        _bytes = bytes;
        _start = (byte*)NativeMemory.AlignedAlloc((nuint)(bytes + (2 * GuardBytes)), GuardBytes);
        new Span<byte>(_start, bytes + (2 * GuardBytes)).Fill(Guard);
    }

    public Memory(ReadOnlySpan<byte> content)
        : this(content.Length) => content.CopyTo(Bytes);

    public nint Address => (nint)(_start + GuardBytes);

    public Span<byte> Bytes => new(_start + GuardBytes, _bytes);

    /// <summary>Whether nothing was written outside.</summary>
    public bool GuardsHold => !new Span<byte>(_start, GuardBytes).ContainsAnyExcept(Guard)
        && !new Span<byte>(_start + GuardBytes + _bytes, GuardBytes).ContainsAnyExcept(Guard);

    public void Dispose() => NativeMemory.AlignedFree(_start);
}
