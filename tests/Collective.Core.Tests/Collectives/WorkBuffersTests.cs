using Collective.Collectives;
using NUnit.Framework;

namespace Collective.Core.Tests.Collectives;

internal sealed class WorkBuffersTests
{
    private const int Page = 4096;

    /// <summary>A program whose tensors get larger and larger holds the largest, not all of them.</summary>
    [Test]
    public void ABufferThatIsTooSmallMakesWay()
    {
        using var buffers = new WorkBuffers();
        for (var pages = 1; pages <= 50; pages++)
        {
            var (first, second) = (buffers.Rent(pages * Page), buffers.Rent(Page));
            buffers.Return(first);
            buffers.Return(second);
            Assert.That(buffers.FreeBytes, Is.EqualTo((pages + 1) * Page).Or.EqualTo(2 * pages * Page), "two were in use at once");
        }
    }

    [Test]
    public void ABufferIsUsedAgain()
    {
        using var buffers = new WorkBuffers();
        var buffer = buffers.Rent(10 * Page);
        buffers.Return(buffer);
        Assert.That(buffers.Rent(3 * Page), Is.EqualTo(buffer));
        buffers.Return(buffer);
        buffers.Dispose();
        Assert.That(buffers.FreeBytes, Is.Zero);
        buffers.Return(buffers.Rent(Page));
        Assert.That(buffers.FreeBytes, Is.Zero, "what comes back late is freed");
    }
}
