using System.Text.Json;
using Collective.Stress;
using Collective.Stress.Bench;
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
