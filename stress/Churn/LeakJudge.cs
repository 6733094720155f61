using System.Globalization;
using System.Text.RegularExpressions;

namespace Collective.Stress.Churn;

/// <summary>What a process held at a moment.</summary>
internal readonly record struct ResourceSample(int Descriptors, int Sockets, int Threads, long ResidentBytes);

/// <summary>
/// Watches what one process holds. Whatever a process holds goes up and down with the peers that are there, so that a leak is not "more than at the beginning" but a floor that
/// rises: the least that was held in the last quarter of its life, compared with the least in the second quarter. The first quarter is for warming up. Besides, no process
/// may ever hold more than its configuration can explain.
/// </summary>
internal sealed partial class LeakJudge(string name)
{
    /// <summary>A process that lived for less, in seconds (one sample each), has no floor that could be known.</summary>
    public const int SamplesMin = 60;

    public const int DescriptorsGrowthMax = 8;
    public const int ThreadsGrowthMax = 8;
    public const long ResidentGrowthMax = 96L << 20;

    /// <summary>A peer at rest has about 60 descriptors and 30 threads; rewiring, it may hold old and new connections of two links for a moment.</summary>
    public const int DescriptorsMax = 160;

    public const int ThreadsMax = 96;

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
    public IEnumerable<string> Leaks(int peersMax)
    {
        if (Peak.Sockets > DescriptorsMax)
        {
            yield return $"{name} had {Peak.Sockets} sockets; its configuration explains {DescriptorsMax} at most";
        }

        if (Peak.Threads > ThreadsMax)
        {
            yield return $"{name} had {Peak.Threads} threads; its configuration explains {ThreadsMax} at most";
        }

        if (_samples.Count < SamplesMin)
        {
            yield break;
        }

        var quarter = _samples.Count / 4;
        var before = _samples.GetRange(quarter, quarter);
        var after = _samples.GetRange(_samples.Count - quarter, quarter);
        if (Growth(sample => sample.Sockets) is var sockets && sockets > DescriptorsGrowthMax + peersMax)
        {
            yield return $"the least number of sockets of {name} grew by {sockets} from the second to the last quarter of its {_samples.Count} s";
        }

        if (Growth(sample => sample.Threads) is var threads && threads > ThreadsGrowthMax)
        {
            yield return $"the least number of threads of {name} grew by {threads} from the second to the last quarter of its {_samples.Count} s";
        }

        if (Growth(sample => sample.ResidentBytes) is var bytes && bytes > ResidentGrowthMax)
        {
            yield return $"the least memory of {name} grew by {Bytes.Text(bytes)} from the second to the last quarter of its {_samples.Count} s";
        }

        long Growth(Func<ResourceSample, long> value) => after.Min(value) - before.Min(value);
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
