namespace Collective.Stress.BenchSync;

/// <summary>The figures of one kind of sync in a world of one size. <see cref="OfRawCopy"/>: median time of a raw socket copy of the same bytes,
/// made before each sync, by the median time; 0 when nothing moved. <see cref="ProcessorMs"/>: of all peers together, on average.</summary>
internal sealed record SyncBenchResult(string Kind, int WorldSize, long BytesMoved, int Donors, double MedianMs, double BestMs, double ProcessorMs, double RawCopyMs, double OfRawCopy)
{
    /// <summary>10^9 bytes of the tensor a second.</summary>
    public double GigabytesPerSecond(long tensorBytes) => tensorBytes / (MedianMs * 1e6);
}

/// <summary>A whole run of the sync benchmark, as printed by <c>--json</c>.</summary>
internal sealed record SyncBenchReport(bool Passed, IReadOnlyList<string> Failures, long Bytes, IReadOnlyList<SyncBenchResult> Results);
