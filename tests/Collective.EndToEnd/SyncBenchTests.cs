using System.Text.Json;
using NUnit.Framework;

namespace Collective.EndToEnd;

/// <summary>The sync benchmark: that it measures what it says, not how fast that is.</summary>
internal sealed class SyncBenchTests
{
    [Test]
    public async Task Bytes_move_to_the_newcomer_only_and_figures_follow_from_the_times()
    {
        var outcome = await StressProgram.RunAsync("bench-sync", "--json", "--size", "3MiB", "--iterations", "3");
        Assert.That(outcome.ExitCode, Is.Zero, outcome.Output + outcome.Error);
        using var report = JsonDocument.Parse(outcome.Output);
        var results = report.RootElement.GetProperty("results").EnumerateArray().ToList();
        Assert.That(results.Select(r => (r.GetProperty("kind").GetString(), r.GetProperty("worldSize").GetInt32())), Is.EqualTo(new[] { ("equal", 2), ("newcomer", 2), ("equal", 4), ("newcomer", 4) }));
        Assert.That(results.Select(r => r.GetProperty("bytesMoved").GetInt64()), Is.EqualTo(new long[] { 0, 3 << 20, 0, 3 << 20 }));
        foreach (var result in results.Where(r => r.GetProperty("bytesMoved").GetInt64() > 0))
        {
            Assert.That(result.GetProperty("ofRawCopy").GetDouble(), Is.EqualTo(result.GetProperty("rawCopyMs").GetDouble() / result.GetProperty("medianMs").GetDouble()).Within(1e-9));
            Assert.That(result.GetProperty("medianMs").GetDouble(), Is.GreaterThanOrEqualTo(result.GetProperty("bestMs").GetDouble()));
        }
    }

    [TestCase("--size", "3")]
    [TestCase("--size", "2GiB")]
    [TestCase("--iterations", "0")]
    public async Task What_it_cannot_measure_it_refuses(string option, string value)
    {
        var outcome = await StressProgram.RunAsync("bench-sync", option, value);
        Assert.That(outcome.ExitCode, Is.EqualTo(2));
        Assert.That(outcome.Error, Does.Contain($"'{value}' is not a valid value of {option}"));
    }
}
