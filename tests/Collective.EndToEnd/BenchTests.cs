using System.Text.Json;
using Collective.Stress;
using Collective.Stress.Bench;
using Collective.Stress.Processes;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>The benchmark: that it measures what it says, not how fast that is.</summary>
internal sealed class BenchTests
{
    [TestCase("2", false)]
    [TestCase("3", true)]
    public async Task Sums_are_right_and_figures_follow_from_the_times(string peers, bool inPlace)
    {
        string[] arguments = ["bench", "--json", "--peers", peers, "--sizes", "4,10000,1MiB,4", "--iterations", "12", "--stripes", "2"];
        var outcome = await StressProgram.RunAsync(inPlace ? [.. arguments, "--in-place"] : arguments);
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Output + outcome.Error);

        using var report = JsonDocument.Parse(outcome.Output);
        var results = report.RootElement.GetProperty("results").EnumerateArray().ToList();
        Assert.That(results.Select(result => result.GetProperty("bytes").GetInt64()), Is.EqualTo(new[] { 4L, 10_000, 1 << 20, 4 }));
        Assert.That(report.RootElement.GetProperty("inPlace").GetBoolean(), Is.EqualTo(inPlace));
        foreach (var result in results)
        {
            Assert.That(result.GetProperty("iterations").GetInt32(), Is.EqualTo(12));
            Assert.That(result.GetProperty("wrongElements").GetInt64(), Is.Zero);
            Assert.That(result.GetProperty("p99Microseconds").GetDouble(), Is.GreaterThanOrEqualTo(result.GetProperty("medianMicroseconds").GetDouble()));
        }
    }

    [TestCase("min-max:uint8", "MinMax to UInt8")]
    [TestCase("zero-point-scale:int16", "ZeroPointScale to Int16")]
    public async Task Quantised_sums_are_as_close_as_they_must_be(string quantization, string reported)
    {
        var outcome = await StressProgram.RunAsync(["bench", "--json", "--sizes", "4,10000,1MiB", "--iterations", "5", "--in-place", "--quantize", quantization]);
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Output + outcome.Error);
        using var report = JsonDocument.Parse(outcome.Output);
        Assert.That(report.RootElement.GetProperty("quantization").GetString(), Is.EqualTo(reported));
        Assert.That(report.RootElement.GetProperty("results").EnumerateArray().Select(result => result.GetProperty("wrongElements").GetInt64()), Is.EqualTo(new long[3]));
    }

    [TestCase("min-max")]
    [TestCase("min-max:int8")]
    [TestCase("min-max:uint8:1")]
    [TestCase("none:uint8")]
    [TestCase("zero-point-scale:float16")]
    public async Task A_quantisation_that_does_not_exist_is_refused(string quantization)
    {
        var outcome = await StressProgram.RunAsync(["bench", "--quantize", quantization]);
        Assert.That((outcome.ExitCode, outcome.Error.Contains("min-max:TYPE", StringComparison.Ordinal)), Is.EqualTo((2, true)), outcome.Error);
    }

    /// <summary>Without the optimisation some of the links would be slow, but for luck.</summary>
    [Test]
    public async Task Pairs_are_slow_and_the_topology_optimised_on_demand()
    {
        string[] arguments = ["bench", "--json", "--peers", "4", "--sizes", "10000", "--iterations", "2", "--slow-pairs", "50", "--optimize"];
        var outcome = await StressProgram.RunAsync(arguments);
        if (HostNetwork.Unavailable is { } reason)
        {
            Assert.That((outcome.ExitCode, outcome.Error.Contains(reason, StringComparison.Ordinal)), Is.EqualTo((ExitCodes.BadArguments, true)), outcome.Error);
            return;
        }

        Assert.That(outcome.ExitCode, Is.Zero, outcome.Output + outcome.Error);
        using var report = JsonDocument.Parse(outcome.Output);
        Assert.That(report.RootElement.GetProperty("results").EnumerateArray().Single().GetProperty("wrongElements").GetInt64(), Is.Zero);
    }

    [Test]
    public void Bandwidths_are_those_of_nccl_tests()
    {
        // 1 GB in 0.5 s is 2 GB/s; with 4 peers each link carries 2 * 3/4 of the tensor.
        var result = BenchResult.Of(new BenchEvent.Measured(0, 1_000_000_000, 10, 500_000, 600_000, 0), worldSize: 4, wrongElements: 0);
        Assert.That(result.AlgorithmBandwidth, Is.EqualTo(2).Within(1e-9));
        Assert.That(result.BusBandwidth, Is.EqualTo(3).Within(1e-9));
    }

    [TestCase("4", 4)]
    [TestCase("4KiB", 4096)]
    [TestCase(" 64 mib ", 64L << 20)]
    [TestCase("2GiB", 2L << 30)]
    [TestCase("8B", 8)]
    [TestCase("", null)]
    [TestCase("KiB", null)]
    [TestCase("-4", null)]
    [TestCase("1.5KiB", null)]
    [TestCase("99999999999GiB", null)]
    [TestCase("99999999999999999999", null)]
    public void Sizes_are_read_as_people_write_them(string text, long? bytes)
        => Assert.That(Bytes.Parse(text), Is.EqualTo(bytes));

    [TestCase(3, "3 B")]
    [TestCase(4096, "4 KiB")]
    [TestCase(1_500_000, "1.4 MiB")]
    public void Sizes_are_written_with_a_unit(long bytes, string text)
        => Assert.That(Bytes.Text(bytes), Is.EqualTo(text));
}
