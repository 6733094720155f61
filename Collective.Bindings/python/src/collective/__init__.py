"""Fault-tolerant collective communications: train together on machines that come and go.

::

    import collective, numpy

    with collective.Communicator("localhost:48148", minimum_world_size=2) as communicator:
        gradients = numpy.ones(1_000_000, numpy.float32)
        result = communicator.all_reduce(gradients, op="avg", retry=True)
        print(f"averaged over {result.world_size} peers")

Manual: docs/python.md. Every failure is a :class:`CollectiveError`.
"""

from __future__ import annotations

from . import _ffi
from ._library import library as _library
from ._library import library_path
from ._log import log_to
from ._master import Master
from ._reduce import ReduceHandle
from ._sets import ReductionSet
from ._types import (
    DataType,
    Epoch,
    LeftOut,
    Quantization,
    QuantizationAlgorithm,
    ReduceOp,
    ReduceResult,
    Statistics,
    SyncProgress,
    SyncResult,
    SyncStrategy,
    World,
)
from .communicator import Communicator
from .errors import (
    Aborted,
    AddressInUse,
    Cancelled,
    Closed,
    CollectiveError,
    CrossedCalls,
    ErrorCode,
    Evicted,
    Forked,
    InternalError,
    InvalidArgument,
    InvalidUsage,
    LimitExceeded,
    MasterLost,
    MasterRefused,
    MasterUnreachable,
    Mismatch,
    NotConnected,
    NotInitialized,
    NotSupported,
    PendingOperations,
    RevisionMismatch,
    SyncFailed,
    TimedOut,
    TooFewPeers,
)

__version__ = _ffi.COLLECTIVE_VERSION


def version() -> str:
    """Version of the native library that is loaded."""
    return _library().pcclxGetVersion().decode()


__all__ = [
    "Aborted",
    "AddressInUse",
    "Cancelled",
    "Closed",
    "CollectiveError",
    "Communicator",
    "CrossedCalls",
    "DataType",
    "Epoch",
    "ErrorCode",
    "Evicted",
    "Forked",
    "InternalError",
    "InvalidArgument",
    "InvalidUsage",
    "LeftOut",
    "LimitExceeded",
    "Master",
    "MasterLost",
    "MasterRefused",
    "MasterUnreachable",
    "Mismatch",
    "NotConnected",
    "NotInitialized",
    "NotSupported",
    "PendingOperations",
    "Quantization",
    "QuantizationAlgorithm",
    "ReduceHandle",
    "ReduceOp",
    "ReduceResult",
    "ReductionSet",
    "RevisionMismatch",
    "Statistics",
    "SyncFailed",
    "SyncProgress",
    "SyncResult",
    "SyncStrategy",
    "TimedOut",
    "TooFewPeers",
    "World",
    "library_path",
    "log_to",
    "version",
]
