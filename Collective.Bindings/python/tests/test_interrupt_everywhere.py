"""Ctrl+C, or what else a signal handler raises, at every single place of a call: it happened for all peers or for none, nothing of it goes on, and the communicator works."""

from __future__ import annotations

import array
import contextlib
import dis
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import collective
from collective import _calls, _reduce
from conftest import DEADLINE


class Alarm(Exception):
    """What a program's own signal handler may raise."""


EXCEPTIONS = pytest.mark.parametrize("exception", [KeyboardInterrupt, Alarm])


class Interrupt:
    """Interrupts the main thread, within ``with``, at the at-th place where Python looks for signals: a function's begin, after a call, a jump back."""

    def __init__(self, at: int, exception: type[BaseException]) -> None:
        self.place = ""
        self.function = ""
        self._exception = exception
        self._left = at
        self._previous: dict[FrameType, str] = {}

    def __enter__(self) -> None:
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename == __file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        opcode = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        before, self._previous[frame] = self._previous.get(frame, ""), opcode
        if event == "call" or (event == "opcode" and (opcode == "JUMP_BACKWARD" or before.startswith("CALL"))):
            self._left -= 1
            if self._left < 0 and not self.place:
                self.function = frame.f_code.co_name
                self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}, {self.function}, {frame.f_lasti}"
                raise self._exception
        return self._trace


def everywhere(
    call: Callable[[], object],
    afterwards: Callable[[], None],
    before: Callable[[], None] | None = None,
    exception: type[BaseException] = KeyboardInterrupt,
) -> int:
    """Interrupts the call at each place in turn, until it ends before the place or waits for good. Gives the number of places."""
    places: list[str] = []
    while True:
        interrupt = Interrupt(len(places), exception)
        if before is not None:
            before()
        try:
            with interrupt:
                call()
            assert not interrupt.place, f"the interrupt at {interrupt.place} was lost"
        except (KeyboardInterrupt, Alarm):
            pass
        try:
            afterwards()
        except BaseException as error:
            raise AssertionError(f"after an interrupt at {interrupt.place or 'no place'}") from error
        places.append(interrupt.place)
        # A wait in slices passes the same places over and over.
        if not interrupt.place or (before is None and interrupt.function in ("_ended_within", "wait") and places.count(interrupt.place) > 3):
            return len(places) - 1


@pytest.fixture
def peers(master: collective.Master, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[collective.Communicator, collective.Communicator]]:
    """Two connected ones. Nothing complains while they are there."""
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    for module in (_calls, _reduce):
        monkeypatch.setattr(module, "SLICE_SECONDS", 0.002)
    one, other = (collective.Communicator(master.address, minimum_world_size=2, call_timeout=DEADLINE) for _ in range(2))
    meet(one.connect, other.connect)
    meet(one.step, other.step)  # a newcomer's first one waits for nobody
    yield one, other
    one.close()
    other.close()
    assert not complaints


def meet(mine: Callable[[], object], others: Callable[[], object]) -> None:
    """Two peers' calls, mine on this thread."""
    thread = threading.Thread(target=others, daemon=True)
    thread.start()
    mine()
    thread.join(DEADLINE)
    assert not thread.is_alive()


def numbers(value: float) -> array.array[float]:
    return array.array("f", [value] * 1000)


@EXCEPTIONS
@pytest.mark.parametrize("call", ["all_reduce", "all_reduce_many", "step", "sync"])
def test_a_call_that_nobody_joins(peers, call, exception):
    one, other = peers
    tensor = numbers(1)
    argument = {"all_reduce": (tensor,), "all_reduce_many": ([tensor],), "step": (), "sync": ({"a": tensor},)}[call]

    def afterwards() -> None:
        assert set(tensor) == {1}
        mine, others = numbers(3), numbers(4)
        meet(lambda: one.all_reduce(mine, retry=True), lambda: other.all_reduce(others, retry=True))
        assert set(mine) == set(others) == {7}
        assert not one._in_flight and not one._dropped and one.statistics.reduces_in_flight == 0

    def alone() -> None:
        getattr(one, call)(*argument)
        pytest.fail("somebody joined")

    assert everywhere(alone, afterwards, exception=exception) > 20


def test_a_connect_that_nobody_joins(peers, master):
    """Whoever is interrupted is no peer that others wait for."""
    one, other = peers
    third = collective.Communicator(master.address, minimum_world_size=4)

    def afterwards() -> None:
        assert not third.connected
        meet(one.step, other.step)
        assert one.world.world_size == 2

    assert everywhere(third.connect, afterwards) > 20
    third.close()


@EXCEPTIONS
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_an_all_reduce_that_all_join(peers, many, exception):
    """With memory that has to be written back: the result is there for both or for none."""
    numpy = pytest.importorskip("numpy")
    one, other = peers
    memory = numpy.ones(1000, numpy.float32)
    others: list[Any] = []

    def call() -> None:
        if many:
            one.all_reduce_many([memory[::2]])
        else:
            one.all_reduce(memory[::2], retry=True)

    def other_call() -> None:
        result = array.array("f", [2.0] * 500)
        other.all_reduce(result, retry=True)
        others.append(result)

    def before() -> None:
        nonlocal thread
        memory[:] = 1
        thread = threading.Thread(target=other_call, daemon=True)
        thread.start()

    def afterwards() -> None:
        if memory[0] == 1:
            call()
        thread.join(DEADLINE)
        assert not thread.is_alive()
        assert set(memory[::2]) == set(others[-1]) == {3} and set(memory[1::2]) == {1}
        assert not one._in_flight and not one._dropped and one.statistics.reduces_in_flight == 0

    thread = threading.Thread()
    assert everywhere(call, afterwards, before, exception) > 20


@EXCEPTIONS
def test_a_sync_that_all_join(peers, exception):
    """The content is there whole, or not at all."""
    numpy = pytest.importorskip("numpy")
    one, other = peers
    mine, theirs = numpy.zeros(1000, numpy.float32), numpy.zeros(1000, numpy.float32)
    revisions = itertools.count(1)

    def call() -> None:
        one.sync({"a": mine[::2]}, strategy="receive_only")

    def other_call() -> None:
        while True:
            try:
                other.sync({"a": theirs[::2]}, strategy="send_only")
                return
            except collective.SyncFailed:
                pass

    def before() -> None:
        nonlocal thread
        theirs[:] = next(revisions)
        thread = threading.Thread(target=other_call, daemon=True)
        thread.start()

    def afterwards() -> None:
        if mine[0] != theirs[0]:
            call()
        thread.join(DEADLINE)
        assert not thread.is_alive()
        assert set(mine[::2]) == {theirs[0]} and set(mine[1::2]) == {0}

    thread = threading.Thread()
    assert everywhere(call, afterwards, before, exception) > 20


def test_a_close(master):
    """The peer has left, or can still be closed: never one that is neither here nor gone."""
    with collective.Communicator(master.address, call_timeout=DEADLINE) as other:
        one = other

        def joined() -> None:
            nonlocal one
            one = collective.Communicator(master.address, call_timeout=DEADLINE)
            thread = threading.Thread(target=one.connect, daemon=True)
            thread.start()
            while other.step().world_size < 2:
                pass
            thread.join(DEADLINE)

        def afterwards() -> None:
            one.close()
            assert one.closed
            while other.step().world_size > 1:
                pass

        assert everywhere(lambda: one.close(), afterwards, joined) > 10


def test_a_wait_for_a_master(monkeypatch):
    """Its end is waited for by whoever comes next."""
    monkeypatch.setattr(_calls, "SLICE_SECONDS", 0.002)

    def afterwards() -> None:
        with collective.Communicator(master.address) as communicator:
            assert communicator.world.world_size == 1

    with collective.Master("127.0.0.1:0") as master:
        assert everywhere(master.wait, afterwards) > 10
        closing = threading.Timer(0.05, master.close)
        closing.start()
        with contextlib.suppress(collective.Closed):  # it was already
            master.wait()
        closing.join()
