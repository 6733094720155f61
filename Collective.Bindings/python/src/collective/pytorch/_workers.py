"""Threads that do one thing after the other."""

from __future__ import annotations

import atexit
import queue
import threading
import weakref
from collections.abc import Callable

from ..errors import Closed

_Action = Callable[[], object]

# How long the end of the interpreter waits for what is being handed over.
_HAND_OVER_SECONDS = 5.0

# Guards the two below.
_gate = threading.Condition()
_handing_over = 0
_interpreter_ends = False


def hand_over(action: _Action) -> None:
    """Tells torch, unless the interpreter ends: a thread that then needs Python inside torch's C++ would be ended there, and C++ makes that an abort."""
    global _handing_over
    with _gate:
        if _interpreter_ends:
            return
        _handing_over += 1
    try:
        action()
    finally:
        with _gate:
            _handing_over -= 1
            _gate.notify_all()


# Runs before the communicators end, which were imported earlier: what they were waited for in fails then.
@atexit.register
def _end_interpreter() -> None:
    global _interpreter_ends
    with _gate:
        _interpreter_ends = True
        _gate.wait_for(lambda: _handing_over == 0, _HAND_OVER_SECONDS)


class Workers:
    """As many threads as given, which take actions in the order in which they come.

    Unlike those of an executor they do not keep the interpreter from ending: what they wait in ends with the communicator.
    """

    def __init__(self, count: int, name: str) -> None:
        self._actions: queue.SimpleQueue[_Action | None] = queue.SimpleQueue()
        for at in range(count):
            threading.Thread(target=_work, args=(self._actions,), name=f"collective-{name}-{at}", daemon=True).start()
        self._finalizer = weakref.finalize(self, _end, self._actions, count)

    def submit(self, action: _Action) -> None:
        if not self._finalizer.alive:
            raise Closed("The interpreter ends.", hint="Make the last calls before.")
        self._actions.put(action)


def _work(actions: queue.SimpleQueue[_Action | None]) -> None:
    while (action := actions.get()) is not None:
        action()
        del action  # what it refers to is let go while the next one is waited for


def _end(actions: queue.SimpleQueue[_Action | None], count: int) -> None:
    for _ in range(count):
        actions.put(None)
