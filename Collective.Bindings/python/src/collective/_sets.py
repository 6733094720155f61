"""Many tensors with one verdict."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Generator
from typing import Any

from . import _ffi
from ._calls import timeout_ms
from ._library import library
from ._reduce import Operation, QuantizationLike, ReduceHandle
from ._types import ReduceOp, ReduceResult
from .errors import CollectiveError, InvalidArgument, check


class SetOperation(Operation):
    """The tensors of a set: what has to live until it was awaited."""

    def __init__(self, count: int, tag: int) -> None:
        if not 0 <= tag < 1 << 64:
            raise InvalidArgument(f"{tag} is no tag.", hint="Choose a whole number from 0 to 2**64 - 1.")
        self.tag = tag
        self.handle = None
        self.count = count
        # By position, from before the launch of each.
        self._tensors: dict[int, Operation] = {}
        # Guards the positions: any thread may launch.
        self._gate = threading.Lock()

    def start(self, pointer: int, native: _ffi.pcclAsyncReduceOp_t, timeout: float | None) -> int:
        options = _ffi.pcclxCallOptions_t(ctypes.sizeof(_ffi.pcclxCallOptions_t), timeout_ms(timeout))
        return int(library().pcclxBeginAllReduceMany(pointer, self.tag, self.count, ctypes.byref(native), ctypes.byref(options)))

    def launch(self, native: _ffi.pcclAsyncReduceOp_t, tensor: Operation, position: int | None) -> None:
        at = self._take(position, tensor)
        options = _ffi.pcclxCallOptions_t(ctypes.sizeof(_ffi.pcclxCallOptions_t), 0, tensor.label)
        source, destination = tensor.source.address, tensor.destination.address
        try:
            check(library().pcclxLaunchInSet(ctypes.byref(native), at, source, destination, ctypes.byref(tensor.descriptor), ctypes.byref(options)))
        except CollectiveError:
            del self._tensors[at]
            raise

    def _take(self, position: int | None, tensor: Operation) -> int:
        with self._gate:
            if position is None:
                position = next((at for at in range(self.count) if at not in self._tensors), self.count)
                if position == self.count:
                    raise InvalidArgument(f"All {self.count} tensors of the set have been launched.")
            if not 0 <= position < self.count:
                raise InvalidArgument(f"There is no position {position} in a set of {self.count} tensors.", hint=f"Use 0 to {self.count - 1}.")
            if position in self._tensors:
                raise InvalidArgument(f"Tensor {position} of the set has been launched.")
            self._tensors[position] = tensor
            return position

    def write_back(self) -> None:
        failures: list[BaseException] = []
        for tensor in self._tensors.values():
            try:
                tensor.write_back()
            except BaseException as error:  # the others are written all the same
                failures.append(error)
        if failures:
            raise failures[0]

    def let_go(self, native: _ffi.pcclAsyncReduceOp_t) -> None:
        if len(self._tensors) < self.count:
            library().pcclxCancelAsyncReduce(ctypes.byref(native))  # it would never end


class ReductionSet:
    """All-reduces of several tensors with one verdict, launched one by one: all are reduced, over the same peers, or none is and every tensor is what it was.

    ::

        with communicator.reduction_set(len(gradients)) as many:
            for gradient in gradients_as_they_become_ready():
                many.launch(gradient, op="avg")
        result = many.wait()

    Each tensor travels from its launch on. All peers launch the same tensors at the same positions, each in whatever order it likes, from any thread. The tensors
    belong to the library until the set was waited for, which the ``with`` block does at its end; an exception in the block ends the set for all peers.
    """

    def __init__(self, handle: ReduceHandle, operation: SetOperation) -> None:
        self._handle = handle
        self._operation = operation

    @property
    def tag(self) -> int:
        """The tag under which it was begun."""
        return self._handle.tag

    def launch(
        self,
        tensor: Any,
        out: Any = None,
        *,
        op: ReduceOp | str = "sum",
        quantization: QuantizationLike = None,
        label: str = "",
        position: int | None = None,
    ) -> None:
        """Launches one of its tensors, with the arguments of :meth:`Communicator.all_reduce`.

        Args:
            tensor: as for :meth:`Communicator.all_reduce`.
            out: where the result goes; None for in place.
            op: ``"sum"``, ``"avg"``, ``"prod"``, ``"min"`` or ``"max"``.
            quantization: as for :meth:`Communicator.all_reduce`.
            label: what this tensor is; the same on all peers.
            position: which tensor of the set it is, from 0; None for the lowest position that was not launched yet.

        Raises:
            InvalidArgument: the tensor or the position is wrong; the set goes on.
            CollectiveError: what has ended the set, as :meth:`wait` says it too.
        """
        self._launch(Operation(tensor, out, op, self.tag, quantization, label), position)

    def _launch(self, operation: Operation, position: int | None) -> None:
        if (failure := self._handle.failure) is not None:
            raise failure
        self._operation.launch(self._handle.native, operation, position)

    def wait(self, timeout: float | None = None) -> ReduceResult:
        """As :meth:`ReduceHandle.wait`; the result counts the bytes of all tensors."""
        return self._handle.wait(timeout)

    def done(self) -> bool:
        """Whether it has ended, with success or without. Does not block."""
        return self._handle.done()

    def cancel(self) -> None:
        """Aborts it for all peers, unless all had finished it. It still has to be waited for."""
        self._handle.cancel()

    def abandon(self) -> None:
        """Cancels and waits, whatever else comes: afterwards the tensors are the caller's."""
        self._handle.abandon()

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """As :meth:`ReduceHandle.add_done_callback`."""
        self._handle.add_done_callback(callback)

    def __await__(self) -> Generator[Any, None, ReduceResult]:
        return self._handle.__await__()

    def __enter__(self) -> ReductionSet:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self.wait()
        else:
            self.abandon()
