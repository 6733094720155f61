using System.Runtime.ExceptionServices;

namespace Collective.Native;

/// <summary>What there is once in a process.</summary>
internal static class Library
{
    private static volatile bool initialized;
    private static int guarded;

    public static HandleTable<CommunicatorHandle> Communicators { get; } = new(0x10_0000, "communicator");

    public static HandleTable<MasterHandle> Masters { get; } = new(0x40_0000_0000, "master");

    public static void Initialize()
    {
        Guard();
        initialized = true;
    }

    public static void RequireInitialized()
    {
        if (!initialized)
        {
            throw new NativeException(PcclResult.NotInitialized, PcclxError.NotInitialized, "The library is not initialised: call pcclInit first.");
        }
    }

    public static CommunicatorHandle Communicator(nint handle)
    {
        RequireInitialized();
        return Communicators.Get(handle);
    }

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
