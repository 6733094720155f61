using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Protocol;

/// <summary>The fixed-size records of data connections.</summary>
[TestFixture]
internal sealed class LinkRecordsTests
{
    [Test]
    public void A_segment_header_survives_the_wire()
    {
        Assert.That(SegmentHeader.Parse(Bytes(Samples.Segment)), Is.EqualTo(Samples.Segment));
        foreach (var bytes in new[] { 1, Limits.SegmentBytesMax })
        {
            var header = Samples.Segment with { PayloadBytes = bytes };
            Assert.That(SegmentHeader.Parse(Bytes(header)), Is.EqualTo(header));
        }
    }

    [TestCase(0)]
    [TestCase(Limits.SegmentBytesMax + 1)]
    [TestCase(int.MaxValue)]
    [TestCase(-1)]
    public void A_segment_of_impossible_length_is_none(int payloadBytes)
        => Assert.That(SegmentHeader.Parse(Bytes(Samples.Segment with { PayloadBytes = payloadBytes })), Is.Null);

    [Test]
    public void A_cut_or_altered_segment_header_is_none()
    {
        var bytes = Bytes(Samples.Segment);
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.That(SegmentHeader.Parse(bytes.AsSpan(0, length)), Is.Null, $"{length} bytes");
        }

        foreach (var at in new[] { 0, 1, 2, 3, SegmentHeader.Bytes - 6, SegmentHeader.Bytes - 4, SegmentHeader.Bytes - 1 })
        {
            var altered = bytes.ToArray();
            altered[at] ^= 1;
            Assert.That(SegmentHeader.Parse(altered), Is.Null, $"magic or reserved byte {at}");
        }
    }

    [Test]
    public void A_link_hello_survives_the_wire_and_is_never_taken_for_a_segment()
    {
        var bytes = new byte[LinkHello.Bytes];
        Samples.LinkHello.Write(bytes);
        Assert.That(LinkHello.Parse(bytes), Is.EqualTo(Samples.LinkHello));
        Assert.That(SegmentHeader.Parse(bytes), Is.Null);
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.That(LinkHello.Parse(bytes.AsSpan(0, length)), Is.Null, $"{length} bytes");
        }

        Assert.That(LinkHello.Parse(Bytes(Samples.Segment).Concat(new byte[24]).ToArray()), Is.Null);
    }

    [Test]
    public void Every_link_reply_survives_the_wire_and_no_other_value_is_one()
    {
        var bytes = new byte[LinkReplyCodec.Bytes];
        for (var value = 0; value <= byte.MaxValue; value++)
        {
            LinkReplyCodec.Write((LinkReply)value, bytes);
            Assert.That(LinkReplyCodec.Parse(bytes), Enum.IsDefined((LinkReply)value) ? Is.EqualTo((LinkReply)value) : Is.Null);
        }

        Assert.That(LinkReplyCodec.Parse(bytes.AsSpan(0, 3)), Is.Null);
        Assert.That(LinkReplyCodec.Parse("CM\u0001\u0001"u8), Is.Null);
    }

    [Test]
    public void A_frame_header_has_limits()
    {
        var frame = Samples.Frame(new EpochReady(default));
        for (var length = 0; length < FrameHeader.Bytes; length++)
        {
            Assert.That(FrameHeader.Parse(frame.AsSpan(0, length)), Is.Null, $"{length} bytes");
        }

        Assert.That(FrameHeader.Parse(WithLength(frame, Limits.ControlBytesMax))?.PayloadBytes, Is.EqualTo(Limits.ControlBytesMax));
        Assert.That(FrameHeader.Parse(WithLength(frame, Limits.ControlBytesMax + 1)), Is.Null);
        Assert.That(FrameHeader.Parse(WithLength(frame, uint.MaxValue)), Is.Null);

        var vote = Samples.Frame(new SharedStateVote(default, default, default, default, []));
        Assert.That(FrameHeader.Parse(WithLength(vote, Limits.StateBytesMax))?.PayloadBytes, Is.EqualTo(Limits.StateBytesMax));
        Assert.That(FrameHeader.Parse(WithLength(vote, Limits.StateBytesMax + 1)), Is.Null);

        frame[4] = 0;
        Assert.That(FrameHeader.Parse(frame), Is.Null, "kind 0");
        frame[5] = 1;
        Assert.That(FrameHeader.Parse(frame), Is.Null, "kind 256");
    }

    private static byte[] WithLength(byte[] frame, uint length)
    {
        var copy = frame.ToArray();
        BitConverter.TryWriteBytes(copy, length);
        return copy;
    }

    private static byte[] Bytes(SegmentHeader header)
    {
        var bytes = new byte[SegmentHeader.Bytes];
        header.Write(bytes);
        return bytes;
    }
}
