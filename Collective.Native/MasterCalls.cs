using System.Runtime.CompilerServices;

namespace Collective.Native;

/// <summary>The functions of collective.h that concern a master, without C: what is wrong is thrown.</summary>
internal static unsafe class MasterCalls
{
    private const MethodImplOptions Apart = MethodImplOptions.NoInlining;

    [MethodImpl(Apart)]
    public static void Create(in SocketAddress listen, nint* handle)
    {
        Library.Guard();
        Arguments.Require(handle is not null, "master_handle_out is null.");
        *handle = 0;
        *handle = Add(new MasterOptions { Listen = Arguments.Address(listen), SegmentBytes = EnvironmentSettings.SegmentBytes, LoggerFactory = NativeLog.Instance }, systemMayChoosePort: false);
    }

    [MethodImpl(Apart)]
    public static void Create(nint options, nint* handle)
    {
        Library.Guard();
        Arguments.Require(handle is not null, "master_handle_out is null.");
        *handle = 0;
        var given = Arguments.ReadSized<MasterOptionsInfo>(options, "master options");
        Arguments.Require(given.SegmentBytes == 0 || (given.SegmentBytes is >= 64 and <= 4_194_304 && given.SegmentBytes % 8 == 0), $"The segment size is {given.SegmentBytes} bytes: use a multiple of 8 from 64 to 4194304, or 0 for the default.");
        var heartbeat = Arguments.Duration(given.HeartbeatTimeoutMs, Defaults.HeartbeatTimeout, "heartbeat timeout");
        var crossed = Arguments.Duration(given.CrossedCallsTimeoutMs, Defaults.CrossedCallsTimeout, "timeout for crossed calls");
        Arguments.Require(heartbeat.TotalMilliseconds is >= 200 and <= 600_000, $"The heartbeat timeout is {heartbeat}: use 200 ms to 10 min, or 0 for the default.");
        Arguments.Require(crossed.TotalMilliseconds >= 100, $"The timeout for crossed calls is {crossed}: use at least 100 ms, or 0 for the default.");
        *handle = Add(
            new MasterOptions
            {
                Listen = Arguments.Text(given.Listen, "address to listen on") ?? "0.0.0.0:48148",
                HeartbeatTimeout = heartbeat,
                CrossedCallsTimeout = crossed,
                SegmentBytes = given.SegmentBytes == 0 ? EnvironmentSettings.SegmentBytes : (int)given.SegmentBytes,
                LoggerFactory = NativeLog.Instance,
            },
            systemMayChoosePort: true);
    }

    [MethodImpl(Apart)]
    public static void Run(nint master) => Library.Masters.Get(master).Run();

    [MethodImpl(Apart)]
    public static void Interrupt(nint master) => Library.Masters.Get(master).Interrupt();

    [MethodImpl(Apart)]
    public static void AwaitTermination(nint master) => Library.Masters.Get(master).AwaitTermination();

    [MethodImpl(Apart)]
    public static void Destroy(nint master) => Library.Masters.Remove(master).Destroy();

    [MethodImpl(Apart)]
    public static void GetPort(nint master, ushort* port)
    {
        var handle = Library.Masters.Get(master);
        Arguments.Require(port is not null, "port_out is null.");
        *port = (ushort)handle.Port;
    }

    private static MasterOptions Defaults { get; } = new();

    private static nint Add(MasterOptions options, bool systemMayChoosePort) => Library.Masters.Add(new MasterHandle(options, systemMayChoosePort));
}
