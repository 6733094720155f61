using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>
/// Finds the ring whose slowest link is fastest, and among such rings the one whose links together take the least time for a byte. Peers are numbered in the order of
/// their present ring; <c>rates[i, j]</c> is what i can send to j. Deterministic; exact for small groups, a bounded local search for larger ones.
/// </summary>
internal sealed class RingSolver(double[,] rates)
{
    /// <summary>A pair that was not measured: slower than any that was.</summary>
    public const double Unknown = 0;

    /// <summary>A pair in trouble: only if there is no other way.</summary>
    public const double Avoided = -1;

    private const double UnknownCost = 1e6;
    private const double AvoidedCost = 1e12;

    private readonly int _count = rates.GetLength(0);

    /// <summary>A better ring than the present one, beginning with the same peer; null when none is worth the trouble of new links.</summary>
    public int[]? Improve()
    {
        var present = Present();
        var best = Solve();
        var (slowest, cost) = (SlowestOf(present), CostOf(present));
        var gain = Math.Abs(slowest) * Limits.RingGainPercentMin / 100;
        var isFaster = SlowestOf(best) > slowest + gain;
        var isCheaper = SlowestOf(best) >= slowest && CostOf(best) < cost * (100 - Limits.RingGainPercentMin) / 100;
        return isFaster || isCheaper ? best : null;
    }

    /// <summary>The best ring; the present one if no other is better.</summary>
    public int[] Solve()
    {
        var present = Present();
        if (_count < 3)
        {
            return present;
        }

        var best = _count <= Limits.RingExactPeersMax ? new ExactRing(rates, CostOf).Solve() : new RingSearch(rates, CostOf).Solve(present);
        return Compare(best, present) > 0 ? best : present;
    }

    public double SlowestOf(ReadOnlySpan<int> order)
    {
        var slowest = double.PositiveInfinity;
        for (var i = 0; i < order.Length; i++)
        {
            slowest = Math.Min(slowest, rates[order[i], order[(i + 1) % order.Length]]);
        }

        return slowest;
    }

    /// <summary>Seconds that a byte takes over all links, one after the other; links without a rate count as more than all others together.</summary>
    public double CostOf(ReadOnlySpan<int> order)
    {
        var cost = 0.0;
        for (var i = 0; i < order.Length; i++)
        {
            cost += CostOf(order[i], order[(i + 1) % order.Length]);
        }

        return cost;
    }

    /// <summary>Positive when the first is better.</summary>
    private int Compare(int[] a, int[] b)
    {
        var slowest = SlowestOf(a).CompareTo(SlowestOf(b));
        return slowest != 0 ? slowest : CostOf(b).CompareTo(CostOf(a));
    }

    private double CostOf(int from, int to) => rates[from, to] switch
    {
        > 0 => 1 / rates[from, to],
        Unknown => UnknownCost,
        _ => AvoidedCost,
    };

    private int[] Present() => [.. Enumerable.Range(0, _count)];
}
