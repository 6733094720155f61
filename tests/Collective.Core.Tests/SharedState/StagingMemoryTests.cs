using Collective.Collectives;
using Collective.Protocol;
using Collective.Sharing;
using NUnit.Framework;

namespace Collective.Core.Tests.SharedState;

internal sealed class StagingMemoryTests
{
    private const int Piece = 1024 * 1024;

    [Test]
    public void The_next_sync_uses_the_same_memory()
    {
        using var buffers = new WorkBuffers();
        var first = Fetch(buffers);
        Assert.That(buffers.FreeBytes, Is.InRange(40L * Piece, Limits.KeptWorkBytesMax));
        Assert.That(Fetch(buffers), Is.EquivalentTo(first));
    }

    [Test]
    public void Pieces_do_not_overlap()
    {
        using var buffers = new WorkBuffers();
        var addresses = Fetch(buffers).Order().ToList();
        Assert.That(addresses.Zip(addresses.Skip(1), (a, b) => (long)(b - a)), Has.All.GreaterThanOrEqualTo((long)Piece));
    }

    private static List<nint> Fetch(WorkBuffers buffers)
    {
        using var staging = new StagingMemory(buffers.Rent, buffers.Return);
        staging.Expect(40L * Piece);
        return [.. Enumerable.Range(0, 40).Select(_ => staging.Rent(Piece))];
    }
}
