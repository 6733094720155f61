namespace Collective.Coordination;

/// <summary>
/// Dynamic programming over the sets of peers that a path from peer 0 has visited: first the fastest slowest link of any ring, then the cheapest ring of links that are no slower.
/// Sets are bit masks over the peers but 0.
/// </summary>
internal sealed class ExactRing(double[,] rates, Func<int, int, double> costOf)
{
    private readonly int _others = rates.GetLength(0) - 1;

    public int[] Solve() => Cheapest(FastestSlowest());

    private double FastestSlowest()
    {
        var slowest = new double[1 << _others, _others];
        for (var set = 1; set < 1 << _others; set++)
        {
            for (var end = 0; end < _others; end++)
            {
                var rest = set & ~(1 << end);
                slowest[set, end] = rest == set ? double.NegativeInfinity : rest == 0 ? rates[0, end + 1] : double.NegativeInfinity;
                for (var before = 0; before < _others && rest != set && rest != 0; before++)
                {
                    if ((rest & (1 << before)) != 0)
                    {
                        slowest[set, end] = Math.Max(slowest[set, end], Math.Min(slowest[rest, before], rates[before + 1, end + 1]));
                    }
                }
            }
        }

        var all = (1 << _others) - 1;
        return Enumerable.Range(0, _others).Max(end => Math.Min(slowest[all, end], rates[end + 1, 0]));
    }

    private int[] Cheapest(double slowest)
    {
        double Cost(int from, int to) => rates[from, to] >= slowest ? costOf(from, to) : double.PositiveInfinity;
        var costs = new double[1 << _others, _others];
        var befores = new sbyte[1 << _others, _others];
        for (var set = 1; set < 1 << _others; set++)
        {
            for (var end = 0; end < _others; end++)
            {
                var rest = set & ~(1 << end);
                costs[set, end] = rest == 0 ? Cost(0, end + 1) : double.PositiveInfinity;
                for (var before = 0; before < _others && rest != set && rest != 0; before++)
                {
                    var cost = (rest & (1 << before)) != 0 ? costs[rest, before] + Cost(before + 1, end + 1) : double.PositiveInfinity;
                    if (cost < costs[set, end])
                    {
                        (costs[set, end], befores[set, end]) = (cost, (sbyte)before);
                    }
                }
            }
        }

        var left = (1 << _others) - 1;
        var last = Enumerable.Range(0, _others).MinBy(end => costs[left, end] + Cost(end + 1, 0));
        var order = new int[_others + 1];
        for (var i = _others; i > 0; i--)
        {
            order[i] = last + 1;
            var before = befores[left, last];
            left &= ~(1 << last);
            last = before;
        }

        return order;
    }
}
