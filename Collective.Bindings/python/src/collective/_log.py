"""The library's log, in Python's."""

from __future__ import annotations

import atexit
import logging

from . import _ffi
from ._library import library
from .errors import check

_TO_PYTHON = {
    _ffi.pcclxLogLevel_t.pcclxLogTrace: logging.DEBUG,
    _ffi.pcclxLogLevel_t.pcclxLogDebug: logging.DEBUG,
    _ffi.pcclxLogLevel_t.pcclxLogInformation: logging.INFO,
    _ffi.pcclxLogLevel_t.pcclxLogWarning: logging.WARNING,
    _ffi.pcclxLogLevel_t.pcclxLogError: logging.ERROR,
    _ffi.pcclxLogLevel_t.pcclxLogCritical: logging.CRITICAL,
}

_logger: logging.Logger | None = None


def log_to(logger: logging.Logger | None) -> None:
    """Has every communicator and master of this process log to ``logger``, at its level; None ends it. By default the library is silent.

    ::

        logging.basicConfig(level=logging.INFO)
        collective.log_to(logging.getLogger("collective"))
    """
    global _logger
    _logger = logger
    minimum = _ffi.pcclxLogLevel_t.pcclxLogNone if logger is None else _minimum(logger.getEffectiveLevel())
    callback = _NO_CALLBACK if logger is None else _callback
    check(library().pcclxSetLogCallback(callback, minimum, None))
    if logger is not None:
        # Nothing may call into Python once the interpreter ends.
        atexit.unregister(_end)
        atexit.register(_end)


def _end() -> None:
    log_to(None)


def _minimum(level: int) -> int:
    if level <= logging.DEBUG:
        return _ffi.pcclxLogLevel_t.pcclxLogDebug
    return min((native for native, python in _TO_PYTHON.items() if python >= level), default=_ffi.pcclxLogLevel_t.pcclxLogNone)


def _write(level: int, category: bytes, message: bytes, _: int) -> None:
    if (logger := _logger) is not None:
        logger.getChild(category.decode().removeprefix("Collective.").lower()).log(
            _TO_PYTHON.get(_ffi.pcclxLogLevel_t(level), logging.ERROR), "%s", message.decode("utf-8", "replace")
        )


_callback = _ffi.pcclxLogCallback_t(_write)
_NO_CALLBACK = _ffi.pcclxLogCallback_t(0)
