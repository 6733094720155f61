using Collective.Protocol;

namespace Collective.Coordination;

/// <summary>Chooses the cyclic order of a group's peers.</summary>
internal static class RingOrder
{
    /// <summary>
    /// Keeps the order of <paramref name="current"/>, so that survivors keep their links, appends newcomers by id, and, when that order would
    /// join a broken pair, searches one that does not. Null when there is none (or none was found within <see cref="Limits.RingSearchStepsMax"/>).
    /// </summary>
    public static PeerId[]? Choose(IReadOnlyList<PeerId> current, IReadOnlyCollection<PeerId> members, IReadOnlySet<PeerPair> broken)
    {
        var order = current.Where(members.Contains).ToList();
        order.AddRange(members.Except(order).Order());
        if (!JoinsBrokenPair(order, broken))
        {
            return [.. order];
        }

        return order.Count < 3 ? null : new Search(order, broken).Run();
    }

    /// <summary>Whether two neighbours of the cyclic order are a broken pair.</summary>
    public static bool JoinsBrokenPair(IReadOnlyList<PeerId> order, IReadOnlySet<PeerPair> broken)
    {
        for (var i = 0; broken.Count > 0 && order.Count > 1 && i < order.Count; i++)
        {
            if (broken.Contains(PeerPair.Of(order[i], order[(i + 1) % order.Count])))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Depth-first search for a Hamiltonian cycle over the pairs that are not broken.</summary>
    private sealed class Search(List<PeerId> peers, IReadOnlySet<PeerPair> broken)
    {
        private readonly PeerId[] _path = new PeerId[peers.Count];
        private readonly bool[] _used = new bool[peers.Count];
        private int _steps;

        public PeerId[]? Run()
        {
            _path[0] = peers[0];
            _used[0] = true;
            return Extend(1) ? _path : null;
        }

        private bool Extend(int length)
        {
            if (length == peers.Count)
            {
                return !broken.Contains(PeerPair.Of(_path[^1], _path[0]));
            }

            for (var i = 1; i < peers.Count && _steps < Limits.RingSearchStepsMax; i++)
            {
                if (_used[i] || broken.Contains(PeerPair.Of(_path[length - 1], peers[i])))
                {
                    continue;
                }

                _steps++;
                _path[length] = peers[i];
                _used[i] = true;
                if (Extend(length + 1))
                {
                    return true;
                }

                _used[i] = false;
            }

            return false;
        }
    }
}

/// <summary>Two peers, in no order.</summary>
internal readonly record struct PeerPair
{
    private PeerPair(PeerId low, PeerId high)
    {
        Low = low;
        High = high;
    }

    public PeerId Low { get; }

    public PeerId High { get; }

    public static PeerPair Of(PeerId a, PeerId b) => a < b ? new(a, b) : new(b, a);

    public bool Contains(PeerId peer) => peer == Low || peer == High;
}
