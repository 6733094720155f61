using Collective.Protocol;

namespace Collective.Simulation;

/// <summary>The shared state of a simulated application: some tensors, each with a number for its content, and one whose content may differ.</summary>
internal sealed class SimulatedState
{
    private const string PrivateKey = "random";

    private readonly string[] _keys;

    /// <summary>Every process lists its tensors in an order of its own.</summary>
    public SimulatedState(int peer, int keys, ulong content, Revision revision)
    {
        _keys = [.. Enumerable.Range(0, keys).Select(i => $"tensor{(i + peer) % keys}"), PrivateKey];
        Contents = [.. _keys.Select(k => Mix(content + (ulong)k[^1]))];
        Contents[^1] = Mix((ulong)peer + 1_000_000);
        Revision = revision;
    }

    public Revision Revision { get; set; }

    /// <summary>By position in the list of entries.</summary>
    public ulong[] Contents { get; private set; }

    public int Count => _keys.Length;

    public string KeyAt(int index) => _keys[index];

    public bool MayDiffer(int index) => _keys[index] == PrivateKey;

    public ulong ContentOf(string key) => Contents[Array.IndexOf(_keys, key)];

    public StateEntry[] Entries() => [.. _keys.Select((k, i) => new StateEntry(k, DataType.Float32, 100, MayDiffer(i), MayDiffer(i) ? default : HashOf(Contents[i])))];

    /// <summary>What all do who hold the same and have reduced the same.</summary>
    public void Advance()
    {
        for (var i = 0; i < Contents.Length - 1; i++)
        {
            Contents[i] = Mix(Contents[i]);
        }
    }

    /// <summary>A bit flips, as in faulty memory.</summary>
    public void Corrupt(int index) => Contents[index % (Contents.Length - 1)] ^= 4;

    public void Write(IReadOnlyDictionary<int, ulong> staged)
    {
        foreach (var (index, content) in staged)
        {
            Contents[index] = content;
        }
    }

    public static StateHash HashOf(ulong content) => new(new UInt128(Mix(content), content));

    private static ulong Mix(ulong x)
    {
        x = (x + 1) * 0x9E3779B97F4A7C15UL;
        return (x ^ (x >> 29)) * 0xBF58476D1CE4E5B9UL;
    }
}
