using System.Runtime.CompilerServices;

namespace Collective.Native;

/// <summary>The functions of collective.h that reduce many tensors with one verdict.</summary>
internal static unsafe class SetCalls
{
    private const MethodImplOptions Apart = MethodImplOptions.NoInlining;

    [MethodImpl(Apart)]
    public static AllReduceResult Reduce(ReduceOperationDescriptor* descriptors, nuint count, nint comm, nint info, nint options)
    {
        Library.RequireInitialized();
        Arguments.Require(descriptors is not null, "The descriptors are null.");
        RequireSize(count);
        var communicator = Library.Communicator(comm);
        communicator.RequireJoined();
        var label = Arguments.Label(options);
        var requests = new AllReduceRequest[(int)count];
        for (var i = 0; i < requests.Length; i++)
        {
            requests[i] = Arguments.Reduction(descriptors[i].SendBuffer, descriptors[i].ReceiveBuffer, descriptors[i].Descriptor, label);
        }

        Arguments.CheckSized<ExtendedReduceInfo>(info, "reduce info");
        ReduceCalls.RequireRoom(communicator);
        return communicator.ReduceMany(requests, descriptors[0].Descriptor.Tag, Arguments.Timeout(options));
    }

    [MethodImpl(Apart)]
    public static void Begin(nint comm, ulong tag, nuint count, AsyncReduceOperation* set, nint options)
    {
        var communicator = Library.Communicator(comm);
        communicator.RequireJoined();
        Arguments.Require(set is not null, "set_out is null.");
        RequireSize(count);
        var timeout = Arguments.Timeout(options);
        ReduceCalls.RequireRoom(communicator);
        var launch = communicator.BeginSet(tag, (int)count, timeout);
        *set = new AsyncReduceOperation { Communicator = Library.HandleOf(comm, launch), Tag = tag };
    }

    [MethodImpl(Apart)]
    public static void Launch(AsyncReduceOperation* set, nuint position, nint source, nint destination, ReduceDescriptor* descriptor, nint options)
    {
        var communicator = ReduceCalls.Of(set);
        Arguments.Require(descriptor is not null, "The descriptor is null.");
        var request = Arguments.Reduction(source, destination, *descriptor, Arguments.Label(options));
        Arguments.Require(position <= int.MaxValue, $"There is no position {position}: a set has at most {Limits.TensorsOfSetMax} tensors.");
        communicator.LaunchInSet(set->Tag, Library.LaunchOf(set->Communicator), (int)position, request);
    }

    private static void RequireSize(nuint count)
        => Arguments.Require(count is >= 1 and <= Limits.TensorsOfSetMax, $"A set has 1 to {Limits.TensorsOfSetMax} tensors, not {count}.");
}
