using Collective.Coordination;
using Collective.Protocol;
using NUnit.Framework;

namespace Collective.Core.Tests.Coordination;

/// <summary>The ring keeps its order, takes newcomers at its end, and goes around broken pairs whenever there is a way.</summary>
[TestFixture]
internal sealed class RingOrderTests
{
    private static readonly HashSet<PeerPair> NoneBroken = [];

    [Test]
    public void Survivors_keep_their_order_and_newcomers_come_last_by_id()
        => Assert.That(RingOrder.Choose([Id(5), Id(2), Id(9), Id(1)], [Id(1), Id(2), Id(5), Id(8), Id(7)], NoneBroken), Is.EqualTo(new[] { Id(5), Id(2), Id(1), Id(7), Id(8) }));

    [Test]
    public void One_peer_is_a_ring_and_none_is_an_empty_one()
    {
        Assert.That(RingOrder.Choose([], [Id(1)], NoneBroken), Is.EqualTo(new[] { Id(1) }));
        Assert.That(RingOrder.Choose([Id(1)], [], NoneBroken), Is.Empty);
    }

    [Test]
    public void Two_peers_that_cannot_talk_are_no_ring()
        => Assert.That(RingOrder.Choose([Id(1), Id(2)], [Id(1), Id(2)], new HashSet<PeerPair> { PeerPair.Of(Id(2), Id(1)) }), Is.Null);

    [Test]
    public void The_closing_pair_counts()
    {
        HashSet<PeerPair> broken = [PeerPair.Of(Id(1), Id(4))];
        Assert.That(RingOrder.JoinsBrokenPair([Id(1), Id(2), Id(3), Id(4)], broken), Is.True);
        Assert.That(RingOrder.JoinsBrokenPair([Id(1), Id(2), Id(4), Id(3)], broken), Is.False);
    }

    [Test]
    public void A_pair_has_no_order()
    {
        Assert.That(PeerPair.Of(Id(1), Id(2)), Is.EqualTo(PeerPair.Of(Id(2), Id(1))));
        Assert.That(PeerPair.Of(Id(1), Id(2)).Contains(Id(2)) && !PeerPair.Of(Id(1), Id(2)).Contains(Id(3)));
    }

    [Test]
    public void An_order_is_found_exactly_when_brute_force_finds_one([Range(2, 7)] int peers)
    {
        var random = new Random(peers);
        PeerId[] ring = [.. Enumerable.Range(1, peers).Select(i => Id(i))];
        var pairs = (from i in Enumerable.Range(0, peers) from j in Enumerable.Range(i + 1, peers - i - 1) select PeerPair.Of(ring[i], ring[j])).ToArray();
        var all = Cycles(ring).ToArray();
        var (found, none) = (0, 0);
        for (var run = 0; run < 200; run++)
        {
            var share = random.NextDouble();
            HashSet<PeerPair> broken = [.. pairs.Where(_ => random.NextDouble() < share)];
            random.Shuffle(ring);
            var order = RingOrder.Choose(ring, ring, broken);
            var exists = all.Any(cycle => !RingOrder.JoinsBrokenPair(cycle, broken));
            Assert.That(order is not null, Is.EqualTo(exists), $"run {run}");
            if (order is null)
            {
                none++;
                continue;
            }

            found++;
            Assert.That(order, Is.EquivalentTo(ring));
            Assert.That(RingOrder.JoinsBrokenPair(order, broken), Is.False);
            Assert.That(RingOrder.JoinsBrokenPair(ring, broken) || order.SequenceEqual(ring), "an order that works is kept");
        }

        Assert.That((found > 10, none > 10), Is.EqualTo((true, true)), "both cases must be tried");
    }

    [Test]
    public void The_search_gives_up_after_its_limit()
    {
        // A peer without any link: every one of the orders of the others is a dead end.
        PeerId[] ring = [.. Enumerable.Range(1, 40).Select(i => Id(i))];
        HashSet<PeerPair> broken = [.. ring.SkipLast(1).Select(p => PeerPair.Of(p, ring[^1]))];
        Assert.That(RingOrder.Choose(ring, ring, broken), Is.Null);
    }

    [Test]
    public void A_thousand_peers_are_ordered_around_a_broken_pair()
    {
        PeerId[] ring = [.. Enumerable.Range(1, Limits.PeersMax).Select(i => Id(i))];
        HashSet<PeerPair> broken = [PeerPair.Of(ring[500], ring[501]), PeerPair.Of(ring[0], ring[^1])];
        var order = RingOrder.Choose(ring, ring, broken)!;
        Assert.That(order, Is.EquivalentTo(ring));
        Assert.That(RingOrder.JoinsBrokenPair(order, broken), Is.False);
    }

    private static IEnumerable<PeerId[]> Cycles(PeerId[] ring) => Permutations(ring[1..]).Select(rest => (PeerId[])[ring[0], .. rest]);

    private static IEnumerable<PeerId[]> Permutations(PeerId[] items)
        => items.Length <= 1 ? [items] : items.SelectMany((item, i) => Permutations([.. items[..i], .. items[(i + 1)..]]).Select(rest => (PeerId[])[item, .. rest]));

    private static PeerId Id(int number) => new(new Guid(number, 0, 0, new byte[8]));
}
