"""Shared state: newcomers get it, strays are corrected, failures change nothing."""

from __future__ import annotations

import array
import sys
import threading

import pytest
from conftest import DEADLINE, together

import collective


def test_equal_states_move_nothing(kind, run_peers):
    def body(communicator, number):
        state = {"weights": kind.tensor([1.0, 2.0, 3.0]), "step": 3}
        results = [communicator.sync(state) for _ in range(3)]
        assert kind.values(state["weights"]) == [1.0, 2.0, 3.0] and state["step"] == 3
        return [(result.revision, result.tx_bytes, result.rx_bytes) for result in results]

    assert run_peers(2, body) == [[(0, 0, 0), (1, 0, 0), (2, 0, 0)]] * 2


def test_the_content_of_most_wins(kind, run_peers):
    def body(communicator, number):
        state = {"weights": kind.tensor([float(number == 1)] * 1000), "equal": kind.tensor([5.0] * 1000)}
        result = communicator.sync(state)
        assert kind.values(state["weights"]) == [0.0] * 1000
        return result.rx_bytes

    assert run_peers(3, body) == [0, 4000, 0]


def test_every_kind_of_value(run_peers):
    torch, numpy = pytest.importorskip("torch"), pytest.importorskip("numpy")

    def body(communicator, number):
        torch.manual_seed(number)
        state = {
            "model": torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)),
            "half": torch.randn(5).half(),
            "bfloat": torch.randn(5).bfloat16(),
            "flags": torch.randn(5) > 0,
            "complex": torch.randn(5, dtype=torch.complex64),
            "transposed": torch.randn(3, 4).t(),
            "scalar": torch.randn(()),
            "empty": torch.zeros(0),
            "array": numpy.random.default_rng(number).random((4, 6))[:, ::2],
            "rate": 0.1 * number,
            "step": number,
            "last": bool(number),
            "inner": {"list": [number, array.array("h", [number])]},
        }
        communicator.sync(state)
        tensors = [*state["model"].state_dict().values(), *(state[name] for name in ("half", "bfloat", "flags", "complex", "transposed", "scalar"))]
        return [tensor.tolist() for tensor in tensors], state["array"].tolist(), state["rate"], state["step"], state["last"], state["inner"]

    one, two = run_peers(2, body)
    assert one == two
    assert {type(value) for value in one[2:5]} == {float, int, bool}


def test_a_newcomer_gets_module_and_optimizer(master):
    torch = pytest.importorskip("torch")

    def make(seed):
        torch.manual_seed(seed)
        model = torch.nn.Linear(4, 3)
        return model, torch.optim.Adam(model.parameters(), lr=0.1 * (seed + 1))

    def train(communicator, model, optimizer, steps):
        for _ in range(steps):
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
                if communicator is not None:
                    communicator.all_reduce(parameter.grad, op="avg")
            optimizer.step()

    trained = threading.Event()

    def peer(number):
        if number == 1:
            assert trained.wait(DEADLINE)
        model, optimizer = make(number)
        with collective.Communicator(master.address, call_timeout=DEADLINE) as communicator:
            if number == 0:
                communicator.sync((model, optimizer))
                train(None, model, optimizer, 5)
                trained.set()
                while communicator.step().world_size < 2:
                    pass
            result = communicator.sync((model, optimizer))
            train(communicator, model, optimizer, 3)
            return result.rx_bytes > 0, [parameter.tolist() for parameter in model.parameters()], optimizer.param_groups[0]["lr"], communicator.sync((model, optimizer)).rx_bytes

    one, two = together(2, peer)
    assert (one[0], two[0]) == (False, True)
    assert one[1:] == two[1:] and one[2] == 0.1 and one[3] == 0


def test_strategies(run_peers):
    def body(communicator, number):
        state = {"a": array.array("f", [float(number)] * 10)}
        communicator.sync(state, strategy="send_only" if number == 2 else "receive_only")
        return state["a"][0]

    assert run_peers(3, body) == [2.0] * 3


def test_content_that_may_differ_stays(run_peers):
    def body(communicator, number):
        state = {"seed": array.array("q", [number]), "a": array.array("q", [7])}
        communicator.sync(state, may_differ=["seed"])
        return state["seed"][0]

    assert run_peers(2, body) == [0, 1]


def test_a_revision_of_ones_own(run_peers):
    def body(communicator, number):
        state = {"a": array.array("q", [number])}
        first = communicator.sync(state, revision=13 if number else 0)
        second = communicator.sync(state)
        return first.revision, second.revision, state["a"][0]

    assert run_peers(2, body) == [(13, 14, 1)] * 2


def test_a_revision_that_is_ahead(run_peers):
    def body(communicator, number):
        state = {"a": array.array("q", [3])}
        communicator.sync(state)
        if number:
            with pytest.raises(collective.RevisionMismatch, match="its revision is 5, and 1 is elected"):
                communicator.sync(state, revision=5)
            with pytest.raises(collective.Evicted, match="its revision is 5"):
                communicator.sync(state)
            return None
        result = communicator.sync(state, revision=1)
        return result.revision, [(left.code, "its revision is 5" in left.reason) for left in result.left_out]

    assert run_peers(2, body) == [(1, [(collective.ErrorCode.REVISION_MISMATCH, True)]), None]


def test_a_revision_may_skip_and_mixes_with_counted_ones(run_peers):
    def body(communicator, number):
        state = {"a": array.array("q", [3])}
        communicator.sync(state)
        return communicator.sync(state, revision=None if number else 40).revision, communicator.sync(state).revision

    assert run_peers(2, body) == [(40, 41)] * 2


def test_the_latest_checkpoint_is_the_one_that_is_resumed(run_peers):
    """Three start together: one from step 70, one from step 90, one from none. Each gives its step as the revision."""

    def body(communicator, number):
        state = {"weight": array.array("f", [float(number)] * 10), "step": [70, 90, 0][number]}
        communicator.sync(state, revision=state["step"])
        for _ in range(3):
            state["step"] += 1
        return communicator.sync(state, revision=state["step"]).rx_bytes, state["step"], set(state["weight"])

    assert run_peers(3, body) == [(0, 93, {1.0})] * 3


def test_the_step_as_the_revision_where_there_are_newcomers(master):
    """The loop of the documentation. Four steps by two peers, four more by three; who waits for company drops its step, and syncs again with the same revision."""
    at_four = threading.Event()

    def peer(number):
        if number == 2:
            assert at_four.wait(DEADLINE)
        state = {"weight": array.array("f", [float(number)]), "step": 0}
        with collective.Communicator(master.address, call_timeout=DEADLINE) as communicator:
            while state["step"] < 8:
                world = communicator.step()
                if world.has_newcomers:
                    communicator.sync(state, revision=state["step"])
                if world.world_size < (2 if state["step"] < 4 else 3):
                    continue
                communicator.all_reduce(state["weight"], op="avg")
                state["step"] += 1
                if state["step"] == 4:
                    at_four.set()
        return state["step"], state["weight"][0]

    results = together(3, peer)
    assert len(set(results)) == 1 and results[0][0] == 8


def test_a_newcomer_of_another_size_harms_itself_only(master):
    """The two others train on in the same call, and neither of their programs sees an error."""
    training, gone = threading.Event(), threading.Event()
    lost = []

    def peer(number):
        if number == 2:
            assert training.wait(DEADLINE)
        state = {"weight": array.array("f", [1.0] * (33 if number == 2 else 32)), "step": 0}
        with collective.Communicator(master.address, minimum_world_size=1 if number == 2 else 2, call_timeout=DEADLINE) as communicator:
            over = array.array("f", [0.0])
            while not over[0]:
                if communicator.step().has_newcomers:
                    try:
                        lost.extend(communicator.sync(state).left_out)
                    except collective.Mismatch as error:
                        gone.set()
                        return str(error)
                communicator.all_reduce(state["weight"], op="avg", retry=True)
                state["step"] += 1
                training.set()
                over[0] = gone.is_set()
                communicator.all_reduce(over, op="min", retry=True)
            return state["step"] > 0

    *good, bad = together(3, peer)
    assert good == [True, True] and '"weight" has 33 elements' in bad
    assert [left.code for left in lost] == [collective.ErrorCode.MISMATCH] * 2


def test_keys_that_differ(run_peers):
    def body(communicator, number):
        state = {"a": array.array("q", [number]), f"own{number}": array.array("q", [number])}
        before = {name: value.tolist() for name, value in state.items()}
        with pytest.raises(collective.CollectiveError, match="own"):
            communicator.sync(state)
        assert {name: value.tolist() for name, value in state.items()} == before

    run_peers(2, body)


def test_nobody_sends(run_peers):
    def body(communicator, number):
        with pytest.raises(collective.Mismatch):
            communicator.sync({"a": bytearray(3)}, strategy="receive_only")

    run_peers(2, body)


def test_wrong_arguments(master):
    with collective.Communicator(master.address) as communicator:
        for options in ({"strategy": "mine"}, {"may_differ": ["b"]}, {"timeout": -1}):
            with pytest.raises(collective.InvalidArgument):
                communicator.sync({"a": bytearray(3)}, **options)
        assert communicator.sync({"a": bytearray(3)}).revision == 0


def test_a_large_state(run_peers):
    numpy = pytest.importorskip("numpy")

    def body(communicator, number):
        state = {f"layer{at}": numpy.random.default_rng(at * 10 + number).random(500_000) for at in range(8)}
        communicator.sync(state)
        return b"".join(value.tobytes() for value in state.values())

    one, two = run_peers(2, body)
    assert one == two and len(one) == 8 * 4_000_000


def test_progress(run_peers):
    size = 3_000_000

    def body(communicator, number):
        reports = []
        state = {"a": bytearray([number]) * size}
        result = communicator.sync(state, strategy="receive_only" if number else "send_only", progress=lambda report: reports.append((report, threading.current_thread())))
        assert state["a"] == bytearray(size)
        statistics = communicator.statistics
        assert (statistics.state_syncs, statistics.state_tx_bytes, statistics.state_rx_bytes) == (1, result.tx_bytes, result.rx_bytes)
        return communicator.world.id, reports, result.rx_bytes

    giver, taker = run_peers(2, body)
    assert (giver[2], taker[2]) == (0, size)
    assert all(report.bytes_total == 0 for report, _ in giver[1])
    reports = [report for report, _ in taker[1]]
    assert reports[-1] == collective.SyncProgress(size, size, (giver[0],))
    assert [report.bytes_done for report in reports] == sorted(report.bytes_done for report in reports)
    assert threading.current_thread() not in {thread for _, thread in taker[1]}


def test_progress_that_raises(run_peers, monkeypatch):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda arguments: unraisable.append(repr(arguments.exc_value)))

    def broken(report):
        raise RuntimeError("of the progress bar")

    def body(communicator, number):
        state = {"a": array.array("q", [number] * 100_000)}
        for _ in range(2):
            communicator.sync(state, strategy="receive_only" if number else "send_only", progress=broken if number else None)
            assert state["a"] == array.array("q", [0] * 100_000)
            state["a"][0] = number

    run_peers(2, body)
    assert unraisable == ["RuntimeError('of the progress bar')"] * 2  # once for each sync


def test_a_loop_that_syncs_when_somebody_came(master):
    """The loop of docs/python.md: however peers come and leave, all decide alike, and nobody syncs because a peer was lost."""
    joiners, ended = [], []

    def train(number, minimum_world_size=1, leave_at=None):
        state, syncs = {"a": array.array("f", [float(number)] * 10), "turn": 0}, 0
        with collective.Communicator(master.address, minimum_world_size=minimum_world_size, call_timeout=DEADLINE) as communicator:
            while state["turn"] < 40:
                if communicator.step().has_newcomers:
                    communicator.sync(state)
                    syncs += 1
                if state["turn"] == leave_at:
                    return
                if state["turn"] % 10 == 5:
                    if number == 0:
                        joiners.append(threading.Thread(target=train, args=(3 + len(joiners),), kwargs={"leave_at": None if joiners else 15}, daemon=True))
                        joiners[-1].start()
                    while not communicator.are_peers_pending():
                        pass
                communicator.all_reduce(state["a"], op="avg", retry=True)
                state["turn"] += 1
        ended.append((number, syncs, state["a"].tolist()))

    together(3, lambda number: train(number, 3, leave_at=12 if number == 2 else None))
    for joiner in joiners:
        joiner.join(DEADLINE)
    assert sorted((number, syncs) for number, syncs, _ in ended) == [(0, 5), (1, 5), (4, 3), (5, 2), (6, 1)]
    assert len({str(values) for _, _, values in ended}) == 1


def test_results_are_written_on_the_thread_of_the_call(master):
    """The main thread too, whose calls another thread makes: torch's inference mode, for one, belongs to a thread."""
    torch = pytest.importorskip("torch")

    def peer(value):
        with torch.inference_mode(), collective.Communicator(master.address, minimum_world_size=2, call_timeout=DEADLINE) as communicator:
            summed, state = (torch.full((4, 2), value)[:, 0] for _ in range(2))
            communicator.all_reduce_many([summed])
            communicator.sync({"state": state}, strategy="send_only" if value == 1.0 else "receive_only")
            assert summed.tolist() == [3.0] * 4 and state.tolist() == [1.0] * 4

    other = threading.Thread(target=peer, args=(1.0,), daemon=True)
    other.start()
    peer(2.0)
    other.join(DEADLINE)
    assert not other.is_alive()
