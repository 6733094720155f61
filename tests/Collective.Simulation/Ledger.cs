using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>What the peers were told, and what must never be: guarantees G1 to G3 and the rules of epochs.</summary>
internal sealed class Ledger
{
    private readonly Dictionary<Epoch, string> _rings = [];
    private readonly Dictionary<AttemptKey, (bool Committed, string Who)> _verdicts = [];
    private readonly Dictionary<AttemptKey, ulong> _results = [];

    public int Committed { get; private set; }

    public int Aborted { get; private set; }

    /// <summary>One ring per epoch: whoever hears of an epoch hears the same members in the same order.</summary>
    public void EpochOpened(Epoch epoch, IReadOnlyList<Member> members)
    {
        var ring = string.Join(",", members);
        if (_rings.TryGetValue(epoch, out var known))
        {
            Require(known == ring, $"two rings in epoch {epoch}: {known} and {ring}");
        }

        _rings[epoch] = ring;
    }

    /// <summary>G1: one verdict per attempt, whoever lives to hear it.</summary>
    public void Verdict(AttemptKey attempt, bool committed, string who)
    {
        if (_verdicts.TryGetValue(attempt, out var known))
        {
            Require(known.Committed == committed, $"G1: {attempt} was {(known.Committed ? "committed" : "aborted")} for {known.Who} and {(committed ? "committed" : "aborted")} for {who}");
            return;
        }

        _verdicts[attempt] = (committed, who);
        Committed += committed ? 1 : 0;
        Aborted += committed ? 0 : 1;
    }

    /// <summary>G2: the same bits for all, and the right ones.</summary>
    public void Result(AttemptKey attempt, ReadOnlySpan<int> result, ReadOnlySpan<int> expected, string who)
    {
        for (var i = 0; i < expected.Length; i++)
        {
            Require(result[i] == expected[i], $"G2: element {i} of {attempt} is {result[i]} for {who}, and {expected[i]} summed over its contributors");
        }

        var hash = 14695981039346656037UL;
        foreach (var value in result)
        {
            hash = (hash ^ (uint)value) * 1099511628211UL;
        }

        Require(!_results.TryGetValue(attempt, out var known) || known == hash, $"G2: {who} holds other bits of {attempt} than another peer");
        _results[attempt] = hash;
    }

    /// <summary>G3: after an abort the input is what it was.</summary>
    public static void Input(AttemptKey? attempt, ReadOnlySpan<int> input, ReadOnlySpan<int> original, string who)
        => Require(input.SequenceEqual(original), $"G3: the input of {attempt} was not restored for {who}");

    public void CheckAtEnd()
    {
        foreach (var (attempt, _) in _results)
        {
            Require(_verdicts[attempt].Committed, $"a result of {attempt}, which was aborted");
        }
    }

    public static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new SimulationException(message);
        }
    }
}
