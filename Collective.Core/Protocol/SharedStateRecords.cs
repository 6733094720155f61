using System.Buffers;
using System.Text;

namespace Collective.Protocol;

/// <summary>128-bit hash of a tensor's bytes (a tree over its blocks, see docs/protocol.md); zero where there is none.</summary>
internal readonly record struct StateHash(UInt128 Value)
{
    public override string ToString() => Value.ToString("x32");
}

/// <summary>Version of the shared state: set by the application, or counted by the library.</summary>
internal readonly record struct Revision(ulong Value)
{
    /// <summary>Above every revision that an application may use: there must be one after each.</summary>
    public static Revision Limit => new(ulong.MaxValue);

    public Revision Next() => new(Value + 1);

    public override string ToString() => $"{Value}";
}

/// <summary>What a peer's own revision may be.</summary>
internal enum RevisionRule : byte
{
    /// <summary>The application gives it: higher than that of the last sync, or the same while the content is.</summary>
    Grows = 0,

    /// <summary>The library counts: whatever the others have is right.</summary>
    Counted = 1,

    /// <summary>PCCL's rule: one more than that of the last sync is up to date, more is wrong.</summary>
    ByOne = 2,
}

/// <summary>What a peer says about one named tensor: never its bytes.</summary>
/// <param name="Key">The application's name for it.</param>
/// <param name="DataType">Element type.</param>
/// <param name="Count">Elements.</param>
/// <param name="MayDiffer">Its content may differ between peers: not hashed, and handed to newcomers only.</param>
/// <param name="Hash">Of its bytes; zero when they may differ.</param>
internal readonly record struct StateEntry(string Key, DataType DataType, ulong Count, bool MayDiffer, StateHash Hash);

/// <summary>One tensor that a peer has to fetch.</summary>
/// <param name="Index">Position in the peer's own list.</param>
/// <param name="Hash">What its bytes must hash to; zero when contents may differ: then all of it comes from one holder, whose leaf digests it must match.</param>
/// <param name="HolderSet">Position in the plan's <see cref="SharedStatePlan.HolderSets"/>.</param>
internal readonly record struct StateFetch(ushort Index, StateHash Hash, ushort HolderSet);

/// <summary>What can be said of a list of entries before anything is sent.</summary>
internal static class StateEntries
{
    /// <summary>Why the list cannot be synchronised; null when it can.</summary>
    public static string? Refusal(IReadOnlyCollection<string> keys)
    {
        if (keys.Count == 0)
        {
            return "the shared state has no entries: name at least one tensor";
        }

        if (keys.Count > Limits.StateKeysMax)
        {
            return $"the shared state has {keys.Count} entries: at most {Limits.StateKeysMax} are possible, join small tensors";
        }

        var known = new HashSet<string>(keys.Count, StringComparer.Ordinal);
        foreach (var key in keys)
        {
            if (key.Length == 0)
            {
                return "a key of the shared state is empty: give each tensor a name";
            }

            if (!IsUnicode(key) || Encoding.UTF8.GetByteCount(key) > Limits.StateKeyBytesMax)
            {
                return $"the key \"{Shorten(key)}\" is no Unicode text of at most {Limits.StateKeyBytesMax} bytes in UTF-8: choose a shorter name";
            }

            if (!known.Add(key))
            {
                return $"the key \"{Shorten(key)}\" is used twice: give each tensor a name of its own";
            }
        }

        return null;
    }

    /// <summary>A key as part of a sentence.</summary>
    public static string Shorten(string key)
    {
        const int CharactersShown = 80;
        return key.Length <= CharactersShown ? key : $"{key[..CharactersShown]}…";
    }

    /// <summary>Half of a surrogate pair would become something else on the wire, and perhaps another's key.</summary>
    private static bool IsUnicode(string key)
    {
        for (var rest = key.AsSpan(); !rest.IsEmpty;)
        {
            if (Rune.DecodeFromUtf16(rest, out _, out var consumed) != OperationStatus.Done)
            {
                return false;
            }

            rest = rest[consumed..];
        }

        return true;
    }
}
