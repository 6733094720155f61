using System.Buffers;
using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Core.Tests.Transport;

/// <summary>Every segment finds its operation, waits for it within limits, or is dropped.</summary>
[TestFixture]
internal sealed class SegmentRouterTests
{
    private static readonly Epoch Current = Epoch.First(1).Next();

    private readonly SegmentRouter _router = new();

    [SetUp]
    public void SetUp() => _router.SetEpoch(Current);

    [Test]
    public void A_segment_of_an_entered_operation_goes_to_it()
    {
        var handler = new Handler(Key(1));
        _router.Register(handler);
        Assert.That(_router.Find(Header(Key(1), 0), out var found), Is.EqualTo(SegmentRoute.Handler));
        Assert.That(found, Is.SameAs(handler));
        Assert.That(_router.Find(Header(Key(2), 0), out found), Is.EqualTo(SegmentRoute.Early), "another tag");
        Assert.That(found, Is.Null);
        Assert.That(_router.Find(Header(Key(1) with { Ordinal = 1 }, 0), out _), Is.EqualTo(SegmentRoute.Early), "the next attempt of the tag");
    }

    [Test]
    public void Early_segments_are_kept_in_order_and_handed_over_when_the_operation_is_entered()
    {
        for (uint segment = 0; segment < 5; segment++)
        {
            Keep(Key(1), segment, (byte)segment);
        }

        Keep(Key(2), 9, 99);
        var handler = new Handler(Key(1));
        _router.Register(handler);
        Assert.That(handler.Received, Is.EqualTo(new (uint, byte)[] { (0, 0), (1, 1), (2, 2), (3, 3), (4, 4) }));

        var other = new Handler(Key(2));
        _router.Register(other);
        Assert.That(other.Received, Is.EqualTo(new (uint, byte)[] { (9, 99) }));
    }

    [Test]
    public void A_segment_that_was_early_when_its_header_came_is_delivered_if_the_operation_was_entered_meanwhile()
    {
        Assert.That(_router.Find(Header(Key(1), 3), out _), Is.EqualTo(SegmentRoute.Early));
        var handler = new Handler(Key(1));
        _router.Register(handler);
        _router.KeepEarly(Header(Key(1), 3), Payload(77));
        Assert.That(handler.Received, Is.EqualTo(new (uint, byte)[] { (3, 77) }));
    }

    [Test]
    public void A_segment_that_was_early_when_its_header_came_is_dropped_if_the_epoch_ended_meanwhile()
    {
        Assert.That(_router.Find(Header(Key(1), 3), out _), Is.EqualTo(SegmentRoute.Early));
        _router.SetEpoch(Current.Next());
        _router.KeepEarly(Header(Key(1), 3), Payload(77));
        var handler = new Handler(Key(1));
        _router.Register(handler);
        Assert.That(handler.Received, Is.Empty, "it is of an older epoch");
    }

    [Test]
    public void A_handler_that_does_not_want_an_early_segment_does_not_get_it()
    {
        Keep(Key(1), 0, 1);
        var handler = new Handler(Key(1)) { Verdict = SegmentVerdict.Violation };
        _router.Register(handler);
        Assert.That(handler.Received, Is.Empty);
    }

    [Test]
    public void Stale_segments_are_discarded_and_newer_ones_are_violations()
    {
        Assert.That(_router.Find(Header(Key(1) with { Epoch = Epoch.First(1) }, 0), out _), Is.EqualTo(SegmentRoute.Discard));
        Assert.That(_router.Find(Header(Key(1) with { Epoch = Current.Next() }, 0), out _), Is.EqualTo(SegmentRoute.Violation));
    }

    [Test]
    public void A_new_epoch_forgets_operations_and_early_segments()
    {
        var handler = new Handler(Key(1));
        _router.Register(handler);
        Keep(Key(2), 0, 5);
        _router.SetEpoch(Current.Next());
        Assert.That(_router.Find(Header(Key(1), 0), out _), Is.EqualTo(SegmentRoute.Discard));
        _router.SetEpoch(Current.Next());
        var late = new Handler(Key(2) with { Epoch = Current.Next() });
        _router.Register(late);
        Assert.That(late.Received, Is.Empty);
        Assert.That(_router.Find(Header(late.Attempt, 0), out var found), Is.EqualTo(SegmentRoute.Handler));
        Assert.That(found, Is.SameAs(late));
    }

    [Test]
    public void An_operation_of_another_epoch_is_not_entered()
    {
        _router.Register(new Handler(Key(1) with { Epoch = Epoch.First(1) }));
        Assert.That(_router.Find(Header(Key(1), 0), out _), Is.EqualTo(SegmentRoute.Early));
        _router.Unregister(Key(1));
    }

    [Test]
    public void An_operation_may_send_no_more_before_it_is_entered_than_an_eager_one_has()
    {
        const int Bytes = 32 * 1024;
        for (var kept = 0; kept < Limits.EarlyBytesPerOperationMax; kept += Bytes)
        {
            var header = Header(Key(1), 0) with { PayloadBytes = Bytes };
            Assert.That(_router.Find(header, out _), Is.EqualTo(SegmentRoute.Early));
            _router.KeepEarly(header, ArrayPool<byte>.Shared.Rent(Bytes));
        }

        Assert.That(_router.Find(Header(Key(1), 0) with { PayloadBytes = 1 }, out _), Is.EqualTo(SegmentRoute.Violation));
        Assert.That(_router.Find(Header(Key(2), 0) with { PayloadBytes = Limits.EarlyBytesPerOperationMax + 1 }, out _), Is.EqualTo(SegmentRoute.Violation));
        Assert.That(_router.Find(Header(Key(2), 0), out _), Is.EqualTo(SegmentRoute.Early), "the limit is each operation's own");
    }

    [Test]
    public void The_number_of_operations_that_are_ahead_has_a_limit()
    {
        ulong tag = 0;
        while (_router.Find(Header(Key(tag), 0), out _) == SegmentRoute.Early)
        {
            Keep(Key(tag), 0, 0);
            tag++;
            Assert.That(tag, Is.LessThanOrEqualTo((ulong)(2 * Limits.TensorsInFlightMax)));
        }

        Assert.That(tag, Is.GreaterThanOrEqualTo((ulong)Limits.TensorsInFlightMax), "what a legal neighbour may send");
        Assert.That(_router.Find(Header(Key(tag), 0), out _), Is.EqualTo(SegmentRoute.Violation));
        Assert.That(_router.Find(Header(Key(0), 1), out _), Is.EqualTo(SegmentRoute.Early), "more of one that is kept already");
    }

    [Test]
    public void What_is_kept_of_all_operations_has_a_limit()
    {
        const int Bytes = Limits.EarlyBytesPerOperationMax;
        ulong tag = 0;
        while (_router.Find(Header(Key(tag), 0) with { PayloadBytes = Bytes }, out _) == SegmentRoute.Early)
        {
            _router.KeepEarly(Header(Key(tag), 0) with { PayloadBytes = Bytes }, ArrayPool<byte>.Shared.Rent(1));
            tag++;
            Assert.That(tag * Bytes, Is.LessThanOrEqualTo((ulong)Limits.EarlyBytesMax));
        }

        Assert.That(tag, Is.GreaterThanOrEqualTo((ulong)Limits.OperationsInFlightMax), "what a legal neighbour may send");
        _router.SetEpoch(new Epoch(99));
        Assert.That(_router.Find(Header(Key(0) with { Epoch = new Epoch(99) }, 0), out _), Is.EqualTo(SegmentRoute.Early), "another epoch begins with nothing");
    }

    [Test]
    public void A_queue_keeps_its_order_while_it_grows_and_turns()
    {
        var queue = new SegmentQueue();
        var handler = new Handler(Key(1));
        uint next = 0;
        uint expected = 0;
        var random = new Random(1);
        for (var round = 0; round < 200; round++)
        {
            for (var n = random.Next(60); n > 0; n--)
            {
                queue.Enqueue(handler, Header(Key(1), next++));
            }

            for (var n = random.Next(50); n > 0 && queue.Count > 0; n--)
            {
                Assert.That(queue.Dequeue().Header.Segment, Is.EqualTo(expected++));
            }
        }

        Assert.That(queue.Count, Is.EqualTo((int)(next - expected)).And.GreaterThan(64));
        queue.Clear();
        Assert.That(queue.Count, Is.Zero);
        Assert.That(() => queue.Dequeue(), Throws.TypeOf<InvariantException>());
    }

    private void Keep(AttemptKey key, uint segment, byte value)
    {
        Assert.That(_router.Find(Header(key, segment), out _), Is.EqualTo(SegmentRoute.Early));
        _router.KeepEarly(Header(key, segment), Payload(value));
    }

    private static byte[] Payload(byte value)
    {
        var payload = ArrayPool<byte>.Shared.Rent(1);
        payload[0] = value;
        return payload;
    }

    private static AttemptKey Key(ulong tag) => new(Current, new Tag(tag), 0);

    private static SegmentHeader Header(AttemptKey key, uint segment) => new(key, 1, 2, segment, 1);

    private sealed class Handler(AttemptKey attempt) : ISegmentHandler
    {
        private readonly byte[] _target = new byte[1];

        public List<(uint Segment, byte Value)> Received { get; } = [];

        public SegmentVerdict Verdict { get; init; } = SegmentVerdict.Receive;

        public AttemptKey Attempt => attempt;

        public bool BeginSend(in SegmentHeader header, out ReadOnlySpan<byte> payload) => throw new NotSupportedException();

        public void EndSend(in SegmentHeader header, bool sent) => throw new NotSupportedException();

        public SegmentVerdict BeginReceive(in SegmentHeader header, out Span<byte> target)
        {
            target = _target;
            return Verdict;
        }

        public void EndReceive(in SegmentHeader header, bool received) => Received.Add((header.Segment, _target[0]));
    }
}
