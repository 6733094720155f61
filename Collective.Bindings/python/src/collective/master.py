"""``python -m collective.master``: a master as a program."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading

from ._log import log_to
from ._master import Master
from .errors import AddressInUse, CollectiveError, InvalidArgument

__all__ = ["Master", "main"]

_EXIT_DEFECT, _EXIT_USAGE, _EXIT_IN_USE = 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Runs a master until SIGINT or SIGTERM. The exit codes are those of the daemon: 0 ended by a signal, 1 a defect, 2 wrong options, 3 address in use."""
    parser = argparse.ArgumentParser(prog="python -m collective.master", description="Coordinates a run of Collective until it is told to stop.")
    parser.add_argument("--listen", default="0.0.0.0:48148", metavar="ADDRESS:PORT", help="where to listen; port 0 lets the system choose (default: %(default)s)")
    parser.add_argument("--heartbeat-timeout", type=float, metavar="SECONDS", help="a peer that is silent for so long is evicted (default: 5)")
    parser.add_argument("--crossed-calls-timeout", type=float, metavar="SECONDS", help="peers that all wait for each other for so long are told (default: 60)")
    parser.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info", help="what is written to standard error (default: %(default)s)")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    log_to(logging.getLogger("collective"))

    # A pipe tells of every signal, also of one that comes just before this thread blocks, or to another one.
    stop, stopping = os.pipe()
    os.set_blocking(stopping, False)
    signal.set_wakeup_fd(stopping, warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        master = Master(options.listen, heartbeat_timeout=options.heartbeat_timeout, crossed_calls_timeout=options.crossed_calls_timeout)
    except CollectiveError as error:
        print(error, file=sys.stderr)
        return {AddressInUse: _EXIT_IN_USE, InvalidArgument: _EXIT_USAGE}.get(type(error), _EXIT_DEFECT)

    defects: list[Exception] = []
    with master:
        print(f"listening on {master.listens_on}", flush=True)
        threading.Thread(target=_watch, args=(master, stopping, defects), name="collective-master-watch", daemon=True).start()
        os.read(stop, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end of the interpreter would let a second one kill
    for defect in defects:
        print(defect, file=sys.stderr)
    return _EXIT_DEFECT if defects else 0


def _watch(master: Master, stopping: int, defects: list[Exception]) -> None:
    try:
        master.wait()
    except Exception as error:
        if not master.closed:
            defects.append(error)
    finally:
        os.write(stopping, b"\0")


if __name__ == "__main__":
    sys.exit(main())
