using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Protocol;

/// <summary>Messages survive the wire, and no bytes can hurt the reader.</summary>
[TestFixture]
internal sealed class MessageCodecTests
{
    private const int FuzzInputs = 100_000;

    private static IEnumerable<TestCaseData> Cases => Samples.All.Select(m => new TestCaseData(m).SetArgDisplayNames(m.Kind.ToString()));

    [Test]
    public void Every_kind_has_a_sample_and_every_sample_another_kind()
        => Assert.That(Samples.All.Select(m => m.Kind), Is.EquivalentTo(Enum.GetValues<MessageKind>()));

    [Test]
    public void Every_kind_is_the_kind_of_one_message_type()
    {
        var types = typeof(Message).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Message)));
        Assert.That(Samples.All.Select(m => m.GetType()), Is.EquivalentTo(types));
    }

    [TestCaseSource(nameof(Cases))]
    public void A_message_survives_the_wire(object sample)
    {
        var message = (Message)sample;
        var frame = Samples.Frame(message);
        var header = FrameHeader.Parse(frame);
        Assert.That(header, Is.EqualTo(new FrameHeader(frame.Length - FrameHeader.Bytes, message.Kind, Samples.Term, message is Refused ? default : Samples.Run)));

        var decoded = MessageCodec.Decode(message.Kind, frame.AsSpan(FrameHeader.Bytes));
        Assert.That(decoded, Is.TypeOf(message.GetType()));
        Assert.That(decoded, Is.EqualTo(message).UsingPropertiesComparer());
        Assert.That(Samples.Frame(decoded!), Is.EqualTo(frame));
    }

    [TestCaseSource(nameof(Cases))]
    public void A_message_that_is_cut_or_too_long_is_no_message(object sample)
    {
        var message = (Message)sample;
        var payload = Samples.Payload(message);
        for (var length = 0; length < payload.Length; length++)
        {
            Assert.That(MessageCodec.Decode(message.Kind, payload.AsSpan(0, length)), Is.Null, $"{length} of {payload.Length} bytes");
        }

        Assert.That(MessageCodec.Decode(message.Kind, [.. payload, 0]), Is.Null, "one byte more");
    }

    [TestCaseSource(nameof(Cases))]
    public void A_message_of_one_kind_is_not_read_as_garbage_of_another(object sample)
    {
        var payload = Samples.Payload((Message)sample);
        for (var kind = 0; kind <= byte.MaxValue; kind++)
        {
            AssertStable((MessageKind)kind, payload);
        }
    }

    [Test]
    public void Mutated_messages_never_throw_and_decode_to_something_that_survives_the_wire()
    {
        var random = new Random(20_250_101);
        var payloads = Samples.All.Select(m => (m.Kind, Payload: Samples.Payload(m))).ToArray();
        var decoded = 0;
        for (var i = 0; i < FuzzInputs; i++)
        {
            var (kind, payload) = payloads[random.Next(payloads.Length)];
            var bytes = Mutate(random, payload);
            decoded += AssertStable(kind, bytes) ? 1 : 0;
        }

        Assert.That(decoded, Is.GreaterThan(FuzzInputs / 20), "the mutations must not all be hopeless");
        Assert.That(decoded, Is.LessThan(FuzzInputs));
    }

    [Test]
    public void Random_bytes_never_throw()
    {
        var random = new Random(7);
        for (var i = 0; i < FuzzInputs; i++)
        {
            var bytes = new byte[random.Next(80)];
            random.NextBytes(bytes);
            AssertStable((MessageKind)random.Next(256), bytes);
            AssertStable(bytes);
        }
    }

    [Test]
    public void The_largest_epoch_fits_a_control_frame()
    {
        var frame = Samples.Frame(Samples.LargestEpoch());
        Assert.That(frame, Has.Length.LessThanOrEqualTo(FrameHeader.Bytes + Limits.ControlBytesMax));
        Assert.That(FrameHeader.Parse(frame), Is.Not.Null);
        Assert.That(MessageCodec.Decode(MessageKind.EpochOpened, frame.AsSpan(FrameHeader.Bytes)), Is.EqualTo(Samples.LargestEpoch()).UsingPropertiesComparer());
    }

    [Test]
    public void The_largest_vote_and_the_largest_plan_fit_a_control_frame()
    {
        foreach (var message in new Message[] { Samples.LargestVote(), Samples.LargestPlan() })
        {
            var frame = Samples.Frame(message);
            Assert.That(FrameHeader.Parse(frame)?.PayloadBytes, Is.EqualTo(frame.Length - FrameHeader.Bytes).And.LessThanOrEqualTo(Limits.StateBytesMax));
            var decoded = MessageCodec.Decode(message.Kind, frame.AsSpan(FrameHeader.Bytes));
            Assert.That(decoded, Is.Not.Null);
            Assert.That(Samples.Frame(decoded!).AsSpan().SequenceEqual(frame));
        }
    }

    [Test]
    public void A_plan_that_names_what_is_not_there_is_no_message()
    {
        var hash = new StateHash(1);
        var member = default(Member);
        AssertNoMessage(new SharedStatePlan(default, default, [member], [[1]], []), "a holder that is none");
        AssertNoMessage(new SharedStatePlan(default, default, [member], [[0]], [new StateFetch(0, hash, 1)]), "a set that is none");
        AssertNoMessage(new SharedStatePlan(default, default, [member], [[0]], [new StateFetch(Limits.StateKeysMax, hash, 0)]), "a tensor that cannot be");
        AssertNoMessage(new SharedStatePlan(default, default, [member], [[0, 0]], []), "more holders in a set than there are");
        ushort[] all = [.. Enumerable.Range(0, Limits.PeersMax).Select(i => (ushort)i)];
        AssertNoMessage(new SharedStatePlan(default, default, [.. Enumerable.Repeat(member, Limits.PeersMax)], [.. Enumerable.Repeat(all, (Limits.HolderIndexesMax / Limits.PeersMax) + 1)], []), "too many positions");
    }

    [Test]
    public void A_vote_that_cannot_be_meant_is_no_message()
    {
        AssertNoMessage(new SharedStateVote(default, Revision.Limit, default, default, []), "no revision can follow it");
        AssertNoMessage(new SharedStateVote(default, default, default, SyncStrategy.SendOnly + 1, []), "an unknown strategy");
        AssertNoMessage(new SharedStateVote(default, default, RevisionRule.ByOne + 1, default, []), "an unknown rule");
        AssertNoMessage(new SharedStateVote(default, default, default, default, [new StateEntry("a", DataType.UInt8, 1, MayDiffer: true, new StateHash(1))]), "a hash of what may differ");
        AssertNoMessage(new SharedStateVote(default, default, default, default, [.. Enumerable.Repeat(new StateEntry("a", DataType.UInt8, 1, MayDiffer: true, default), Limits.StateKeysMax + 1)]), "too many tensors");
    }

    [Test]
    public void Other_messages_fit_the_buffer_that_is_promised_for_them_whatever_their_text()
    {
        var text = new string('\u20AC', 10_000);
        Message[] wordy =
        [
            new LinkFailed(default, default, true, text), new CollectiveDone(default, false, text), new Refused(default, text),
            new TopologyUpdated(default, default, text, default), new Evicted(text),
            new SharedStateDone(default, false, text), new HolderFailed(default, default, true, text), new SharedStateFinished(default, default, text, default, [new LeftOutPeer(default, default, text)]), new Dismissed(default, default, text),
        ];
        foreach (var message in wordy)
        {
            var payload = Samples.Payload(message);
            Assert.That(MessageCodec.Decode(message.Kind, payload), Is.Not.Null, $"{message.Kind}");
        }
    }

    [TestCase(Limits.PeersMax + 1, 0, 0)]
    [TestCase(0, Limits.ExclusionsMax + 1, 0)]
    [TestCase(0, 0, Limits.DecisionsMax + 1)]
    public void An_epoch_beyond_a_limit_is_no_message(int members, int excluded, int decisions)
    {
        var message = new EpochOpened(
            Epoch.First(1),
            default,
            "",
            [.. Enumerable.Repeat(default(Member), members)],
            [.. Enumerable.Repeat(new Exclusion(default, ""), excluded)],
            [.. Enumerable.Repeat(new Decision(default, 0, false, default, ""), decisions)]);
        Assert.That(MessageCodec.Decode(MessageKind.EpochOpened, Samples.Payload(message)), Is.Null);
    }

    [TestCase((ushort)(MessageCodec.Version + 1))]
    [TestCase((ushort)0)]
    [TestCase(ushort.MaxValue)]
    public void A_hello_of_another_version_shows_its_version_whatever_follows(ushort version)
    {
        var payload = Samples.Payload(new Hello(version, new PeerGroup(9), 9, 9));
        Assert.That(MessageCodec.Decode(MessageKind.Hello, payload), Is.EqualTo(new Hello(version, default, 0, 1)));
        Assert.That(MessageCodec.Decode(MessageKind.Hello, [.. payload, 1, 2, 3]), Is.EqualTo(new Hello(version, default, 0, 1)));
        Assert.That(MessageCodec.Decode(MessageKind.Hello, payload.AsSpan(0, 6)), Is.EqualTo(new Hello(version, default, 0, 1)));
        Assert.That(MessageCodec.Decode(MessageKind.Hello, payload.AsSpan(0, 5)), Is.Null);
    }

    private static void AssertNoMessage(Message message, string why) => Assert.That(MessageCodec.Decode(message.Kind, Samples.Payload(message)), Is.Null, why);

    private static byte[] Mutate(Random random, byte[] payload)
    {
        var bytes = random.Next(8) switch
        {
            0 => payload[..random.Next(payload.Length + 1)],
            1 => [.. payload, (byte)random.Next(256)],
            _ => payload.ToArray(),
        };
        for (var n = random.Next(4); n > 0 && bytes.Length > 0; n--)
        {
            var at = random.Next(bytes.Length);
            bytes[at] = random.Next(3) switch { 0 => 0, 1 => 255, _ => (byte)random.Next(256) };
        }

        return bytes;
    }

    /// <summary>Whether the bytes are a message; if so, what it encodes to must be read as the same message.</summary>
    private static bool AssertStable(MessageKind kind, byte[] payload)
    {
        if (MessageCodec.Decode(kind, payload) is not { } message)
        {
            return false;
        }

        var again = Samples.Payload(message);
        if (again.AsSpan().SequenceEqual(payload))
        {
            return true;
        }

        // Only a hello of another version is read with a loss, and then always the same.
        var twice = MessageCodec.Decode(kind, again);
        Assert.That(message, Is.TypeOf<Hello>().And.Not.Property(nameof(Hello.Version)).EqualTo(MessageCodec.Version), $"{kind} {Convert.ToHexString(payload)}");
        Assert.That(twice, Is.EqualTo(message));
        return true;
    }

    private static void AssertStable(byte[] bytes)
    {
        _ = FrameHeader.Parse(bytes);
        _ = LinkHello.Parse(bytes);
        _ = SegmentHeader.Parse(bytes);
        _ = LinkReplyCodec.Parse(bytes);
    }
}
