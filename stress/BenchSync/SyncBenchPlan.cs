using System.Globalization;

namespace Collective.Stress.BenchSync;

/// <summary>What one run of the sync benchmark measures; passed on to the peer processes as arguments.</summary>
internal sealed record SyncBenchPlan(long Bytes, int Iterations, int Stripes)
{
    public const string BytesDefault = "256MiB";
    public const long BytesMin = 64 * 1024;
    public const long BytesMax = 1L << 30;
    public const int IterationsDefault = 15;
    public const int IterationsMax = 10_000;
    public const int StripesDefault = 4;

    /// <summary>Calls before the timed ones: the first few still compile code, and use memory that is new to the process.</summary>
    public const int WarmUps = 5;

    /// <summary>World sizes that are measured one after the other: in each a newcomer fetches from all others.</summary>
    public static readonly int[] WorldSizes = [2, 4];

    /// <summary>The arguments of the hidden subcommand <c>bench-sync-peer</c>.</summary>
    public IEnumerable<string> ToArguments(string master, int peers) =>
    [
        "bench-sync-peer",
        "--master", master,
        "--peers", peers.ToString(CultureInfo.InvariantCulture),
        "--size", Bytes.ToString(CultureInfo.InvariantCulture),
        "--iterations", Iterations.ToString(CultureInfo.InvariantCulture),
        "--stripes", Stripes.ToString(CultureInfo.InvariantCulture),
    ];
}
