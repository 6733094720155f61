namespace Collective;

/// <summary>What went wrong. <c>docs/errors.md</c> says for each code what it means and what to do next.</summary>
public enum ErrorCode
{
    /// <summary>An argument is outside what the call accepts. Nothing was sent.</summary>
    InvalidArgument = 1,
    /// <summary>The call is not allowed in the communicator's present state (for example: connected twice).</summary>
    InvalidUsage = 2,
    /// <summary>The communicator is not connected (yet, or any more).</summary>
    NotConnected = 3,
    /// <summary>The call needs that no collective is in flight; await the pending ones first.</summary>
    PendingOperations = 4,
    /// <summary>The peer group has fewer than two peers.</summary>
    TooFewPeers = 5,
    /// <summary>The master could not be reached.</summary>
    MasterUnreachable = 6,
    /// <summary>The master refused this peer; the message says why.</summary>
    MasterRefused = 7,
    /// <summary>The connection to the master was lost. In-place buffers have been restored.</summary>
    MasterLost = 8,
    /// <summary>The master removed this peer; the message says why.</summary>
    Evicted = 9,
    /// <summary>The operation was aborted for all peers of the group and inputs were restored. Call it again.</summary>
    OperationAborted = 10,
    /// <summary>Peers entered one collective with different count, data type, operation or quantisation; or this peer did not fit a sync of the shared state, and has left the run.</summary>
    Mismatch = 11,
    /// <summary>Peers wait for each other in calls that can never meet; the message says who waits where.</summary>
    CrossedCalls = 12,
    /// <summary>
    /// A documented limit was reached; or the system gives this process no more threads, memory or file descriptors, and the message says which. A peer that cannot do its
    /// part for that has left the run: connect again when there is enough.
    /// </summary>
    LimitExceeded = 13,
    /// <summary>The address to listen on (of a master, or of a peer's data) is in use.</summary>
    AddressInUse = 14,
    /// <summary>A defect of Collective: please report it with the message. The communicator is dead, the process is not.</summary>
    InternalError = 15,
    /// <summary>The call's time was over; the message says what it waited for. The group is consistent and inputs are what they were: call again, or give up.</summary>
    TimedOut = 16,
    /// <summary>The sync of the shared state failed for all peers of the group because one could not finish; the message names it, with the reason. Nothing was written. Call it again.</summary>
    SyncFailed = 17,
    /// <summary>The revision of this peer's shared state does not fit the elected one, which the message names. Nothing was written, and this peer has left the run.</summary>
    RevisionMismatch = 18,
}
