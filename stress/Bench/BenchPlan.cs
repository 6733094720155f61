using System.Globalization;

namespace Collective.Stress.Bench;

/// <summary>What one run of the benchmark measures; passed on to the peer processes as arguments.</summary>
internal sealed record BenchPlan
{
    public const int PeersDefault = 2;
    public const int PeersMin = 2;
    public const int PeersMax = 16;
    public const int IterationsMax = 1_000_000;
    public const int StripesDefault = 4;
    public const int StripesMax = 64;
    public const string SizesDefault = "4,4KiB,1MiB,64MiB";
    public const int SizesMax = 32;
    public const long BytesMin = sizeof(float);
    public const long BytesMax = 1L << 30;

    private static readonly Dictionary<string, QuantizationAlgorithm> _algorithms = new()
    {
        ["min-max"] = QuantizationAlgorithm.MinMax,
        ["zero-point-scale"] = QuantizationAlgorithm.ZeroPointScale,
    };

    private const long AdaptiveBytes = 256L << 20;
    private const int AdaptiveIterationsMin = 10;
    private const int AdaptiveIterationsMax = 2000;

    public required int Peers { get; init; }

    /// <summary>Sizes of the tensors, in bytes.</summary>
    public required IReadOnlyList<long> Sizes { get; init; }

    /// <summary>Timed calls per size; 0 for a number that suits the size.</summary>
    public required int Iterations { get; init; }

    public required int Stripes { get; init; }

    /// <summary>Whether the result replaces the input.</summary>
    public required bool InPlace { get; init; }

    /// <summary>What travels in place of the float32.</summary>
    public Quantization Quantization { get; init; }

    /// <summary>Whether the ring is ordered by what its links carry, before anything is timed.</summary>
    public bool Optimize { get; init; }

    /// <summary>Each peer on a host of its own, and between all pairs but those of one ring no more than so many Mbit/s; 0 for loopback.</summary>
    public int SlowPairs { get; init; }

    /// <summary>Timed calls for tensors of <paramref name="bytes"/>.</summary>
    public int IterationsFor(long bytes)
        => Iterations > 0 ? Iterations : (int)Math.Clamp(AdaptiveBytes / bytes, AdaptiveIterationsMin, AdaptiveIterationsMax);

    /// <summary>Calls for tensors of <paramref name="bytes"/> that come before the timed ones.</summary>
    public int WarmUpsFor(long bytes) => Math.Max(3, IterationsFor(bytes) / 10);

    /// <summary>The plan as arguments of the hidden subcommand <c>bench-peer</c>.</summary>
    public IEnumerable<string> ToArguments(string master)
    {
        yield return "bench-peer";
        yield return "--master";
        yield return master;
        yield return "--peers";
        yield return Peers.ToString(CultureInfo.InvariantCulture);
        yield return "--sizes";
        yield return string.Join(',', Sizes);
        yield return "--iterations";
        yield return Iterations.ToString(CultureInfo.InvariantCulture);
        yield return "--stripes";
        yield return Stripes.ToString(CultureInfo.InvariantCulture);
        if (InPlace)
        {
            yield return "--in-place";
        }

        if (Optimize)
        {
            yield return "--optimize";
        }

        if (Quantization != Quantization.None)
        {
            yield return "--quantize";
            yield return $"{_algorithms.Single(pair => pair.Value == Quantization.Algorithm).Key}:{Quantization.DataType}";
        }
    }

    /// <summary>A quantisation like <c>min-max:uint8</c>; null where it is none.</summary>
    public static Quantization? ParseQuantization(string text)
    {
        if (text.Split(':') is not [var name, var type]
            || !_algorithms.TryGetValue(name, out var algorithm)
            || !Enum.TryParse<DataType>(type, ignoreCase: true, out var dataType))
        {
            return null;
        }

        var quantization = new Quantization(algorithm, dataType);
        return quantization.Objection(DataType.Float32, ReduceOperation.Sum) is null ? quantization : null;
    }

    /// <summary>The sizes in a list like <c>4,4KiB,1MiB</c>; null where it is none, or a size is out of range or splits a float32.</summary>
    public static IReadOnlyList<long>? ParseSizes(string text)
    {
        var sizes = text.Split(',', SizesMax + 1).Select(Bytes.Parse).ToList();
        var isValid = sizes.Count <= SizesMax
            && sizes.TrueForAll(size => size is >= BytesMin and <= BytesMax && size % sizeof(float) == 0);
        return isValid ? [.. sizes.OfType<long>()] : null;
    }
}
