"""How Python calls what may block: the GIL is released (ctypes does that), and Ctrl+C ends the call."""

from __future__ import annotations

import _thread
import contextlib
import copy
import ctypes
import hashlib
import math
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from . import _ffi
from ._library import library
from .errors import CollectiveError, InvalidArgument, LimitExceeded, check

_Result = TypeVar("_Result")

# The main thread looks for Ctrl+C so often while a call blocks it: a signal that comes just before it blocks, or to another thread, does not wake it.
SLICE_SECONDS = 0.1

# The library quotes labels up to this size whole.
_LABEL_BYTES_MAX = 160
_DIGEST_DIGITS = 16

# Of the library's type; it counts no further anyway.
_TIMEOUT_MS_MAX = 2**63 - 1


def timeout_ms(seconds: float | None) -> int:
    """A time in the native library's terms: 0 means the default."""
    if seconds is None:
        return 0
    if seconds == math.inf:
        return _ffi.PCCLX_NO_TIMEOUT
    if not seconds > 0:
        raise InvalidArgument(f"{seconds} is no timeout.", hint="Give seconds, math.inf for no limit, or None for the default.")
    return max(1, round(min(seconds * 1000, _TIMEOUT_MS_MAX)))


def call_options(timeout: float | None, label: str = "") -> Any:
    """Options of one call, or a null pointer where everything is default."""
    if timeout is None and not label:
        return None
    return ctypes.byref(_ffi.pcclxCallOptions_t(ctypes.sizeof(_ffi.pcclxCallOptions_t), timeout_ms(timeout), label_bytes(label)))


def label_bytes(label: str) -> bytes | None:
    """A label in the native library's terms, which looks at the rest."""
    if not isinstance(label, str):
        raise InvalidArgument(f"The label is a {type(label).__name__}.", hint="Pass a str.")
    if "\0" in label:
        raise InvalidArgument("The label contains a zero character.", hint="Use printable text.")
    try:
        return label.encode() if label else None
    except UnicodeEncodeError:
        raise InvalidArgument("The label contains a character that is not valid Unicode.", hint="Use printable text.") from None


def fitting_label(text: str) -> str:
    """A label of any text: printable, and cut to what the library quotes whole, with a digest in place of the rest."""
    printable = "".join(character if character.isprintable() and character != "\ufffd" else " " for character in text)
    encoded = printable.encode("utf-8", "replace")
    if len(encoded) <= _LABEL_BYTES_MAX:
        return encoded.decode()
    digest = f"... #{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:_DIGEST_DIGITS]}"
    return encoded[: _LABEL_BYTES_MAX - len(digest)].decode("utf-8", "ignore") + digest


def on_main_thread() -> bool:
    """Whether this is the thread that Python tells of Ctrl+C."""
    return threading.current_thread() is threading.main_thread()


def interruptible(call: Callable[[], _Result], cancel: Callable[[], None], afterwards: Callable[[], None] = lambda: None) -> _Result:
    """Runs ``call``, which blocks in the native library and raises what it failed with, so that Ctrl+C ends it.

    On the main thread the call is made by a thread of its own. An interrupt cancels it, and is raised once the call has ended: nothing of it goes on. Then
    ``afterwards`` runs on the caller's thread, to its end whatever interrupts; it may be run again, and has to find out what became of the call.
    """
    if not on_main_thread():
        try:
            return call()
        finally:
            afterwards()
    running = Running(call)
    try:
        running.start()
        while not running.wait():
            pass
        afterwards()
    except BaseException:
        running.abandon(cancel)
        to_the_end(afterwards)
        raise
    return running.outcome()


def to_the_end(action: Callable[[], object]) -> None:
    """Runs it again and again until nothing interrupts it."""
    while True:
        try:
            action()
            return
        except KeyboardInterrupt:
            continue


def copied(failure: BaseException) -> BaseException:
    """A failure to raise, once for each who hears of it: a traceback refers to all that it has passed through, so what is kept has to be without."""
    try:
        return copy.copy(failure)
    except Exception:  # the program's own, which cannot be copied
        return failure


class Running(Generic[_Result]):
    """A call that another thread makes.

    With bare locks: an interrupt inside ``threading.Event``, which is written in Python, can leave its lock taken for ever.
    """

    def __init__(self, call: Callable[[], _Result]) -> None:
        self._call = call
        self._result: list[_Result] = []
        self._failure: BaseException | None = None
        # Guards the two flags: an interrupt may come before the thread has begun.
        self._gate = threading.Lock()
        self._entered = False
        self._abandoned = False
        # Taken until the call has ended.
        self._running = threading.Lock()
        self._running.acquire()
        self.started = False
        """Whether a thread was started for it."""
        self.ended = False
        """Whether it was made and has ended."""

    def start(self) -> None:
        """May be called again: the call is made once."""
        if not self._entered:
            try:
                _thread.start_new_thread(self.run, ())
            except RuntimeError as error:
                raise LimitExceeded(
                    "The system gives this process no more threads, and a call on the main thread needs one, so that Ctrl+C can end it.",
                    hint="Allow it more (ulimit -u), end some, or call from another thread.",
                ) from error
            self.started = True

    def run(self) -> None:
        """Makes the call, unless it was made or abandoned: for a thread that is there already."""
        with self._gate:
            if self._abandoned or self._entered:
                return
            self._entered = True
        try:
            self._result.append(self._call())
        except BaseException as error:  # handed to the caller's thread
            self._failure = error.with_traceback(None)
        finally:
            del self._call  # lets go what it refers to
            self.ended = True
            self._running.release()

    def wait(self) -> bool:
        """Waits for its end, but no longer than a slice; says whether it came. Any number of threads may."""
        if not self.ended and self._running.acquire(timeout=SLICE_SECONDS):
            self._running.release()
        return self.ended

    def abandon(self, cancel: Callable[[], None]) -> None:
        """Afterwards the call has ended, or will never be made; whatever interrupts meanwhile."""
        while True:
            try:
                with self._gate:
                    self._abandoned = True
                # Again and again: the thread may not have entered the library yet.
                while self._entered and not self.ended:
                    with contextlib.suppress(CollectiveError):  # the communicator was closed, which ends its calls as well
                        cancel()
                    self.wait()
                return
            except KeyboardInterrupt:
                continue

    def outcome(self) -> _Result:
        """What it returned; raises what it raised."""
        if self._failure is not None:
            raise copied(self._failure) from None
        return self._result[0]


def cancel_all(communicator: int) -> None:
    """Ends every call that is blocked on a communicator."""
    check(library().pcclxCancel(communicator))
