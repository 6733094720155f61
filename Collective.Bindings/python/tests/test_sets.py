"""Many tensors with one verdict."""

from __future__ import annotations

import array
import asyncio
import gc
import threading

import pytest
from conftest import DEADLINE, together

import collective

VICTIM = """
import array, sys, time, collective
with collective.Communicator(sys.argv[1], minimum_world_size=3) as communicator:
    many = communicator.reduction_set(2)
    many.launch(array.array("f", [100.0] * 10))
    print("launched", flush=True)
    time.sleep(600)
"""


def test_launched_one_by_one_in_any_order(run_peers):
    numpy = pytest.importorskip("numpy")

    def body(communicator, number):
        tensors = [numpy.full((at, 2 * at), number + 1.0, numpy.float32)[:, ::2] for at in range(20)]
        with communicator.reduction_set(20, tag=3) as many:
            for at in range(20) if number else reversed(range(20)):
                assert not many.done()
                many.launch(tensors[at], position=at, label=f"tensor {at}")
        result = many.wait()
        assert many.done() and many.tag == 3 and result.world_size == 2 and set(result.contributors) == set(communicator.peers)
        assert communicator.statistics.reduces_committed == 20 and communicator.statistics.reduces_in_flight == 0
        return {value for tensor in tensors for value in tensor.flat}

    assert run_peers(2, body) == [{3.0}] * 2


def test_all_or_none(master, script):
    """A peer is killed when it has launched one of two tensors: neither is reduced. The retry reduces both once."""
    victim = script(VICTIM, master.address)
    victim_is_gone, both_launched = threading.Event(), threading.Barrier(2)

    def survivor(number):
        with collective.Communicator(master.address, minimum_world_size=3, call_timeout=DEADLINE) as communicator:
            small, large = array.array("f", [1.0] * 10), array.array("f", [1.0] * 100_000)
            many = communicator.reduction_set(2)
            many.launch(small)
            many.launch(large)
            both_launched.wait(DEADLINE)  # who has not entered hears of no abort
            if number == 0:
                victim.expect("launched")
                victim.kill()
                victim.process.wait(DEADLINE)
                victim_is_gone.set()
            assert victim_is_gone.wait(DEADLINE)
            with pytest.raises(collective.Aborted):
                many.wait()
            before = {*small, *large}
            result = communicator.all_reduce_many([small, large], retry=True)
            return before, {*small, *large}, result.world_size

    assert together(2, survivor) == [({1.0}, {2.0}, 2)] * 2


def test_an_exception_ends_it_for_all(run_peers):
    entered = threading.Event()

    def body(communicator, number):
        tensors = [array.array("f", [1.0] * 1000) for _ in range(2)]
        with pytest.raises(ZeroDivisionError if number else collective.Aborted, match="zero" if number else "cancelled"):
            with communicator.reduction_set(2) as many:
                many.launch(tensors[0])
                if number:
                    assert entered.wait(DEADLINE)
                    1 / 0
                many.launch(tensors[1])
                entered.set()
        # What has ended is not launched, and says why.
        with pytest.raises(collective.CollectiveError, match="cancelled"):
            many.launch(tensors[0], position=1)
        assert {*tensors[0], *tensors[1]} == {1.0}
        communicator.all_reduce_many(tensors, retry=True)
        return {*tensors[0], *tensors[1]}

    assert run_peers(2, body) == [{2.0}] * 2


def test_different_sets_are_a_mismatch(run_peers):
    def body(communicator, number):
        tensors = [array.array("f", [1.0]) for _ in range(2 + number)]
        with pytest.raises(collective.Mismatch, match="a set of [23] tensors against a set of [23] tensors"):
            communicator.all_reduce_many(tensors)
        with pytest.raises(collective.Mismatch, match="tensor 1 of tag 0 .*label .weight. against .bias.|tensor 1 of tag 0 .*label .bias. against .weight."):
            with communicator.reduction_set(2) as many:
                many.launch(tensors[0], label="same")
                many.launch(tensors[1], label="weight" if number else "bias")
        return {value for tensor in tensors for value in tensor}

    assert run_peers(2, body) == [{1.0}] * 2


def test_wrong_positions(run_peers):
    def body(communicator, number):
        tensor = array.array("f", [1.0])
        with communicator.reduction_set(2) as many:
            many.launch(tensor, position=1)
            for position in (-1, 1, 2):
                with pytest.raises(collective.InvalidArgument):
                    many.launch(array.array("f", [1.0]), position=position)
            many.launch(array.array("f", [1.0]))
            with pytest.raises(collective.CollectiveError):
                many.launch(array.array("f", [1.0]))
        return tensor[0]

    assert run_peers(2, body) == [2.0] * 2


def test_awaited_in_a_coroutine(run_peers):
    def body(communicator, number):
        async def reduce():
            tensors = [array.array("f", [1.0] * 100) for _ in range(3)]
            many = communicator.reduction_set(3)
            for tensor in tensors:
                many.launch(tensor)
            assert (await many).world_size == 2
            return {value for tensor in tensors for value in tensor}

        return asyncio.run(reduce())

    assert run_peers(2, body) == [{2.0}] * 2


def test_dropped_before_all_was_launched(run_peers):
    """It is ended for all, and its tag is free."""
    entered = threading.Event()

    def body(communicator, number):
        many = communicator.reduction_set(2)
        many.launch(array.array("f", [1.0]))
        if number:
            assert entered.wait(DEADLINE)
            del many
            gc.collect()
        else:
            entered.set()
            with pytest.raises(collective.Aborted):
                many.wait()
        tensor = array.array("f", [1.0])
        communicator.all_reduce(tensor, retry=True)
        return tensor[0]

    assert run_peers(2, body) == [2.0] * 2
