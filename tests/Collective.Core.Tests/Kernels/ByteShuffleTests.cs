using Collective.Kernels;
using NUnit.Framework;

namespace Collective.Core.Tests.Kernels;

[TestFixture]
internal sealed class ByteShuffleTests
{
    [Test]
    public void Equals_the_plain_loop_and_comes_back([Values(1, 2, 4, 8)] int elementBytes, [Values(0, 1, 7, 8, 15, 16, 17, 63, 64, 65, 1000, 65_536)] int bytes)
    {
        var data = TreeHashTests.Generated(bytes);
        var count = bytes / elementBytes;
        var expected = data.ToArray();
        for (var i = 0; i < count * elementBytes; i++)
        {
            expected[((i % elementBytes) * count) + (i / elementBytes)] = data[i];
        }

        var shuffled = new byte[bytes];
        ByteShuffle.Shuffle(data, shuffled, elementBytes);
        Assert.That(shuffled, Is.EqualTo(expected));
        var back = new byte[bytes];
        ByteShuffle.Unshuffle(shuffled, back, elementBytes);
        Assert.That(back, Is.EqualTo(data));
    }
}
