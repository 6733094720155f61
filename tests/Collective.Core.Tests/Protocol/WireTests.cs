using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Protocol;

/// <summary>Edges of <see cref="WireReader"/> and <see cref="WireWriter"/>.</summary>
[TestFixture]
internal sealed class WireTests
{
    [TestCase(0, 1)]
    [TestCase(1, 1)]
    [TestCase(0, 2)]
    [TestCase(1, 2)]
    [TestCase(0, 3)]
    [TestCase(1, 3)]
    [TestCase(2, 3)]
    [TestCase(0, 4)]
    [TestCase(1, 4)]
    [TestCase(2, 4)]
    [TestCase(3, 4)]
    public void A_long_text_is_cut_on_a_character(int offset, int characterBytes)
    {
        var character = characterBytes switch { 1 => "x", 2 => "\u00E9", 3 => "\u20AC", _ => "\U0001F300" };
        var prefix = new string('a', offset);
        var text = prefix + string.Concat(Enumerable.Repeat(character, Limits.ReasonBytesMax));
        var whole = (Limits.ReasonBytesMax - offset) / characterBytes;

        var read = RoundTrip(text, out var written);

        Assert.That(read, Is.EqualTo(prefix + string.Concat(Enumerable.Repeat(character, whole))));
        Assert.That(written, Is.EqualTo(2 + offset + (whole * characterBytes)));
    }

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(Limits.ReasonBytesMax - 1)]
    [TestCase(Limits.ReasonBytesMax)]
    public void A_text_within_the_limit_is_not_cut(int length)
        => Assert.That(RoundTrip(new string('z', length), out _), Has.Length.EqualTo(length));

    [Test]
    public void A_lone_surrogate_becomes_the_replacement_character()
        => Assert.That(RoundTrip("a\uD800b", out _), Is.EqualTo("a\uFFFDb"));

    [Test]
    public void Text_over_the_limit_is_a_failure_even_when_the_bytes_are_there()
    {
        var bytes = new byte[2 + Limits.ReasonBytesMax + 1];
        BitConverter.TryWriteBytes(bytes, (ushort)(Limits.ReasonBytesMax + 1));
        var reader = new WireReader(bytes);
        Assert.That(reader.Text(), Is.Empty);
        Assert.That(reader.Failed, Is.True);
    }

    [Test]
    public void Text_that_is_no_utf8_is_a_failure()
    {
        foreach (var bytes in new byte[][] { [1, 0, 0xFF], [2, 0, 0xC0, 0x80], [1, 0, 0xE2], [3, 0, 0xED, 0xA0, 0x80] })
        {
            var reader = new WireReader(bytes);
            Assert.That(reader.Text(), Is.Empty);
            Assert.That(reader.Failed, Is.True, Convert.ToHexString(bytes));
        }
    }

    [TestCase(2, 3, 2, ExpectedResult = 2)]
    [TestCase(3, 3, 2, ExpectedResult = 3)]
    [TestCase(4, 3, 2, ExpectedResult = -1, Description = "more than the limit")]
    [TestCase(3, 3, 3, ExpectedResult = -1, Description = "more than the bytes that are left")]
    [TestCase(ushort.MaxValue, ushort.MaxValue, 65_000, ExpectedResult = -1, Description = "a product beyond 32 bits")]
    [TestCase(0, 0, 100, ExpectedResult = 0)]
    public int A_count_is_checked_against_its_limit_and_the_bytes_left(int count, int max, int itemBytes)
    {
        var bytes = new byte[2 + 6];
        BitConverter.TryWriteBytes(bytes, (ushort)count);
        var reader = new WireReader(bytes);
        var read = reader.Count(max, itemBytes);
        return reader.Failed ? -1 : read;
    }

    [Test]
    public void After_a_failure_everything_reads_as_nothing()
    {
        var reader = new WireReader([1, 2, 3, 4, 5, 6, 7]);
        Assert.That(reader.UInt64(), Is.Zero);
        Assert.That(reader.Failed, Is.True);
        Assert.That(reader.Byte(), Is.Zero);
        Assert.That(reader.UInt16(), Is.Zero);
        Assert.That(reader.UInt32(), Is.Zero);
        Assert.That(reader.Guid(), Is.EqualTo(Guid.Empty));
        Assert.That(reader.Text(), Is.Empty);
        Assert.That(reader.Address(), Is.EqualTo(default(PeerAddress)));
        Assert.That(reader.Complete, Is.False);
    }

    [TestCase((byte)2)]
    [TestCase((byte)255)]
    public void A_bool_is_zero_or_one(byte value)
    {
        var reader = new WireReader([value]);
        _ = reader.Bool();
        Assert.That(reader.Failed, Is.True);
    }

    [Test]
    public void An_enumeration_beyond_its_last_value_is_a_failure()
    {
        var reader = new WireReader([11, 12]);
        Assert.That(reader.Enumeration(11), Is.EqualTo(11));
        Assert.That(reader.Failed, Is.False);
        Assert.That(reader.Enumeration(11), Is.Zero);
        Assert.That(reader.Failed, Is.True);
    }

    [Test]
    public void Complete_means_that_nothing_is_left_over()
    {
        var reader = new WireReader([1, 2]);
        _ = reader.Byte();
        Assert.That(reader.Complete, Is.False);
        _ = reader.Byte();
        Assert.That(reader.Complete, Is.True);
        _ = reader.Byte();
        Assert.That(reader.Complete, Is.False);
    }

    private static string RoundTrip(string text, out int written)
    {
        var buffer = new byte[2 + Limits.ReasonBytesMax];
        var writer = new WireWriter(buffer);
        writer.Text(text);
        written = writer.Written;
        var reader = new WireReader(buffer.AsSpan(0, written));
        var read = reader.Text();
        Assert.That(reader.Complete, Is.True);
        return read;
    }
}
