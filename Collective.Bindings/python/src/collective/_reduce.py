"""All-reduces: how they are described to the native library, and the handle of one in flight."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import math
import threading
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any

from . import _ffi
from ._calls import SLICE_SECONDS, label_bytes, on_main_thread, timeout_ms
from ._end import start
from ._library import library
from ._tensors import Buffer, reducible, same_memory
from ._types import DataType, Epoch, Quantization, ReduceOp, ReduceResult, member
from .errors import CollectiveError, InvalidArgument, check, last_error

# Ids of more contributors than a run can have peers are never written.
_CONTRIBUTORS_MAX = 1024

QuantizationLike = Quantization | str | None


class Operation:
    """The memory and the descriptor of one all-reduce."""

    def __init__(self, tensor: Any, out: Any, op: ReduceOp | str, tag: int, quantization: QuantizationLike, label: str = "") -> None:
        self.label = label_bytes(label)
        in_place = out is None or out is tensor
        self.source = reducible(tensor, writable=in_place)
        self.destination = self.source if in_place else reducible(out, name="out")
        source, destination = self.source, self.destination
        if (source.count, source.dtype) != (destination.count, destination.dtype):
            raise InvalidArgument(
                f"tensor has {source.count} elements of type {source.dtype.name.lower()}, out has {destination.count} of type {destination.dtype.name.lower()}.",
                hint="Make them equal.",
            )
        if not in_place and same_memory(source, destination, "tensor", "out"):
            self.source = source = destination
        if not 0 <= tag < 1 << 64:
            raise InvalidArgument(f"{tag} is no tag.", hint="Choose a whole number from 0 to 2**64 - 1.")
        self.tag = tag
        self.handle: weakref.ref[ReduceHandle] | None = None
        self.descriptor = _ffi.pcclReduceDescriptor_t(
            source.count,
            member(ReduceOp, op, "reduce operation"),
            tag,
            _ffi.pcclReduceOperandDescriptor_t(source.dtype, _ffi.pcclDistributionHint_t.pcclDistributionNone),
            _quantization(quantization, source.dtype),
        )

    def start(self, pointer: int, native: _ffi.pcclAsyncReduceOp_t, timeout: float | None) -> int:
        """Launches it on a communicator; gives the native result."""
        options = _ffi.pcclxCallOptions_t(ctypes.sizeof(_ffi.pcclxCallOptions_t), timeout_ms(timeout), self.label)
        source, destination, descriptor = self.source.address, self.destination.address, ctypes.byref(self.descriptor)
        return int(library().pcclxAllReduceAsync(source, destination, descriptor, pointer, ctypes.byref(native), ctypes.byref(options)))

    def let_go(self, native: _ffi.pcclAsyncReduceOp_t) -> None:
        """Nobody holds its handle any more."""

    def write_back(self) -> None:
        """Brings the result to where the caller wants it; to be called on success."""
        if self.destination.write_back is not None:
            self.destination.write_back()

    def buffers(self) -> tuple[Buffer, Buffer]:
        """What has to live until the operation was awaited."""
        return self.source, self.destination


class ReduceHandle:
    """An all-reduce in flight.

    Wait for it with :meth:`wait`, or with ``await`` in a coroutine. Until then the tensor belongs to the library. A handle that is dropped before is awaited in
    the background: when the operation has ended, its tag is free and its tensors are let go; what came of it nobody is told.
    """

    def __init__(self, communicator: Any, tag: int) -> None:
        self.tag = tag
        """The tag under which it was launched."""
        self._communicator = communicator
        self._native = _ffi.pcclAsyncReduceOp_t(tag=tag)
        # From its launch until it has ended: then the tensors are let go.
        self._operation: Operation | None = None
        # No __del__: it would run for every handle, and an interrupt in it is lost.
        self._finalizer: Any = None
        self._ended = False
        self._info = NewReduceInfo(with_contributors=True)
        self._result: ReduceResult | None = None
        self._failure: BaseException | None = None
        # Guards the one await that the native library allows for.
        self._gate = threading.Lock()

    def launch(self, operation: Operation, pointer: int, timeout: float | None) -> None:
        """Not for users: they get it launched. When this fails it was not, or was aborted."""
        timeout_ms(timeout)  # refuses what is no timeout
        try:
            # Before: whatever interrupts this thread from here on, the buffers live as long as the library may use them.
            self._operation = operation
            self._communicator._in_flight[id(operation)] = operation
            operation.handle = weakref.ref(self)
            dropped = Dropped(self._native, operation, self._communicator._in_flight, self._communicator._dropped)
            self._finalizer = weakref.finalize(self, dropped.wait_in_background)
            self._finalizer.atexit = False
            check(operation.start(pointer, self._native, timeout))
        except CollectiveError as error:
            self._failure = error
            self._release()
            raise
        except BaseException:
            self.abandon()
            raise

    @property
    def native(self) -> _ffi.pcclAsyncReduceOp_t:
        """Not for users: the library's handle."""
        return self._native

    @property
    def failure(self) -> BaseException | None:
        """Not for users: what it has failed with, if it was waited for and has."""
        return self._failure

    def done(self) -> bool:
        """Whether it has ended, with success or without. Does not block."""
        return self._ended or self._settled() or self._ended_within(0)

    @property
    def unwritten(self) -> bool:
        """Whether it has succeeded, and its result could not be written to the tensor."""
        return self._failure is not None and not isinstance(self._failure, CollectiveError)

    def wait(self, timeout: float | None = None) -> ReduceResult:
        """Waits until it has ended, and returns what it reports; may be called again.

        Args:
            timeout: seconds to wait here, None for no limit. The operation goes on when they are over.

        Raises:
            TimeoutError: not ended yet; call again.
            Aborted: a peer was lost. The tensor is what it was: launch it again before calling anything else.
            CollectiveError: of another kind; see docs/errors.md.
            KeyboardInterrupt: Ctrl+C. The operation was aborted for all peers and the tensor is what it was, or it had succeeded for all and holds the result.
        """
        if not self._settled():
            try:
                ended = self._wait_until_ended(math.inf if timeout is None else timeout)
                if ended:
                    self._settle()
            except BaseException:
                self.abandon()
                raise
            if not ended:
                raise TimeoutError(f"The all-reduce with tag {self.tag} has not ended within {timeout} s; it goes on.")
        if self._failure is not None:
            raise self._failure
        assert self._result is not None
        return self._result

    def cancel(self) -> None:
        """Aborts it for all peers, unless all had finished it. It still has to be waited for."""
        if not self._settled():
            result = library().pcclxCancelAsyncReduce(ctypes.byref(self._native))
            if result != _ffi.pcclResult_t.pcclRankConnectionLost:  # else another thread awaits it, or has
                self._check_in_flight(result)

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Has ``callback`` called once when it has ended, on a thread of the library, or at once if it has. Return soon from it, and do not block."""
        if self._settled():
            callback()
            return

        def run() -> None:
            self._ended = True  # the library says so only after its callbacks
            callback()

        context = _callbacks.add(run)
        if library().pcclxNotifyAsyncReduce(ctypes.byref(self._native), _callbacks.trampoline, context) != 0:
            # Awaited by another thread meanwhile, or the communicator was closed: it has ended.
            _callbacks.run(context)

    def __await__(self) -> Generator[Any, None, ReduceResult]:
        return self._wait_in_loop().__await__()

    async def _wait_in_loop(self) -> ReduceResult:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def notify() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.set)

        self.add_done_callback(notify)
        try:
            await ended.wait()
        except asyncio.CancelledError:
            # The tensor is the library's until the operation has ended.
            self.cancel()
            await ended.wait()
            try:
                self._settle()
            except BaseException:
                self.abandon()
                raise
            raise
        return self.wait()

    def _settled(self) -> bool:
        return self._result is not None or self._failure is not None

    def _ended_within(self, seconds: float) -> bool:
        done = ctypes.c_bool()
        milliseconds = _ffi.PCCLX_NO_TIMEOUT if seconds == math.inf else max(0, round(seconds * 1000))
        result = library().pcclxWaitAsyncReduce(ctypes.byref(self._native), milliseconds, ctypes.byref(done))
        if result == _ffi.pcclResult_t.pcclRankConnectionLost:
            return True  # another thread awaits it, or has
        self._check_in_flight(result)
        return done.value

    def _wait_until_ended(self, timeout: float) -> bool:
        """Whether it has, in time. The main thread waits in slices, between which Python raises KeyboardInterrupt."""
        deadline = time.monotonic() + timeout
        slice_seconds = SLICE_SECONDS if on_main_thread() else math.inf
        while not self._ended_within(max(0.0, min(slice_seconds, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return False
        return True

    def abandon(self) -> None:
        """Cancels and waits, whatever else comes: afterwards the tensor is the caller's.

        What has come and could not be written is written once more: an interrupt may have been the reason. If it still cannot be, that is how the operation failed.
        """
        while self._operation is not None and not self._settled():
            try:
                if not self._info.reported:
                    self.cancel()
                    while not self._ended_within(SLICE_SECONDS):
                        pass
                self._settle()
            except KeyboardInterrupt:
                continue
            except CollectiveError:
                break  # closed, or never launched
            except BaseException as failure:
                if not self._info.reported:
                    raise
                self._failure = failure.with_traceback(None)
        self._release()

    def _settle(self) -> None:
        with self._gate:
            if self._settled():
                return
            try:
                # An interrupt may have come when it was awaited and not yet written back.
                if not self._info.reported:
                    check(library().pcclxAwaitAsyncReduce(ctypes.byref(self._native), ctypes.byref(self._info.native)))
            except CollectiveError as error:
                self._failure = error
            else:
                assert self._operation is not None
                self._operation.write_back()
                self._result = self._info.result()
            self._release()

    def _check_in_flight(self, result: int) -> None:
        if result == 0 or self._settled():
            return
        error = last_error(result)
        self._failure = error
        self._release()
        raise error

    def _release(self) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()
        if self._operation is not None:
            self._communicator._landed(self._operation)
            self._operation = None


class NewReduceInfo:
    """Room for what an all-reduce reports."""

    def __init__(self, *, with_contributors: bool) -> None:
        self.native = _ffi.pcclxReduceInfo_t(struct_size=ctypes.sizeof(_ffi.pcclxReduceInfo_t))
        self._ids = (_ffi.pcclRankUuid_t * _CONTRIBUTORS_MAX)() if with_contributors else None
        if self._ids is not None:
            self.native.contributors = ctypes.cast(self._ids, ctypes.POINTER(_ffi.pcclRankUuid_t))
            self.native.contributor_capacity = _CONTRIBUTORS_MAX

    @property
    def reported(self) -> bool:
        """Whether the library has written it: a success."""
        return bool(self.native.world_size > 0)

    def result(self) -> ReduceResult:
        """What was reported."""
        native = self.native
        ids = b"" if self._ids is None else ctypes.string_at(self._ids, 16 * min(native.world_size, _CONTRIBUTORS_MAX))
        return ReduceResult(native.world_size, native.rank, Epoch(native.epoch), native.tx_bytes, native.rx_bytes, native.retries, ids)


class _Callbacks:
    """Python functions that the library calls by number, so that no callback of its own has to be kept alive for each operation."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Callable[[], None]] = {}
        self.trampoline = _ffi.pcclxDoneCallback_t(self.run)

    def add(self, callback: Callable[[], None]) -> int:
        number = next(self._numbers)
        self._waiting[number] = callback
        return number

    def run(self, number: int) -> None:
        callback = self._waiting.pop(number, None)
        if callback is not None:
            callback()


_callbacks = _Callbacks()


class Dropped:
    """An operation whose handle is gone. Whoever needs its tag, or nothing in flight, waits for it."""

    def __init__(self, native: _ffi.pcclAsyncReduceOp_t, operation: Operation, in_flight: dict[int, Operation], every: set[Dropped]) -> None:
        self.tag = operation.tag
        self.ended = threading.Event()
        self._native = native
        self._operation: Operation | None = operation
        self._in_flight = in_flight
        self._every = every

    def wait_in_background(self) -> None:
        """Awaits it on a thread that does not keep the communicator alive.

        Called by the garbage collector, so anywhere: it takes no lock, which the interrupted code might hold (as ``threading.Thread.start`` does).
        """
        if not self._native.comm:
            self._in_flight.pop(id(self._operation), None)  # interrupted before it was launched
            return
        self._every.add(self)
        try:
            start(self._wait)
        except RuntimeError:  # the interpreter ends, or there are no more threads: as if nobody had dropped it
            self._every.discard(self)

    def _wait(self) -> None:
        assert self._operation is not None
        try:
            self._operation.let_go(self._native)
            if library().pcclxAwaitAsyncReduce(ctypes.byref(self._native), None) == 0:
                self._operation.write_back()
        finally:
            self._in_flight.pop(id(self._operation), None)
            self._operation = None
            self._every.discard(self)
            self.ended.set()


def _quantization(quantization: QuantizationLike, dtype: DataType) -> Any:
    if quantization is None:
        return _ffi.pcclQuantizationOptions_t(dtype, _ffi.pcclQuantizationAlgorithm_t.pcclQuantNone)
    if isinstance(quantization, str):
        quantization = Quantization(quantization)
    return _ffi.pcclQuantizationOptions_t(quantization.dtype, quantization.algorithm)
