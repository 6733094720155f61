"""Who may come, and who is waited for."""

from __future__ import annotations

import array
import threading

import pytest

import collective


def test_a_peer_with_another_fingerprint_is_refused_before_it_is_admitted(master):
    with collective.Communicator(master.address, fingerprint="resnet"):
        wrong = collective.Communicator(master.address, fingerprint="bert")
        with pytest.raises(collective.MasterRefused, match='"bert".*"resnet"'):
            wrong.connect()
        wrong.close()


def test_a_state_of_other_sizes_is_refused_before_it_is_admitted(master):
    state = {"weights": array.array("f", [0.0] * 3), "step": 7}
    with collective.Communicator(master.address) as first:
        first.sync(state)
        wrong = collective.Communicator(master.address)
        wrong.announce_state({"weights": array.array("f", [0.0] * 4), "step": 7})
        with pytest.raises(collective.MasterRefused, match="state"):
            wrong.connect()
        wrong.close()
        right = collective.Communicator(master.address)
        right.announce_state(dict(state, step=8))
        pass_in(first, right.connect)
        right.close()


@pytest.mark.parametrize("second", [{"other": array.array("d", [0.0])}, {"weights": array.array("f", [0.0] * 9)}], ids=["another", "grown"])
def test_who_synchronizes_several_states_refuses_nobody(master, second):
    with collective.Communicator(master.address) as first:
        first.sync({"weights": array.array("f", [0.0] * 3)})
        first.sync(second)
        first.sync({"weights": array.array("f", [0.0] * 3)})
        joiner = collective.Communicator(master.address)
        joiner.announce_state(second)
        pass_in(first, joiner.connect)
        joiner.close()


def test_who_connects_again_is_not_held_to_the_state_of_its_last_stay():
    first_master = collective.Master("127.0.0.1:0")
    address = first_master.address
    with collective.Communicator(address) as again:
        again.sync({"weights": array.array("f", [0.0] * 3)})
        first_master.close()
        await_that(lambda: not again.connected)
        with collective.Master(address), collective.Communicator(address) as first:
            first.sync({"weights": array.array("f", [0.0] * 4)})
            pass_in(first, again.connect)


def test_another_model_is_refused_before_it_is_admitted(master):
    torch = pytest.importorskip("torch")
    from collective.pytorch import data_parallel

    with collective.Communicator(master.address) as first:
        data_parallel(torch.nn.Linear(2, 3), first)
        wrong = collective.Communicator(master.address)
        data_parallel(torch.nn.Linear(2, 4), wrong)
        with pytest.raises(collective.MasterRefused, match="data_parallel"):
            wrong.connect()
        data_parallel(torch.nn.Linear(2, 3), wrong)  # of several models nobody is refused for one
        pass_in(first, wrong.connect)
        wrong.close()


def test_what_cannot_be_a_fingerprint_is_an_error(master):
    with collective.Communicator(master.address) as communicator:
        with pytest.raises(collective.InvalidArgument, match="102 bytes"):
            communicator.announce("é" * 51)
        for scope in "abcd":
            communicator.announce("1", scope)
        with pytest.raises(collective.CollectiveError, match="4 scopes"):
            communicator.announce("1", "e")
        communicator.sync({"weights": array.array("f", [0.0])})  # which announces what it can


def test_below_the_minimum_an_all_reduce_waits_for_company(master):
    options = {"minimum_world_size": 2, "keep_minimum_world_size": True}
    first, second = (collective.Communicator(master.address, **options) for _ in range(2))
    connecting = threading.Thread(target=second.connect)
    connecting.start()
    first.connect()
    connecting.join()
    second.close()
    seen = []
    waiting = threading.Thread(target=lambda: seen.append(first.all_reduce(array.array("f", [1.0]), retry=True).world_size))
    waiting.start()
    with collective.Communicator(master.address, **options) as newcomer:
        assert newcomer.all_reduce(array.array("f", [1.0]), retry=True).world_size == 2
        waiting.join()
        assert seen == [2]
    await_that(lambda: first.live_world.world_size == 1)
    with pytest.raises(collective.TimedOut, match="1 of the 2 peers"):
        first.all_reduce(array.array("f", [1.0]), retry=True, timeout=0.5)
    first.close()


def pass_in(first, connect):
    """Lets a newcomer in."""
    connecting = threading.Thread(target=connect)
    connecting.start()
    while first.world.world_size < 2 and connecting.is_alive():
        first.update_topology()
    connecting.join()
    assert first.world.world_size == 2


def await_that(holds):
    while not holds():
        threading.Event().wait(0.005)
