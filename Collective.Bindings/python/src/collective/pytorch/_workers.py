"""Threads that do one thing after the other."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable

_Action = Callable[[], object]


class Workers:
    """As many threads as given, which take actions in the order in which they come.

    Unlike those of an executor they do not keep the interpreter from ending: what they wait in ends with the communicator.
    """

    def __init__(self, count: int, name: str) -> None:
        self._actions: queue.SimpleQueue[_Action | None] = queue.SimpleQueue()
        for at in range(count):
            threading.Thread(target=_work, args=(self._actions,), name=f"collective-{name}-{at}", daemon=True).start()
        weakref.finalize(self, _end, self._actions, count)

    def submit(self, action: _Action) -> None:
        self._actions.put(action)


def _work(actions: queue.SimpleQueue[_Action | None]) -> None:
    while (action := actions.get()) is not None:
        action()
        del action  # what it refers to is let go while the next one is waited for


def _end(actions: queue.SimpleQueue[_Action | None], count: int) -> None:
    for _ in range(count):
        actions.put(None)
