using Collective.Protocol;

namespace Collective.Core.Tests.Protocol;

/// <summary>One message of each kind, with a different value in every field.</summary>
internal static class Samples
{
    public static readonly RunId Run = new(new Guid("00112233-4455-6677-8899-aabbccddeeff"));

    public const ushort Term = 3;

    private static readonly Epoch Epoch = new((3UL << 48) | 0x0102_0304);
    private static readonly PeerId PeerA = new(new Guid("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"));
    private static readonly PeerId PeerB = new(new Guid("b0b1b2b3-b4b5-b6b7-b8b9-babbbcbdbebf"));
    private static readonly PeerAddress AddressV4 = new(0xC0A8_0001, IsIPv6: false, 0x1234);
    private static readonly PeerAddress AddressV6 = new(new UInt128(0x2001_0DB8_0000_0000, 0x0000_0000_0000_0042), IsIPv6: true, 0x5678);
    private static readonly AttemptKey Attempt = new(Epoch, new Tag(0x1112_1314_1516_1718), 0x2122_2324);
    private static readonly CollectiveDescriptor Descriptor = new(0x3132_3334_3536_3738, DataType.BFloat16, ReduceOperation.Max, 0x41);
    private static readonly WorldSizes Sizes = new(0x0102, 0x0304, 0x0506);

    public static IReadOnlyList<Message> All { get; } =
    [
        new Hello(MessageCodec.Version, new PeerGroup(0x5152_5354), 0x6162, 0x0708),
        new EpochReady(Epoch),
        new LinkFailed(Epoch, PeerA, Outgoing: true, "connection refused"),
        new LinkProgress(Epoch, new LinkBytes(0x0102_0304_0506_0708, 0x1112_1314_1516_1718), 0x2122_2324),
        new TopologyVote(new RequestNumber(0x7172_7374_7576_7778)),
        new AdmitWhenAlone(new RequestNumber(0x8182_8384_8586_8788)),
        new PendingQuery(new RequestNumber(0x9192_9394_9596_9798)),
        new Withdraw(new RequestNumber(0x9192_9394_9596_9798)),
        new CollectiveStart(Attempt, Descriptor),
        new CollectiveDone(Attempt, Ok: false, "cancelled"),
        new Leave(),
        new Heartbeat(),
        new Welcome(PeerA, 5000, 1 << 20),
        new Refused(ErrorCode.MasterRefused, "full"),
        new EpochOpened(
            Epoch,
            "peer lost",
            [new Member(PeerA, AddressV4), new Member(PeerB, AddressV6)],
            [new Exclusion(new PeerId(new Guid("c0c1c2c3-c4c5-c6c7-c8c9-cacbcccdcecf")), "silent")],
            [new Decision(new Tag(5), 6, Committed: true, default, ""), new Decision(new Tag(7), 8, Committed: false, ErrorCode.Mismatch, "count")]),
        new EpochStands(Epoch, Sizes, "peer lost"),
        new TopologyUpdated(new RequestNumber(0xA1A2_A3A4_A5A6_A7A8), ErrorCode.CrossedCalls, "ünïcode", Sizes),
        new PendingReply(new RequestNumber(0xB1B2_B3B4_B5B6_B7B8), Pending: true, ErrorCode.TimedOut, "silent"),
        new CollectiveGo(Attempt),
        new Verdict(Attempt),
        new Evicted("frozen"),
    ];

    public static SegmentHeader Segment { get; } = new(Attempt, 0xD1D2_D3D4, 0xE1E2_E3E4, 0xF1F2_F3F4, 0x0001_0203);

    public static LinkHello LinkHello { get; } = new(MessageCodec.Version, Run, Epoch, PeerA, PeerB, Stripe: 2, StripeCount: 8);

    /// <summary>A frame's payload.</summary>
    public static byte[] Payload(Message message) => Frame(message)[FrameHeader.Bytes..];

    public static byte[] Frame(Message message)
    {
        var buffer = new byte[MessageCodec.EncodedBytesMax(message)];
        return buffer[..MessageCodec.Encode(message, Term, Run, buffer)];
    }

    /// <summary>The largest message the protocol's limits allow.</summary>
    public static EpochOpened LargestEpoch()
    {
        var text = new string('x', Limits.ReasonBytesMax);
        return new EpochOpened(
            Epoch,
            text,
            [.. Enumerable.Repeat(new Member(PeerA, AddressV6), Limits.PeersMax)],
            [.. Enumerable.Repeat(new Exclusion(PeerB, text), Limits.ExclusionsMax)],
            [.. Enumerable.Repeat(new Decision(new Tag(ulong.MaxValue), uint.MaxValue, Committed: false, ErrorCode.Mismatch, text), Limits.DecisionsMax)]);
    }
}
