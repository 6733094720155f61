using Collective.Protocol;

namespace Collective.Transport;

/// <summary>
/// The rate at which bytes arrive, told early when it is stable: when two windows that follow each other differ by little. A connection that is still
/// gaining speed doubles from one round trip to the next, so a window has two of them.
/// </summary>
internal sealed class RateEstimate(long roundTripUs)
{
    private const double ToleratedDifference = 0.1;

    private readonly long _windowUs = Math.Clamp(2 * roundTripUs, Limits.ProbeWindowMsMin * 1000L, Limits.ProbeWindowMsMax * 1000L);
    private readonly List<(long Us, long Bytes)> _samples = [];

    /// <summary>Bytes a second; null as long as there is nothing to tell.</summary>
    public double? Rate { get; private set; }

    /// <summary>So many bytes have come by now; true when that is enough.</summary>
    public bool Add(long us, long bytes)
    {
        if (_samples.Count == 0)
        {
            _samples.Add((us, bytes)); // What came with the first byte has no time of its own.
            return false;
        }

        if (us - _samples[^1].Us < _windowUs)
        {
            return false;
        }

        _samples.Add((us, bytes));
        Rate = Between(_samples[(_samples.Count - 1) / 2], _samples[^1]);
        if (_samples.Count < 3)
        {
            return false;
        }

        var (before, now) = (Between(_samples[^3], _samples[^2]), Between(_samples[^2], _samples[^1]));
        if (before <= 0 || Math.Abs(now - before) > ToleratedDifference * Math.Max(now, before))
        {
            return false;
        }

        Rate = Between(_samples[^3], _samples[^1]);
        return true;
    }

    private static double Between((long Us, long Bytes) from, (long Us, long Bytes) to) => from.Us == to.Us ? 0 : (to.Bytes - from.Bytes) * 1e6 / (to.Us - from.Us);
}
