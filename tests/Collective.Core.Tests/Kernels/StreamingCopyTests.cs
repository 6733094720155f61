using Collective.Kernels;
using NUnit.Framework;

namespace Collective.Core.Tests.Kernels;

internal sealed class StreamingCopyTests
{
    /// <summary>Every length and every alignment of both sides up to some lines; nothing beside the target is touched.</summary>
    [Test]
    public void EveryByteArrivesAndNoOther()
    {
        const int Margin = 64;
        var source = GC.AllocateUninitializedArray<byte>(400, pinned: true);
        new Random(1).NextBytes(source);
        var target = GC.AllocateUninitializedArray<byte>(source.Length + (2 * Margin), pinned: true);
        for (var length = 0; length <= 260; length++)
        {
            for (var offset = 0; offset < 64; offset++)
            {
                target.AsSpan().Fill(0xA5);
                var from = source.AsSpan((offset * 7) % 64, length);
                StreamingCopy.Copy(from, target.AsSpan(Margin + offset, length));
                var expected = Enumerable.Repeat((byte)0xA5, target.Length).ToArray();
                from.CopyTo(expected.AsSpan(Margin + offset));
                Assert.That(target.AsSpan().SequenceEqual(expected), $"length {length}, offset {offset}");
            }
        }
    }
}
