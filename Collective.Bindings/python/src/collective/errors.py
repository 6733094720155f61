"""Every failure is one :class:`CollectiveError` with a code, a message and a hint; each kind has a class of its own."""

from __future__ import annotations

import enum

from . import _ffi
from ._library import library

__all__ = [
    "Aborted",
    "AddressInUse",
    "Cancelled",
    "Closed",
    "CollectiveError",
    "CrossedCalls",
    "ErrorCode",
    "Evicted",
    "Forked",
    "InternalError",
    "InvalidArgument",
    "InvalidUsage",
    "LimitExceeded",
    "MasterLost",
    "MasterRefused",
    "MasterUnreachable",
    "Mismatch",
    "NotConnected",
    "NotInitialized",
    "NotSupported",
    "PendingOperations",
    "RevisionMismatch",
    "SyncFailed",
    "TimedOut",
    "TooFewPeers",
]


class ErrorCode(enum.IntEnum):
    """What happened. docs/errors.md says of each what it means and what to do."""

    UNKNOWN = 0
    INVALID_ARGUMENT = 1
    INVALID_USAGE = 2
    NOT_CONNECTED = 3
    PENDING_OPERATIONS = 4
    TOO_FEW_PEERS = 5
    MASTER_UNREACHABLE = 6
    MASTER_REFUSED = 7
    MASTER_LOST = 8
    EVICTED = 9
    ABORTED = 10
    MISMATCH = 11
    CROSSED_CALLS = 12
    LIMIT_EXCEEDED = 13
    ADDRESS_IN_USE = 14
    INTERNAL_ERROR = 15
    TIMED_OUT = 16
    SYNC_FAILED = 17
    REVISION_MISMATCH = 18
    NOT_INITIALIZED = 100
    CANCELLED = 101
    CLOSED = 102
    FORKED = 103
    NOT_SUPPORTED = 104


class CollectiveError(Exception):
    """A call failed.

    Attributes:
        code: what happened, for programs.
        message: what happened, to whom, and what to do, for people.
        hint: what to do next about failures of this kind, in one sentence.
    """

    code = ErrorCode.UNKNOWN
    hint = "The message says what happened."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        # Messages of the native library say what to do themselves.
        return f"{self.message} {self.hint}" if "hint" in vars(self) else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (type(self), self.message, vars(self).get("hint"))


class InvalidArgument(CollectiveError, ValueError):
    """An argument is outside what the call accepts. Nothing was sent."""

    code = ErrorCode.INVALID_ARGUMENT
    hint = "Mend the argument. The other peers may wait in this call: make it correctly soon."


class InvalidUsage(CollectiveError, RuntimeError):
    """The call is legal, but not now."""

    code = ErrorCode.INVALID_USAGE
    hint = "Let the earlier call of another thread return first, then make this one."


class NotConnected(CollectiveError, RuntimeError):
    """The communicator is no peer of a run."""

    code = ErrorCode.NOT_CONNECTED
    hint = "Call connect(), or use the communicator as a context manager."


class PendingOperations(CollectiveError, RuntimeError):
    """Membership may not change while this peer has a collective in flight."""

    code = ErrorCode.PENDING_OPERATIONS
    hint = "Wait for every handle, or call wait_all(), then call again."


class TooFewPeers(CollectiveError):
    """This peer is alone in its group: there is nobody to reduce with. The tensor is what it was."""

    code = ErrorCode.TOO_FEW_PEERS
    hint = "Go on alone (over one peer the result is the tensor itself), or call step() until somebody joins."


class MasterUnreachable(CollectiveError, ConnectionError):
    """No master answers at the address."""

    code = ErrorCode.MASTER_UNREACHABLE
    hint = "Check that the master runs and that this host can reach its address, then connect again."


class MasterRefused(CollectiveError, ConnectionError):
    """The master answered, and did not take this peer."""

    code = ErrorCode.MASTER_REFUSED
    hint = "Do what the message says, then connect again."


class MasterLost(CollectiveError, ConnectionError):
    """The connection to the master is gone. Tensors are what they were, unless the message says that the outcome is in doubt."""

    code = ErrorCode.MASTER_LOST
    hint = "Start the master again if it is gone, connect(), and resume from a state that all peers agree on."


class Evicted(CollectiveError, ConnectionError):
    """The master removed this peer, and says why."""

    code = ErrorCode.EVICTED
    hint = "Remove the cause that the message names, connect(), and take the others' state before the next step."


class Aborted(CollectiveError):
    """The operation failed for every peer of the group alike, because one was lost. Tensors are what they were; the new ring stands."""

    code = ErrorCode.ABORTED
    hint = "Make the same call again before any other: peers that had not entered it wait in this very call."


class Mismatch(CollectiveError):
    """The peers entered one collective with different arguments. Nothing was combined."""

    code = ErrorCode.MISMATCH
    hint = "Make the arguments equal on all peers; the message names the field."


class CrossedCalls(CollectiveError, RuntimeError):
    """Peers wait for each other in calls that can never meet."""

    code = ErrorCode.CROSSED_CALLS
    hint = "Make the sequence of calls the same on all peers; the message says who waits where."


class LimitExceeded(CollectiveError):
    """A documented limit was reached; or the system gives this process no more threads, memory or file descriptors. The message says which."""

    code = ErrorCode.LIMIT_EXCEEDED
    hint = "Use less at once, or allow this process more; after a loss of the connection, connect again."


class AddressInUse(CollectiveError):
    """Something else listens on that address."""

    code = ErrorCode.ADDRESS_IN_USE
    hint = "Choose another port; port 0 lets the system choose one."


class InternalError(CollectiveError):
    """A defect of Collective. The process is unharmed, the communicator is not connected any more."""

    code = ErrorCode.INTERNAL_ERROR
    hint = "Please report it with the message. connect() again to go on."


class TimedOut(CollectiveError, TimeoutError):
    """The call's time was over. Tensors are what they were; the message says who was waited for."""

    code = ErrorCode.TIMED_OUT
    hint = "Call again, with more time if the others need it."


class SyncFailed(CollectiveError):
    """The shared state was not synchronised, on any peer; it is what it was. The message says which peer could not, and why."""

    code = ErrorCode.SYNC_FAILED
    hint = "Call sync() again; if the message blames this peer's state or strategy, mend that first."


class RevisionMismatch(CollectiveError):
    """The revision of the shared state is not the one that comes next. Nothing was changed."""

    code = ErrorCode.REVISION_MISMATCH
    hint = "Count revisions by one from sync to sync, or leave counting to sync() by giving no revision."


class Cancelled(CollectiveError):
    """The call was cancelled, by cancel() or Ctrl+C. An all-reduce was aborted for all peers; tensors are what they were."""

    code = ErrorCode.CANCELLED
    hint = "The others got Aborted and call again: do so too, or leave the run with close()."


class Closed(CollectiveError, RuntimeError):
    """The communicator or master was closed."""

    code = ErrorCode.CLOSED
    hint = "Make a new one."


class Forked(CollectiveError, RuntimeError):
    """The library does not survive fork()."""

    code = ErrorCode.FORKED
    hint = "Use multiprocessing's start method 'spawn' in children that use Collective."


class NotSupported(CollectiveError, NotImplementedError):
    """This build of the native library cannot do that."""

    code = ErrorCode.NOT_SUPPORTED
    hint = "Use a newer library; collective.version() says which one is loaded."


class NotInitialized(CollectiveError, RuntimeError):
    """The native library was not made ready; this package does that itself."""

    code = ErrorCode.NOT_INITIALIZED
    hint = "Please report it."


_KINDS: dict[int, type[CollectiveError]] = {
    kind.code: kind
    for kind in (
        InvalidArgument,
        InvalidUsage,
        NotConnected,
        PendingOperations,
        TooFewPeers,
        MasterUnreachable,
        MasterRefused,
        MasterLost,
        Evicted,
        Aborted,
        Mismatch,
        CrossedCalls,
        LimitExceeded,
        AddressInUse,
        InternalError,
        TimedOut,
        SyncFailed,
        RevisionMismatch,
        NotInitialized,
        Cancelled,
        Closed,
        Forked,
        NotSupported,
    )
}

# For a library that gives a result without more detail.
_OF_RESULT: dict[int, type[CollectiveError]] = {
    _ffi.pcclResult_t.pcclNotInitialized: NotInitialized,
    _ffi.pcclResult_t.pcclInternalError: InternalError,
    _ffi.pcclResult_t.pcclInvalidArgument: InvalidArgument,
    _ffi.pcclResult_t.pcclInvalidUsage: InvalidUsage,
    _ffi.pcclResult_t.pcclTooFewPeers: TooFewPeers,
    _ffi.pcclResult_t.pcclMasterConnectionFailed: MasterUnreachable,
    _ffi.pcclResult_t.pcclRankConnectionLost: Aborted,
    _ffi.pcclResult_t.pcclPendingAsyncOps: PendingOperations,
}


def check(result: int) -> None:
    """Raises what the calling thread's last call failed with, if its ``result`` says that it failed."""
    if result != _ffi.pcclResult_t.pcclSuccess:
        raise last_error(result)


def last_error(result: int) -> CollectiveError:
    """The calling thread's last failure."""
    functions = library()
    kind = _KINDS.get(functions.pcclxGetLastErrorCode(), _OF_RESULT.get(result, CollectiveError))
    message = functions.pcclxGetLastError().decode("utf-8", "replace")
    return kind(message or f"The native library returned {functions.pcclxGetResultName(result).decode()}.")


def not_copied(thing: object) -> TypeError:
    """What copying and pickling raise: two objects cannot be one peer, or one master."""
    name = type(thing).__name__
    return TypeError(f"A {name} cannot be copied or pickled: it is a part of this process. Make another collective.{name} where you need one.")


def _restore(kind: type[CollectiveError], message: str, hint: str | None) -> CollectiveError:
    return kind(message, hint=hint)
