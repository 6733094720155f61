namespace Collective;

/// <summary>Element type of a tensor. Values are those of the C ABI (<c>pcclDataType_t</c>).</summary>
public enum DataType
{
    /// <summary>Unsigned 8-bit integer.</summary>
    UInt8 = 0,
    /// <summary>Signed 8-bit integer.</summary>
    Int8 = 1,
    /// <summary>Signed 16-bit integer.</summary>
    Int16 = 2,
    /// <summary>Unsigned 16-bit integer.</summary>
    UInt16 = 3,
    /// <summary>Unsigned 32-bit integer.</summary>
    UInt32 = 4,
    /// <summary>Signed 32-bit integer.</summary>
    Int32 = 5,
    /// <summary>Unsigned 64-bit integer.</summary>
    UInt64 = 6,
    /// <summary>Signed 64-bit integer.</summary>
    Int64 = 7,
    /// <summary>IEEE 754 binary16; accumulated in float32 per hop and rounded once per hop.</summary>
    Float16 = 8,
    /// <summary>bfloat16 (upper half of a binary32); accumulated in float32 per hop and rounded once per hop.</summary>
    BFloat16 = 9,
    /// <summary>IEEE 754 binary32.</summary>
    Float32 = 10,
    /// <summary>IEEE 754 binary64.</summary>
    Float64 = 11,
}

/// <summary>How the contributions of all ranks are combined. Values are those of the C ABI (<c>pcclRedOp_t</c>).</summary>
public enum ReduceOperation
{
    /// <summary>Element-wise sum. Integers wrap around.</summary>
    Sum = 0,
    /// <summary>Sum divided once, at the end, by the number of contributors. Integers divide truncating towards zero, after a wrapping sum.</summary>
    Average = 1,
    /// <summary>Element-wise product. Integers wrap around.</summary>
    Product = 2,
    /// <summary>Element-wise maximum. A NaN contribution gives NaN; +0 is larger than -0.</summary>
    Max = 3,
    /// <summary>Element-wise minimum. A NaN contribution gives NaN; -0 is smaller than +0.</summary>
    Min = 4,
}

/// <summary>How a peer takes part in a sync of the shared state. Values are those of the C ABI (<c>pcclSharedStateSyncStrategy_t</c>).</summary>
/// <remarks>Legal in one sync: all <see cref="EnforcePopular"/>, or a mix of the other two with at least one <see cref="SendOnly"/>.</remarks>
public enum SyncStrategy
{
    /// <summary>Send and receive as needed: the content that most up-to-date peers have becomes everybody's.</summary>
    EnforcePopular = 0,
    /// <summary>This peer's content does not count and is never sent; it takes what is elected.</summary>
    ReceiveOnly = 1,
    /// <summary>This peer's content must be what is elected; nothing of it is overwritten. Several such peers must have equal content.</summary>
    SendOnly = 2,
}

/// <summary>A peer that did not fit what was elected in a sync of the shared state, and so has left the run.</summary>
/// <param name="Id">The peer.</param>
/// <param name="Code">What its own call ended with: <see cref="ErrorCode.Mismatch"/> or <see cref="ErrorCode.RevisionMismatch"/>.</param>
/// <param name="Reason">What did not fit.</param>
public readonly record struct LeftOutPeer(PeerId Id, ErrorCode Code, string Reason);

/// <summary>Identifies one peer for the life of a run; made by the master, never reused.</summary>
public readonly record struct PeerId(Guid Value) : IComparable<PeerId>
{
    /// <summary>Orders ids by their bytes, most significant first.</summary>
    public int CompareTo(PeerId other) => Value.CompareTo(other.Value);

    /// <summary>The id in its full form, lower-case hexadecimal 8-4-4-4-12.</summary>
    public override string ToString() => Value.ToString("D");

    /// <summary>The first eight hexadecimal digits: enough to tell peers apart in a log.</summary>
    public string ToShortString() => Value.ToString("N")[..8];

    /// <summary>Compares two ids.</summary>
    public static bool operator <(PeerId left, PeerId right) => left.CompareTo(right) < 0;
    /// <summary>Compares two ids.</summary>
    public static bool operator >(PeerId left, PeerId right) => left.CompareTo(right) > 0;
    /// <summary>Compares two ids.</summary>
    public static bool operator <=(PeerId left, PeerId right) => left.CompareTo(right) <= 0;
    /// <summary>Compares two ids.</summary>
    public static bool operator >=(PeerId left, PeerId right) => left.CompareTo(right) >= 0;
}

/// <summary>Number of the current membership and ring order of one peer group: the master's term in the upper 16 bits, a counter in the lower 48.</summary>
public readonly record struct Epoch(ulong Value) : IComparable<Epoch>
{
    private const int CounterBits = 48;

    /// <summary>No epoch yet; lower than every real one.</summary>
    public static Epoch None => default;

    /// <summary>Term of the master that issued the epoch.</summary>
    public ushort Term => (ushort)(Value >> CounterBits);

    /// <summary>Counter within the term.</summary>
    public ulong Number => Value & ((1UL << CounterBits) - 1);

    /// <summary>The first epoch of a term.</summary>
    public static Epoch First(ushort term) => new(((ulong)term << CounterBits) | 1);

    /// <summary>The epoch after this one.</summary>
    public Epoch Next() => new(Value + 1);

    /// <summary>Orders epochs: a higher term always wins.</summary>
    public int CompareTo(Epoch other) => Value.CompareTo(other.Value);

    /// <summary>The epoch as <c>term.number</c>.</summary>
    public override string ToString() => $"{Term}.{Number}";

    /// <summary>Compares two epochs.</summary>
    public static bool operator <(Epoch left, Epoch right) => left.Value < right.Value;
    /// <summary>Compares two epochs.</summary>
    public static bool operator >(Epoch left, Epoch right) => left.Value > right.Value;
    /// <summary>Compares two epochs.</summary>
    public static bool operator <=(Epoch left, Epoch right) => left.Value <= right.Value;
    /// <summary>Compares two epochs.</summary>
    public static bool operator >=(Epoch left, Epoch right) => left.Value >= right.Value;
}
