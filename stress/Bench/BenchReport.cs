namespace Collective.Stress.Bench;

/// <summary>
/// The figures of one size. Algorithm bandwidth is size by median time; bus bandwidth is 2(n-1)/n times that, as nccl-tests
/// define it: what each link carried, whatever the number of peers. Both in 10^9 bytes per second.
/// </summary>
internal sealed record BenchResult(
    long Bytes,
    int Iterations,
    double MedianMicroseconds,
    double P99Microseconds,
    double AlgorithmBandwidth,
    double BusBandwidth,
    long WrongElements)
{
    /// <summary>The result from what rank 0 measured and all ranks together found wrong.</summary>
    public static BenchResult Of(BenchEvent.Measured measured, int worldSize, long wrongElements)
    {
        var algorithmBandwidth = measured.Bytes / (measured.Median * 1000);
        var busBandwidth = algorithmBandwidth * 2 * (worldSize - 1) / worldSize;
        return new BenchResult(
            measured.Bytes, measured.Iterations, Math.Round(measured.Median, 2), Math.Round(measured.P99, 2), algorithmBandwidth, busBandwidth, wrongElements);
    }
}

/// <summary>A whole run of the benchmark, as printed by <c>--json</c>.</summary>
internal sealed record BenchReport(
    bool Passed, IReadOnlyList<string> Failures, int Peers, int Stripes, bool InPlace, string Quantization, IReadOnlyList<BenchResult> Results);
