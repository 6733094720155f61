using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective.Native;

/// <summary>The additions that reduce.</summary>
/// <remarks>Each is reached through its door in gate.c, catches everything, and does nothing else.</remarks>
internal static unsafe class ReduceExports
{
    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxAllReduce", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult AllReduce(nint source, nint destination, ReduceDescriptor* descriptor, nint comm, nint info, nint options)
    {
        try
        {
            var result = ReduceCalls.Reduce(source, destination, descriptor, comm, new ReduceCalls.Extras(options, info, IsExtended: true));
            Reports.Reduction(result.World, result.BytesSent, result.BytesReceived, retries: 0, info);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxAllReduceAsync", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult AllReduceAsync(nint source, nint destination, ReduceDescriptor* descriptor, nint comm, AsyncReduceOperation* handle, nint options)
    {
        try
        {
            ReduceCalls.Launch(source, destination, descriptor, comm, handle, new ReduceCalls.Extras(options, 0, IsExtended: true));
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxAllReduceMultipleWithRetry", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult AllReduceMultipleWithRetry(ReduceOperationDescriptor* descriptors, nuint count, nint comm, nint info, int maxInFlight, nint options)
    {
        try
        {
            var result = ReduceCalls.ReduceAll(descriptors, count, comm, maxInFlight, new ReduceCalls.Extras(options, info, IsExtended: true));
            Reports.Reduction(result.World, result.BytesSent, result.BytesReceived, result.Retries, info);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxAwaitAsyncReduce", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult AwaitAsyncReduce(AsyncReduceOperation* handle, nint info)
    {
        try
        {
            var result = ReduceCalls.Await(handle, info);
            Reports.Reduction(result.World, result.BytesSent, result.BytesReceived, retries: 0, info);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxWaitAsyncReduce", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult WaitAsyncReduce(AsyncReduceOperation* handle, long timeoutMs, byte* done)
    {
        try
        {
            ReduceCalls.Wait(handle, timeoutMs, done);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxNotifyAsyncReduce", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult NotifyAsyncReduce(AsyncReduceOperation* handle, delegate* unmanaged[Cdecl]<nint, void> callback, nint context)
    {
        try
        {
            ReduceCalls.Notify(handle, callback, context);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxCancelAsyncReduce", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult CancelAsyncReduce(AsyncReduceOperation* handle)
    {
        try
        {
            ReduceCalls.Cancel(handle);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxAllReduceMany", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult AllReduceMany(ReduceOperationDescriptor* descriptors, nuint count, nint comm, nint info, nint options)
    {
        try
        {
            var result = SetCalls.Reduce(descriptors, count, comm, info, options);
            Reports.Reduction(result.World, result.BytesSent, result.BytesReceived, retries: 0, info);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxBeginAllReduceMany", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult BeginAllReduceMany(nint comm, ulong tag, nuint count, AsyncReduceOperation* set, nint options)
    {
        try
        {
            SetCalls.Begin(comm, tag, count, set, options);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "managed_pcclxLaunchInSet", CallConvs = [typeof(CallConvCdecl)])]
    public static PcclResult LaunchInSet(AsyncReduceOperation* set, nuint position, nint source, nint destination, ReduceDescriptor* descriptor, nint options)
    {
        try
        {
            SetCalls.Launch(set, position, source, destination, descriptor, options);
            return PcclResult.Success;
        }
        catch (Exception e)
        {
            return Results.Of(e, CallKind.Reduce);
        }
    }
}
