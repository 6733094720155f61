using Collective.Coordination;
using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>What the peers were told, and what must never be: guarantees G1 to G3 and the rules of epochs.</summary>
internal sealed class Ledger
{
    private readonly Dictionary<Epoch, IReadOnlyList<Member>> _rings = [];
    private readonly Dictionary<AttemptKey, Attempt> _attempts = [];
    private readonly Dictionary<string, (Membership World, string Who)> _seen = [];

    private sealed class Attempt
    {
        public Dictionary<PeerId, int[]> Contributions { get; } = [];

        public Func<int, int, int> Adds { get; set; } = null!;

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
    public void Entered(AttemptKey attempt, CollectiveDescriptor descriptor, PeerId peer, int[] contribution)
    {
        var record = Of(attempt);
        record.Adds = Contributions.Adds(descriptor);
        Require(record.Contributions.TryAdd(peer, contribution), $"{peer} enters {attempt} twice");
    }

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
        if (attempt.Tensor > 0)
        {
            Verdict(attempt.ToWhole(), committed, who); // One for all tensors.
            return;
        }

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

    /// <summary>Peers whose calls ended together read the same world from then on.</summary>
    public void Seen(string end, Membership world, string who)
    {
        if (!_seen.TryAdd(end, (world, who)))
        {
            var known = _seen[end];
            Require(
                known.World.Epoch == world.Epoch && known.World.Sizes == world.Sizes && known.World.Members.SequenceEqual(world.Members),
                $"after {end} {known.Who} reads the world of epoch {known.World.Epoch} with {known.World.Sizes}, {who} that of epoch {world.Epoch} with {world.Sizes}");
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
                sum[i] = record.Adds(sum[i], contribution![i]);
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

/// <summary>
/// What peers bring to collectives: no two sums of different contributions are alike. To a quantised one each brings whole numbers of float32 that are all the same,
/// which every codec passes on exactly, so that the sum is exact too. In memory both are taken for words of 32 bits.
/// </summary>
internal static class Contributions
{
    private const int QuantisedBits = 14; // Of a thousand peers, the sum still fits into 24.

    public static CollectiveDescriptor Descriptor(int count, bool quantised)
        => quantised
            ? new CollectiveDescriptor((ulong)count, DataType.Float32, ReduceOperation.Sum, new Quantization(QuantizationAlgorithm.MinMax, DataType.UInt8).ToByte())
            : new CollectiveDescriptor((ulong)count, DataType.Int32, ReduceOperation.Sum, 0);

    public static int[] Of(int peer, long operation, CollectiveDescriptor descriptor)
    {
        var values = new int[descriptor.Count];
        var seed = ((ulong)(uint)peer << 40) ^ ((ulong)operation << 20);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = descriptor.Quantisation == 0 ? Hash(seed, i) : BitConverter.SingleToInt32Bits(Hash(seed, 0) & ((1 << QuantisedBits) - 1));
        }

        return values;
    }

    /// <summary>How two words are summed.</summary>
    public static Func<int, int, int> Adds(CollectiveDescriptor descriptor)
        => descriptor.Quantisation == 0
            ? (left, right) => unchecked(left + right)
            : (left, right) => BitConverter.SingleToInt32Bits(BitConverter.Int32BitsToSingle(left) + BitConverter.Int32BitsToSingle(right));

    private static int Hash(ulong seed, int index)
    {
        var x = (seed + (ulong)(uint)index + 1) * 0x9E3779B97F4A7C15UL;
        x = (x ^ (x >> 29)) * 0xBF58476D1CE4E5B9UL;
        return unchecked((int)(x >> 32));
    }
}
