"""How Python calls what may block: the GIL is released (ctypes does that), and Ctrl+C ends the call."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from . import _ffi
from ._library import library
from .errors import CollectiveError, InvalidArgument, check

_Result = TypeVar("_Result")

# The main thread looks for Ctrl+C so often while a call blocks it.
SLICE_SECONDS = 0.1


def timeout_ms(seconds: float | None) -> int:
    """A time in the native library's terms: 0 means the default."""
    if seconds is None:
        return 0
    if seconds == math.inf:
        return _ffi.PCCLX_NO_TIMEOUT
    if not seconds > 0:
        raise InvalidArgument(f"{seconds} is no timeout.", hint="Give seconds, math.inf for no limit, or None for the default.")
    return max(1, round(seconds * 1000))


def call_options(timeout: float | None) -> Any:
    """Options of one call, or a null pointer where everything is default."""
    if timeout is None:
        return None
    return ctypes.byref(_ffi.pcclxCallOptions_t(ctypes.sizeof(_ffi.pcclxCallOptions_t), timeout_ms(timeout)))


def on_main_thread() -> bool:
    """Whether this is the thread that Python tells of Ctrl+C."""
    return threading.current_thread() is threading.main_thread()


def interruptible(call: Callable[[], _Result], cancel: Callable[[], None]) -> _Result:
    """Runs ``call``, which blocks in the native library and raises what it failed with, so that Ctrl+C ends it.

    On the main thread the call is made by a thread of its own. An interrupt cancels it, and is raised once the call has ended: nothing of it goes on.
    """
    if not on_main_thread():
        return call()
    outcome: list[_Result] = []
    failure: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # handed to the caller's thread
            failure.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="collective-call", daemon=True).start()
    try:
        ended.wait()
    except BaseException:
        # Again and again: the thread may not have entered the call yet, and another interrupt may come while we wait.
        while not ended.is_set():
            _quietly(cancel)
            try:
                ended.wait(SLICE_SECONDS)
            except KeyboardInterrupt:
                continue
        raise
    if failure:
        raise failure[0].with_traceback(None) from None
    return outcome[0]


def cancel_all(communicator: int) -> None:
    """Ends every call that is blocked on a communicator."""
    check(library().pcclxCancel(communicator))


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except CollectiveError:
        pass  # Destroyed meanwhile, which ends its calls as well.
