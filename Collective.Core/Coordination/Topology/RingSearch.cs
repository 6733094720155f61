using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>
/// Rings of large groups: from the present ring, and from some that follow the fastest links, exchanges of three links that keep the direction of all others
/// (two neighbouring stretches of the ring change places), first to be rid of the slowest link, as long as that goes, then to make the ring cheaper without a slower link.
/// The best one is then shaken and bettered again, many times.
/// </summary>
internal sealed class RingSearch(double[,] rates, Func<int, int, double> costOf)
{
    private readonly int _count = rates.GetLength(0);
    private int _tried;
    private uint _dice = 2_463_534_242;
    private int[] _best = [];
    private (double Slowest, double Cost) _bestScore = (double.NegativeInfinity, double.PositiveInfinity);

    public int[] Solve(int[] present)
    {
        for (var start = 0; start < Limits.RingStartsMax; start++)
        {
            // Half of what may be tried is for these.
            Better(start == 0 ? [.. present] : FollowFastest(start * _count / Limits.RingStartsMax), (start + 1) * (Limits.RingExchangesMax / 2 / Limits.RingStartsMax));
        }

        for (var shake = 0; shake < Limits.RingShakesMax && _tried < Limits.RingExchangesMax; shake++)
        {
            int[] order = [.. _best];
            Shake(order);
            Shake(order);
            Better(order, Limits.RingExchangesMax);
        }

        return FromZero(_best);
    }

    /// <summary>Betters a ring as far as that goes, and keeps it if it is the best so far.</summary>
    private void Better(int[] order, int budget)
    {
        while (_tried < budget && ReplaceSlowest(order, budget))
        {
        }

        while (_tried < budget && MakeCheaper(order, budget))
        {
        }

        var score = (Slowest(order).Rate, Cost(order));
        if (score.Rate > _bestScore.Slowest || (score.Rate == _bestScore.Slowest && score.Item2 < _bestScore.Cost))
        {
            (_best, _bestScore) = (order, score);
        }
    }

    /// <summary>Two stretches, drawn by dice that always fall alike, change places.</summary>
    private void Shake(int[] order)
    {
        Rotate(order, Dice(_count));
        var x = 1 + Dice(_count - 2);
        SwapStretches(order, 1, x, x + 1 + Dice(_count - x - 1));
    }

    private int Dice(int sides)
    {
        _dice ^= _dice << 13;
        _dice ^= _dice >> 17;
        _dice ^= _dice << 5;
        return (int)(_dice % (uint)sides);
    }

    /// <summary>From each peer on to the one it reaches fastest of those that are left.</summary>
    private int[] FollowFastest(int first)
    {
        var order = new int[_count];
        var used = new bool[_count];
        order[0] = first;
        used[first] = true;
        for (var i = 1; i < _count; i++)
        {
            var next = -1;
            for (var to = 0; to < _count; to++)
            {
                if (!used[to] && (next < 0 || rates[order[i - 1], to] > rates[order[i - 1], next]))
                {
                    next = to;
                }
            }

            order[i] = next;
            used[next] = true;
        }

        return order;
    }

    /// <summary>Exchanges the slowest link and two others for three that are all faster than it.</summary>
    private bool ReplaceSlowest(int[] order, int budget)
    {
        var (at, slowest) = Slowest(order);
        Rotate(order, at); // Now the slowest link is the one from the first peer.
        for (var x = 1; x < _count - 1; x++)
        {
            if (rates[order[0], order[x + 1]] <= slowest)
            {
                _tried++;
                continue;
            }

            for (var y = x + 1; y < _count && _tried < budget; y++, _tried++)
            {
                if (rates[order[y], order[1]] > slowest && rates[order[x], order[(y + 1) % _count]] > slowest)
                {
                    SwapStretches(order, 1, x, y);
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>The first exchange that costs less and brings no link slower than the slowest.</summary>
    private bool MakeCheaper(int[] order, int budget)
    {
        var slowest = Slowest(order).Rate;
        for (var first = 0; first < _count - 2; first++)
        {
            for (var x = first + 1; x < _count - 1; x++)
            {
                if (rates[order[first], order[x + 1]] < slowest)
                {
                    _tried++;
                    continue;
                }

                for (var y = x + 1; y < _count; y++)
                {
                    if (_tried++ > budget)
                    {
                        return false;
                    }

                    var (a, b, c, d, e, f) = (order[first], order[first + 1], order[x], order[x + 1], order[y], order[(y + 1) % _count]);
                    if (rates[e, b] >= slowest && rates[c, f] >= slowest && costOf(a, d) + costOf(e, b) + costOf(c, f) < (costOf(a, b) + costOf(c, d) + costOf(e, f)) * (1 - 1e-9))
                    {
                        SwapStretches(order, first + 1, x, y);
                        return true;
                    }
                }
            }
        }

        return false;
    }

    /// <summary>The stretches from <paramref name="first"/> to <paramref name="x"/> and from there to <paramref name="y"/> change places.</summary>
    private static void SwapStretches(int[] order, int first, int x, int y)
    {
        Array.Reverse(order, first, x - first + 1);
        Array.Reverse(order, x + 1, y - x);
        Array.Reverse(order, first, y - first + 1);
    }

    private (int At, double Rate) Slowest(int[] order)
    {
        var (at, rate) = (0, double.PositiveInfinity);
        for (var i = 0; i < order.Length; i++)
        {
            if (rates[order[i], order[(i + 1) % order.Length]] is var found && found < rate)
            {
                (at, rate) = (i, found);
            }
        }

        return (at, rate);
    }

    private double Cost(int[] order)
    {
        var cost = 0.0;
        for (var i = 0; i < order.Length; i++)
        {
            cost += costOf(order[i], order[(i + 1) % order.Length]);
        }

        return cost;
    }

    private static int[] FromZero(int[] order)
    {
        int[] copy = [.. order];
        Rotate(copy, Array.IndexOf(copy, 0));
        return copy;
    }

    private static void Rotate(int[] order, int first)
    {
        int[] turned = [.. order[first..], .. order[..first]];
        turned.CopyTo(order, 0);
    }
}
