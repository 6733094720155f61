using Collective.Collectives;
using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Core.Tests.Collectives;

/// <summary>The ranks of one ring in one thread. Segments wait until the test delivers them, in any order: as over many stripes of any speed.</summary>
internal sealed class FakeRing : IDisposable
{
    private readonly List<(int To, ISegmentHandler Handler, SegmentHeader Header)> _waiting = [];
    private readonly Link[] _links;
    private readonly byte[][] _inputs;

    public FakeRing(CollectiveDescriptor descriptor, byte[][] inputs, bool inPlace, int segmentBytes)
    {
        Descriptor = descriptor;
        _inputs = inputs;
        var size = inputs.Length;
        BytesSent = new long[size];
        _links = [.. Enumerable.Range(0, size).Select(rank => new Link(this, (rank + 1) % size))];
        Ranks = [.. Enumerable.Range(0, size).Select(rank => new Rank(_links[rank]))];
        Sources = [.. inputs.Select(input => new Memory(input))];
        Destinations = [.. inputs.Select(input => inPlace ? null : new Memory(input.Length))];
        Works = [.. inputs.Select(input => inPlace ? new Memory(input.Length) : null)];
        Layouts = [.. Enumerable.Range(0, size).Select(rank => new RingLayout(descriptor, size, rank, segmentBytes))];
        Pieces = [.. Layouts.Select(layout => layout.PiecesBytes > 0 ? new Memory((int)layout.PiecesBytes) : null)];
        for (var rank = 0; rank < size; rank++)
        {
            var buffers = new RingBuffers(Sources[rank].Address, (Destinations[rank] ?? Sources[rank]).Address, Works[rank]?.Address ?? 0, Pieces[rank]?.Address ?? 0);
            Ranks[rank].Ring.Prepare(Attempt, descriptor, Layouts[rank], buffers, Reducers.For(descriptor.DataType, descriptor.Operation), Ranks[rank]);
        }
    }

    /// <summary>One rank's ring and what it has told.</summary>
    internal sealed class Rank : IRingEvents
    {
        public Rank(ILink next) => Ring = new RingAllReduce(next);

        public RingAllReduce Ring { get; }

        public int Completed { get; private set; }

        public int Quiet { get; private set; }

        public void RingCompleted(RingAllReduce ring) => Completed++;

        public void RingQuiet(RingAllReduce ring) => Quiet++;
    }

    public static AttemptKey Attempt { get; } = new(Epoch.First(1), new Tag(7), 0);

    public CollectiveDescriptor Descriptor { get; }

    public Rank[] Ranks { get; }

    public RingLayout[] Layouts { get; }

    public Memory[] Sources { get; }

    public Memory?[] Destinations { get; }

    public Memory?[] Works { get; }

    public Memory?[] Pieces { get; }

    /// <summary>Done to every payload on its way.</summary>
    public Action<byte[]>? Corrupt { get; init; }

    /// <summary>Posted and not delivered yet.</summary>
    public int Waiting => _waiting.Count;

    public long WaitingBytes => _waiting.Sum(w => (long)w.Header.PayloadBytes);

    public long SegmentsDelivered { get; private set; }

    /// <summary>Bytes that have left each rank.</summary>
    public long[] BytesSent { get; }

    public void Start() => Array.ForEach(Ranks, rank => rank.Ring.Start());

    public void Release() => Array.ForEach(Ranks, rank => rank.Ring.Release());

    /// <summary>Moves waiting segments in the order of the seed, at most so many; gives how many moved.</summary>
    public int Deliver(Random random, int most = int.MaxValue)
    {
        var moved = 0;
        while (moved < most && _waiting.Count > 0)
        {
            var at = random.Next(_waiting.Count);
            var (to, handler, header) = _waiting[at];
            _waiting[at] = _waiting[^1];
            _waiting.RemoveAt(_waiting.Count - 1);
            Move(to, handler, header);
            moved++;
        }

        return moved;
    }

    /// <summary>Aborts everywhere: what waits is no longer sent.</summary>
    public void StopAndRestore()
    {
        Array.ForEach(Ranks, rank => rank.Ring.Stop());
        foreach (var (_, handler, header) in _waiting)
        {
            Assert.That(handler.BeginSend(header, out _), Is.False, "a stopped ring sends nothing");
        }

        _waiting.Clear();
        Array.ForEach(Ranks, rank => rank.Ring.Restore());
    }

    public byte[] Result(int rank) => (Destinations[rank] ?? Sources[rank]).Bytes.ToArray();

    public bool SourceIsIntact(int rank) => Sources[rank].Bytes.SequenceEqual(_inputs[rank]);

    public bool GuardsHold() => Sources.Concat(Destinations).Concat(Works).Concat(Pieces).All(memory => memory?.GuardsHold != false);

    /// <summary>
    /// The fold that the ring defines: chunk c starts at rank c and takes each next rank's part as accumulator op operand. If it is quantised, each segment passes
    /// through its codec on the way to the next rank, and once more at the end.
    /// </summary>
    public byte[] Expected()
    {
        var result = new byte[_inputs[0].Length];
        var reducer = Reducers.For(Descriptor.DataType, Descriptor.Operation);
        var size = _inputs.Length;
        for (var chunk = 0; chunk < size; chunk++)
        {
            for (var segment = 0; segment < Layouts[0].SegmentsOf(chunk); segment++)
            {
                var (offset, length) = Layouts[0].Segment(chunk, segment);
                var accumulator = result.AsSpan((int)offset, length);
                _inputs[chunk].AsSpan((int)offset, length).CopyTo(accumulator);
                for (var hop = 1; hop < size; hop++)
                {
                    Travel(accumulator);
                    reducer.Accumulate(accumulator, _inputs[(chunk + hop) % size].AsSpan((int)offset, length));
                }

                reducer.Finish(accumulator, size);
                Travel(accumulator);
            }
        }

        return result;
    }

    private void Travel(Span<byte> values)
    {
        if (Codecs.For(Descriptor) is { } codec)
        {
            var piece = new byte[codec.PieceBytes(values.Length / Descriptor.ElementBytes)];
            codec.Encode(values, piece);
            codec.Decode(piece, 0, values);
        }
    }

    public void Dispose()
    {
        foreach (var memory in Sources.Concat(Destinations).Concat(Works).Concat(Pieces))
        {
            memory?.Dispose();
        }
    }

    private void Move(int to, ISegmentHandler sender, SegmentHeader header)
    {
        Assert.That(sender.BeginSend(header, out var payload), Is.True);
        Assert.That(payload.Length, Is.EqualTo(header.PayloadBytes));
        var wire = payload.ToArray();
        Corrupt?.Invoke(wire);
        sender.EndSend(header, sent: true);

        var receiver = Ranks[to].Ring;
        Assert.That(receiver.BeginReceive(header, out var target), Is.EqualTo(SegmentVerdict.Receive), $"{header} to rank {to}");
        wire.CopyTo(target);
        receiver.EndReceive(header, received: true);
        SegmentsDelivered++;
        BytesSent[(to + Ranks.Length - 1) % Ranks.Length] += header.PayloadBytes;
    }

    private sealed class Link(FakeRing ring, int to) : ILink
    {
        public void Send(ISegmentHandler handler, in SegmentHeader header) => ring._waiting.Add((to, handler, header));
    }
}
