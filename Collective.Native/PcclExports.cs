using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective.Native;

/// <summary>The functions of PCCL 1.0 that concern a communicator.</summary>
/// <remarks>Each is reached through its door in gate.c, catches everything, and does nothing else.</remarks>
internal static unsafe class PcclExports
{
    [UnmanagedCallersOnly(EntryPoint = "managed_pcclInit", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult Init()
    {
        try
        {
            Library.Initialize();
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclGetBuildInfo", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult GetBuildInfo(byte* hasCudaSupport)
    {
        try
        {
            Arguments.Require(hasCudaSupport is not null, "info is null.");
            *hasCudaSupport = 0;
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclCreateCommunicator", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult CreateCommunicator(CommCreateParams* parameters, nint* comm)
    {
        try
        {
            Calls.CreateCommunicator(parameters, comm);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclGetAttribute", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult GetAttribute(nint comm, int attribute, int* value)
    {
        try
        {
            Calls.GetAttribute(comm, attribute, value);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclDestroyCommunicator", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult DestroyCommunicator(nint comm)
    {
        try
        {
            Calls.DestroyCommunicator(comm);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Local);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclConnect", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult Connect(nint comm)
    {
        try
        {
            Calls.Connect(comm, 0);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Connect);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclUpdateTopology", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult UpdateTopology(nint comm)
    {
        try
        {
            Calls.UpdateTopology(comm, 0);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.UpdateTopology);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclArePeersPending", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult ArePeersPending(nint comm, byte* pending)
    {
        try
        {
            Calls.ArePeersPending(comm, pending, 0);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.ArePeersPending);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclOptimizeTopology", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult OptimizeTopology(nint comm)
    {
        try
        {
            Calls.OptimizeTopology(comm, 0);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.OptimizeTopology);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclAllReduce", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult AllReduce(nint source, nint destination, ReduceDescriptor* descriptor, nint comm, ReduceInfo* info)
    {
        try
        {
            var result = ReduceCalls.Reduce(source, destination, descriptor, comm, default);
            Reports.Reduction(result.World, result.BytesSent, result.BytesReceived, info);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclAllReduceAsync", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult AllReduceAsync(nint source, nint destination, ReduceDescriptor* descriptor, nint comm, AsyncReduceOperation* handle)
    {
        try
        {
            ReduceCalls.Launch(source, destination, descriptor, comm, handle, default);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclAwaitAsyncReduce", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult AwaitAsyncReduce(AsyncReduceOperation* handle, ReduceInfo* info)
    {
        try
        {
            var result = ReduceCalls.Await(handle);
            Reports.Reduction(result.World, result.BytesSent, result.BytesReceived, info);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclAllReduceMultipleWithRetry", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult AllReduceMultipleWithRetry(ReduceOperationDescriptor* descriptors, nuint count, nint comm, ReduceInfo* info, int maxInFlight)
    {
        try
        {
            var result = ReduceCalls.ReduceAll(descriptors, count, comm, maxInFlight, default);
            Reports.Reduction(result.World, result.BytesSent, result.BytesReceived, info);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclSynchronizeSharedState", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult SynchronizeSharedState(nint comm, SharedState* state, int strategy, SharedStateSyncInfo* info)
    {
        try
        {
            ReduceCalls.SynchronizeSharedState(comm, state, strategy, info, 0, Revisions.ByOne);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.SharedState);
        }
    }
}
