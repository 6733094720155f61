"""The calls of a process group, as torch and the other ranks see them."""

from __future__ import annotations

import contextlib
import math
import time
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed

from .._calls import Running, to_the_end
from ..errors import CollectiveError, TimedOut
from ._futures import new_future


class Work(torch._C._distributed_c10d.Work):  # type: ignore[misc]
    """One call of a process group. The one that torch makes from a future would hide failures from who waits."""

    def __init__(self, group: Any, tensors: list[torch.Tensor], action: Callable[[], object]) -> None:
        super().__init__()
        self._group = weakref.ref(group)  # which keeps it
        self._tensors = tensors
        self._running = Running(torch.no_grad()(action))
        self._outcome, self._future = new_future()

    def run(self) -> Callable[[], object]:
        self._running.run()
        return self._tell

    def wait(self, timeout: timedelta | None = None) -> bool:
        self._require_process()
        try:
            seconds = timeout.total_seconds() if timeout else math.inf  # torch's zero means none
            deadline = time.monotonic() + seconds
            while not self._running.wait():
                if time.monotonic() >= deadline:
                    raise TimedOut(f"The call has not ended within {seconds} s; it goes on.", hint="Wait again.")
        except CollectiveError:
            raise
        except BaseException:  # an interrupt
            to_the_end(self._end)
            self._forget()
            raise
        with contextlib.suppress(RuntimeError):  # its failure, which is raised below as it was
            self._future.wait()
        self._forget()
        self._running.outcome()
        return True

    def result(self) -> list[torch.Tensor]:
        return self._tensors

    def is_completed(self) -> bool:
        return bool(self._future.done())

    def get_future(self) -> Any:
        return self._future

    def _tell(self) -> None:
        try:
            self._running.outcome()
        except BaseException as failure:
            self._outcome.set_result(failure.with_traceback(None))
        else:
            self._outcome.set_result(self._tensors)

    def _end(self) -> None:
        """Cancels it, and what is queued before it."""
        while not self._running.ended:
            with contextlib.suppress(CollectiveError):  # closed, which ends it as well
                if (group := self._group()) is not None:
                    group._communicator.cancel()
            self._running.wait()

    def _require_process(self) -> None:
        if (group := self._group()) is not None:
            group.require_process()

    def _forget(self) -> None:
        if (group := self._group()) is not None:
            group._works.pop(id(self), None)


class Numbers:
    """Counts the calls of a group. They are the same on all ranks, or the ranks are out of step. Whoever uses it lets nobody else at the same time."""

    def __init__(self) -> None:
        self._last = 0
        self._given_back: tuple[object, ...] | None = None

    def next(self, what: tuple[object, ...]) -> int:
        """The number of a call that is ``what``."""
        if self._given_back != what:
            self._last += 1
        self._given_back = None
        return self._last

    def give_back(self, number: int, what: tuple[object, ...]) -> None:
        """The call was ended on this rank, and the others repeat it: if this one does so next, it is the same call to all."""
        if number == self._last:
            self._given_back = what
