"""The values that calls take and return."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, field
from typing import TypeVar

from ._ffi import pcclDataType_t, pcclQuantizationAlgorithm_t, pcclRedOp_t, pcclSharedStateSyncStrategy_t
from .errors import ErrorCode, InvalidArgument

__all__ = [
    "DataType",
    "Epoch",
    "LeftOut",
    "Quantization",
    "QuantizationAlgorithm",
    "ReduceOp",
    "ReduceResult",
    "Statistics",
    "SyncResult",
    "SyncStrategy",
    "World",
]

_Member = TypeVar("_Member", bound=enum.IntEnum)


class Epoch(int):
    """Number of a membership and ring order: a later one is higher. Shown as in the log of master and peers, such as ``1.7``."""

    @property
    def term(self) -> int:
        """Of the master that issued it."""
        return self >> 48

    @property
    def number(self) -> int:
        """Counted within the term."""
        return self & (1 << 48) - 1

    def __repr__(self) -> str:
        return f"{self.term}.{self.number}"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(int(self) if spec[-1:] in set("bcdoxXn") else str(self), spec)


class DataType(enum.IntEnum):
    """Element types."""

    UINT8 = pcclDataType_t.pcclUint8
    INT8 = pcclDataType_t.pcclInt8
    INT16 = pcclDataType_t.pcclInt16
    UINT16 = pcclDataType_t.pcclUint16
    UINT32 = pcclDataType_t.pcclUint32
    INT32 = pcclDataType_t.pcclInt32
    UINT64 = pcclDataType_t.pcclUint64
    INT64 = pcclDataType_t.pcclInt64
    FLOAT16 = pcclDataType_t.pcclFloat16
    BFLOAT16 = pcclDataType_t.pcclBFloat16
    FLOAT32 = pcclDataType_t.pcclFloat
    FLOAT64 = pcclDataType_t.pcclDouble

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return _ITEM_BYTES[self]


_ITEM_BYTES = dict(zip(DataType, (1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8)))


class ReduceOp(enum.IntEnum):
    """How the peers' elements are combined. Calls take the member or its name in lower case, such as ``"avg"``."""

    SUM = pcclRedOp_t.pcclSum
    AVG = pcclRedOp_t.pcclAvg
    PROD = pcclRedOp_t.pcclProd
    MAX = pcclRedOp_t.pcclMax
    MIN = pcclRedOp_t.pcclMin


class SyncStrategy(enum.IntEnum):
    """What this peer's shared state is to the others. Calls take the member or its name in lower case, such as ``"popular"``."""

    POPULAR = pcclSharedStateSyncStrategy_t.PCCL_SHARED_STATE_SYNC_STRATEGY_ENFORCE_POPULAR
    """The content that most peers have wins. All peers of a group say this, or none."""
    RECEIVE_ONLY = pcclSharedStateSyncStrategy_t.PCCL_SHARED_STATE_SYNC_STRATEGY_RECEIVE_ONLY
    """Mine is no candidate, and is never sent."""
    SEND_ONLY = pcclSharedStateSyncStrategy_t.PCCL_SHARED_STATE_SYNC_STRATEGY_SEND_ONLY
    """Mine must win, and is never overwritten."""


class QuantizationAlgorithm(enum.IntEnum):
    """How elements are made smaller on the wire."""

    NONE = pcclQuantizationAlgorithm_t.pcclQuantNone
    MIN_MAX = pcclQuantizationAlgorithm_t.pcclQuantMinMax
    ZERO_POINT_SCALE = pcclQuantizationAlgorithm_t.pcclQuantZeroPointScale


@dataclass(frozen=True)
class Quantization:
    """Sends float32 or float64 elements as smaller integers; all peers still get identical bits.

    Args:
        algorithm: ``"min_max"`` (unsigned types, every operation) or ``"zero_point_scale"`` (sum and average).
        dtype: the integer type on the wire, by default uint8.
    """

    algorithm: QuantizationAlgorithm = QuantizationAlgorithm.MIN_MAX
    dtype: DataType = DataType.UINT8

    def __init__(self, algorithm: QuantizationAlgorithm | str = "min_max", dtype: DataType | str = "uint8") -> None:
        object.__setattr__(self, "algorithm", member(QuantizationAlgorithm, algorithm, "quantization algorithm"))
        object.__setattr__(self, "dtype", member(DataType, dtype, "data type"))


@dataclass(frozen=True)
class World:
    """The membership of this peer's group in one epoch, and the sizes of the run."""

    epoch: Epoch
    """Number of this membership and ring order; another membership has another."""
    rank: int
    """Position of this peer in the ring, 0 to world_size - 1; valid in this epoch only."""
    world_size: int
    """Admitted peers of the group."""
    global_world_size: int
    """Admitted peers of all groups."""
    group_count: int
    """Groups with at least one admitted peer."""
    largest_group_world_size: int
    """Admitted peers of the largest group."""
    connected: bool
    """False when the connection is lost and this is the last world known."""
    id: uuid.UUID
    """This peer's id, never used again."""
    has_newcomers: bool = False
    """From ``Communicator.step()``: whether it admitted peers, this one included. Then they need the shared state."""


@dataclass(frozen=True)
class ReduceResult:
    """What a successful all-reduce reports."""

    world_size: int
    """Peers whose contribution is in the result."""
    rank: int
    """Of this peer among them."""
    epoch: Epoch
    """Of the membership that contributed."""
    tx_bytes: int
    """Payload sent by this peer."""
    rx_bytes: int
    """Payload received by this peer."""
    retries: int = 0
    """Attempts that were aborted and made again."""
    contributor_bytes: bytes = field(default=b"", repr=False)
    """:attr:`contributors` as they came from the library, 16 bytes each."""

    @property
    def contributors(self) -> tuple[uuid.UUID, ...]:
        """Ids of the peers whose contribution is in the result, in ring order."""
        return tuple(uuid.UUID(bytes=self.contributor_bytes[at : at + 16]) for at in range(0, len(self.contributor_bytes), 16))


@dataclass(frozen=True)
class LeftOut:
    """A peer that did not fit what was elected in a sync, and so has left the run."""

    peer: uuid.UUID
    code: ErrorCode
    """What its own call ended with: ``MISMATCH`` or ``REVISION_MISMATCH``."""
    reason: str
    """What did not fit."""


@dataclass(frozen=True)
class SyncResult:
    """What a successful sync reports."""

    revision: int
    """Of the state that all peers now hold."""
    tx_bytes: int
    """Sent to others."""
    rx_bytes: int
    """Received: 0 when this peer already had what the others have."""
    left_out: tuple[LeftOut, ...] = ()
    """Peers that did not fit: the others went on without them. At most 64 are named."""


@dataclass(frozen=True)
class SyncProgress:
    """How far this peer is with fetching shared state."""

    bytes_done: int
    """Have come and are verified."""
    bytes_total: int
    """To fetch, as far as known: a tensor counts whole until it is known what differs in it."""
    donors: tuple[uuid.UUID, ...]
    """The peers that have given some."""


@dataclass(frozen=True)
class Statistics:
    """Counted since the communicator was made."""

    reduces_committed: int
    reduces_failed: int
    reduces_in_flight: int
    tx_bytes: int
    rx_bytes: int
    connects: int
    topology_updates: int
    state_syncs: int
    state_tx_bytes: int
    state_rx_bytes: int
    calls_timed_out: int


def member(kind: type[_Member], value: _Member | str, what: str) -> _Member:
    """The member of an enumeration that ``value`` is, or names."""
    if isinstance(value, kind):
        return value
    found = kind.__members__.get(value.upper().replace("-", "_")) if isinstance(value, str) else None
    if found is None:
        names = ", ".join(f'"{name.lower()}"' for name in kind.__members__)
        raise InvalidArgument(f"{value!r} is no {what}.", hint=f"Choose one of {names}.")
    return found
