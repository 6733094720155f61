namespace Collective.Native;

/// <summary><c>pcclResult_t</c>.</summary>
internal enum PcclResult
{
    Success = 0,
    NotInitialized = 1,
    InternalError = 2,
    InvalidArgument = 3,
    InvalidUsage = 4,
    TooFewPeers = 5,
    MasterConnectionFailed = 6,
    RankConnectionLost = 8,
    PendingAsyncOperations = 10,
    UpdateTopologyFailed = 11,
    TopologyOptimizationFailed = 12,
}

/// <summary><c>pcclxError_t</c>: the numbers of <see cref="ErrorCode"/>, and those of failures that only this interface knows.</summary>
internal enum PcclxError
{
    None = 0,
    InvalidArgument = ErrorCode.InvalidArgument,
    InvalidUsage = ErrorCode.InvalidUsage,
    NotConnected = ErrorCode.NotConnected,
    PendingOperations = ErrorCode.PendingOperations,
    TooFewPeers = ErrorCode.TooFewPeers,
    OperationAborted = ErrorCode.OperationAborted,
    InternalError = ErrorCode.InternalError,
    NotInitialized = 100,
    Cancelled = 101,
    Destroyed = 102,
    NotSupported = 104,
}

/// <summary>What a call is about: the same failure has another result code in another call.</summary>
internal enum CallKind
{
    /// <summary>Calls that fail for their arguments only.</summary>
    Local,
    Connect,
    UpdateTopology,
    ArePeersPending,
    OptimizeTopology,
    Reduce,
    SharedState,
    Master,
}

/// <summary>A failure that this interface finds itself.</summary>
internal sealed class NativeException(PcclResult result, PcclxError error, string message) : Exception(message)
{
    public PcclResult Result { get; } = result;

    public PcclxError Error { get; } = error;

    public static NativeException InvalidArgument(string message) => new(PcclResult.InvalidArgument, PcclxError.InvalidArgument, message);
}

/// <summary>From what happened to what a C program is told.</summary>
internal static class Results
{
    /// <summary>Remembers the failure for the calling thread, and gives its result code.</summary>
    public static PcclResult Of(Exception exception, CallKind call)
    {
        var (result, error) = exception switch
        {
            NativeException e => (e.Result, e.Error),
            CollectiveException e => (Of(e.Code, call), (PcclxError)e.Code),
            OperationCanceledException => (WhenItFails(call), PcclxError.Cancelled),
            ObjectDisposedException => (PcclResult.InvalidUsage, PcclxError.Destroyed),
            OutOfMemoryException => (PcclResult.InternalError, (PcclxError)ErrorCode.LimitExceeded),
            _ => (PcclResult.InternalError, PcclxError.InternalError),
        };
        LastError.Set(error, Sentence(exception));
        return result;
    }

    private static PcclResult Of(ErrorCode code, CallKind call) => code switch
    {
        ErrorCode.LimitExceeded when call == CallKind.Connect => PcclResult.MasterConnectionFailed, // As other failures to connect, which may pass.
        ErrorCode.InvalidArgument or ErrorCode.LimitExceeded => PcclResult.InvalidArgument,
        ErrorCode.InvalidUsage or ErrorCode.NotConnected => PcclResult.InvalidUsage,
        ErrorCode.PendingOperations => PcclResult.PendingAsyncOperations,
        ErrorCode.TooFewPeers => PcclResult.TooFewPeers,
        ErrorCode.InternalError => PcclResult.InternalError,
        ErrorCode.Mismatch when call == CallKind.Reduce => PcclResult.InvalidArgument,
        ErrorCode.CrossedCalls when call == CallKind.Reduce => PcclResult.InvalidUsage,
        ErrorCode.AddressInUse when call == CallKind.Master => PcclResult.InvalidUsage,
        _ => WhenItFails(call),
    };

    /// <summary>The one code that each call has for what is nobody's fault.</summary>
    private static PcclResult WhenItFails(CallKind call) => call switch
    {
        CallKind.Connect => PcclResult.MasterConnectionFailed,
        CallKind.UpdateTopology => PcclResult.UpdateTopologyFailed,
        CallKind.OptimizeTopology => PcclResult.TopologyOptimizationFailed,
        CallKind.Reduce => PcclResult.RankConnectionLost,
        CallKind.ArePeersPending or CallKind.SharedState or CallKind.Master => PcclResult.InvalidUsage,
        _ => PcclResult.InternalError,
    };

    private static string Sentence(Exception exception) => exception switch
    {
        NativeException or CollectiveException or OperationCanceledException => exception.Message,
        ObjectDisposedException => "The communicator was destroyed while the call was pending.",
        OutOfMemoryException => "There is not enough memory for this call: free some, or reduce less at once. Nothing was sent.",
        _ => $"Internal error in Collective: {exception.GetType().Name}: {exception.Message} Please report it with this message.",
    };
}
