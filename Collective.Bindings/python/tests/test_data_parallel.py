"""collective.pytorch.data_parallel: peers train through a death and a join, against one process on the union of their batches."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import PACKAGE, Script

torch = pytest.importorskip("torch")

from data_parallel_cases import CASES, Case  # noqa: E402
from data_parallel_peers import DIES_AT, JOINS_AT, STEPS  # noqa: E402


class Peers:
    """Processes that are forked from one that has imported torch."""

    def __init__(self) -> None:
        tests = str(PACKAGE / "tests")
        self._script = Script(f"import sys; sys.path.insert(0, {tests!r}); import data_parallel_peers; data_parallel_peers.main()")
        assert self.said() == {"ready": True}

    def start(self, **order: Any) -> None:
        self._script.say(json.dumps(order))

    def said(self) -> dict[str, Any]:
        """What one of them says next."""
        line = self._script.line()
        assert line, self._script.end()
        said = json.loads(line)
        assert "failure" not in said, said["failure"]
        return dict(said)

    def watch(self) -> None:
        self._script.watch()

    def end(self) -> None:
        self._script.kill()
        self._script.end()


@pytest.fixture(scope="module")
def peers_of_module() -> Iterator[list[Peers]]:
    started: list[Peers] = []
    yield started
    for each in started:
        each.end()


@pytest.fixture
def peers(peers_of_module: list[Peers]) -> Iterator[Peers]:
    """Started once, and again after a failure, which leaves peers behind."""
    if not peers_of_module:
        peers_of_module.append(Peers())
    peers_of_module[0].watch()
    yield peers_of_module[0]


@pytest.mark.filterwarnings("ignore:Using backward")
@pytest.mark.parametrize("name", CASES)
def test_training_goes_on_through_a_death_and_a_join(name, master, peers, peers_of_module, tmp_path):
    try:
        ids, steps = trained(name, master.address, peers, tmp_path)
    except BaseException:
        peers_of_module.pop().end()
        raise

    assert set(steps) == set(range(STEPS))
    contributors = []
    for step, said in sorted(steps.items()):
        numbers = {ids[contributor] for contributor in said[0]["contributors"]}
        assert numbers in possible_members(step), step
        assert len(said) == len(numbers)
        assert len({each["digest"] for each in said}) == 1, f"the peers differ after step {step}"
        assert all(each["contributors"] == said[0]["contributors"] for each in said)
        contributors.append([ids[contributor] for contributor in said[0]["contributors"]])

    expected, tolerance = in_one_process(CASES[name](), torch.load(tmp_path / "initial"), contributors)
    for number in (0, 1, 3):
        for key, tensor in torch.load(tmp_path / str(number)).items():
            close = torch.allclose(tensor.to(torch.complex128), expected[key].to(torch.complex128), rtol=tolerance, atol=tolerance)
            assert close, f"{key} is {tensor}, not {expected[key]}"


def possible_members(step: int) -> list[set[int]]:
    """A newcomer waits to be let in from the death on, and is waited for at a certain step."""
    if step < DIES_AT:
        return [{0, 1, 2}]
    before, after = {0, 1}, {0, 1, 3}
    return [before] if step == DIES_AT else [before, after] if step < JOINS_AT else [after]


def trained(name: str, address: str, peers: Peers, folder: Any) -> tuple[dict[str, int], dict[int, list[dict[str, Any]]]]:
    """The numbers of the peers by their ids, and what they said after each step."""
    for number in range(3):
        peers.start(name=name, address=address, number=number, folder=str(folder))
    ids: dict[str, int] = {}
    steps = collections.defaultdict(list)
    exits: dict[int, int] = {}
    while len(exits) < 4:
        said = peers.said()
        if "id" in said:
            ids[said["id"]] = said["number"]
        elif "exit" in said:
            exits[said["number"]] = said["exit"]
            if said["number"] == 2:
                peers.start(name=name, address=address, number=3, folder=str(folder))
        else:
            steps[said["step"]].append(said)
    assert exits == {0: 0, 1: 0, 2: -9, 3: 0}
    return ids, steps


def in_one_process(case: Case, initial: dict[str, Any], contributors: list[list[int]]) -> tuple[dict[str, Any], float]:
    """What training on the batches of all comes to."""
    torch.set_num_threads(1)
    values = {**dict(case.modules.named_parameters()), **dict(case.modules.named_buffers())}
    with torch.no_grad():
        for name, value in initial.items():
            values[name].copy_(value)
    if hasattr(case, "add_hooks"):
        case.add_hooks()
    rule = case.options.get("buffers", "broadcast")
    for step, peers in enumerate(contributors):
        own = {peer: buffers_of(case) for peer in peers}

        def loss(turn: int, step: int = step, peers: list[int] = peers, own: dict[int, dict[str, Any]] = own) -> Any:
            losses = []
            for peer in peers:
                set_buffers(case, own[peer])
                losses.append(case.loss(peer, step, turn))
                own[peer] = buffers_of(case)
            return sum(losses) / len(peers)

        case.make_step(loss, step)
        agreed = own[peers[0]]
        if rule == "average":
            floats = [name for name, value in agreed.items() if value.is_floating_point()]
            agreed = {**agreed, **{name: sum(own[peer][name] for peer in peers) / len(peers) for name in floats}}
        set_buffers(case, agreed)
    return case.snapshot(), case.tolerance


def buffers_of(case: Case) -> dict[str, Any]:
    return {name: buffer.clone() for name, buffer in case.modules.named_buffers()}


def set_buffers(case: Case, values: dict[str, Any]) -> None:
    for name, value in values.items():
        path, _, attribute = name.rpartition(".")
        setattr(case.modules.get_submodule(path), attribute, value.clone())
