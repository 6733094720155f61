using Collective.Protocol;
using Collective.Transport;
using NUnit.Framework;

namespace Collective.Core.Tests.Transport;

/// <summary>When a probe knows enough, and what it then says.</summary>
[TestFixture]
internal sealed class RateEstimateTests
{
    private const int StepUs = 5_000;

    [Test]
    public void A_steady_rate_is_known_after_two_windows() => AssertEnds(100, _ => 1_000_000, expected: 1_000_000, fromMs: 200, toMs: 230);

    [Test]
    public void A_burst_at_the_beginning_does_not_count() => AssertEnds(100, ms => ms < 150 ? 50_000_000 : 1_000_000, expected: 1_000_000, fromMs: 300, toMs: 500);

    /// <summary>A connection over a long way doubles its rate with each round trip until it is full.</summary>
    [Test]
    public void Slow_start_is_waited_for([Values(20, 50, 100)] int roundTripMs)
        => AssertEnds(roundTripMs, ms => Math.Min(10_000_000, 100_000 * Math.Pow(2, ms / roundTripMs)), expected: 10_000_000, fromMs: 6 * roundTripMs, toMs: Limits.ProbeMsMax);

    /// <summary>A long way at first brings nothing for long stretches; that is not a stable rate.</summary>
    [Test]
    public void Silence_is_not_stable()
    {
        var estimate = new RateEstimate(1000);
        for (var us = 0L; us < Limits.ProbeMsMax * 1000L; us += StepUs)
        {
            Assert.That(estimate.Add(us, 1000), Is.False);
        }
    }

    [Test]
    public void What_never_is_stable_gives_the_mean_of_its_later_half()
    {
        var estimate = new RateEstimate(1000);
        var bytes = 0.0;
        for (var us = 0L; us < Limits.ProbeMsMax * 1000L; us += StepUs)
        {
            bytes += (us / 100_000 % 2 == 0 ? 500_000.0 : 1_500_000) * StepUs / 1e6;
            Assert.That(estimate.Add(us, (long)bytes), Is.False);
        }

        Assert.That(estimate.Rate, Is.EqualTo(1_000_000).Within(10).Percent);
    }

    [Test]
    public void Nothing_is_told_before_there_is_a_window() => Assert.That(new RateEstimate(0).Rate, Is.Null);

    private static void AssertEnds(int roundTripMs, Func<double, double> rateAt, double expected, int fromMs, int toMs)
    {
        var estimate = new RateEstimate(roundTripMs * 1000L / 2);
        var bytes = 0.0;
        var us = 0L;
        while (!estimate.Add(us, (long)bytes))
        {
            bytes += rateAt(us / 1000.0) * StepUs / 1e6;
            us += StepUs;
            Assert.That(us, Is.LessThanOrEqualTo(toMs * 1000L));
        }

        Assert.That(us, Is.GreaterThanOrEqualTo(fromMs * 1000L));
        Assert.That(estimate.Rate, Is.EqualTo(expected).Within(10).Percent);
    }
}
