"""What a program sees of the world: it changes where calls end, alike at all peers; what happens between calls shows in the live view."""

from __future__ import annotations

import array
import threading

import pytest

import collective


def await_that(holds) -> None:
    while not holds():
        threading.Event().wait(0.005)


def test_between_calls_only_the_live_world_changes(run_peers):
    def body(communicator, number):
        communicator.all_reduce(array.array("f", [1.0]))
        if number == 2:
            return None
        before = communicator.world
        await_that(lambda: communicator.live_world.world_size == 2)
        assert communicator.world == before and communicator.world.world_size == 3 and len(communicator.peers) == 3
        assert len(communicator.live_peers) == 2 and communicator.live_world.epoch > before.epoch
        communicator.all_reduce(array.array("f", [1.0]), retry=True)
        return communicator.world.world_size, communicator.world.epoch, communicator.peers

    survivors = [seen for seen in run_peers(3, body, leave_early=True) if seen is not None]
    assert survivors[0] == survivors[1] and survivors[0][0] == 2


def test_a_launched_operation_changes_the_world_where_it_is_waited_for(run_peers):
    entered = threading.Barrier(3)

    def body(communicator, number):
        handle = communicator.all_reduce_async(array.array("f", [1.0])) if number < 2 else None
        communicator.are_peers_pending()  # so all have entered
        entered.wait()
        if handle is None:
            return None
        await_that(handle.done)
        assert communicator.world.world_size == 3
        with pytest.raises(collective.Aborted):
            handle.wait()
        return communicator.world.world_size, communicator.world.epoch

    survivors = [seen for seen in run_peers(3, body, leave_early=True) if seen is not None]
    assert survivors[0] == survivors[1] and survivors[0][0] == 2


def test_epochs_read_as_in_the_log(master):
    with collective.Communicator(master.address) as communicator:
        epoch = communicator.world.epoch
    assert str(epoch) == repr(epoch) == f"{epoch}" == f"{epoch.term}.{epoch.number}" == "1.1"
    assert isinstance(epoch, int) and epoch == (1 << 48) + 1 and f"{epoch:d}" == str(int(epoch))
    assert "epoch=1.1" in repr(communicator_world(epoch))


def communicator_world(epoch: collective.Epoch) -> collective.ReduceResult:
    return collective.ReduceResult(1, 0, epoch, 0, 0)
