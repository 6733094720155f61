namespace Collective.Stress.Churn;

/// <summary>
/// Compares what the peers report about each attempt, and notes a sentence for each divergence. An attempt is an operation of a step in an epoch; a peer's steps
/// only grow, so that no peer reports two outcomes of one attempt.
/// </summary>
internal sealed class OutcomeJudge
{
    // Reports of one attempt come within seconds; what is older need not be remembered.
    private const int CommitsKept = 20_000;
    private const int OutcomesKeptPerPeer = 4_000;

    private readonly Dictionary<(ulong Step, int Operation, ulong Epoch), Commit> _commits = [];
    private readonly Queue<(ulong, int, ulong)> _order = new();
    private readonly Dictionary<string, PeerOutcomes> _peers = [];
    private readonly List<string> _divergences = [];

    private sealed record Commit(string Contributors, string Digest, string Reporter);

    private sealed class PeerOutcomes
    {
        public Dictionary<(ulong Step, int Operation), ulong> Committed { get; } = [];

        public Dictionary<(ulong Step, int Operation), ulong> Aborted { get; } = [];

        /// <summary>What others report as committed with this peer.</summary>
        public Dictionary<(ulong Step, int Operation), ulong> Expected { get; } = [];

        public HashSet<ulong> GivenUp { get; } = [];

        public (ulong Step, int Operation) Last { get; set; }

        public Queue<(ulong, int)> Order { get; } = new();
    }

    /// <summary>One sentence for each attempt about which peers do not agree.</summary>
    public IReadOnlyList<string> Divergences => _divergences;

    /// <summary>Operations that committed, each counted once.</summary>
    public int Commits { get; private set; }

    public void OnConnected(string peer) => _peers.TryAdd(peer, new PeerOutcomes());

    public void OnCommitted(string peer, ChurnEvent.Committed news)
    {
        var key = (news.Step, news.Operation, news.Epoch);
        var contributors = string.Join(',', news.Contributors);
        if (!news.Contributors.Contains(peer))
        {
            Diverge($"peer {peer} reports {Name(key)} committed without itself, over {contributors}");
        }

        if (!_commits.TryGetValue(key, out var commit))
        {
            Commits++;
            _commits.Add(key, new Commit(contributors, news.Digest, peer));
            _order.Enqueue(key);
            if (_order.Count > CommitsKept)
            {
                _commits.Remove(_order.Dequeue());
            }

            foreach (var other in news.Contributors.Where(other => other != peer))
            {
                Expect(other, key, peer);
            }
        }
        else if (commit.Contributors != contributors || commit.Digest != news.Digest)
        {
            Diverge($"{Name(key)}: peer {peer} has {news.Digest} over {contributors}, peer {commit.Reporter} has {commit.Digest} over {commit.Contributors}");
        }

        Record(peer, key);
    }

    public void OnAborted(string peer, ChurnEvent.Aborted news)
    {
        var outcomes = Of(peer);
        var attempt = (news.Step, news.Operation);
        outcomes.Aborted[attempt] = news.EpochAfter;
        if (outcomes.Expected.TryGetValue(attempt, out var epoch) && epoch < news.EpochAfter)
        {
            Diverge($"{Name((news.Step, news.Operation, epoch))} committed elsewhere, but peer {peer} saw it aborted (epoch {news.EpochAfter} came)");
        }
    }

    /// <summary>The peer has lost all others and dropped the step before <paramref name="step"/>.</summary>
    public void OnAlone(string peer, ulong step) => Of(peer).GivenUp.Add(step - 1);

    private PeerOutcomes Of(string peer)
    {
        OnConnected(peer);
        return _peers[peer];
    }

    /// <summary>Another peer says that this one contributed.</summary>
    private void Expect(string peer, (ulong Step, int Operation, ulong Epoch) key, string reporter)
    {
        var outcomes = Of(peer);
        var attempt = (key.Step, key.Operation);
        if (outcomes.Committed.TryGetValue(attempt, out var epoch))
        {
            if (epoch != key.Epoch)
            {
                Diverge($"{Name(key)}: peer {reporter} reports it committed with peer {peer}, who reports it committed in epoch {epoch}");
            }
        }
        else if (outcomes.Aborted.TryGetValue(attempt, out var after) && key.Epoch < after)
        {
            Diverge($"{Name(key)}: peer {reporter} reports it committed with peer {peer}, who saw it aborted (epoch {after} came)");
        }
        else if (outcomes.Last.CompareTo(attempt) > 0 && !outcomes.GivenUp.Contains(key.Step))
        {
            Diverge($"{Name(key)}: peer {reporter} reports it committed with peer {peer}, who has gone on without it");
        }
        else
        {
            outcomes.Expected[attempt] = key.Epoch;
        }
    }

    private void Record(string peer, (ulong Step, int Operation, ulong Epoch) key)
    {
        var outcomes = Of(peer);
        var attempt = (key.Step, key.Operation);
        if (outcomes.Expected.Remove(attempt, out var expected) && expected != key.Epoch)
        {
            Diverge($"{Name(key)}: peer {peer} reports it committed, but others report that it took part in it in epoch {expected}");
        }

        outcomes.Committed[attempt] = key.Epoch;
        outcomes.Order.Enqueue(attempt);
        outcomes.Last = attempt;
        if (outcomes.Order.Count > OutcomesKeptPerPeer)
        {
            var old = outcomes.Order.Dequeue();
            outcomes.Committed.Remove(old);
            outcomes.Aborted.Remove(old);
        }

        foreach (var (missed, epoch) in outcomes.Expected.Where(entry => entry.Key.CompareTo(attempt) < 0).ToList())
        {
            outcomes.Expected.Remove(missed);
            if (!outcomes.GivenUp.Contains(missed.Step))
            {
                Diverge($"{Name((missed.Step, missed.Operation, epoch))} committed elsewhere with peer {peer}, who has gone on without it");
            }
        }
    }

    private void Diverge(string sentence) => _divergences.Add(sentence);

    private static string Name((ulong Step, int Operation, ulong Epoch) key)
        => $"operation {key.Operation} of step {key.Step} in epoch {key.Epoch & ((1UL << 48) - 1)}";
}
