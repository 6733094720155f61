using System.Runtime.CompilerServices;
using NUnit.Framework;

namespace Collective.Core.Tests.Kernels;

internal sealed class BFloat16Tests
{
    [Test]
    public void Every_value_survives_the_way_to_float_and_back()
    {
        for (int bits = 0; bits <= ushort.MaxValue; bits++)
        {
            var value = BFloat16.FromBits((ushort)bits);
            ushort expected = float.IsNaN((float)value) ? (ushort)0x7FC0 : (ushort)bits;
            Assert.That(((BFloat16)(float)value).Bits, Is.EqualTo(expected));
        }
    }

    [TestCase(1f, 0x3F80)]
    [TestCase(-2.5f, 0xC020)]
    [TestCase(3.14159265f, 0x4049)]
    [TestCase(float.MaxValue, 0x7F80)]
    [TestCase(float.NegativeInfinity, 0xFF80)]
    [TestCase(float.NaN, 0x7FC0)]
    [TestCase(-0f, 0x8000)]
    [TestCase(float.Epsilon, 0x0000)]
    public void Float_becomes(float value, int bits) => Assert.That(((BFloat16)value).Bits, Is.EqualTo((ushort)bits));

    [Test]
    public void Equality_is_of_bits()
    {
        var nan = (BFloat16)float.NaN;
        var plusZero = (BFloat16)0f;
        var minusZero = (BFloat16)(-0f);
        Assert.That(nan == BFloat16.FromBits(0x7FC0), Is.True);
        Assert.That(nan.Equals((object)BFloat16.FromBits(0x7FC0)), Is.True);
        Assert.That(plusZero != minusZero, Is.True);
        Assert.That(plusZero.Equals(minusZero), Is.False);
        Assert.That(plusZero.Equals("0"), Is.False);
        Assert.That(nan.GetHashCode(), Is.EqualTo(BFloat16.FromBits(0x7FC0).GetHashCode()));
    }

    [Test]
    public void It_prints_as_its_float() => Assert.That(((BFloat16)1.5f).ToString(), Is.EqualTo("1.5"));

    [Test]
    public void It_takes_two_bytes() => Assert.That(Unsafe.SizeOf<BFloat16>(), Is.EqualTo(2));
}
