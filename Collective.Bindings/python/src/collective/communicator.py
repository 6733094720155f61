"""The communicator: through it this process is a peer of a run."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import math
import time
import uuid
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from . import _ffi
from ._calls import call_options, cancel_all, fitting_label, interruptible, timeout_ms
from ._end import close_at_end
from ._library import library
from ._progress import ProgressLike, progress_callback
from ._reduce import Dropped, Operation, QuantizationLike, ReduceHandle
from ._sets import ReductionSet, SetOperation
from ._state import Entries, StateLike
from ._tensors import require_disjoint
from ._types import Epoch, LeftOut, ReduceOp, ReduceResult, Statistics, SyncResult, SyncStrategy, World, member
from .errors import Aborted, Closed, CollectiveError, ErrorCode, InvalidArgument, check, not_copied

# Limits of the library, which checks them too.
_PEERS_MAX = 1024
_STRIPES_MAX = 64
_LEFT_OUT_MAX = 64
_TENSORS_MAX = 8192

_STATE_SCOPE = "state"


class Communicator:
    """A peer of a run.

    ::

        with collective.Communicator("localhost:48148", minimum_world_size=2) as communicator:
            communicator.all_reduce(gradients, op="avg")

    Any thread may call any method; calls that exclude each other fail with :class:`InvalidUsage`. Every call has a timeout, releases the GIL while it
    waits, and is ended by Ctrl+C.

    Args:
        master: address of the master: ``"host"``, ``"host:port"`` or ``"[2001:db8::1]:48148"``.
        group: peers of one group reduce together.
        minimum_world_size: this peer is admitted only together with so many that its group has at least this many peers.
        keep_minimum_world_size: the group must have ``minimum_world_size`` peers as long as this peer is one of them. Below it, steps and
            all-reduces wait for company until their timeouts. In a group that has synchronized, an all-reduce that has waited ends with
            :class:`TooFewPeers` when company has come: go back to :meth:`step`, whose world says ``has_newcomers``.
        fingerprint: what this peer runs, in words of your own; see :meth:`announce`.
        stripe_count: parallel connections to the next peer, 1 to 64; None for the default, 4.
        listen_port: port for data; None for the first free one from 48150 on, 0 for one that the system chooses.
        connect_timeout: seconds to reach the master's port; None for the default, 10.
        call_timeout: seconds of a call that is given no timeout; None for the default, 1800; ``math.inf`` for no limit.
        link_stall_timeout: seconds after which a connection that takes no bytes is made again; None for the default, 10.
        advertise_address: where other peers reach this one, if not at the address that it reaches the master from: ``"host"``, ``"host:port"`` or
            ``"[2001:db8::1]:48150"``. For port forwarding, tunnels and meshes; None for the environment variable ``COLLECTIVE_ADVERTISE_ADDRESS``, if it is set.
    """

    def __init__(
        self,
        master: str,
        *,
        group: int = 0,
        minimum_world_size: int = 1,
        keep_minimum_world_size: bool = False,
        fingerprint: str = "",
        stripe_count: int | None = None,
        listen_port: int | None = None,
        connect_timeout: float | None = None,
        call_timeout: float | None = None,
        link_stall_timeout: float | None = None,
        advertise_address: str | None = None,
    ) -> None:
        if not isinstance(master, str):
            raise InvalidArgument(f"The master's address is {master!r}.", hint='Give it as text: "host", "host:port" or "[2001:db8::1]:48148".')
        for name, value, least, most in (
            ("group", group, 0, 2**32 - 1),
            ("minimum_world_size", minimum_world_size, 1, _PEERS_MAX),
            ("stripe_count", stripe_count, 1, _STRIPES_MAX),
            ("listen_port", listen_port, 0, 65535),
        ):
            if value is not None and not least <= value <= most:
                raise InvalidArgument(f"{name} is {value}.", hint=f"Choose a whole number from {least} to {most}.")
        options = _ffi.pcclxCommOptions_t(
            struct_size=ctypes.sizeof(_ffi.pcclxCommOptions_t),
            master=master.encode(),
            peer_group=group,
            stripe_count=stripe_count or 0,
            min_world_size=minimum_world_size,
            listen_port={None: 0, 0: -1}.get(listen_port, listen_port),
            connect_timeout_ms=timeout_ms(connect_timeout),
            call_timeout_ms=timeout_ms(call_timeout),
            link_stall_timeout_ms=timeout_ms(link_stall_timeout),
            fingerprint=fingerprint.encode() or None,
            keep_min_world_size=bool(keep_minimum_world_size),
            advertise_address=None if advertise_address is None else advertise_address.encode(),
        )
        pointer = ctypes.c_void_p()
        check(library().pcclxCreateCommunicator(ctypes.byref(options), ctypes.byref(pointer)))
        assert pointer.value is not None
        self._pointer: int = pointer.value
        self._master = master
        self._group = group
        # By scope: what the package itself has announced for this peer; "" once there were several.
        self._own_fingerprints: dict[str, str] = {}
        self._state_announced = False
        self._in_flight: dict[int, Operation] = {}
        # Operations in flight whose handle was dropped.
        self._dropped: set[Dropped] = set()
        # Also at the end of the interpreter, while the library may still call into Python. Keeps the buffers alive until then.
        self._finalizer = weakref.finalize(self, _destroy, self._pointer, self._in_flight)
        close_at_end(self)

    def __enter__(self) -> Communicator:
        if not self.connected:
            self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "connected" if self.connected else "not connected"
        return f"<collective.Communicator to {self._master}, group {self._group}, {state}>"

    # ------------------------------------------------------------------------------------------------------- membership

    def connect(self, timeout: float | None = None) -> World:
        """Registers with the master and waits until admitted; returns the world.

        The first peers of a run are admitted at once, others when all admitted peers are in :meth:`step` or :meth:`update_topology`. May be called again
        after it failed or the connection was lost, and makes this process a new peer with a new id.

        Args:
            timeout: longest time of the call in seconds; None for the communicator's ``call_timeout``, ``math.inf`` for no limit.

        Raises:
            MasterUnreachable, MasterRefused, TimedOut
        """
        if not self._state_announced:
            self._own_fingerprints.pop(_STATE_SCOPE, None)
            self.announce(None, _STATE_SCOPE)
        self._blocking(lambda: library().pcclxConnect(self._pointer, call_options(timeout)))
        return self.world

    def announce(self, fingerprint: str | None, scope: str = "") -> None:
        """Says what this peer runs. The master refuses a peer that waits to be admitted when its fingerprint is not that of its group.

        Say it before :meth:`connect`, so that this peer is refused in time (:class:`MasterRefused`, which names both); once admitted, it
        counts for those that come later. Fingerprints are compared only within a scope, and only as long as all admitted peers of the group
        that have announced one agree. Peers that have announced none are let in. Holds for later connects too. Does not block.

        Args:
            fingerprint: at most 100 bytes of UTF-8; ``""`` says that anything goes, None takes back what was announced.
            scope: what it is a fingerprint of; at most four. :meth:`announce_state` and :meth:`sync` use ``"state"``,
                :func:`collective.pytorch.data_parallel` uses ``"data_parallel"``.
        """
        self._require_open()
        check(library().pcclxAnnounce(self._pointer, scope.encode(), None if fingerprint is None else fingerprint.encode()))

    def announce_state(self, state: StateLike) -> None:
        """Announces the keys, types and sizes of a state: if the others synchronize another one, this peer is refused before it is admitted.

        Call it before :meth:`connect` with what the first :meth:`sync` is given. A peer that has synchronized one state announces it by
        itself, and as soon as it synchronizes another, it says that anything goes.
        """
        fingerprint = Entries(state, frozenset()).fingerprint
        self.announce(fingerprint, _STATE_SCOPE)
        self._own_fingerprints[_STATE_SCOPE], self._state_announced = fingerprint, True

    def step(self, timeout: float | None = None) -> World:
        """What a training loop needs at its top: admits the peers that wait, and returns the world that now stands.

        All admitted peers of the run call it together. One round trip to the master when nobody waits. The world's ``has_newcomers`` says to all alike whether
        peers were admitted, and to a newcomer in its first step: then call :meth:`sync`. (The epoch does not tell: it also ends when a peer is lost.)

        Raises:
            CrossedCalls, TimedOut, PendingOperations, MasterLost, Evicted
        """
        native = _ffi.pcclxWorld_t(struct_size=ctypes.sizeof(_ffi.pcclxWorld_t))
        self._blocking_alone(lambda remaining: library().pcclxStep(self._pointer, ctypes.byref(native), call_options(remaining)), timeout)
        return _world(native)

    def update_topology(self, timeout: float | None = None) -> World:
        """Admits the peers that wait, when all admitted peers of the run have called it; returns the world that now stands."""
        self._blocking_alone(lambda remaining: library().pcclxUpdateTopology(self._pointer, call_options(remaining)), timeout)
        return self.world

    def are_peers_pending(self, timeout: float | None = None) -> bool:
        """Whether a peer waits to be admitted. Asked by all admitted peers together, who all get the same answer; allowed while operations are in flight."""
        pending = ctypes.c_bool()
        self._blocking(lambda: library().pcclxArePeersPending(self._pointer, ctypes.byref(pending), call_options(timeout)))
        return pending.value

    def optimize_topology(self, timeout: float | None = None) -> World:
        """Measures what is not known of the network, and adopts the best ring. All admitted peers of the run call it together."""
        self._blocking_alone(lambda remaining: library().pcclxOptimizeTopology(self._pointer, call_options(remaining)), timeout)
        return self.world

    @property
    def world(self) -> World:
        """The membership as of the last call that ended. Does not block.

        It does not change between calls, so that peers that decide by it decide alike: after a successful all-reduce it is the membership
        that contributed, after an aborted one that in which the others hear of the abort too, after connect, step, update, optimize and sync
        that of the answer. An operation that was launched counts where its handle is waited for. Only ``connected`` tells of this moment.
        :attr:`live_world` shows what happens between calls.
        """
        return self._world(library().pcclxGetWorld)

    @property
    def peers(self) -> list[uuid.UUID]:
        """Ids of the peers of :attr:`world` in ring order: peer r has rank r. Does not block."""
        return self._peers(library().pcclxGetPeers)

    @property
    def live_world(self) -> World:
        """The latest membership that stands. It changes whenever a peer is lost, at another moment at each peer.

        Show it, but decide by :attr:`world`.
        """
        return self._world(library().pcclxGetLiveWorld)

    @property
    def live_peers(self) -> list[uuid.UUID]:
        """Ids of the peers of :attr:`live_world` in ring order."""
        return self._peers(library().pcclxGetLivePeers)

    @property
    def connected(self) -> bool:
        """Whether this is a peer of a run now."""
        native = _ffi.pcclxWorld_t(struct_size=ctypes.sizeof(_ffi.pcclxWorld_t))
        return not self.closed and library().pcclxGetWorld(self._pointer, ctypes.byref(native)) == 0 and bool(native.connected)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return not self._finalizer.alive

    @property
    def statistics(self) -> Statistics:
        """Counters of this communicator. Does not block."""
        native = _ffi.pcclxStatistics_t(struct_size=ctypes.sizeof(_ffi.pcclxStatistics_t))
        self._now(library().pcclxGetStatistics, ctypes.byref(native))
        return Statistics(**{name: getattr(native, name) for name in Statistics.__dataclass_fields__})

    # ------------------------------------------------------------------------------------------------------- all-reduce

    def all_reduce(
        self,
        tensor: Any,
        out: Any = None,
        *,
        op: ReduceOp | str = "sum",
        tag: int = 0,
        quantization: QuantizationLike = None,
        label: str = "",
        retry: bool = False,
        timeout: float | None = None,
    ) -> ReduceResult:
        """Reduces ``tensor`` over all peers of the group, in place or into ``out``. Afterwards all peers hold the same bits.

        A call that is refused for its arguments counts all the same: none of its data is sent, and on the other peers it fails with :class:`Mismatch`, which says why.

        Args:
            tensor: numpy array or torch CPU tensor of any strides (one that is not contiguous is copied and copied back), or a contiguous object with the
                buffer protocol. It may be empty: then nothing is sent, but the call is one like any other, made by all peers and compared.
            out: where the result goes, as large and of the same type; None for in place.
            op: ``"sum"``, ``"avg"``, ``"prod"``, ``"min"`` or ``"max"``.
            tag: tells operations in flight apart; the same on all peers.
            quantization: a :class:`Quantization`, or the name of its algorithm, to send fewer bytes; the same on all peers.
            label: what this operation is, in printable text of at most 255 bytes of UTF-8. Peers whose labels differ get :class:`Mismatch`, which quotes both, and
                nothing is combined.
            retry: makes the call again when it was aborted because a peer was lost, until it succeeds or this peer is alone.
            timeout: longest time in seconds; None for the communicator's ``call_timeout``, ``math.inf`` for no limit.

        Raises:
            Aborted: a peer was lost; ``tensor`` is what it was. Make the same call again before any other (or say ``retry=True``).
            TooFewPeers: alone in the group; ``tensor`` is what it was.
            Mismatch, CrossedCalls, TimedOut, MasterLost, Evicted, InvalidArgument
        """
        retries = 0
        while True:
            try:
                result = self._reduce(self._operation(tensor, out, op, tag, quantization, label, timeout), timeout)
                return result if retries == 0 else dataclasses.replace(result, retries=retries)
            except Aborted:
                if not retry:
                    raise
                retries += 1

    def all_reduce_async(
        self,
        tensor: Any,
        out: Any = None,
        *,
        op: ReduceOp | str = "sum",
        tag: int = 0,
        quantization: QuantizationLike = None,
        label: str = "",
        timeout: float | None = None,
    ) -> ReduceHandle:
        """Launches :meth:`all_reduce` and returns a handle: ``handle.wait()``, ``handle.done()``, or ``await handle`` in a coroutine.

        The tensors belong to the library until the handle was waited for. Operations that are in flight together need different tags.
        """
        operation = self._operation(tensor, out, op, tag, quantization, label, timeout)
        handle = ReduceHandle(self, tag)
        self._launch(handle, operation, timeout)
        return handle

    def wait_all(self, timeout: float | None = None) -> None:
        """Waits until every operation in flight has ended, whoever holds its handle: also a kept traceback, or nobody. What failed is told by its handle only.

        Raises:
            TimeoutError: not all have ended within ``timeout`` seconds; they go on. (:meth:`cancel` ends them.)
        """
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        for operation in list(self._in_flight.values()):
            if operation.handle is not None and (handle := operation.handle()) is not None:
                try:
                    handle.wait(max(0.0, deadline - time.monotonic()))
                except CollectiveError:
                    pass
                except Exception:
                    if not handle.unwritten:
                        raise
        for each in list(self._dropped):
            wait = functools.partial(each.ended.wait, None if deadline == math.inf else max(0.0, deadline - time.monotonic()))
            if not interruptible(wait, lambda: cancel_all(self._pointer)):
                raise TimeoutError(f"The all-reduce with tag {each.tag} has not ended within {timeout} s; it goes on.")

    def all_reduce_many(
        self,
        tensors: Iterable[Any],
        *,
        op: ReduceOp | str = "sum",
        tag: int = 0,
        quantization: QuantizationLike = None,
        label: str = "",
        retry: bool = False,
        timeout: float | None = None,
    ) -> ReduceResult:
        """Reduces many tensors in place, with one verdict: all of them, over the same peers, or none, and then every tensor is what it was.

        What a training step reduces belongs together: of tensors that are reduced one by one some may have succeeded when a peer is lost, and who then repeats all
        sums these twice.

        Args:
            tensors: the same on all peers, in the same order; at most 8,192.
            op: as for :meth:`all_reduce`, for all of them.
            tag: the tag of the set.
            quantization: as for :meth:`all_reduce`, for all of them.
            label: as for :meth:`all_reduce`, for all of them.
            retry: makes the call again when it was aborted because a peer was lost, until it succeeds or this peer is alone.
            timeout: longest time in seconds.

        Raises:
            Aborted: a peer was lost. Make the same call again before any other (or say ``retry=True``).
            TooFewPeers: alone in the group.
            Mismatch, CrossedCalls, TimedOut, MasterLost, Evicted, InvalidArgument
        """
        tensors = list(tensors)
        if not 1 <= len(tensors) <= _TENSORS_MAX:
            raise InvalidArgument(f"A set of {len(tensors)} tensors cannot be reduced.", hint=f"Pass 1 to {_TENSORS_MAX}.")
        retries = 0
        while True:
            operations = [self._operation(tensor, None, op, tag, quantization, label, timeout) for tensor in tensors]
            try:
                require_disjoint([operation.destination for operation in operations])
            except InvalidArgument as error:
                self._tell_refusal(tag, error, timeout)
                raise
            try:
                result = self._reduce_many(operations, tag, timeout)
                return result if retries == 0 else dataclasses.replace(result, retries=retries)
            except Aborted:
                if not retry:
                    raise
                retries += 1

    def reduction_set(self, count: int, *, tag: int = 0, timeout: float | None = None) -> ReductionSet:
        """Begins an :meth:`all_reduce_many` whose tensors are launched one by one, as they become ready; nothing is sent before the first.

        Args:
            count: how many tensors it will have, 1 to 8,192; the same on all peers.
            tag: tells it from other operations in flight; the same on all peers.
            timeout: longest time in seconds from now until its end; None for the communicator's ``call_timeout``, ``math.inf`` for no limit.
        """
        if not 1 <= count <= _TENSORS_MAX:
            raise InvalidArgument(f"A set of {count} tensors cannot be.", hint=f"Choose 1 to {_TENSORS_MAX}.")
        operation = SetOperation(count, tag)
        handle = ReduceHandle(self, tag)
        try:
            self._launch(handle, operation, timeout)
            return ReductionSet(handle, operation)
        except BaseException:
            handle.abandon()
            raise

    # ----------------------------------------------------------------------------------------------------- shared state

    def sync(
        self,
        state: StateLike,
        *,
        strategy: SyncStrategy | str = "popular",
        revision: int | None = None,
        may_differ: Iterable[str] = (),
        progress: ProgressLike | None = None,
        timeout: float | None = None,
    ) -> SyncResult:
        """Makes the shared state equal on all peers of the group, who call it together: newcomers get it, whoever has strayed is corrected.

        Nothing moves when all are equal already. The state is read and written only during the call; when it fails, it is what it was.

        Args:
            state: a dict of tensors, numbers, modules, optimizers and dicts of these; or a ``torch.nn.Module``, an optimizer, or a pair of both. Tensors are
                written in place, numbers are replaced in their dict.
            strategy: ``"popular"``: the content that most peers have wins. ``"send_only"``: mine must win. ``"receive_only"``: mine never does.
            revision: version of the state, such as the step: higher than last time if the state has changed. In the first sync of a group the highest wins, so give
                the step of a checkpoint to resume from it. By default the communicator counts, and a newcomer takes what the others have.
            may_differ: keys of tensors whose content may differ among peers; only newcomers receive those.
            progress: called with a :class:`SyncProgress` about ten times a second while this peer fetches, and once more, with all bytes done, on success; perhaps
                not at all if it fetches nothing. On a thread of the library: return soon, leave the state alone, and do not block in the library. What it raises
                goes to ``sys.unraisablehook``, the sync goes on, and it is called no more.
            timeout: longest time in seconds.

        Raises:
            Mismatch, RevisionMismatch: this state or revision does not fit those of the others, and this peer has left the run; they succeed in the same call.
                ("Nothing could be elected": there was no majority, all got the error, and nobody has left.)
            SyncFailed: a peer could not finish, so nobody did; the message says who and why.
            InvalidArgument, PendingOperations, TimedOut, MasterLost, Evicted
        """
        entries = Entries(state, frozenset(may_differ))
        native = _ffi.pcclSharedState_t(revision or 0, len(entries), entries.infos)
        info = _ffi.pcclSharedStateSyncInfo_t()
        chosen = member(SyncStrategy, strategy, "strategy")
        left_out = (_ffi.pcclxLeftOut_t * _LEFT_OUT_MAX)()
        report = _ffi.pcclxSyncResult_t(ctypes.sizeof(_ffi.pcclxSyncResult_t), left_out, len(left_out))
        options = _ffi.pcclxSyncOptions_t(
            struct_size=ctypes.sizeof(_ffi.pcclxSyncOptions_t),
            progress=progress_callback(progress),
            result=ctypes.pointer(report),
            revisions=_ffi.pcclxRevisions_t.PCCLX_REVISIONS_COUNTED if revision is None else _ffi.pcclxRevisions_t.PCCLX_REVISIONS_GROW,
        )

        made: list[int] = []

        def call(remaining: float | None) -> int:
            options.timeout_ms = timeout_ms(remaining)
            made.append(library().pcclxSynchronizeSharedState(self._pointer, ctypes.byref(native), chosen, ctypes.byref(info), ctypes.byref(options)))
            return made[0]

        def adopt() -> None:
            if made == [0]:
                if self._own_fingerprints.get(_STATE_SCOPE) != "":
                    self._announce_own(_STATE_SCOPE, entries.fingerprint)
                if info.rx_bytes > 0:
                    entries.write_back()

        self._blocking_alone(call, timeout, adopt)
        without = tuple(LeftOut(uuid.UUID(bytes=bytes(p.peer.data)), ErrorCode(p.error), p.reason.decode(errors="replace")) for p in left_out[: report.left_out_count])
        return SyncResult(native.revision, info.tx_bytes, info.rx_bytes, without)

    # ---------------------------------------------------------------------------------------------------------- the end

    def cancel(self) -> None:
        """Ends every call that other threads are blocked in, and every operation in flight: they fail with :class:`Cancelled`. Returns at once."""
        self._require_open()
        cancel_all(self._pointer)

    def close(self) -> None:
        """Leaves the run: the others go on without this peer. Calls of other threads end first. May be called again."""
        # Needs no thread. The library's part comes first: an interrupt after it finds a peer that has left, and one before it a peer that can be closed again.
        while self._finalizer.alive:
            _destroy(self._pointer, self._in_flight)
            self._finalizer.detach()

    def __copy__(self) -> NoReturn:
        raise not_copied(self)

    def __deepcopy__(self, _: object) -> NoReturn:
        raise not_copied(self)

    def __reduce__(self) -> NoReturn:
        raise not_copied(self)

    def _operation(
        self, tensor: Any, out: Any, op: ReduceOp | str, tag: int, quantization: QuantizationLike, label: str, timeout: float | None
    ) -> Operation:
        try:
            return Operation(tensor, out, op, tag, quantization, label)
        except InvalidArgument as error:
            self._tell_refusal(tag, error, timeout)
            raise

    def _tell_refusal(self, tag: int, error: InvalidArgument, timeout: float | None) -> None:
        """The others may be in the call that is refused here: it fails for them, and the next calls of all meet each other."""
        with contextlib.suppress(CollectiveError):
            refused = Operation(bytearray(), None, "sum", tag, None, fitting_label(f"refused: {error.message}"))
            self._launch(ReduceHandle(self, tag), refused, timeout)  # Nobody holds it: it is awaited in the background.

    def _reduce(self, operation: Operation, timeout: float | None) -> ReduceResult:
        handle = ReduceHandle(self, operation.tag)
        try:
            self._launch(handle, operation, timeout)
            return handle.wait()
        except BaseException:
            handle.abandon()
            raise

    def _reduce_many(self, operations: list[Operation], tag: int, timeout: float | None) -> ReduceResult:
        whole = SetOperation(len(operations), tag)
        handle = ReduceHandle(self, tag)
        many = ReductionSet(handle, whole)
        try:
            self._launch(handle, whole, timeout)
            for at, operation in enumerate(operations):
                many._launch(operation, at)
            return handle.wait()
        except BaseException:
            handle.abandon()
            raise

    def _launch(self, handle: ReduceHandle, operation: Operation, timeout: float | None) -> None:
        self._require_open()
        self._await_dropped([operation.tag])
        handle.launch(operation, self._pointer, timeout)

    def _blocking(self, call: Callable[[], int], afterwards: Callable[[], None] = lambda: None) -> None:
        self._require_open()
        interruptible(lambda: check(call()), lambda: cancel_all(self._pointer), afterwards)

    def _blocking_alone(self, call: Callable[[float | None], int], timeout: float | None, afterwards: Callable[[], None] = lambda: None) -> None:
        """A call that is not allowed while operations are in flight: it waits for those that were dropped, out of its time."""
        timeout_ms(timeout)  # refuses what is no timeout
        if not self._dropped:
            self._blocking(lambda: call(timeout), afterwards)
            return
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)

        def wait_and_call() -> int:
            for each in list(self._dropped):
                each.ended.wait(None if deadline == math.inf else max(0.0, deadline - time.monotonic()))
            return call(None if timeout is None else max(0.001, deadline - time.monotonic()))

        self._blocking(wait_and_call, afterwards)

    def _await_dropped(self, tags: Iterable[int]) -> None:
        """A tag is free when the operation that had it, and was dropped, has ended."""
        wanted = set(tags)
        for each in list(self._dropped):
            if each.tag in wanted:
                interruptible(each.ended.wait, lambda: cancel_all(self._pointer))

    def _now(self, function: Callable[..., int], *arguments: Any) -> None:
        self._require_open()
        check(function(self._pointer, *arguments))

    def _announce_own(self, scope: str, fingerprint: str) -> None:
        """For those that come later. A program may have several states or models, or one that grows: then nobody is refused for another."""
        known = self._own_fingerprints.get(scope)
        if known in ("", fingerprint):
            return
        self._own_fingerprints[scope] = fingerprint if known is None else ""
        with contextlib.suppress(CollectiveError):  # the program may have used all scopes, or have closed this meanwhile
            self.announce(self._own_fingerprints[scope], scope)

    def _world(self, function: Callable[..., int]) -> World:
        native = _ffi.pcclxWorld_t(struct_size=ctypes.sizeof(_ffi.pcclxWorld_t))
        self._now(function, ctypes.byref(native))
        return _world(native)

    def _peers(self, function: Callable[..., int]) -> list[uuid.UUID]:
        count = ctypes.c_size_t(0)
        self._now(function, None, 0, ctypes.byref(count))
        while True:
            ids = (_ffi.pcclRankUuid_t * (capacity := max(1, count.value)))()
            self._now(function, ids, capacity, ctypes.byref(count))
            if count.value <= capacity:
                return [uuid.UUID(bytes=bytes(peer.data)) for peer in ids[: count.value]]

    def _require_open(self) -> None:
        if self.closed:
            raise Closed("The communicator was closed.")

    def _landed(self, operation: Operation) -> None:
        """An operation was awaited: its buffers are the caller's again."""
        self._in_flight.pop(id(operation), None)


def _destroy(pointer: int, in_flight: dict[int, Operation]) -> None:
    library().pcclDestroyCommunicator(pointer)
    in_flight.clear()


def _world(native: Any) -> World:
    return World(
        epoch=Epoch(native.epoch),
        rank=native.rank,
        world_size=native.world_size,
        global_world_size=native.global_world_size,
        group_count=native.group_count,
        largest_group_world_size=native.largest_group_world_size,
        connected=bool(native.connected),
        id=uuid.UUID(bytes=bytes(native.self.data)),
        has_newcomers=bool(native.has_newcomers),
    )
