using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>What the peers were told, and what must never be: guarantees G1 to G3 and the rules of epochs.</summary>
internal sealed class Ledger
{
    private readonly Dictionary<Epoch, IReadOnlyList<Member>> _rings = [];
    private readonly Dictionary<AttemptKey, Attempt> _attempts = [];

    private sealed class Attempt
    {
        public Dictionary<PeerId, int[]> Contributions { get; } = [];

        public (bool Committed, string Who)? Verdict { get; set; }

        public IReadOnlyList<PeerId>? Contributors { get; set; }

        public int[]? Sum { get; set; }
    }

    public int Committed { get; private set; }

    public int Aborted { get; private set; }

    /// <summary>One ring per epoch: whoever hears of an epoch hears the same members in the same order.</summary>
    public void EpochOpened(Epoch epoch, IReadOnlyList<Member> members)
    {
        if (!_rings.TryGetValue(epoch, out var known))
        {
            _rings.Add(epoch, members);
        }
        else if (known != (object)members)
        {
            Require(known.SequenceEqual(members), $"two rings in epoch {epoch}: {string.Join(",", known)} and {string.Join(",", members)}");
        }
    }

    /// <summary>A peer brings this to an attempt.</summary>
    public void Entered(AttemptKey attempt, PeerId peer, int[] contribution)
        => Require(Of(attempt).Contributions.TryAdd(peer, contribution), $"{peer} enters {attempt} twice");

    /// <summary>G1: one verdict per attempt, whoever lives to hear it.</summary>
    public void Verdict(AttemptKey attempt, bool committed, string who)
    {
        var record = Of(attempt);
        if (record.Verdict is { } known)
        {
            Require(known.Committed == committed, $"G1: {attempt} was {(known.Committed ? "committed" : "aborted")} for {known.Who} and {(committed ? "committed" : "aborted")} for {who}");
            return;
        }

        record.Verdict = (committed, who);
        Committed += committed ? 1 : 0;
        Aborted += committed ? 0 : 1;
    }

    /// <summary>G2: the same bits for all, and the sum of exactly those whom the result names as its contributors.</summary>
    public void Result(AttemptKey attempt, ReadOnlySpan<int> result, IReadOnlyList<PeerId> contributors, string who)
    {
        var record = Of(attempt);
        if (record.Sum is null)
        {
            record.Contributors = contributors;
            record.Sum = SumOf(record, attempt, result.Length);
        }

        Require(record.Contributors == contributors || record.Contributors!.SequenceEqual(contributors), $"G2: {who} has other contributors of {attempt} than another peer");
        if (!result.SequenceEqual(record.Sum))
        {
            var i = result.CommonPrefixLength(record.Sum);
            throw new SimulationException($"G2: element {i} of {attempt} is {result[i]} for {who}, and {record.Sum[i]} summed over its contributors");
        }
    }

    /// <summary>G3: after an abort the input is what it was.</summary>
    public static void Input(AttemptKey? attempt, ReadOnlySpan<int> input, ReadOnlySpan<int> original, string who)
        => Require(input.SequenceEqual(original), $"G3: the input of {attempt} was not restored for {who}");

    public static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new SimulationException(message);
        }
    }

    private static int[] SumOf(Attempt record, AttemptKey attempt, int count)
    {
        var sum = new int[count];
        foreach (var id in record.Contributors!)
        {
            Require(record.Contributions.TryGetValue(id, out var contribution), $"G2: {attempt} names {id} as a contributor, who never entered it");
            for (var i = 0; i < count; i++)
            {
                sum[i] = unchecked(sum[i] + contribution![i]);
            }
        }

        return sum;
    }

    private Attempt Of(AttemptKey key)
    {
        if (!_attempts.TryGetValue(key, out var attempt))
        {
            _attempts.Add(key, attempt = new Attempt());
        }

        return attempt;
    }
}

/// <summary>What peers bring to collectives: no two sums of different contributions are alike.</summary>
internal static class Contributions
{
    public static int[] Of(int peer, long operation, int count)
    {
        var values = new int[count];
        var seed = ((ulong)(uint)peer << 40) ^ ((ulong)operation << 20);
        for (var i = 0; i < count; i++)
        {
            var x = (seed + (ulong)(uint)i + 1) * 0x9E3779B97F4A7C15UL;
            x = (x ^ (x >> 29)) * 0xBF58476D1CE4E5B9UL;
            values[i] = unchecked((int)(x >> 32));
        }

        return values;
    }
}
