using System.Runtime.CompilerServices;

namespace Collective.Native;

/// <summary>The functions of collective.h that concern a communicator, without C: what is wrong is thrown. Never inlined into the exports (see Structures.cs).</summary>
internal static unsafe class Calls
{
    private const MethodImplOptions Apart = MethodImplOptions.NoInlining;

    [MethodImpl(Apart)]
    public static void CreateCommunicator(CommCreateParams* parameters, nint* handle)
    {
        Clear(handle);
        Library.RequireInitialized();
        Arguments.Require(handle is not null, "comm_out is null.");
        Arguments.Require(parameters is not null, "The parameters are null.");
        var stripes = Math.Clamp(parameters->PoolSize, 1, Limits.StripesMax);
        *handle = Library.Communicators.Add(new CommunicatorHandle(new CommunicatorOptions(Arguments.Address(parameters->MasterAddress))
        {
            Group = parameters->PeerGroup,
            StripeCount = (int)stripes,
            CallTimeout = EnvironmentSettings.CallTimeout ?? DefaultOptions.CallTimeout,
            LoggerFactory = NativeLog.Instance,
            CallersBlock = true,
        }));
    }

    [MethodImpl(Apart)]
    public static void CreateCommunicator(nint options, nint* handle)
    {
        Clear(handle);
        Library.RequireInitialized();
        Arguments.Require(handle is not null, "comm_out is null.");
        var given = Arguments.ReadSized<CommOptions>(options, "communicator options");
        Arguments.Require(given.ListenPort is >= -1 and <= ushort.MaxValue, $"The listen port is {given.ListenPort}: use 1 to 65535, -1 to let the system choose, or 0 for the default.");
        Arguments.Require(given.StripeCount <= Limits.StripesMax, $"The stripe count is {given.StripeCount}: choose 1 to {Limits.StripesMax}, or 0 for the default.");
        Arguments.Require(given.MinWorldSize <= Limits.PeersMax, $"The minimum world size is {given.MinWorldSize}: choose 1 to {Limits.PeersMax}.");
        Arguments.Require(given.KeepMinWorldSize <= 1 && given.Reserved == 0, "keep_min_world_size is 0 or 1, and what is reserved is 0.");
        *handle = Library.Communicators.Add(new CommunicatorHandle(new CommunicatorOptions(Arguments.Text(given.Master, "master's address") ?? throw NativeException.InvalidArgument("The options name no master."))
        {
            Group = given.PeerGroup,
            StripeCount = given.StripeCount == 0 ? DefaultOptions.StripeCount : (int)given.StripeCount,
            MinimumWorldSize = Math.Max(1, (int)given.MinWorldSize),
            KeepMinimumWorldSize = given.KeepMinWorldSize == 1,
            Fingerprint = Arguments.Text(given.Fingerprint, "fingerprint") ?? "",
            ListenPort = given.ListenPort switch { 0 => null, -1 => 0, var port => port },
            ConnectTimeout = Arguments.Duration(given.ConnectTimeoutMs, DefaultOptions.ConnectTimeout, "connect timeout"),
            AdvertiseAddress = Arguments.Text(given.AdvertiseAddress, "advertised address"),
            LinkStallTimeout = Arguments.Duration(given.LinkStallTimeoutMs, DefaultOptions.LinkStallTimeout, "link stall timeout"),
            CallTimeout = Arguments.Timeout(given.CallTimeoutMs) ?? EnvironmentSettings.CallTimeout ?? DefaultOptions.CallTimeout,
            LoggerFactory = NativeLog.Instance,
            CallersBlock = true,
        }));
    }

    [MethodImpl(Apart)]
    public static void DestroyCommunicator(nint comm)
    {
        Library.RequireInitialized();
        Library.Communicators.Remove(comm).Destroy();
    }

    [MethodImpl(Apart)]
    public static void GetAttribute(nint comm, int attribute, int* value)
    {
        var (world, _, _) = Library.Communicator(comm).World();
        Arguments.Require(value is not null, "attribute_out is null.");
        *value = (CommunicatorAttribute)attribute switch
        {
            CommunicatorAttribute.GlobalWorldSize => world.GlobalWorldSize,
            CommunicatorAttribute.PeerGroupWorldSize => world.WorldSize,
            CommunicatorAttribute.NumberOfDistinctPeerGroups => world.GroupCount,
            CommunicatorAttribute.LargestPeerGroupWorldSize => world.LargestGroupWorldSize,
            _ => throw NativeException.InvalidArgument($"{attribute} is no attribute: use one of pcclAttribute_t."),
        };
    }

    [MethodImpl(Apart)]
    public static void Announce(nint comm, nint scope, nint fingerprint)
    {
        var communicator = Library.Communicator(comm);
        communicator.Announce(Arguments.Text(fingerprint, "fingerprint"), Arguments.Text(scope, "scope of the fingerprint") ?? "");
    }

    [MethodImpl(Apart)]
    public static void Connect(nint comm, nint options)
    {
        var communicator = Library.Communicator(comm);
        communicator.Connect(Arguments.Timeout(options));
    }

    [MethodImpl(Apart)]
    public static void UpdateTopology(nint comm, nint options)
    {
        var communicator = Library.Communicator(comm);
        var timeout = Arguments.Timeout(options);
        communicator.RequireJoined();
        communicator.RequireNothingPending();
        communicator.UpdateTopology(timeout);
    }

    [MethodImpl(Apart)]
    public static void Step(nint comm, nint worldInfo, nint options)
    {
        var communicator = Library.Communicator(comm);
        Arguments.CheckSized<WorldInfo>(worldInfo, "world");
        var timeout = Arguments.Timeout(options);
        communicator.RequireJoined();
        communicator.RequireNothingPending();
        var hasNewcomers = communicator.Step(timeout);
        if (worldInfo != 0)
        {
            Reports.World(communicator.World(), worldInfo, hasNewcomers);
        }
    }

    [MethodImpl(Apart)]
    public static void ArePeersPending(nint comm, byte* pending, nint options)
    {
        var communicator = Library.Communicator(comm);
        Arguments.Require(pending is not null, "pending_out is null.");
        var timeout = Arguments.Timeout(options);
        communicator.RequireJoined();
        *pending = communicator.ArePeersPending(timeout) ? (byte)1 : (byte)0;
    }

    [MethodImpl(Apart)]
    public static void OptimizeTopology(nint comm, nint options)
    {
        var communicator = Library.Communicator(comm);
        var timeout = Arguments.Timeout(options);
        communicator.RequireJoined();
        if (communicator.SeesThatItIsAlone(w => w.GlobalWorldSize))
        {
            throw new NativeException(PcclResult.InvalidUsage, PcclxError.TooFewPeers, "This peer is alone in the run: there is nothing to optimise.");
        }

        communicator.RequireNothingPending();
        communicator.OptimizeTopology(timeout);
    }

    [MethodImpl(Apart)]
    public static void SetCallTimeout(nint comm, long timeoutMs)
    {
        var communicator = Library.Communicator(comm);
        communicator.SetCallTimeout(Arguments.Timeout(timeoutMs) ?? DefaultOptions.CallTimeout);
    }

    [MethodImpl(Apart)]
    public static void GetWorld(nint comm, nint worldInfo)
    {
        var communicator = Library.Communicator(comm);
        communicator.RequireJoined();
        Arguments.Require(worldInfo != 0, "world_out is null.");
        Reports.World(communicator.World(), worldInfo);
    }

    [MethodImpl(Apart)]
    public static void GetLiveWorld(nint comm, nint worldInfo)
    {
        var world = Library.Communicator(comm).LiveWorld();
        Arguments.Require(worldInfo != 0, "world_out is null.");
        Reports.World(world, worldInfo);
    }

    [MethodImpl(Apart)]
    public static void GetPeers(nint comm, nint peers, nuint capacity, nuint* count)
    {
        var (world, _, _) = Library.Communicator(comm).World();
        ReportPeers(world, peers, capacity, count);
    }

    [MethodImpl(Apart)]
    public static void GetLivePeers(nint comm, nint peers, nuint capacity, nuint* count)
    {
        var (world, _, _) = Library.Communicator(comm).LiveWorld();
        ReportPeers(world, peers, capacity, count);
    }

    [MethodImpl(Apart)]
    public static void GetStatistics(nint comm, nint statistics)
    {
        var communicator = Library.Communicator(comm);
        Arguments.Require(statistics != 0, "statistics_out is null.");
        Reports.Statistics(communicator, statistics);
    }

    [MethodImpl(Apart)]
    public static void Cancel(nint comm) => Library.Communicator(comm).Cancel();

    [MethodImpl(Apart)]
    public static void SetLogCallback(delegate* unmanaged[Cdecl]<int, byte*, byte*, nint, void> callback, int minimum, nint context)
    {
        Arguments.Require(minimum is >= 0 and <= (int)Microsoft.Extensions.Logging.LogLevel.None, $"{minimum} is no log level: use one of pcclxLogLevel_t.");
        NativeLog.Instance.Set(callback, (Microsoft.Extensions.Logging.LogLevel)minimum, context);
    }

    private static CommunicatorOptions DefaultOptions { get; } = new("localhost");

    private static void ReportPeers(World world, nint peers, nuint capacity, nuint* count)
    {
        Arguments.Require(count is not null, "count_out is null.");
        Arguments.Require(peers != 0 || capacity == 0, "peers is null, but its capacity is not 0.");
        Reports.Ids(world.Peers, peers, capacity);
        *count = (nuint)world.WorldSize;
    }

    private static void Clear(nint* handle)
    {
        if (handle is not null)
        {
            *handle = 0;
        }
    }
}
