using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective.Native;

/// <summary>The functions that concern a master.</summary>
/// <remarks>Each is reached through its door in gate.c, catches everything, and does nothing else.</remarks>
internal static unsafe class MasterExports
{
    [UnmanagedCallersOnly(EntryPoint = "managed_pcclCreateMaster", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult CreateMaster(SocketAddress listen, nint* master)
    {
        try
        {
            MasterCalls.Create(in listen, master);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Master);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclRunMaster", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult RunMaster(nint master)
    {
        try
        {
            MasterCalls.Run(master);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Master);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclInterruptMaster", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult InterruptMaster(nint master)
    {
        try
        {
            MasterCalls.Interrupt(master);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Master);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclMasterAwaitTermination", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult MasterAwaitTermination(nint master)
    {
        try
        {
            MasterCalls.AwaitTermination(master);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Master);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclDestroyMaster", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult DestroyMaster(nint master)
    {
        try
        {
            MasterCalls.Destroy(master);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Master);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxCreateMaster", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult CreateMaster(nint options, nint* master)
    {
        try
        {
            MasterCalls.Create(options, master);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Master);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxGetMasterPort", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult GetMasterPort(nint master, ushort* port)
    {
        try
        {
            MasterCalls.GetPort(master, port);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Master);
        }
    }
}
