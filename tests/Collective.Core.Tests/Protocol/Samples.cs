using Collective.Protocol;

namespace Collective.Core.Tests.Protocol;

/// <summary>One message of each kind, with a different value in every field.</summary>
internal static class Samples
{
    public static readonly RunId Run = new(new Guid("00112233-4455-6677-8899-aabbccddeeff"));

    public static readonly LinkKey Key = new(new Guid("10213243-5465-7687-98a9-bacbdcedfe0f"));

    public const ushort Term = 3;

    private static readonly Epoch Epoch = new((3UL << 48) | 0x0102_0304);
    private static readonly PeerId PeerA = new(new Guid("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf"));
    private static readonly PeerId PeerB = new(new Guid("b0b1b2b3-b4b5-b6b7-b8b9-babbbcbdbebf"));
    private static readonly PeerAddress AddressV4 = new(0xC0A8_0001, IsIPv6: false, 0x1234);
    private static readonly PeerAddress AddressV6 = new(new UInt128(0x2001_0DB8_0000_0000, 0x0000_0000_0000_0042), IsIPv6: true, 0x5678);
    private static readonly AttemptKey Attempt = new(Epoch, new Tag(0x1112_1314_1516_1718), 0x2122_2324);
    private static readonly CollectiveDescriptor Descriptor = new(0x3132_3334_3536_3738, DataType.Float64, ReduceOperation.Max, 0x13, "gradiënts", 0x1234);
    private static readonly WorldSizes Sizes = new(0x0102, 0x0304, 0x0506);

    private static readonly StateHash Hash = new(new UInt128(0xE0E1_E2E3_E4E5_E6E7, 0xE8E9_EAEB_ECED_EEEF));

    public static IReadOnlyList<Message> All { get; } =
    [
        new Hello(MessageCodec.Version, new PeerGroup(0x5152_5354), 0x6162, 0x0708, AddressV4, AddressV6) { KeepsMinimum = true, Fingerprints = [new Fingerprint("", "resnet 50"), new Fingerprint("state", "0a1b2c")] },
        new Announce("state", "3d4e5f"),
        new EpochReady(Epoch),
        new LinkFailed(Epoch, PeerA, Outgoing: true, "connection refused"),
        new LinkProgress(Epoch, new LinkBytes(0x0102_0304_0506_0708, 0x1112_1314_1516_1718), 0x2122_2324),
        new LinksSurveyed(Epoch, [0x0102, 3]),
        new SurveyLinks(Epoch, [0, 0x0405, 7]),
        new TopologyVote(new RequestNumber(0x7172_7374_7576_7778)),
        new AdmitWhenAlone(new RequestNumber(0x8182_8384_8586_8788)),
        new PendingQuery(new RequestNumber(0x9192_9394_9596_9798)),
        new Withdraw(new RequestNumber(0x9192_9394_9596_9798)),
        new SharedStateVote(
            new RequestNumber(0x3A3B_3C3D_3E3F_4041),
            new Revision(0x4A4B_4C4D_4E4F_5051),
            RevisionRule.Counted,
            SyncStrategy.SendOnly,
            [new StateEntry("layer.0/wéight", DataType.BFloat16, 0x5A5B_5C5D_5E5F_6061, MayDiffer: false, Hash), new StateEntry("rng", DataType.UInt64, 4, MayDiffer: true, default)]),
        new SharedStateDone(new RequestNumber(0x6A6B_6C6D_6E6F_7071), Ok: true, "fetched"),
        new HolderFailed(new RequestNumber(0x7A7B_7C7D_7E7F_8081), PeerB, WrongBytes: true, "block 7"),
        new CollectiveStart(Attempt with { Tensor = 0x0123 }, Descriptor),
        new CollectiveDone(Attempt, Ok: false, "cancelled"),
        new OptimizeVote(new RequestNumber(0xC1C2_C3C4_C5C6_C7C8)),
        new ProbeDone(0x0D1D_2D3D_4D5D_6D7D, Ok: true, 0x0E1E_2E3E_4E5E_6E7E, "refused"),
        new Leave(),
        new LocalFault("no descriptors"),
        new Heartbeat(),
        new Welcome(PeerA, 5000, 1 << 20),
        new Refused(ErrorCode.MasterRefused, "full"),
        new EpochOpened(
            Epoch,
            Key,
            "peer lost",
            [new Member(PeerA, AddressV4, AddressV6), new Member(PeerB, AddressV6)],
            [new Exclusion(new PeerId(new Guid("c0c1c2c3-c4c5-c6c7-c8c9-cacbcccdcecf")), "silent")],
            [new Decision(new Tag(5), 6, Committed: true, default, ""), new Decision(new Tag(7), 8, Committed: false, ErrorCode.Mismatch, "count")]),
        new EpochStands(Epoch, Sizes, "peer lost") { KeptMinimum = 0x0B0C },
        new Waiting(0xD1D2_D3D4, "for company"),
        new TopologyUpdated(new RequestNumber(0xA1A2_A3A4_A5A6_A7A8), ErrorCode.CrossedCalls, "ünïcode", Sizes, true),
        new PendingReply(new RequestNumber(0xB1B2_B3B4_B5B6_B7B8), Pending: true, ErrorCode.TimedOut, "silent"),
        new CollectiveGo(Attempt with { Tensor = 0x0234 }),
        new Verdict(Attempt),
        new Evicted("frozen"),
        new ProbeLink(0x0F1F_2F3F_4F5F_6F7F, new Member(PeerA, AddressV6, AddressV4), new Member(PeerB, AddressV4)),
        new SharedStatePlan(
            new RequestNumber(0x8A8B_8C8D_8E8F_9091),
            new Revision(0x9A9B_9C9D_9E9F_A0A1),
            [new Member(PeerA, AddressV4), new Member(PeerB, AddressV6)],
            [[1, 0], [1]],
            [new StateFetch(0x0102, Hash, 0), new StateFetch(3, default, 1)]),
        new SharedStateFinished(new RequestNumber(0xAAAB_ACAD_AEAF_B0B1), ErrorCode.SyncFailed, "a holder died", new Revision(0xBABB_BCBD_BEBF_C0C1), [new LeftOutPeer(PeerB, ErrorCode.Mismatch, "type")]),
        new Dismissed(new RequestNumber(0xCACB_CCCD_CECF_D0D1), ErrorCode.RevisionMismatch, "ahead"),
    ];

    public static SegmentHeader Segment { get; } = new(Attempt, 0xD1D2_D3D4, 0xE1E2_E3E4, 0xF1F2_F3F4, 0x0001_0203);

    public static LinkHello LinkHello { get; } = new(MessageCodec.Version, Key, Epoch, PeerA, PeerB, Stripe: 2, StripeCount: 8);

    public static DataHello DataHello { get; } = new(0x4252_5043, MessageCodec.Version, Index: 2, Count: 8, Key, 0x2122_2324_2526_2728, PeerA, PeerB, 0x3132_3334_3536_3738);

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
            Key,
            text,
            [.. Enumerable.Repeat(new Member(PeerA, AddressV6, AddressV6), Limits.PeersMax)],
            [.. Enumerable.Repeat(new Exclusion(PeerB, text), Limits.ExclusionsMax)],
            [.. Enumerable.Repeat(new Decision(new Tag(ulong.MaxValue), uint.MaxValue, Committed: false, ErrorCode.Mismatch, text), Limits.DecisionsMax)]);
    }

    /// <summary>The largest vote the limits allow.</summary>
    public static SharedStateVote LargestVote()
        => new(default, default, default, default, [.. Enumerable.Range(0, Limits.StateKeysMax).Select(i => new StateEntry($"{i:d6}".PadRight(Limits.StateKeyBytesMax, 'x'), DataType.Float64, ulong.MaxValue, MayDiffer: false, Hash))]);

    /// <summary>The largest plan.</summary>
    public static SharedStatePlan LargestPlan()
    {
        ushort[] set = [.. Enumerable.Range(0, Limits.HoldersPerSetMin).Select(i => (ushort)i)];
        return new SharedStatePlan(
            default,
            default,
            [.. Enumerable.Repeat(new Member(PeerA, AddressV6, AddressV6), Limits.PeersMax)],
            [.. Enumerable.Repeat(set, Limits.StateKeysMax)],
            [.. Enumerable.Range(0, Limits.StateKeysMax).Select(i => new StateFetch((ushort)i, Hash, (ushort)i))]);
    }
}
