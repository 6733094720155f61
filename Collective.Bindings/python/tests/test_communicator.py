"""Membership: connecting, stepping, leaving."""

from __future__ import annotations

import copy
import datetime
import gc
import math
import pickle
import threading
import time
import weakref

import pytest
from conftest import DEADLINE, together

import collective


class Joiner:
    """A second peer, which connects on a thread of its own, because that takes until it is admitted."""

    def __init__(self, address):
        self.communicator = collective.Communicator(address, call_timeout=DEADLINE)
        self.connected = threading.Event()
        self._thread = threading.Thread(target=self._connect, daemon=True)
        self._thread.start()

    def _connect(self):
        self.communicator.connect()
        self.connected.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.communicator.close()
        self._thread.join(DEADLINE)


def master_at(address):
    """A master where one was a moment ago; somebody else may hold the port for a while."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return collective.Master(address)
        except collective.AddressInUse:
            assert time.monotonic() < end


def test_world(run_peers):
    def body(communicator, number):
        assert communicator.connected and not communicator.closed
        return communicator.world, communicator.peers

    (one, peers), (two, same_peers) = run_peers(2, body)
    assert peers == same_peers and len(set(peers)) == 2
    assert peers[one.rank] == one.id and peers[two.rank] == two.id
    assert (one.epoch, one.world_size, one.global_world_size, one.group_count, one.largest_group_world_size) == (two.epoch, 2, 2, 1, 2)


def test_groups(master):
    def peer(number):
        with collective.Communicator(master.address, group=number) as communicator:
            world = communicator.world
            while world.global_world_size < 3:
                world = communicator.step(timeout=DEADLINE)
            return world

    assert {(world.world_size, world.group_count, world.largest_group_world_size) for world in together(3, peer)} == {(1, 3, 1)}


@pytest.mark.parametrize("call", ["step", "update_topology"])
def test_who_waits_is_admitted(master, call):
    with collective.Communicator(master.address, call_timeout=DEADLINE) as incumbent, Joiner(master.address) as joiner:
        while getattr(incumbent, call)().world_size < 2:
            pass
        assert joiner.connected.wait(DEADLINE)
        assert joiner.communicator.world.world_size == 2


def test_are_peers_pending(master):
    with collective.Communicator(master.address, call_timeout=DEADLINE) as incumbent:
        assert not incumbent.are_peers_pending()
        with Joiner(master.address) as joiner:
            while not incumbent.are_peers_pending():
                pass
            incumbent.update_topology()
            assert joiner.connected.wait(DEADLINE)


def test_optimize_topology(run_peers):
    def body(communicator, number):
        return communicator.optimize_topology(timeout=DEADLINE).world_size

    assert run_peers(2, body) == [2, 2]


def test_calls_before_connecting(master):
    communicator = collective.Communicator(master.address)
    for call in (
        communicator.step,
        communicator.update_topology,
        communicator.are_peers_pending,
        lambda: communicator.all_reduce(bytearray(1)),
        lambda: communicator.all_reduce_many([bytearray(1)]),
        lambda: communicator.sync({"a": bytearray(1)}),
        lambda: communicator.world,
        lambda: communicator.peers,
    ):
        with pytest.raises(collective.NotConnected) as caught:
            call()
        assert "connect()" in caught.value.hint and "pccl" not in str(caught.value)
    assert not communicator.connected
    communicator.close()


def test_calls_after_closing(master):
    communicator = collective.Communicator(master.address)
    communicator.connect()
    communicator.close()
    communicator.close()
    assert communicator.closed and not communicator.connected and "closed" in repr(communicator)
    for call in (communicator.connect, communicator.step, communicator.cancel, lambda: communicator.world, lambda: communicator.all_reduce(bytearray(1))):
        with pytest.raises(collective.Closed):
            call()


def test_connecting_twice(master):
    with collective.Communicator(master.address) as communicator, pytest.raises(collective.InvalidUsage):
        communicator.connect()


def test_a_context_manager_takes_a_connected_communicator(master):
    communicator = collective.Communicator(master.address)
    connected = communicator.connect()
    with communicator:
        assert communicator.world == connected


def test_timeouts_name_who_was_waited_for(run_peers):
    ended = threading.Event()

    def body(communicator, number):
        if number == 1:
            assert ended.wait(DEADLINE)
            return None
        try:
            with pytest.raises(collective.TimedOut) as caught:
                communicator.update_topology(timeout=0.2)
        finally:
            ended.set()
        return str(caught.value)

    message, _ = run_peers(2, body)
    assert "has not voted" in message


def test_no_timeout(master):
    with collective.Communicator(master.address, call_timeout=math.inf) as communicator:
        assert communicator.step(timeout=math.inf).world_size == 1


def test_connect_times_out(master):
    communicator = collective.Communicator(master.address, minimum_world_size=2)
    with pytest.raises(collective.TimedOut):
        communicator.connect(timeout=0.2)
    communicator.close()


def test_a_lost_master(master):
    with collective.Communicator(master.address) as communicator:
        master.close()
        with pytest.raises(collective.MasterLost):
            communicator.update_topology(timeout=DEADLINE)
        assert not communicator.connected
        assert communicator.world.world_size == 1 and not communicator.world.connected


def test_reconnecting_makes_a_new_peer(master):
    with collective.Communicator(master.address) as communicator:
        before = communicator.world.id
        master.close()
        with pytest.raises(collective.MasterLost):
            communicator.update_topology(timeout=DEADLINE)
        with master_at(master.address):
            assert communicator.connect(timeout=DEADLINE).id != before


def test_cancel_ends_what_other_threads_wait_in(master):
    with collective.Communicator(master.address, call_timeout=DEADLINE) as first, Joiner(master.address) as joiner:
        while first.step().world_size < 2:
            pass
        assert joiner.connected.wait(DEADLINE)
        failures = []

        def wait():
            try:
                first.step()
            except collective.CollectiveError as error:
                failures.append(error)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        while thread.is_alive():
            first.cancel()
            thread.join(0.05)
        assert [type(failure) for failure in failures] == [collective.Cancelled]


def test_closing_ends_what_other_threads_wait_in(master):
    with collective.Communicator(master.address, call_timeout=DEADLINE) as first, Joiner(master.address) as joiner:
        while first.step().world_size < 2:
            pass
        assert joiner.connected.wait(DEADLINE)
        entered, failures = threading.Event(), []

        def wait():
            entered.set()
            try:
                first.step()
            except collective.CollectiveError as error:
                failures.append(error)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        assert entered.wait(DEADLINE)
        first.close()
        thread.join(DEADLINE)
        assert len(failures) == 1


def test_a_forgotten_communicator_leaves(master):
    with collective.Communicator(master.address, call_timeout=DEADLINE) as incumbent:
        joiner = collective.Communicator(master.address)
        thread = threading.Thread(target=joiner.connect, daemon=True)
        thread.start()
        while incumbent.step().world_size < 2:
            pass
        thread.join(DEADLINE)
        gone = weakref.ref(joiner)
        del joiner, thread
        gc.collect()
        assert gone() is None
        while incumbent.step().world_size > 1:
            pass


def test_the_gil_is_free_while_a_call_waits(run_peers):
    """If it were not, the second peer, a thread of the same interpreter, could never enter."""

    def body(communicator, number):
        return [communicator.step().world_size for _ in range(20)]

    assert run_peers(2, body) == [[2] * 20] * 2


def test_many_communicators_come_and_go(master):
    for _ in range(50):
        with collective.Communicator(master.address) as communicator:
            assert communicator.world.world_size == 1


def test_a_close_when_there_are_no_more_threads(master, monkeypatch):
    communicator = collective.Communicator(master.address)
    communicator.connect()

    def refuse(*_):
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    communicator.close()
    assert communicator.closed


def test_the_interpreter_ends_with_everything_open(script):
    program = script(
        """
import collective, logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
collective.log_to(logging.getLogger("collective"))
master = collective.Master("127.0.0.1:0")
communicator = collective.Communicator(master.address)
communicator.connect()
print("connected")
"""
    )
    code, out, errors = program.end()
    assert (code, errors) == (0, "") and "connected" in out


def test_a_step_tells_all_alike_of_newcomers(master):
    with collective.Communicator(master.address, call_timeout=DEADLINE) as first:
        assert first.step().has_newcomers  # The peer itself.
        assert not first.step().has_newcomers
        with Joiner(master.address) as joiner:
            while not (world := first.step()).has_newcomers:
                assert world.world_size == 1
            assert world.world_size == 2
            assert joiner.connected.wait(DEADLINE)
            assert not joiner.communicator.world.has_newcomers
            assert joiner.communicator.step().has_newcomers


def test_a_communicator_and_a_master_cannot_be_copied(master):
    with collective.Communicator(master.address) as communicator:
        for thing in (communicator, master):
            for how in (copy.copy, copy.deepcopy, pickle.dumps):
                with pytest.raises(TypeError, match=f"A {type(thing).__name__} cannot be copied or pickled"):
                    how(thing)
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                copy.deepcopy({"in": [thing]})
        assert communicator.connected and communicator.step().world_size == 1


def test_a_master_that_is_no_text():
    for nothing in (None, 48148, b"localhost"):
        with pytest.raises(collective.InvalidArgument, match="The master's address is"):
            collective.Communicator(nothing)


def test_timeouts_of_any_length(master):
    year = datetime.timedelta(days=365).total_seconds()
    with collective.Communicator(master.address, call_timeout=1000 * year) as communicator:
        assert communicator.step(timeout=year).world_size == 1
        assert communicator.step(timeout=1e300).world_size == 1
