using System.Runtime.CompilerServices;
using System.Text.Unicode;

namespace Collective.Native;

/// <summary>Writes what C is told. Structures that begin with their size keep it, and what lies beyond the fields this library knows.</summary>
internal static unsafe class Reports
{
    /// <summary>A <c>pcclxLeftOut_t</c>: 16 of an id, 4 of a code, and a text.</summary>
    private const int LeftOutBytes = 536;

    public static void World((World World, PeerId Self, bool Connected) known, nint target, bool hasNewcomers = false)
    {
        Arguments.CheckSized<WorldInfo>(target, "world");
        var (world, self, connected) = known;
        var info = new WorldInfo
        {
            StructSize = Unsafe.ReadUnaligned<nuint>((void*)target),
            Epoch = world.Epoch.Value,
            Rank = (uint)world.Rank,
            WorldSize = (uint)world.WorldSize,
            GlobalWorldSize = (uint)world.GlobalWorldSize,
            GroupCount = (uint)world.GroupCount,
            LargestGroupWorldSize = (uint)world.LargestGroupWorldSize,
            Connected = connected ? 1u : 0,
            HasNewcomers = hasNewcomers ? 1u : 0,
        };
        Id(self, (nint)(&info.Self));
        Unsafe.WriteUnaligned((void*)target, info);
    }

    public static void Ids(IReadOnlyList<PeerId> peers, nint target, nuint capacity)
    {
        for (nuint i = 0; i < capacity && i < (nuint)peers.Count; i++)
        {
            Id(peers[(int)i], target + ((nint)i * 16));
        }
    }

    public static void Statistics(CommunicatorHandle communicator, nint target)
    {
        Arguments.CheckSized<Statistics>(target, "statistics");
        var statistics = new Statistics { StructSize = Unsafe.ReadUnaligned<nuint>((void*)target), ReducesInFlight = (ulong)communicator.ReducesInFlight };
        communicator.Counters.Fill(ref statistics);
        Unsafe.WriteUnaligned((void*)target, statistics);
    }

    public static void Reduction(World world, long bytesSent, long bytesReceived, ReduceInfo* target)
    {
        if (target is not null)
        {
            *target = new ReduceInfo { LocalWorldSize = (uint)world.WorldSize, TxBytes = (ulong)bytesSent, RxBytes = (ulong)bytesReceived };
        }
    }

    public static void Reduction(World world, long bytesSent, long bytesReceived, int retries, nint target)
    {
        if (target == 0)
        {
            return;
        }

        var info = Unsafe.ReadUnaligned<ExtendedReduceInfo>((void*)target);
        info.Epoch = world.Epoch.Value;
        info.TxBytes = (ulong)bytesSent;
        info.RxBytes = (ulong)bytesReceived;
        info.WorldSize = (uint)world.WorldSize;
        info.Rank = (uint)world.Rank;
        info.Retries = (ulong)retries;
        Unsafe.WriteUnaligned((void*)target, info);
        if (info.Contributors != 0)
        {
            Ids(world.Peers, info.Contributors, info.ContributorCapacity);
        }
    }

    public static void Synchronization(SharedStateSyncResult result, nint target)
    {
        if (target == 0)
        {
            return;
        }

        var report = Unsafe.ReadUnaligned<SyncResult>((void*)target);
        report.LeftOutCount = (nuint)result.LeftOut.Count;
        report.WireTxBytes = (ulong)result.WireBytesSent;
        report.WireRxBytes = (ulong)result.WireBytesReceived;
        Unsafe.WriteUnaligned((void*)target, report);
        for (var i = 0; report.LeftOut != 0 && i < result.LeftOut.Count && (nuint)i < report.LeftOutCapacity; i++)
        {
            LeftOut(result.LeftOut[i], report.LeftOut + (i * LeftOutBytes));
        }
    }

    private static void LeftOut(LeftOutPeer peer, nint target)
    {
        new Span<byte>((void*)target, LeftOutBytes).Clear();
        Id(peer.Id, target);
        Unsafe.WriteUnaligned((void*)(target + 16), (int)peer.Code);
        Utf8.FromUtf16(peer.Reason, new Span<byte>((void*)(target + 20), LeftOutBytes - 20 - 1), out _, out _); // Cut where it is too long, between characters.
    }

    private static void Id(PeerId id, nint target) => id.Value.TryWriteBytes(new Span<byte>((void*)target, 16), bigEndian: true, out _);
}
