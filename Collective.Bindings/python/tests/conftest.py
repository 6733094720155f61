"""What the tests share: the real native library, and runs of several peers in this process or in processes of their own."""

from __future__ import annotations

import array
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
REPOSITORY = PACKAGE.parents[1]

sys.path.insert(0, str(PACKAGE / "src"))
os.environ.setdefault("COLLECTIVE_LIBRARY", str(REPOSITORY / "artifacts" / "native" / "libcollective.so"))

import collective  # noqa: E402



def pytest_sessionstart(session: pytest.Session) -> None:
    if not collective.library_path().is_file():
        pytest.exit(f"no native library at {collective.library_path()}: run 'bash Collective.Native/build.sh', or set COLLECTIVE_LIBRARY", returncode=3)


# Longer than any wait of a test that works; one that does not ends with a failure, not in silence.
DEADLINE = 60.0

# The same for a process, which may have to import torch on a busy machine first.
PROCESS_DEADLINE = 300.0

DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16", "float32", "float64"]


@pytest.fixture
def master() -> Iterator[collective.Master]:
    with collective.Master("127.0.0.1:0") as running:
        yield running


@pytest.fixture
def run_peers(master: collective.Master) -> Callable[..., list[Any]]:
    """run_peers(2, body): calls body(communicator, number) in two threads, each as a peer of one run, and gives what they return, in order.

    Nobody leaves before all bodies have ended, so that their worlds are the same to the end; but for ``leave_early=True``.
    """

    def run(count: int, body: Callable[[collective.Communicator, int], Any], leave_early: bool = False, **options: Any) -> list[Any]:
        ended = threading.Barrier(count)

        def peer(number: int) -> Any:
            with collective.Communicator(master.address, **{"minimum_world_size": count, "call_timeout": DEADLINE, **options}) as communicator:
                try:
                    result = body(communicator, number)
                except BaseException:
                    ended.abort()  # the others need not wait
                    raise
                with contextlib.suppress(threading.BrokenBarrierError):
                    if not leave_early:
                        ended.wait(DEADLINE)
                return result

        return together(count, peer)

    return run


def together(count: int, body: Callable[[int], Any]) -> list[Any]:
    """Calls body(0), body(1)… in threads, and raises the first failure."""
    results: list[Any] = [None] * count
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            results[number] = body(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE + 10)
        assert not thread.is_alive(), "a peer has not ended"
    if failures:
        raise failures[0]
    return results


# For a program: blocking() says so when the main thread waits for a call, blocking(interrupt_this_thread) interrupts it then, without waking it.
BLOCKING = """
import os, signal, sys, threading, time

def interrupt_this_thread():
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

def blocking(then=lambda: print("blocking", flush=True)):
    def watch():
        while place() not in (("_reduce.py", "_ended_within"), ("_calls.py", "wait"), ("selectors.py", "select")):
            time.sleep(0.001)
        then()

    def place():
        code = sys._current_frames()[threading.main_thread().ident].f_code
        return os.path.basename(code.co_filename), code.co_name

    threading.Thread(target=watch).start()
"""


class Script:
    """A Python program in a process of its own; the test reads its lines."""

    def __init__(self, source: str, *arguments: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE / "src"), "PYTHONUNBUFFERED": "1"}
        self._watch: threading.Timer | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-c", source, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.watch()

    def watch(self) -> None:
        """Its time counts from now: for a program that serves several tests."""
        if self._watch is not None:
            self._watch.cancel()
        self._watch = threading.Timer(PROCESS_DEADLINE, self.process.kill)
        self._watch.daemon = True
        self._watch.start()

    def line(self) -> str:
        """The next line it prints; "" at its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def expect(self, text: str) -> None:
        line = self.line()
        assert line == text, f"expected {text!r}, got {line!r}: {self._errors() if line == '' else ''}"

    def say(self, line: str) -> None:
        """A line for it to read."""
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()

    def end(self) -> tuple[int, str, str]:
        """(exit code, rest of its output, its errors)"""
        out, errors = self.process.communicate(timeout=PROCESS_DEADLINE)
        self._watch.cancel()
        return self.process.returncode, out, errors

    def _errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()


@pytest.fixture
def script() -> Iterator[Callable[..., Script]]:
    """script(source, *arguments): starts a program; it is killed when the test ends."""
    started: list[Script] = []

    def start(source: str, *arguments: str) -> Script:
        started.append(Script(source, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.end()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address of this host at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


class Kind:
    """A way to make tensors: of the standard library, numpy, or torch."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module = None if name == "array" else pytest.importorskip(name)

    def tensor(self, values: Any, dtype: str = "float32") -> Any:
        values = list(values)
        if self.name == "array":
            codes = {"int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d"}
            return array.array(codes[dtype], values)
        if self.name == "numpy":
            return self.module.array(values, dtype)
        return self.module.tensor(values, dtype=getattr(self.module, dtype))

    def values(self, tensor: Any) -> list[Any]:
        return list(tensor.tolist())

    @property
    def dtypes(self) -> list[str]:
        """The element types it has."""
        if self.name == "array":
            return [dtype for dtype in DTYPES if dtype not in ("float16", "bfloat16")]
        return [dtype for dtype in DTYPES if hasattr(self.module, dtype)]

    def __repr__(self) -> str:
        return self.name


@pytest.fixture(params=["array", "numpy", "torch"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return Kind(request.param)
