"""Threads that do one thing after the other."""

from __future__ import annotations

import contextlib
import queue
import threading
import weakref
from collections.abc import Callable

from .._end import close_at_end, run
from ..errors import Closed

# What an action gives is done when the next one may run already.
_Action = Callable[[], Callable[[], object]]


class Workers:
    """Take actions in the order in which they come, as many at once as given.

    What an action gives may wait for later actions, for as long as it likes: other threads take those. Unlike the threads of an executor they do not keep the
    interpreter from ending: then ``close``, a method of an object that need not live so long, is called; it has to end what actions wait in, and to let
    those that have not begun fail.
    """

    def __init__(self, count: int, name: str, close: Callable[[], None]) -> None:
        crew = self._crew = _Crew(count, name, close)
        for _ in range(count):
            crew.grow()
        close_at_end(crew)
        weakref.finalize(self, crew.actions.put, None).atexit = False

    def submit(self, action: _Action) -> None:
        self._crew.submit(action)


class _Crew:
    """The threads of one Workers, which do not keep that alive."""

    def __init__(self, count: int, name: str, close: Callable[[], None]) -> None:
        self.actions: queue.SimpleQueue[_Action | None] = queue.SimpleQueue()
        self._close = weakref.WeakMethod(close)
        self._count = count
        self._name = name
        self._slots = threading.Semaphore(count)
        # Guards what follows: nothing comes after the None that ends the threads, and how many of them act, or wait to.
        self._gate = threading.Lock()
        self._closed = False
        self._acting = 0

    def submit(self, action: _Action) -> None:
        with self._gate:
            if self._closed:
                raise Closed("The interpreter ends.", hint="Make the last calls before.")
            self.actions.put(action)

    def close(self) -> None:
        with self._gate:
            self._closed = True
            self.actions.put(None)
        if (close := self._close()) is not None:
            close()

    def grow(self) -> None:
        threading.Thread(target=run, args=(self._work,), name=f"collective-{self._name}", daemon=True).start()
        self._acting += 1

    def _work(self) -> None:
        while True:
            with self._slots:
                action = self.actions.get()
                if action is None:
                    self.actions.put(None)  # for the other threads
                    return
                tell = action()
                del action
                self._step_aside()
            try:
                tell()
            finally:
                del tell  # what it refers to is let go before the interpreter may end
                needed = self._come_back()
            if not needed:
                return

    def _step_aside(self) -> None:
        """Somebody else acts while this thread tells."""
        with self._gate:
            self._acting -= 1
            if self._acting < self._count:
                with contextlib.suppress(RuntimeError):  # no more threads: who waits for this one waits longer
                    self.grow()

    def _come_back(self) -> bool:
        """Whether this thread is still needed."""
        with self._gate:
            needed = self._acting <= self._count
            self._acting += needed
            return needed
