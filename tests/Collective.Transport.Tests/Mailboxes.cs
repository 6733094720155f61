using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Transport.Tests;

/// <summary>Sends the given payloads as the segments of one attempt.</summary>
internal sealed class Outbox(AttemptKey attempt, byte[][] payloads) : ISegmentHandler
{
    private readonly CountdownEvent _left = new(payloads.Length);

    public AttemptKey Attempt => attempt;

    public void SendAll(ILink link)
    {
        for (var i = 0; i < payloads.Length; i++)
        {
            link.Send(this, Header(i));
        }
    }

    public SegmentHeader Header(int segment) => new(attempt, 1, 0, (uint)segment, payloads[segment].Length);

    public void ExpectAllSent() => Assert.That(_left.Wait(Peer.Patience), Is.True, $"{_left.CurrentCount} of {payloads.Length} segments have not left in time");

    public bool BeginSend(in SegmentHeader header, out ReadOnlySpan<byte> payload)
    {
        payload = payloads[header.Segment];
        return true;
    }

    public void EndSend(in SegmentHeader header, bool sent)
    {
        if (sent)
        {
            _left.Signal();
        }
    }

    public SegmentVerdict BeginReceive(in SegmentHeader header, out Span<byte> target) => throw new NotSupportedException();

    public void EndReceive(in SegmentHeader header, bool received) => throw new NotSupportedException();
}

/// <summary>Receives the segments of one attempt, whose payloads it knows. It can keep the link waiting.</summary>
internal sealed class Inbox(AttemptKey attempt, byte[][] expected) : ISegmentHandler
{
    private readonly byte[][] _targets = [.. expected.Select(p => new byte[p.Length])];
    private readonly CountdownEvent _left = new(expected.Length);
    private readonly ManualResetEventSlim _open = new(initialState: true);
    private readonly ManualResetEventSlim _reached = new();
    private readonly List<uint> _order = [];

    public AttemptKey Attempt => attempt;

    /// <summary>Segments in the order in which they were complete.</summary>
    public uint[] Order
    {
        get
        {
            lock (_order)
            {
                return [.. _order];
            }
        }
    }

    public void Block() => _open.Reset();

    public void Unblock() => _open.Set();

    /// <summary>Waits until the first segment is here (and, when blocked, kept waiting).</summary>
    public void ExpectReached() => Assert.That(_reached.Wait(Peer.Patience), Is.True, "no segment came in time");

    public void ExpectAll()
    {
        Assert.That(_left.Wait(Peer.Patience), Is.True, $"{_left.CurrentCount} of {expected.Length} segments did not come in time");
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.That(_targets[i].AsSpan().SequenceEqual(expected[i]), Is.True, $"segment {i} of {expected[i].Length} bytes arrived otherwise");
        }
    }

    public bool BeginSend(in SegmentHeader header, out ReadOnlySpan<byte> payload) => throw new NotSupportedException();

    public void EndSend(in SegmentHeader header, bool sent) => throw new NotSupportedException();

    public SegmentVerdict BeginReceive(in SegmentHeader header, out Span<byte> target)
    {
        target = default;
        if (header.Segment >= expected.Length || header.PayloadBytes != expected[header.Segment].Length)
        {
            return SegmentVerdict.Violation;
        }

        _reached.Set();
        if (!_open.Wait(Peer.Patience))
        {
            return SegmentVerdict.Violation;
        }

        target = _targets[header.Segment];
        return SegmentVerdict.Receive;
    }

    public void EndReceive(in SegmentHeader header, bool received)
    {
        if (received)
        {
            lock (_order)
            {
                _order.Add(header.Segment);
            }

            _left.Signal();
        }
    }
}

/// <summary>Payloads for tests.</summary>
internal static class Payloads
{
    public static byte[][] Random(int seed, params int[] sizes)
    {
        var random = new Random(seed);
        return [.. sizes.Select(size =>
        {
            var payload = new byte[size];
            random.NextBytes(payload);
            return payload;
        })];
    }
}
