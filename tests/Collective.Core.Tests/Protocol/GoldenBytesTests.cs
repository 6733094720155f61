using System.Text;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Protocol;

/// <summary>The bytes of one sample of each record, in golden-bytes.txt (accept a change with COLLECTIVE_ACCEPT=1, and raise the version).</summary>
[TestFixture]
internal sealed class GoldenBytesTests
{
    [Test]
    public void The_wire_has_not_changed()
    {
        var text = new StringBuilder();
        foreach (var message in Samples.All)
        {
            var frame = Samples.Frame(message);
            Add(text, $"{message.Kind} ({(int)message.Kind})", frame.AsSpan(FrameHeader.Bytes));
        }

        Add(text, "FrameHeader", Samples.Frame(new EpochReady(default)).AsSpan(0, FrameHeader.Bytes));
        var buffer = new byte[SegmentHeader.Bytes];
        Samples.Segment.Write(buffer);
        Add(text, "SegmentHeader", buffer);
        buffer = new byte[LinkHello.Bytes];
        Samples.LinkHello.Write(buffer);
        Add(text, "LinkHello", buffer);
        buffer = new byte[DataHello.Bytes];
        Samples.DataHello.Write(buffer);
        Add(text, "DataHello (of a probe)", buffer);
        buffer = new byte[LinkReplyCodec.Bytes];
        foreach (var reply in Enum.GetValues<LinkReply>())
        {
            LinkReplyCodec.Write(reply, buffer);
            Add(text, $"LinkReply {reply}", buffer);
        }

        GoldenFile.Check("golden-bytes.txt", text.ToString());
    }

    private static void Add(StringBuilder text, string name, ReadOnlySpan<byte> bytes)
    {
        const int BytesPerLine = 32;
        text.Append(name).Append(": ").Append(bytes.Length).Append(" bytes\n");
        for (var at = 0; at < bytes.Length; at += BytesPerLine)
        {
            text.Append("  ").Append(Convert.ToHexStringLower(bytes.Slice(at, Math.Min(BytesPerLine, bytes.Length - at)))).Append('\n');
        }
    }
}
