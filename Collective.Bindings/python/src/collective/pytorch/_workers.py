"""Threads that do one thing after the other."""

from __future__ import annotations

import atexit
import contextlib
import queue
import signal
import threading
import weakref
from collections.abc import Callable

from ..errors import Closed

# What an action gives is done when the next one may run already.
_Action = Callable[[], Callable[[], object]]

# How long the end of the interpreter waits for what its communicators' end has ended.
_END_SECONDS = 5.0

# Guards what follows, in all crews too.
_gate = threading.Condition()
_crews: weakref.WeakSet[_Crew] = weakref.WeakSet()
_busy = 0
_interpreter_ends = False


def interpreter_ends() -> bool:
    """Whether nothing will be done any more."""
    return _interpreter_ends


# A thread that then needs Python inside torch's C++ would be ended there, and C++ makes that an abort: so everything begun is done before, and nothing begins.
# Runs before the communicators end by themselves, which were imported earlier.
@atexit.register
def _end_interpreter() -> None:
    global _interpreter_ends
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt in here would leave something undone
    with _gate:
        _interpreter_ends = True
        crews = list(_crews)
    for crew in crews:
        crew.close()
    with _gate:
        _gate.wait_for(lambda: _busy == 0, _END_SECONDS)
    signal.signal(signal.SIGINT, previous or signal.SIG_DFL)


class Workers:
    """Take actions in the order in which they come, as many at once as given.

    What an action gives may wait for later actions, for as long as it likes: other threads take those. Unlike the threads of an executor they do not keep the
    interpreter from ending: then ``close``, a method of an object that need not live so long, is called; it has to end what actions wait in.
    """

    def __init__(self, count: int, name: str, close: Callable[[], None]) -> None:
        crew = _Crew(count, name, close)
        self._actions = crew.actions
        for _ in range(count):
            crew.grow()
        weakref.finalize(self, crew.actions.put, None).atexit = False

    def submit(self, action: _Action) -> None:
        if _interpreter_ends:
            raise Closed("The interpreter ends.", hint="Make the last calls before.")
        self._actions.put(action)


class _Crew:
    """The threads of one Workers, which do not keep that alive."""

    def __init__(self, count: int, name: str, close: Callable[[], None]) -> None:
        self.actions: queue.SimpleQueue[_Action | None] = queue.SimpleQueue()
        self._close = weakref.WeakMethod(close)
        self._count = count
        self._name = name
        self._slots = threading.Semaphore(count)
        # Threads that act, or wait to.
        self._acting = 0
        with _gate:
            _crews.add(self)

    def close(self) -> None:
        if (close := self._close()) is not None:
            close()

    def grow(self) -> None:
        threading.Thread(target=self._work, name=f"collective-{self._name}", daemon=True).start()
        self._acting += 1

    def _work(self) -> None:
        while True:
            with self._slots:
                action = self.actions.get()
                if action is None or not self._begin():
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

    def _begin(self) -> bool:
        global _busy
        with _gate:
            if not _interpreter_ends:
                _busy += 1
            return not _interpreter_ends

    def _step_aside(self) -> None:
        """Somebody else acts while this thread tells."""
        with _gate:
            self._acting -= 1
            if self._acting < self._count:
                with contextlib.suppress(RuntimeError):  # no more threads: who waits for this one waits longer
                    self.grow()

    def _come_back(self) -> bool:
        """Whether this thread is still needed."""
        global _busy
        with _gate:
            _busy -= 1
            _gate.notify_all()
            needed = self._acting <= self._count
            self._acting += needed
            return needed
