using Collective.Kernels;
using Collective.Protocol;

namespace Collective.Collectives;

/// <summary>
/// How a tensor is cut for a ring of N ranks: N contiguous chunks, the first (count mod N) of them one element longer,
/// each cut into segments. A pure function of what all ranks agreed on, so that all cut alike.
/// </summary>
/// <remarks>Ring all-reduce: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009.</remarks>
internal readonly struct RingLayout
{
    /// <summary>Segments a chunk is cut into at least, as far as they do not become smaller than <see cref="SmallestSegmentBytes"/>: what a pipeline of steps and several stripes need.</summary>
    private const int SegmentsPerChunkWanted = 8;

    private const int SmallestSegmentBytes = 64 * 1024;

    private readonly long _count;
    private readonly int _elementBytes;
    private readonly long _shortChunk;
    private readonly long _longChunks;
    private readonly int _segmentElements;
    private readonly IPieceCodec? _codec;

    public RingLayout(CollectiveDescriptor descriptor, int worldSize, int rank, int segmentBytesMax)
    {
        Invariant.Holds(worldSize >= 2);
        Invariant.Holds(rank >= 0 && rank < worldSize);
        WorldSize = worldSize;
        Rank = rank;
        _count = (long)descriptor.Count;
        _elementBytes = descriptor.ElementBytes;
        _shortChunk = _count / worldSize;
        _longChunks = _count % worldSize;
        var chunkBytes = ChunkElements(0) * _elementBytes;
        var wanted = Math.Max(SmallestSegmentBytes, (chunkBytes + SegmentsPerChunkWanted - 1) / SegmentsPerChunkWanted);
        _codec = Codecs.For(descriptor);
        _segmentElements = SegmentElements(descriptor, Math.Min(wanted, segmentBytesMax), segmentBytesMax);
        SegmentsPerChunkMax = (int)((ChunkElements(0) + _segmentElements - 1) / _segmentElements);
    }

    /// <summary>Whether there are no elements, so that nothing moves.</summary>
    public bool IsEmpty => _count == 0;

    public int WorldSize { get; }

    public int Rank { get; }

    /// <summary>Segments of the longest chunk.</summary>
    public int SegmentsPerChunkMax { get; }

    /// <summary>Steps of both stages: reduce-scatter, then all-gather.</summary>
    public int Steps => 2 * (WorldSize - 1);

    /// <summary>Steps of the reduce-scatter stage; the last of them is received by the chunk's owner.</summary>
    public int ScatterSteps => WorldSize - 1;

    /// <summary>The chunk this rank sends in a step.</summary>
    public int ChunkSent(int step) => Modulo(step < ScatterSteps ? Rank - step : Rank + 1 - (step - ScatterSteps));

    /// <summary>The chunk this rank receives in a step: what the previous rank sends.</summary>
    public int ChunkReceived(int step) => Modulo(step < ScatterSteps ? Rank - step - 1 : Rank - (step - ScatterSteps));

    public int SegmentsOf(int chunk) => (int)((ChunkElements(chunk) + _segmentElements - 1) / _segmentElements);

    /// <summary>Offset and length of a segment in bytes from the start of the tensor.</summary>
    public (long Offset, int Bytes) Segment(int chunk, int segment)
    {
        var within = (long)segment * _segmentElements;
        var elements = Math.Min(_segmentElements, ChunkElements(chunk) - within);
        return ((ChunkStart(chunk) + within) * _elementBytes, (int)(elements * _elementBytes));
    }

    /// <summary>Bytes of a segment as it travels.</summary>
    public int PayloadBytes(int chunk, int segment)
    {
        var (_, bytes) = Segment(chunk, segment);
        return _codec?.PieceBytes(bytes / _elementBytes) ?? bytes;
    }

    /// <summary>Where an encoded segment lies in the memory for pieces.</summary>
    public long PieceStart(int chunk, int segment) => (chunk * ChunkPiecesBytes) + ((long)segment * _codec!.PieceBytes(_segmentElements));

    /// <summary>Memory for all segments of a quantised tensor as they travel; 0 when it is not quantised.</summary>
    public long PiecesBytes => _codec is null ? 0 : WorldSize * ChunkPiecesBytes;

    /// <summary>No less memory than a quantised tensor needs in any world; 0 when it is not quantised.</summary>
    public static long PiecesBytesMax(CollectiveDescriptor descriptor, int segmentBytesMax)
    {
        if (Codecs.For(descriptor) is not { } codec)
        {
            return 0;
        }

        // Every chunk has the length of the longest, and one piece that is not full.
        var elements = (long)descriptor.Count + Limits.PeersMax;
        var smallest = SegmentElements(descriptor, Math.Min(SmallestSegmentBytes, segmentBytesMax), segmentBytesMax);
        return codec.PiecesBytesMax(elements, (elements / smallest) + Limits.PeersMax);
    }

    public long ChunkElements(int chunk) => _shortChunk + (chunk < _longChunks ? 1 : 0);

    /// <summary>Segments this rank sends (and, as many chunks come as go, nearly the same number it receives) and their bytes as they travel.</summary>
    public (long Segments, long Bytes) TotalSent() => Total(received: false);

    public (long Segments, long Bytes) TotalReceived() => Total(received: true);

    /// <summary>Bytes of the encoded segments of the longest chunk.</summary>
    private long ChunkPiecesBytes
    {
        get
        {
            var full = SegmentsPerChunkMax - 1;
            return IsEmpty ? 0 : ((long)full * _codec!.PieceBytes(_segmentElements)) + _codec.PieceBytes((int)(ChunkElements(0) - ((long)full * _segmentElements)));
        }
    }

    /// <summary>As many elements as wanted, but no segment may be larger than the run's, neither in memory nor as it travels.</summary>
    private static int SegmentElements(CollectiveDescriptor descriptor, long wantedBytes, int segmentBytesMax)
    {
        var elements = wantedBytes / descriptor.ElementBytes;
        return (int)Math.Max(1, Codecs.For(descriptor) is { } codec ? Math.Min(elements, codec.ElementsIn(segmentBytesMax)) : elements);
    }

    private long ChunkStart(int chunk) => (chunk * _shortChunk) + Math.Min(chunk, _longChunks);

    private (long Segments, long Bytes) Total(bool received)
    {
        long segments = 0, bytes = 0;
        for (var step = 0; step < Steps; step++)
        {
            var chunk = received ? ChunkReceived(step) : ChunkSent(step);
            var count = SegmentsOf(chunk);
            segments += count;
            bytes += count == 0 ? 0 : ((count - 1L) * PayloadBytes(chunk, 0)) + PayloadBytes(chunk, count - 1);
        }

        return (segments, bytes);
    }

    private int Modulo(int value) => ((value % WorldSize) + WorldSize) % WorldSize;
}
