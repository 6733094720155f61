using System.Globalization;
using System.Text.RegularExpressions;

namespace Collective.Stress.Churn;

/// <summary>What a process held at a moment.</summary>
internal readonly record struct ResourceSample(int Descriptors, int Sockets, int Threads, long ResidentBytes)
{
    public string Text() => $"{Descriptors} descriptors ({Sockets} sockets), {Threads} threads, {Bytes.Text(ResidentBytes)}";
}

/// <summary>
/// Watches what one process holds. Whatever a process holds goes up and down with the peers that are there, so that a leak is not "more than at the beginning" but a floor that
/// rises: the least that was held in the last quarter of its life, compared with the least in the second quarter. The first quarter is for warming up. Besides, no process
/// may ever hold more than its configuration can explain.
/// </summary>
/// <param name="name">For sentences.</param>
/// <param name="socketsMax">More sockets than this are a leak at any time.</param>
/// <param name="threadsMax">So are more threads.</param>
/// <param name="growthAllowance">Descriptors by which the floor may rise besides: for a process that holds some for each of the others.</param>
internal sealed partial class LeakJudge(string name, int socketsMax, int threadsMax, int growthAllowance = 0)
{
    /// <summary>A process that lived for less, in seconds (one sample each), has no floor that could be known.</summary>
    public const int SamplesMin = 60;

    public const int DescriptorsGrowthMax = 8;
    public const int ThreadsGrowthMax = 8;
    public const long ResidentGrowthMax = 96L << 20;

    /// <summary>
    /// Sockets: to the master, to listen, and, while the ring changes, old and new connections of both neighbours, and some that have not said who they are; and while a
    /// state is handed over those on which it is given: every other peer may be a newcomer, with as many connections as a link has stripes.
    /// </summary>
    public static int PeerSocketsMax(int peersMax) => 4 + (8 * ChurnPlan.StripeCount) + (ChurnPlan.StripeCount * (peersMax - 1));

    /// <summary>Threads: a dozen of the runtime, one for each connection, and a few of the library and of this program.</summary>
    public static int PeerThreadsMax(int peersMax) => 44 + PeerSocketsMax(peersMax);

    private readonly List<ResourceSample> _samples = [];

    public ResourceSample Peak { get; private set; }

    public int Count => _samples.Count;

    public void Add(ResourceSample sample)
    {
        _samples.Add(sample);
        Peak = new ResourceSample(
            Math.Max(Peak.Descriptors, sample.Descriptors),
            Math.Max(Peak.Sockets, sample.Sockets),
            Math.Max(Peak.Threads, sample.Threads),
            Math.Max(Peak.ResidentBytes, sample.ResidentBytes));
    }

    /// <summary>A sentence for each leak.</summary>
    public IEnumerable<string> Leaks()
    {
        if (Peak.Sockets > socketsMax)
        {
            yield return $"{name} had {Peak.Sockets} sockets; its configuration explains {socketsMax} at most";
        }

        if (Peak.Threads > threadsMax)
        {
            yield return $"{name} had {Peak.Threads} threads; its configuration explains {threadsMax} at most";
        }

        if (_samples.Count < SamplesMin)
        {
            yield break;
        }

        if (Growth(sample => sample.Descriptors) is var descriptors && descriptors > DescriptorsGrowthMax + growthAllowance)
        {
            yield return Rise("number of file descriptors", $"{descriptors}");
        }

        if (Growth(sample => sample.Threads) is var threads && threads > ThreadsGrowthMax)
        {
            yield return Rise("number of threads", $"{threads}");
        }

        if (Growth(sample => sample.ResidentBytes) is var bytes && bytes > ResidentGrowthMax)
        {
            yield return Rise("memory", Bytes.Text(bytes));
        }
    }

    private string Rise(string what, string by) => $"the least {what} of {name} rose by {by} from the second to the last quarter of its {_samples.Count} s";

    private long Growth(Func<ResourceSample, long> value)
    {
        var quarter = _samples.Count / 4;
        return _samples.TakeLast(quarter).Min(value) - _samples.Skip(quarter).Take(quarter).Min(value);
    }

    /// <summary>What a process holds now; null when it is gone.</summary>
    public static ResourceSample? Measure(int processId)
    {
        try
        {
            var descriptors = Directory.EnumerateFiles($"/proc/{processId}/fd").ToList();
            var sockets = descriptors.Count(IsSocket);
            var status = File.ReadAllText($"/proc/{processId}/status");
            var threads = int.Parse(Threads().Match(status).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
            var resident = long.Parse(Resident().Match(status).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
            return new ResourceSample(descriptors.Count, sockets, threads, resident * 1024);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException)
        {
            return null;
        }
    }

    private static bool IsSocket(string descriptor)
    {
        try
        {
            return new FileInfo(descriptor).LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) == true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    [GeneratedRegex(@"^Threads:\s+(\d+)", RegexOptions.Multiline)]
    private static partial Regex Threads();

    [GeneratedRegex(@"^VmRSS:\s+(\d+) kB", RegexOptions.Multiline)]
    private static partial Regex Resident();
}
