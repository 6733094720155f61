namespace Collective.Native;

#pragma warning disable CS0649 // C fills them.

// The structures of collective.h, field by field. No fixed buffers: an export that held one on its stack would end the process when it is the first one called.

/// <summary>16 bytes at any address.</summary>
internal struct SixteenBytes
{
    public uint Bytes0To3;
    public uint Bytes4To7;
    public uint Bytes8To11;
    public uint Bytes12To15;
}

internal struct SocketAddress
{
    public int Protocol;
    public uint IPv4;
    public SixteenBytes IPv6;
    public ushort Port;
    public ushort Padding;
}

internal struct CommCreateParams
{
    public SocketAddress MasterAddress;
    public uint PeerGroup;
    public uint PoolSize;
}

internal struct ReduceInfo
{
    public uint LocalWorldSize;
    public ulong TxBytes;
    public ulong RxBytes;
}

internal struct ReduceDescriptor
{
    public nuint Count;
    public int Operation;
    public ulong Tag;
    public int DataType;
    public int DistributionHint;
    public int QuantizedDataType;
    public int Algorithm;
}

internal struct ReduceOperationDescriptor
{
    public nint SendBuffer;
    public nint ReceiveBuffer;
    public ReduceDescriptor Descriptor;
}

internal struct AsyncReduceOperation
{
    public nint Communicator;
    public ulong Tag;
}

internal struct TensorInfo
{
    public nint Name;
    public nint Data;
    public nuint Count;
    public int DataType;
    public int DeviceType;
    public byte AllowContentInequality;
}

internal struct SharedState
{
    public ulong Revision;
    public nuint Count;
    public nint Infos;
}

internal struct SharedStateSyncInfo
{
    public ulong TxBytes;
    public ulong RxBytes;
}

internal struct CommOptions
{
    public nuint StructSize;
    public nint Master;
    public uint PeerGroup;
    public uint StripeCount;
    public uint MinWorldSize;
    public int ListenPort;
    public long ConnectTimeoutMs;
    public long CallTimeoutMs;
    public long LinkStallTimeoutMs;
    public nint Fingerprint;
    public uint KeepMinWorldSize;
    public uint Reserved;
    public nint AdvertiseAddress;
}

internal struct CallOptions
{
    public nuint StructSize;
    public long TimeoutMs;
    public nint Label;
}

internal struct SyncOptions
{
    public nuint StructSize;
    public long TimeoutMs;
    public nint Progress;
    public nint Context;
    public nint Result;
    public int Revisions;
    public uint Reserved;
}

internal enum Revisions
{
    Grow = 0,
    Counted = 1,
    ByOne = 2,
}

internal struct SyncResult
{
    public nuint StructSize;
    public nint LeftOut;
    public nuint LeftOutCapacity;
    public nuint LeftOutCount;
    public ulong WireTxBytes;
    public ulong WireRxBytes;
}

internal struct SyncProgress
{
    public nuint StructSize;
    public ulong BytesDone;
    public ulong BytesTotal;
    public nint Donors;
    public nuint DonorCount;
}

internal struct WorldInfo
{
    public nuint StructSize;
    public ulong Epoch;
    public uint Rank;
    public uint WorldSize;
    public uint GlobalWorldSize;
    public uint GroupCount;
    public uint LargestGroupWorldSize;
    public uint Connected;
    public SixteenBytes Self;
    public uint HasNewcomers;
    public uint Reserved;
}

internal struct Statistics
{
    public nuint StructSize;
    public ulong ReducesCommitted;
    public ulong ReducesFailed;
    public ulong ReducesInFlight;
    public ulong TxBytes;
    public ulong RxBytes;
    public ulong Connects;
    public ulong TopologyUpdates;
    public ulong StateSyncs;
    public ulong StateTxBytes;
    public ulong StateRxBytes;
    public ulong CallsTimedOut;
}

internal struct ExtendedReduceInfo
{
    public nuint StructSize;
    public ulong Epoch;
    public ulong TxBytes;
    public ulong RxBytes;
    public uint WorldSize;
    public uint Rank;
    public ulong Retries;
    public nint Contributors;
    public nuint ContributorCapacity;
}

internal struct MasterOptionsInfo
{
    public nuint StructSize;
    public nint Listen;
    public long HeartbeatTimeoutMs;
    public long CrossedCallsTimeoutMs;
    public uint SegmentBytes;
    public uint Reserved;
}
