using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Collective.Kernels;

/// <summary>Copies what will not be read again soon: past the caches, so that the target is not read from memory before it is written.</summary>
internal static class StreamingCopy
{
    private const int LineBytes = 64;

    /// <summary>Copies to memory of the same size that does not overlap.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static unsafe void Copy(ReadOnlySpan<byte> source, Span<byte> target)
    {
        fixed (byte* from = source, to = target)
        {
            var head = (int)Math.Min((nuint)source.Length, (nuint)(-(nint)to) % LineBytes);
            var end = head + ((source.Length - head) / LineBytes * LineBytes);
            source[..head].CopyTo(target);
            for (var i = head; i < end; i += LineBytes)
            {
                var (first, second) = (Vector256.Load(from + i), Vector256.Load(from + i + 32));
                first.StoreAlignedNonTemporal(to + i);
                second.StoreAlignedNonTemporal(to + i + 32);
            }

            source[end..].CopyTo(target[end..]);
        }

        if (Sse.IsSupported)
        {
            Sse.StoreFence(); // Such stores wait for no lock.
        }
    }
}
