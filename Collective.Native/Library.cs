using System.Runtime.ExceptionServices;

namespace Collective.Native;

/// <summary>What there is once in a process.</summary>
internal static class Library
{
    // Numbers of communicators use the lower bits of 64 only: a process makes 2^28 of them, and each launches 2^32 times, before a number comes again.
    private const int LaunchShift = 32;

    private static volatile bool initialized;
    private static int guarded;

    public static HandleTable<CommunicatorHandle> Communicators { get; } = new(0x10_0000, "communicator");

    public static HandleTable<MasterHandle> Masters { get; } = new(0x40_0000_0000, "master");

    public static void Initialize()
    {
        Guard();
        RuntimeStart.Ensure();
        initialized = true;
    }

    public static void RequireInitialized()
    {
        if (!initialized)
        {
            throw new NativeException(PcclResult.NotInitialized, PcclxError.NotInitialized, "The library is not initialised: call pcclInit first.");
        }
    }

    /// <summary>By its own number, or by one that also names a launch.</summary>
    public static CommunicatorHandle Communicator(nint handle)
    {
        RequireInitialized();
        var communicator = Communicators.Get(Number(handle));
        return communicator.HasLaunched(LaunchOf(handle)) ? communicator : Communicators.Get(handle);
    }

    /// <summary>
    /// What stands in <c>pcclAsyncReduceOp_t.comm</c>: the communicator, and in the bits that its number has no use for, which launch of the tag the handle means.
    /// </summary>
    public static nint HandleOf(nint communicator, uint launch) => Number(communicator) | (nint)((ulong)launch << LaunchShift);

    /// <summary>0: none.</summary>
    public static uint LaunchOf(nint handle) => (uint)((ulong)handle >> LaunchShift);

    private static nint Number(nint handle) => (nint)(uint)handle;

    /// <summary>An exception that nobody caught, on a thread of the library, does not end the host.</summary>
    public static void Guard()
    {
        if (Interlocked.Exchange(ref guarded, 1) == 0)
        {
            ExceptionHandling.SetUnhandledExceptionHandler(static exception =>
            {
                NativeLog.Instance.Report(exception);
                return true;
            });
        }
    }
}
