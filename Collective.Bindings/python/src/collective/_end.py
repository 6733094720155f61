"""The end of the interpreter: no thread of this package is inside Python, or inside a library that calls Python, when it comes.

A thread that wants Python after its end is stopped where it stands. Where that is C++, such as torch's, the process aborts.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import itertools
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

# After so long the end says what it waits for.
_QUIET_SECONDS = 5.0

# Guards what follows.
_gate = threading.Condition()
_threads = 0

# What has to be closed so that threads end, in the order of creation.
_owners: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
_numbers = itertools.count()


def close_at_end(owner: Any) -> None:
    """Has ``owner.close()`` called when the interpreter ends, what was made last first. Threads that wait in it have to end then."""
    _owners[next(_numbers)] = owner


def start(action: Callable[[], None]) -> None:
    """Runs it on a thread of its own, whose end the end of the interpreter waits for. Takes no lock here: the garbage collector may call this anywhere."""
    _thread.start_new_thread(run, (action,))


def run(action: Callable[[], None]) -> None:
    """Runs it on this thread, whose end the end of the interpreter waits for."""
    _count(1)
    try:
        action()
    finally:
        del action  # what it refers to is let go before the interpreter may end
        _count(-1)


def _count(threads: int) -> None:
    global _threads
    with _gate:
        _threads += threads
        _gate.notify_all()


@atexit.register
def _end() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt in here would leave something undone
    owners = [owner for _, owner in sorted(_owners.items(), reverse=True)]
    for owner in owners:
        with contextlib.suppress(Exception):  # closed, or broken, already
            owner.close()
    del owners
    with _gate:
        if not _gate.wait_for(lambda: _threads == 0, _QUIET_SECONDS):
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # before anybody reads of it
            print("collective: the interpreter ends when the callbacks that still run have returned; Ctrl+C kills the process.", file=sys.stderr, flush=True)
            _gate.wait_for(lambda: _threads == 0)
    signal.signal(signal.SIGINT, previous or signal.SIG_DFL)


def _forget() -> None:
    """In a forked child: it has none of the threads, and can use nothing that they serve."""
    global _gate, _threads
    _gate, _threads = threading.Condition(), 0
    _owners.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
