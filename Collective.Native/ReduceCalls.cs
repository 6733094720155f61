using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Collective.Native;

/// <summary>The functions of collective.h that reduce or synchronise.</summary>
internal static unsafe class ReduceCalls
{
    private const MethodImplOptions Apart = MethodImplOptions.NoInlining;

    /// <summary>What the call is given besides the arguments of its PCCL namesake.</summary>
    /// <param name="Options">Call options; may be null.</param>
    /// <param name="Info">Where the result is to be told; may be null.</param>
    /// <param name="IsExtended">
    /// It is one of ours: a peer that is alone asks for company, as in Core, instead of failing at once, as in PCCL; there may be nothing to reduce; and there may be a label.
    /// </param>
    internal readonly record struct Extras(nint Options, nint Info, bool IsExtended);

    [MethodImpl(Apart)]
    public static void Launch(nint source, nint destination, ReduceDescriptor* descriptor, nint comm, AsyncReduceOperation* handle, Extras extras)
    {
        var communicator = Library.Communicator(comm);
        communicator.RequireJoined();
        Arguments.Require(handle is not null, "reduce_handle_out is null.");
        var launch = Launch(source, destination, descriptor, communicator, extras);
        *handle = new AsyncReduceOperation { Communicator = Library.HandleOf(comm, launch), Tag = descriptor->Tag };
    }

    [MethodImpl(Apart)]
    public static AllReduceResult Reduce(nint source, nint destination, ReduceDescriptor* descriptor, nint comm, Extras extras)
    {
        var communicator = Library.Communicator(comm);
        communicator.RequireJoined();
        var launch = Launch(source, destination, descriptor, communicator, extras);
        return communicator.Await(descriptor->Tag, launch);
    }

    [MethodImpl(Apart)]
    public static AllReduceResult Await(AsyncReduceOperation* handle, nint info = 0)
    {
        var communicator = Of(handle);
        Arguments.CheckSized<ExtendedReduceInfo>(info, "reduce info");
        return communicator.Await(handle->Tag, LaunchOf(handle));
    }

    [MethodImpl(Apart)]
    public static void Wait(AsyncReduceOperation* handle, long timeoutMs, byte* done)
    {
        var communicator = Of(handle, joined: false);
        Arguments.Require(timeoutMs >= -1, $"The timeout is {timeoutMs} ms: use 0 or more, or PCCLX_NO_TIMEOUT (-1).");
        Arguments.Require(done is not null, "done_out is null.");
        communicator.RequireJoined();
        *done = communicator.Wait(handle->Tag, LaunchOf(handle), timeoutMs) ? (byte)1 : (byte)0;
    }

    [MethodImpl(Apart)]
    public static void Notify(AsyncReduceOperation* handle, delegate* unmanaged[Cdecl]<nint, void> callback, nint context)
    {
        var communicator = Of(handle, joined: false);
        Arguments.Require(callback is not null, "The callback is null.");
        communicator.RequireJoined();
        communicator.Notify(handle->Tag, LaunchOf(handle), () => callback(context));
    }

    [MethodImpl(Apart)]
    public static void Cancel(AsyncReduceOperation* handle) => Of(handle).CancelReduce(handle->Tag, LaunchOf(handle));

    [MethodImpl(Apart)]
    public static AllReduceMultipleResult ReduceAll(ReduceOperationDescriptor* descriptors, nuint count, nint comm, int maxInFlight, Extras extras)
    {
        Library.RequireInitialized();
        Arguments.Require(descriptors is not null, "The descriptors are null.");
        Arguments.Require(count > 0, "The list of descriptors is empty.");
        Arguments.Require(count <= int.MaxValue, $"The list has {count} descriptors, which is more than memory can hold.");
        var communicator = Library.Communicator(comm);
        communicator.RequireJoined();
        Arguments.Require(maxInFlight >= 1, $"max_in_flight is {maxInFlight}: use at least 1.");
        var label = LabelOf(extras);
        var requests = new AllReduceRequest[(int)count];
        for (var i = 0; i < requests.Length; i++)
        {
            requests[i] = Arguments.Reduction(descriptors[i].SendBuffer, descriptors[i].ReceiveBuffer, descriptors[i].Descriptor, label);
        }

        Arguments.CheckSized<ExtendedReduceInfo>(extras.Info, "reduce info");
        var timeout = Arguments.Timeout(extras.Options);
        RequireCompany(communicator, extras);
        return communicator.ReduceAll(requests, Math.Min(maxInFlight, Limits.InFlightMax), timeout);
    }

    [MethodImpl(Apart)]
    public static void SynchronizeSharedState(nint comm, SharedState* state, int strategy, SharedStateSyncInfo* info, nint options, Revisions withoutOptions)
    {
        var communicator = Library.Communicator(comm);
        communicator.RequireJoined();
        communicator.RequireNothingPending();
        Arguments.Require(strategy is >= 0 and <= 2, $"{strategy} is no strategy: use one of pcclSharedStateSyncStrategy_t.");
        Arguments.Require(state is not null, "The shared state is null.");
        Arguments.Require(state->Count > 0 && state->Infos != 0, "The shared state has no tensors.");
        var infos = (TensorInfo*)state->Infos;
        for (nuint i = 0; i < state->Count; i++)
        {
            Check(infos[i], i);
        }

        var given = options == 0 ? default : Arguments.ReadSized<SyncOptions>(options, "sync options");
        Arguments.Require(given.Revisions is >= 0 and <= (int)Revisions.ByOne, $"{given.Revisions} is no rule for revisions: use one of pcclxRevisions_t.");
        Arguments.CheckSized<SyncResult>(given.Result, "sync result");
        var rule = options == 0 ? withoutOptions : (Revisions)given.Revisions;
        var shared = new Collective.SharedState { Revision = rule == Revisions.Counted ? null : state->Revision, RevisionGrowsByOne = rule == Revisions.ByOne };
        for (nuint i = 0; i < state->Count; i++)
        {
            shared.Add(Arguments.Text(infos[i].Name, $"name of tensor {i}")!, infos[i].Data, (long)infos[i].Count, (DataType)infos[i].DataType, infos[i].AllowContentInequality != 0);
        }

        var result = communicator.SynchronizeSharedState(shared, (SyncStrategy)strategy, ProgressCallback.From(given), Arguments.Timeout(given.TimeoutMs));
        state->Revision = result.Revision;
        if (info is not null)
        {
            *info = new SharedStateSyncInfo { TxBytes = (ulong)result.BytesSent, RxBytes = (ulong)result.BytesReceived };
        }

        Reports.Synchronization(result, given.Result);
    }

    private static void Check(in TensorInfo info, nuint index)
    {
        Arguments.Require(info.Name != 0, $"Tensor {index} of the shared state has no name.");
        Arguments.Require(info.Data != 0 || info.Count == 0, $"Tensor {index} of the shared state has no data.");
        Arguments.Require(info.DataType is >= 0 and <= (int)DataType.Float64, $"{info.DataType}, of tensor {index}, is no data type: use one of pcclDataType_t.");
        Arguments.Require(info.DeviceType is 0 or 1, $"{info.DeviceType}, of tensor {index}, is no device type: use pcclDeviceCpu.");
        Arguments.Require(info.DeviceType == 0, $"Tensor {index} is on a CUDA device, which this build of the library does not support: copy it to the host.");
    }

    private static uint Launch(nint source, nint destination, ReduceDescriptor* descriptor, CommunicatorHandle communicator, Extras extras)
    {
        Arguments.Require(descriptor is not null, "The descriptor is null.");
        var request = Arguments.Reduction(source, destination, *descriptor, LabelOf(extras));
        Arguments.CheckSized<ExtendedReduceInfo>(extras.Info, "reduce info");
        var timeout = Arguments.Timeout(extras.Options);
        RequireCompany(communicator, extras);
        RequireRoom(communicator);
        return communicator.Launch(request, timeout);
    }

    private static uint LaunchOf(AsyncReduceOperation* handle) => Library.LaunchOf(handle->Communicator);

    internal static void RequireRoom(CommunicatorHandle communicator)
    {
        if (communicator.ReducesInFlight >= Limits.InFlightMax)
        {
            throw new NativeException(PcclResult.InvalidArgument, (PcclxError)ErrorCode.LimitExceeded, $"{Limits.InFlightMax} all-reduces were launched and not awaited, which is the maximum: await some of them.");
        }
    }

    private static string? LabelOf(Extras extras) => extras.IsExtended ? Arguments.Label(extras.Options) : null;

    private static void RequireCompany(CommunicatorHandle communicator, Extras extras)
    {
        if (!extras.IsExtended && communicator.SeesThatItIsAlone(w => w.WorldSize))
        {
            throw new NativeException(PcclResult.TooFewPeers, PcclxError.TooFewPeers, $"This peer is alone in its group{communicator.WhyAlone}: wait for others (pcclUpdateTopology), then reduce.");
        }
    }

    internal static CommunicatorHandle Of(AsyncReduceOperation* handle, bool joined = true)
    {
        Library.RequireInitialized();
        Arguments.Require(handle is not null, "The handle is null.");
        var communicator = Library.Communicator(handle->Communicator);
        if (joined)
        {
            communicator.RequireJoined();
        }

        return communicator;
    }
}
