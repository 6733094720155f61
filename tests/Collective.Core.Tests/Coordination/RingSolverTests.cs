using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>The ring whose slowest link is fastest: against all permutations where that is possible.</summary>
[TestFixture]
internal sealed class RingSolverTests
{
    private const int LargeSeeds = 2;

    [Test]
    public void It_is_the_best_of_all_permutations([Range(3, 7)] int count, [Values("random", "few rates", "unknown", "avoided", "clusters")] string kind)
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var rates = Rates(kind, count, seed);
            var solver = new RingSolver(rates);
            var solved = solver.Solve();
            AssertIsRing(solved, count);
            var best = Permutations(count).Max(order => (solver.SlowestOf(order), -solver.CostOf(order)));
            Assert.That(solver.SlowestOf(solved), Is.EqualTo(best.Item1), $"seed {seed}");
            Assert.That(solver.CostOf(solved), Is.EqualTo(-best.Item2).Within(1e-9).Percent, $"seed {seed}");
        }
    }

    /// <summary>The search for large groups, let loose on small ones: it must find the best slowest link nearly always.</summary>
    [Test]
    public void The_search_for_large_groups_finds_the_best_of_small_ones([Range(4, 8)] int count, [Values("random", "few rates", "clusters")] string kind)
    {
        var found = 0;
        for (var seed = 0; seed < 100; seed++)
        {
            var rates = Rates(kind, count, seed);
            var solver = new RingSolver(rates);
            var searched = new RingSearch(rates, (i, j) => rates[i, j] > 0 ? 1 / rates[i, j] : 1e6).Solve([.. Enumerable.Range(0, count)]);
            AssertIsRing(searched, count);
            found += solver.SlowestOf(searched) == solver.SlowestOf(solver.Solve()) ? 1 : 0;
        }

        Assert.That(found, Is.GreaterThanOrEqualTo(97));
    }

    [Test]
    public void Exact_up_to_the_limit()
    {
        // One fast ring is hidden among slow links.
        var count = Limits.RingExactPeersMax;
        var hidden = Enumerable.Range(0, count).Select(i => i * 5 % count).ToArray();
        var rates = Rates("few rates", count, 1);
        for (var i = 0; i < count; i++)
        {
            rates[hidden[i], hidden[(i + 1) % count]] = 1000;
        }

        Assert.That(new RingSolver(rates).Solve(), Is.EqualTo(hidden));
    }

    /// <summary>Never worse than the present ring, every peer once, the same result each time; and where one slow link is in the way, without it.</summary>
    [Test]
    public void Large_groups([Values(15, 40, 200)] int count, [Values("random", "clusters", "unknown", "one slow")] string kind)
    {
        for (var seed = 0; seed < LargeSeeds; seed++)
        {
            var rates = Rates(kind, count, seed);
            var solver = new RingSolver(rates);
            int[] present = [.. Enumerable.Range(0, count)];
            var solved = solver.Solve();
            AssertIsRing(solved, count);
            Assert.That(solver.SlowestOf(solved), Is.GreaterThanOrEqualTo(solver.SlowestOf(present)));
            Assert.That(new RingSolver(rates).Solve(), Is.EqualTo(solved));
            if (kind == "one slow")
            {
                Assert.That(solver.SlowestOf(solved), Is.EqualTo(100));
            }
            else if (kind == "random")
            {
                Assert.That(solver.SlowestOf(solved), Is.GreaterThan(500), "of rates up to 1,000 there is a ring without the slower half");
            }
        }
    }

    [Test]
    public void A_thousand_peers()
    {
        var solver = new RingSolver(Rates("clusters", Limits.PeersMax, 1));
        var solved = solver.Solve();
        AssertIsRing(solved, Limits.PeersMax);
        Assert.That(solver.SlowestOf(solved), Is.GreaterThanOrEqualTo(1));
    }

    [Test]
    public void A_small_gain_is_not_worth_new_links()
    {
        var rates = new double[3, 3];
        rates[0, 1] = rates[1, 2] = rates[2, 0] = 100;
        rates[0, 2] = rates[2, 1] = rates[1, 0] = 108;
        Assert.That(new RingSolver(rates).Improve(), Is.Null);
        rates[0, 1] = 80;
        Assert.That(new RingSolver(rates).Improve(), Is.EqualTo(new[] { 0, 2, 1 }));
    }

    [Test]
    public void Known_is_better_than_unknown_and_unknown_than_avoided([Values(RingSolver.Unknown, RingSolver.Avoided)] double first)
    {
        var rates = new double[3, 3];
        rates[0, 1] = first;
        rates[1, 2] = rates[2, 0] = 100;
        rates[0, 2] = rates[2, 1] = rates[1, 0] = first == RingSolver.Unknown ? 1 : RingSolver.Unknown;
        Assert.That(new RingSolver(rates).Improve(), Is.EqualTo(new[] { 0, 2, 1 }));
        rates[0, 2] = first;
        Assert.That(new RingSolver(rates).Improve(), Is.Null, "as bad either way");
    }

    [Test]
    public void Small_groups_have_one_ring([Values(1, 2)] int count) => Assert.That(new RingSolver(new double[count, count]).Improve(), Is.Null);

    private static void AssertIsRing(int[] order, int count)
    {
        Assert.That(order.Order(), Is.EqualTo(Enumerable.Range(0, count)));
        Assert.That(order[0], Is.Zero, "the ring begins with the same peer");
    }

    private static double[,] Rates(string kind, int count, int seed)
    {
        var random = new Random((count * 1000) + seed);
        var rates = new double[count, count];
        for (var i = 0; i < count; i++)
        {
            for (var j = 0; j < count; j++)
            {
                rates[i, j] = kind switch
                {
                    "few rates" => random.Next(1, 4) * 10,
                    "unknown" => random.Next(4) == 0 ? RingSolver.Unknown : random.Next(1, 1000),
                    "avoided" => random.Next(3) switch { 0 => RingSolver.Avoided, 1 => RingSolver.Unknown, _ => random.Next(1, 1000) },
                    "clusters" => i % 3 == j % 3 ? random.Next(500, 1000) : random.Next(1, 10),
                    "one slow" => (i, j) == (count / 2, (count / 2) + 1) ? 1 : 100,
                    _ => random.Next(1, 1000),
                };
            }
        }

        return rates;
    }

    /// <summary>All rings that begin with 0.</summary>
    private static IEnumerable<int[]> Permutations(int count)
    {
        static IEnumerable<int[]> Extend(int[] begun, int count)
            => begun.Length == count ? [begun] : Enumerable.Range(0, count).Except(begun).SelectMany(next => Extend([.. begun, next], count));
        return Extend([0], count);
    }
}
