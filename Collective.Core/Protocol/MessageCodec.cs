using System.Buffers.Binary;

namespace Collective.Protocol;

/// <summary>The start of every control frame: payload length, kind, term, run.</summary>
internal readonly record struct FrameHeader(int PayloadBytes, MessageKind Kind, ushort Term, RunId Run)
{
    public const int Bytes = 4 + 2 + 2 + 16;

    /// <summary>Null when the bytes cannot start a frame.</summary>
    public static FrameHeader? Parse(ReadOnlySpan<byte> bytes)
    {
        var reader = new WireReader(bytes);
        var length = reader.UInt32();
        var kind = reader.UInt16();
        var term = reader.UInt16();
        var run = new RunId(reader.Guid());
        return reader.Failed || kind is 0 or > byte.MaxValue || length > MessageCodec.PayloadBytesMax((MessageKind)kind)
            ? null
            : new FrameHeader((int)length, (MessageKind)kind, term, run);
    }
}

/// <summary>Control messages to bytes and back. Decoding is total: a message or null, for any bytes.</summary>
internal static class MessageCodec
{
    /// <summary>First bytes of the first message of every connection: "CLTV".</summary>
    public const uint Magic = 0x56544C43;

    /// <summary>Wire version. A peer and a master of different versions refuse each other with a reason.</summary>
    public const ushort Version = 1;

    /// <summary>Writes a whole frame and returns its length.</summary>
    public static int Encode(Message message, ushort term, RunId run, Span<byte> buffer)
    {
        var writer = new WireWriter(buffer[FrameHeader.Bytes..]);
        WritePayload(ref writer, message);
        BinaryPrimitives.WriteUInt32LittleEndian(buffer, (uint)writer.Written);
        BinaryPrimitives.WriteUInt16LittleEndian(buffer[4..], (ushort)message.Kind);
        BinaryPrimitives.WriteUInt16LittleEndian(buffer[6..], term);
        var told = message is Refused ? default : run; // A stranger need not know it.
        told.Value.TryWriteBytes(buffer[8..], bigEndian: true, out _);
        return FrameHeader.Bytes + writer.Written;
    }

    /// <summary>Longest payload of a kind of message.</summary>
    public static int PayloadBytesMax(MessageKind kind) => kind is MessageKind.SharedStateVote or MessageKind.SharedStatePlan ? Limits.StateBytesMax : Limits.ControlBytesMax;

    /// <summary>Upper bound of the frame's length.</summary>
    public static int EncodedBytesMax(Message message) => message switch
    {
        EpochOpened => FrameHeader.Bytes + Limits.ControlBytesMax,
        SharedStateVote m => FrameHeader.Bytes + SharedStateCodec.BytesMax(m),
        SharedStatePlan m => FrameHeader.Bytes + SharedStateCodec.BytesMax(m),
        SharedStateFinished m => FrameHeader.Bytes + SharedStateCodec.BytesMax(m),
        SurveyLinks or LinksSurveyed => FrameHeader.Bytes + 16 + (Limits.PeersMax * 2),
        _ => 1024, // A hello, too: see Limits.FingerprintsMax.
    };

    public static Message? Decode(MessageKind kind, ReadOnlySpan<byte> payload)
    {
        var reader = new WireReader(payload);
        Message? message = kind switch
        {
            MessageKind.Hello => ReadHello(ref reader),
            MessageKind.EpochReady => new EpochReady(reader.Epoch()),
            MessageKind.LinkFailed => new LinkFailed(reader.Epoch(), reader.Peer(), reader.Bool(), reader.Text()),
            MessageKind.LinksSurveyed => new LinksSurveyed(reader.Epoch(), ReadRanks(ref reader)),
            MessageKind.SurveyLinks => new SurveyLinks(reader.Epoch(), ReadRanks(ref reader)),
            MessageKind.Announce => new Announce(reader.Text(), reader.Bool() ? reader.Text() : null),
            MessageKind.TopologyVote => new TopologyVote(new RequestNumber(reader.UInt64())),
            MessageKind.AdmitWhenAlone => new AdmitWhenAlone(new RequestNumber(reader.UInt64())),
            MessageKind.PendingQuery => new PendingQuery(new RequestNumber(reader.UInt64())),
            MessageKind.Withdraw => new Withdraw(new RequestNumber(reader.UInt64())),
            MessageKind.CollectiveStart => ReadStart(ref reader),
            MessageKind.CollectiveDone => new CollectiveDone(ReadAttempt(ref reader), reader.Bool(), reader.Text()),
            MessageKind.LinkProgress => new LinkProgress(reader.Epoch(), new LinkBytes(reader.UInt64(), reader.UInt64()), reader.UInt32()),
            MessageKind.OptimizeVote => new OptimizeVote(new RequestNumber(reader.UInt64())),
            MessageKind.ProbeDone => new ProbeDone(reader.UInt64(), reader.Bool(), reader.UInt64(), reader.Text()),
            MessageKind.SharedStateVote => SharedStateCodec.ReadVote(ref reader),
            MessageKind.SharedStateDone => new SharedStateDone(new RequestNumber(reader.UInt64()), reader.Bool(), reader.Text()),
            MessageKind.HolderFailed => new HolderFailed(new RequestNumber(reader.UInt64()), reader.Peer(), reader.Bool(), reader.Text()),
            MessageKind.Leave => new Leave(),
            MessageKind.LocalFault => new LocalFault(reader.Text()),
            MessageKind.Heartbeat => new Heartbeat(),
            MessageKind.Welcome => new Welcome(reader.Peer(), reader.UInt32(), reader.UInt32()),
            MessageKind.Refused => new Refused(ReadErrorCode(ref reader), reader.Text()),
            MessageKind.EpochOpened => ReadEpochOpened(ref reader),
            MessageKind.EpochStands => new EpochStands(reader.Epoch(), ReadSizes(ref reader), reader.Text()) { KeptMinimum = reader.UInt16() },
            MessageKind.Waiting => new Waiting(reader.UInt32(), reader.Text()),
            MessageKind.TopologyUpdated => new TopologyUpdated(new RequestNumber(reader.UInt64()), ReadErrorCode(ref reader), reader.Text(), ReadSizes(ref reader), reader.Bool()),
            MessageKind.PendingReply => new PendingReply(new RequestNumber(reader.UInt64()), reader.Bool(), ReadErrorCode(ref reader), reader.Text()),
            MessageKind.CollectiveGo => new CollectiveGo(ReadTensor(ref reader)),
            MessageKind.Verdict => new Verdict(ReadAttempt(ref reader)),
            MessageKind.Evicted => new Evicted(reader.Text()),
            MessageKind.ProbeLink => new ProbeLink(reader.UInt64(), reader.Member(), reader.Member()),
            MessageKind.SharedStatePlan => SharedStateCodec.ReadPlan(ref reader),
            MessageKind.SharedStateFinished => SharedStateCodec.ReadFinished(ref reader),
            MessageKind.Dismissed => new Dismissed(new RequestNumber(reader.UInt64()), ReadErrorCode(ref reader), reader.Text()),
            _ => null,
        };
        return reader.Complete ? message : null;
    }

    private static void WritePayload(ref WireWriter writer, Message message)
    {
        switch (message)
        {
            case Hello m:
                writer.UInt32(Magic);
                writer.UInt16(m.Version);
                writer.UInt32(m.Group.Value);
                writer.UInt16(m.DataPort);
                writer.UInt16(m.MinimumWorldSize);
                writer.OptionalAddress(m.Announced);
                writer.OptionalAddress(m.Alternative);
                writer.Bool(m.KeepsMinimum);
                WriteFingerprints(ref writer, m.Fingerprints);
                break;
            case Announce m:
                writer.Text(m.Scope);
                writer.Bool(m.Text is not null);
                if (m.Text is { } announced)
                {
                    writer.Text(announced);
                }

                break;
            case EpochReady m: writer.UInt64(m.Epoch.Value); break;
            case LinkFailed m:
                writer.UInt64(m.Epoch.Value);
                writer.Peer(m.Neighbour);
                writer.Bool(m.Outgoing);
                writer.Text(m.Detail);
                break;
            case LinksSurveyed m:
                writer.UInt64(m.Epoch.Value);
                WriteRanks(ref writer, m.Unreachable);
                break;
            case TopologyVote m: writer.UInt64(m.Request.Value); break;
            case AdmitWhenAlone m: writer.UInt64(m.Request.Value); break;
            case PendingQuery m: writer.UInt64(m.Request.Value); break;
            case Withdraw m: writer.UInt64(m.Request.Value); break;
            case CollectiveStart m:
                WriteTensor(ref writer, m.Attempt);
                WriteDescriptor(ref writer, m.Descriptor);
                break;
            case CollectiveDone m:
                WriteAttempt(ref writer, m.Attempt);
                writer.Bool(m.Ok);
                writer.Text(m.Detail);
                break;
            case LinkProgress m:
                writer.UInt64(m.Epoch.Value);
                writer.UInt64(m.Bytes.Sent);
                writer.UInt64(m.Bytes.Received);
                writer.UInt32(m.StallTimeoutMs);
                break;
            case OptimizeVote m: writer.UInt64(m.Request.Value); break;
            case LocalFault m: writer.Text(m.Reason); break;
            case ProbeDone m:
                writer.UInt64(m.Number);
                writer.Bool(m.Ok);
                writer.UInt64(m.BytesPerSecond);
                writer.Text(m.Detail);
                break;
            case SharedStateVote or SharedStateDone or HolderFailed: WriteSyncPayload(ref writer, message); break;
            case Leave or Heartbeat: break;
            default: WriteMasterPayload(ref writer, message); break;
        }
    }

    private static void WriteSyncPayload(ref WireWriter writer, Message message)
    {
        switch (message)
        {
            case SharedStateVote m: SharedStateCodec.WriteVote(ref writer, m); break;
            case SharedStateDone m:
                writer.UInt64(m.Request.Value);
                writer.Bool(m.Ok);
                writer.Text(m.Detail);
                break;
            case HolderFailed m:
                writer.UInt64(m.Request.Value);
                writer.Peer(m.Holder);
                writer.Bool(m.WrongBytes);
                writer.Text(m.Detail);
                break;
        }
    }

    private static void WriteMasterPayload(ref WireWriter writer, Message message)
    {
        switch (message)
        {
            case Welcome m:
                writer.Peer(m.Id);
                writer.UInt32(m.HeartbeatTimeoutMs);
                writer.UInt32(m.SegmentBytes);
                break;
            case Refused m:
                writer.UInt16((ushort)m.Code);
                writer.Text(m.Reason);
                break;
            case EpochOpened m: WriteEpochOpened(ref writer, m); break;
            case EpochStands m:
                writer.UInt64(m.Epoch.Value);
                WriteSizes(ref writer, m.Sizes);
                writer.Text(m.Reason);
                writer.UInt16((ushort)m.KeptMinimum);
                break;
            case Waiting m:
                writer.UInt32(m.Seconds);
                writer.Text(m.Text);
                break;
            case TopologyUpdated m:
                writer.UInt64(m.Request.Value);
                writer.UInt16((ushort)m.Error);
                writer.Text(m.Reason);
                WriteSizes(ref writer, m.Sizes);
                writer.Bool(m.Newcomers);
                break;
            case PendingReply m:
                writer.UInt64(m.Request.Value);
                writer.Bool(m.Pending);
                writer.UInt16((ushort)m.Error);
                writer.Text(m.Reason);
                break;
            case CollectiveGo m: WriteTensor(ref writer, m.Attempt); break;
            case Verdict m: WriteAttempt(ref writer, m.Attempt); break;
            case Evicted m: writer.Text(m.Reason); break;
            case SurveyLinks m:
                writer.UInt64(m.Epoch.Value);
                WriteRanks(ref writer, m.Ranks);
                break;
            case ProbeLink m:
                writer.UInt64(m.Number);
                writer.Member(m.From);
                writer.Member(m.To);
                break;
            case SharedStatePlan m: SharedStateCodec.WritePlan(ref writer, m); break;
            case SharedStateFinished m: SharedStateCodec.WriteFinished(ref writer, m); break;
            case Dismissed m:
                writer.UInt64(m.Request.Value);
                writer.UInt16((ushort)m.Error);
                writer.Text(m.Reason);
                break;
            default: throw new InvariantException($"message {message.Kind} has an encoding");
        }
    }

    private static Hello? ReadHello(ref WireReader reader)
    {
        if (reader.UInt32() != Magic)
        {
            return null;
        }

        // Of another version only the version is known: what follows is that version's business.
        var version = reader.UInt16();
        if (version != Version && !reader.Failed)
        {
            reader = default;
            return new Hello(version, default, 0, 1);
        }

        return new Hello(version, new PeerGroup(reader.UInt32()), reader.UInt16(), reader.UInt16(), reader.OptionalAddress(), reader.OptionalAddress())
        {
            KeepsMinimum = reader.Bool(),
            Fingerprints = ReadFingerprints(ref reader),
        };
    }

    private static Fingerprint[] ReadFingerprints(ref WireReader reader)
    {
        var fingerprints = new Fingerprint[reader.Count(Limits.FingerprintsMax, 2 + 2)];
        for (var i = 0; i < fingerprints.Length; i++)
        {
            fingerprints[i] = new Fingerprint(reader.Text(), reader.Text());
        }

        return fingerprints;
    }

    private static void WriteFingerprints(ref WireWriter writer, IReadOnlyList<Fingerprint> fingerprints)
    {
        writer.UInt16((ushort)fingerprints.Count);
        foreach (var fingerprint in fingerprints)
        {
            writer.Text(fingerprint.Scope);
            writer.Text(fingerprint.Text);
        }
    }

    private static AttemptKey ReadAttempt(ref WireReader reader) => new(reader.Epoch(), new Tag(reader.UInt64()), reader.UInt32());

    /// <summary>One tensor of an attempt.</summary>
    private static AttemptKey ReadTensor(ref WireReader reader) => ReadAttempt(ref reader) with { Tensor = reader.UInt16() };

    private static void WriteTensor(ref WireWriter writer, AttemptKey tensor)
    {
        WriteAttempt(ref writer, tensor);
        writer.UInt16(tensor.Tensor);
    }

    private static CollectiveStart ReadStart(ref WireReader reader)
    {
        var start = new CollectiveStart(ReadTensor(ref reader), ReadDescriptor(ref reader));
        if (start.Attempt.Tensor >= start.Descriptor.Tensors)
        {
            reader.Fail();
        }

        return start;
    }

    private static void WriteAttempt(ref WireWriter writer, AttemptKey attempt)
    {
        writer.UInt64(attempt.Epoch.Value);
        writer.UInt64(attempt.Tag.Value);
        writer.UInt32(attempt.Ordinal);
    }

    private static CollectiveDescriptor ReadDescriptor(ref WireReader reader)
    {
        var descriptor = new CollectiveDescriptor(
            reader.UInt64(),
            (DataType)reader.Enumeration((byte)DataType.Float64),
            (ReduceOperation)reader.Enumeration((byte)ReduceOperation.Min),
            reader.Byte(),
            reader.Text(),
            reader.UInt16());
        if (!descriptor.IsPossible)
        {
            reader.Fail();
        }

        return descriptor;
    }

    private static void WriteDescriptor(ref WireWriter writer, CollectiveDescriptor descriptor)
    {
        writer.UInt64(descriptor.Count);
        writer.Byte((byte)descriptor.DataType);
        writer.Byte((byte)descriptor.Operation);
        writer.Byte(descriptor.Quantisation);
        writer.Text(descriptor.Label);
        writer.UInt16(descriptor.Tensors);
    }

    public static ErrorCode ReadErrorCode(ref WireReader reader) => (ErrorCode)reader.UInt16();

    private static WorldSizes ReadSizes(ref WireReader reader) => new(reader.UInt16(), reader.UInt16(), reader.UInt16());

    private static void WriteSizes(ref WireWriter writer, WorldSizes sizes)
    {
        writer.UInt16((ushort)sizes.Global);
        writer.UInt16((ushort)sizes.Groups);
        writer.UInt16((ushort)sizes.LargestGroup);
    }

    private static EpochOpened ReadEpochOpened(ref WireReader reader)
    {
        var epoch = reader.Epoch();
        var key = new LinkKey(reader.Guid());
        var reason = reader.Text();
        var members = new Member[reader.Count(Limits.PeersMax, Limits.MemberBytesMin)];
        for (var i = 0; i < members.Length; i++)
        {
            members[i] = reader.Member();
        }

        var excluded = new Exclusion[reader.Count(Limits.ExclusionsMax, 16 + 2)];
        for (var i = 0; i < excluded.Length; i++)
        {
            excluded[i] = new Exclusion(reader.Peer(), reader.Text());
        }

        var decisions = new Decision[reader.Count(Limits.DecisionsMax, 8 + 4 + 1 + 2 + 2)];
        for (var i = 0; i < decisions.Length; i++)
        {
            decisions[i] = new Decision(new Tag(reader.UInt64()), reader.UInt32(), reader.Bool(), ReadErrorCode(ref reader), reader.Text());
        }

        return new EpochOpened(epoch, key, reason, members, excluded, decisions);
    }

    private static void WriteEpochOpened(ref WireWriter writer, EpochOpened message)
    {
        writer.UInt64(message.Epoch.Value);
        writer.Guid(message.Key.Value);
        writer.Text(message.Reason);
        writer.UInt16((ushort)message.Members.Count);
        foreach (var member in message.Members)
        {
            writer.Member(member);
        }

        writer.UInt16((ushort)message.Excluded.Count);
        foreach (var exclusion in message.Excluded)
        {
            writer.Peer(exclusion.Id);
            writer.Text(exclusion.Reason);
        }

        writer.UInt16((ushort)message.Decisions.Count);
        foreach (var decision in message.Decisions)
        {
            writer.UInt64(decision.Tag.Value);
            writer.UInt32(decision.Ordinal);
            writer.Bool(decision.Committed);
            writer.UInt16((ushort)decision.Code);
            writer.Text(decision.Reason);
        }
    }

    private static ushort[] ReadRanks(ref WireReader reader)
    {
        var ranks = new ushort[reader.Count(Limits.PeersMax, 2)];
        for (var i = 0; i < ranks.Length; i++)
        {
            ranks[i] = reader.UInt16();
        }

        return ranks;
    }

    private static void WriteRanks(ref WireWriter writer, IReadOnlyList<ushort> ranks)
    {
        writer.UInt16((ushort)ranks.Count);
        foreach (var rank in ranks)
        {
            writer.UInt16(rank);
        }
    }
}
