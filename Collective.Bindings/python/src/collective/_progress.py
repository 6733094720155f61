"""How a sync tells how far it is."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from . import _ffi
from ._types import SyncProgress

ProgressLike = Callable[[SyncProgress], object]


def progress_callback(progress: ProgressLike | None) -> Any:
    """What the library calls, on a thread of its own; the caller keeps it alive until the sync has ended.

    A progress bar that breaks is no reason to fail the sync of a whole group: what it raises goes to ``sys.unraisablehook`` (ctypes does that), and it is told no more.
    """
    if progress is None:
        return _ffi.pcclxSyncProgressCallback_t(0)
    tell, works = progress, True

    def report(native: Any, _: int | None) -> None:
        nonlocal works
        if works:
            works = False
            tell(_read(native.contents))
            works = True

    return _ffi.pcclxSyncProgressCallback_t(report)


def _read(native: Any) -> SyncProgress:
    donors = tuple(uuid.UUID(bytes=bytes(native.donors[at].data)) for at in range(native.donor_count))
    return SyncProgress(native.bytes_done, native.bytes_total, donors)
