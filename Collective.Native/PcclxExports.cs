using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective.Native;

/// <summary>The additions that concern a communicator, the log and errors.</summary>
/// <remarks>Each is reached through its door in gate.c, catches everything, and does nothing else.</remarks>
internal static unsafe class PcclxExports
{
    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxSetLogCallback", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult SetLogCallback(delegate* unmanaged[Cdecl]<int, byte*, byte*, nint, void> callback, int minimum, nint context)
    {
        try
        {
            Calls.SetLogCallback(callback, minimum, context);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxCreateCommunicator", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult CreateCommunicator(nint options, nint* comm)
    {
        try
        {
            Calls.CreateCommunicator(options, comm);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxSetCallTimeout", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult SetCallTimeout(nint comm, long timeoutMs)
    {
        try
        {
            Calls.SetCallTimeout(comm, timeoutMs);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxAnnounce", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult Announce(nint comm, nint scope, nint fingerprint)
    {
        try
        {
            Calls.Announce(comm, scope, fingerprint);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxConnect", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult Connect(nint comm, nint options)
    {
        try
        {
            Calls.Connect(comm, options);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Connect);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxUpdateTopology", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult UpdateTopology(nint comm, nint options)
    {
        try
        {
            Calls.UpdateTopology(comm, options);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.UpdateTopology);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxArePeersPending", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult ArePeersPending(nint comm, byte* pending, nint options)
    {
        try
        {
            Calls.ArePeersPending(comm, pending, options);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.ArePeersPending);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxOptimizeTopology", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult OptimizeTopology(nint comm, nint options)
    {
        try
        {
            Calls.OptimizeTopology(comm, options);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.OptimizeTopology);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxStep", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult Step(nint comm, nint world, nint options)
    {
        try
        {
            Calls.Step(comm, world, options);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.UpdateTopology);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxGetWorld", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult GetWorld(nint comm, nint world)
    {
        try
        {
            Calls.GetWorld(comm, world);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxGetPeers", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult GetPeers(nint comm, nint peers, nuint capacity, nuint* count)
    {
        try
        {
            Calls.GetPeers(comm, peers, capacity, count);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxGetLiveWorld", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult GetLiveWorld(nint comm, nint world)
    {
        try
        {
            Calls.GetLiveWorld(comm, world);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxGetLivePeers", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult GetLivePeers(nint comm, nint peers, nuint capacity, nuint* count)
    {
        try
        {
            Calls.GetLivePeers(comm, peers, capacity, count);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxGetStatistics", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult GetStatistics(nint comm, nint statistics)
    {
        try
        {
            Calls.GetStatistics(comm, statistics);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxCancel", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult Cancel(nint comm)
    {
        try
        {
            Calls.Cancel(comm);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxSynchronizeSharedState", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult SynchronizeSharedState(nint comm, SharedState* state, int strategy, SharedStateSyncInfo* info, nint options)
    {
        try
        {
            ReduceCalls.SynchronizeSharedState(comm, state, strategy, info, options, Revisions.Grow);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.SharedState);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxGetLastError", CallConvs = [typeof(CallConvCdecl)])]
    public static byte* GetLastError() => LastError.OfThisThread is { } last ? last.Text : Nothing;

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxGetLastErrorCode", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclxError GetLastErrorCode() => LastError.OfThisThread?.Error ?? PcclxError.None;

    /// <summary>An empty text that lives as long as the process.</summary>
    private static byte* Nothing { get; } = (byte*)Marshal.StringToCoTaskMemUTF8("");
}
