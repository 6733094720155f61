using Collective.Collectives;
using Collective.Protocol;
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

    /// <summary>Page faults for a gigabyte cost more processor time than reducing it.</summary>
    [Test]
    public void WhatIsMuchIsKeptWhileItIsUsed()
    {
        var nowMs = 0L;
        using var buffers = new WorkBuffers(() => nowMs);
        var small = buffers.Rent(Page);
        var large = buffers.Rent(Limits.KeptWorkBytesMax + Page);
        buffers.Return(small);
        buffers.Return(large);
        for (var use = 0; use < 3; use++)
        {
            nowMs += Limits.KeptWorkMs;
            buffers.GiveBackUnused();
            Assert.That(buffers.Rent(Limits.KeptWorkBytesMax + Page), Is.EqualTo(large), $"use {use}");
            buffers.Return(large);
        }

        nowMs += Limits.KeptWorkMs + 1;
        buffers.GiveBackUnused();
        Assert.That(buffers.FreeBytes, Is.Zero.Or.EqualTo(Page), "nobody has used it for a while");
        buffers.Return(buffers.Rent(10 * Page));
        nowMs += 10 * Limits.KeptWorkMs;
        buffers.GiveBackUnused();
        Assert.That(buffers.FreeBytes, Is.GreaterThan(0), "what is little is kept for ever");
        buffers.Return(buffers.Rent(Limits.KeptWorkBytesMax + Page));
        buffers.GiveBack();
        Assert.That(buffers.FreeBytes, Is.LessThanOrEqualTo(Limits.KeptWorkBytesMax), "at the end of a stay");
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
