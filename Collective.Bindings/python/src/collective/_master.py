"""A master in this process."""

from __future__ import annotations

import ctypes
import functools
import weakref
from typing import NoReturn

from . import _ffi
from ._calls import Running, timeout_ms
from ._library import library
from .errors import Closed, CollectiveError, check, not_copied


class Master:
    """Coordinates a run; touches no tensor data, and is no peer.

    ::

        with collective.Master("127.0.0.1:0") as master:
            print(master.address)

    Runs from its creation until :meth:`close`. A master that is no part of a training process is started with ``python -m collective.master``, or is the
    daemon ``collective-master``.

    Args:
        listen: ``"0.0.0.0:48148"``, ``"[::]:48148"``; port 0 lets the system choose.
        heartbeat_timeout: seconds after which a silent peer is evicted; None for the default, 5.
        crossed_calls_timeout: seconds after which peers that all wait for each other are told; None for the default, 60.
    """

    def __init__(self, listen: str = "0.0.0.0:48148", *, heartbeat_timeout: float | None = None, crossed_calls_timeout: float | None = None) -> None:
        options = _ffi.pcclxMasterOptions_t(
            struct_size=ctypes.sizeof(_ffi.pcclxMasterOptions_t),
            listen=listen.encode(),
            heartbeat_timeout_ms=timeout_ms(heartbeat_timeout),
            crossed_calls_timeout_ms=timeout_ms(crossed_calls_timeout),
        )
        pointer = ctypes.c_void_p()
        check(library().pcclxCreateMaster(ctypes.byref(options), ctypes.byref(pointer)))
        assert pointer.value is not None
        self._pointer: int = pointer.value
        self._host = _host_of(listen)
        self._finalizer = weakref.finalize(self, _destroy, self._pointer)
        # Nothing ends the library's wait for the end but the end itself: one thread waits there, once somebody asks, and Python's threads for that one.
        self._end = Running(functools.partial(_await_end, self._pointer))
        try:
            check(library().pcclRunMaster(self._pointer))
            port = ctypes.c_uint16()
            check(library().pcclxGetMasterPort(self._pointer, ctypes.byref(port)))
        except CollectiveError:
            self.close()
            raise
        self.port: int = port.value
        """The port it listens on."""

    def __enter__(self) -> Master:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<collective.Master {'closed' if self.closed else 'at ' + self.address}>"

    @property
    def address(self) -> str:
        """Where peers of this host reach it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def listens_on(self) -> str:
        """The address it listens on: ``0.0.0.0`` and ``[::]`` stand for every address of this host."""
        return f"{self._host or '0.0.0.0'}:{self.port}"

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return not self._finalizer.alive

    def wait(self) -> None:
        """Waits until it has ended: because another thread has closed it, or for a defect, which it raises. Ctrl+C ends the wait, not the master."""
        if self.closed:
            raise Closed("The master was closed.")
        self._end.start()
        while not self._end.wait():
            pass
        self._end.outcome()

    def __copy__(self) -> NoReturn:
        raise not_copied(self)

    def __deepcopy__(self, _: object) -> NoReturn:
        raise not_copied(self)

    def __reduce__(self) -> NoReturn:
        raise not_copied(self)

    def close(self) -> None:
        """Ends it: every peer of the run gets :class:`MasterLost`. May be called again."""
        self._finalizer()


def _host_of(listen: str) -> str:
    """Without the port and the brackets of an IPv6 address, which may have neither."""
    if listen.startswith("["):
        return listen[1:].partition("]")[0]
    return listen if listen.count(":") > 1 else listen.partition(":")[0]


def _await_end(pointer: int) -> None:
    check(library().pcclMasterAwaitTermination(pointer))


def _destroy(pointer: int) -> None:
    library().pcclDestroyMaster(pointer)
