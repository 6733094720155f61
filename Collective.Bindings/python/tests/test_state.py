"""How a state becomes named memory."""

from __future__ import annotations

import array
import ctypes

import pytest

from collective import InvalidArgument
from collective._state import Entries


def entries(state, *may_differ):
    return Entries(state, frozenset(may_differ))


def zero(found, key):
    """As if zeros had been received for a key."""
    info = found.infos[found.keys.index(key)]
    ctypes.memset(info.data, 0, info.count * {0: 1, 1: 1, 7: 8, 10: 4, 11: 8}[info.datatype])


def test_dicts_lists_and_numbers():
    state = {"a": array.array("f", [1, 2]), "inner": {"b": array.array("d", [3]), "n": 4}, "list": [5, array.array("B", [6])], "rate": 0.5, "flag": True}
    found = entries(state)
    assert found.keys == ["a", "inner.b", "inner.n", "list.0", "list.1", "rate", "flag"]
    for key in found.keys:
        zero(found, key)
    found.write_back()
    assert state == {"a": array.array("f", [0, 0]), "inner": {"b": array.array("d", [0]), "n": 0}, "list": [0, array.array("B", [0])], "rate": 0.0, "flag": False}
    assert [type(state[key]) for key in ("rate", "flag")] == [float, bool]


def test_content_that_may_differ():
    found = entries({"a": bytearray(1), "b": bytearray(1)}, "b")
    assert [info.allow_content_inequality for info in found.infos] == [False, True]
    with pytest.raises(InvalidArgument, match="may_differ names 'c'.*'a', 'b'"):
        entries({"a": bytearray(1), "b": bytearray(1)}, "c")


def recursive():
    state = {"a": bytearray(1)}
    state["itself"] = state
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "no tensor"),
        ({"a": "text"}, "a is a str"),
        ({"a": None}, "a is a NoneType"),
        ({"a": 1 << 70}, "64 bits"),
        (bytearray(3), "single tensor"),
        ({"a": {"b": bytearray(1)}, "a.b": bytearray(1)}, "have the key 'a.b'"),
        ({"": bytearray(1)}, "empty key"),
        ((bytearray(1), bytearray(1)), "pair"),
        (7, "cannot be shared"),
        (recursive(), "contains itself"),
    ],
)
def test_what_is_no_state(state, message):
    with pytest.raises(InvalidArgument, match=message):
        entries(state)


def test_a_module_has_its_parameters_and_buffers():
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    found = entries(model)
    assert found.keys == list(model.state_dict())
    assert [info.data for info in found.infos] == [tensor.data_ptr() for tensor in model.state_dict().values()]


def test_tied_weights_are_shared_once():
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[1].weight = model[0].weight
    assert entries(model, "1.weight").keys == ["0.weight", "0.bias", "1.bias"]


@pytest.mark.parametrize(
    ("name", "options"),
    [("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}), ("Adam", {"weight_decay": 0.1}), ("AdamW", {"amsgrad": True}), ("RMSprop", {}), ("Adagrad", {})],
)
def test_an_optimizer_that_never_stepped_gets_its_state_and_nothing_else_changes(name, options):
    torch = pytest.importorskip("torch")

    def make():
        torch.manual_seed(1)
        model = torch.nn.Linear(3, 2)
        model.bias.grad = torch.ones(2)
        return model, getattr(torch.optim, name)(model.parameters(), **{"lr": 0.01, **options})

    def three_steps(model, optimizer):
        for step in range(3):
            for parameter in model.parameters():
                parameter.grad = torch.full_like(parameter, step + 1.0)
            optimizer.step()
        return [parameter.detach().clone() for parameter in model.parameters()]

    model, optimizer = make()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    keys = entries({"optimizer": optimizer}).keys
    assert any(key.startswith("optimizer.state.0.") for key in keys) and "optimizer.group.0.lr" in keys
    assert all(torch.equal(parameter, value) for parameter, value in zip(model.parameters(), before))
    assert model.weight.grad is None and torch.equal(model.bias.grad, torch.ones(2))
    assert optimizer.param_groups[0]["lr"] == options.get("lr", 0.01)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(three_steps(model, optimizer), three_steps(*make())))
    assert entries({"optimizer": optimizer}).keys == keys


def test_an_optimizers_numbers_are_replaced():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], lr=0.5, betas=(0.8, 0.9))
    found = entries({"o": optimizer})
    for key in ("o.group.0.lr", "o.group.0.betas.1"):
        zero(found, key)
    found.write_back()
    assert optimizer.param_groups[0]["lr"] == 0.0 and optimizer.param_groups[0]["betas"] == (0.8, 0.0)


def test_a_pair_of_module_and_optimizer():
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert entries((model, optimizer)).keys[:2] == ["model.weight", "model.bias"]
    assert entries((optimizer, model)).keys[-1] == "model.bias"


def test_an_optimizer_that_needs_a_closure_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(InvalidArgument, match="LBFGS"):
        entries({"o": torch.optim.LBFGS([torch.nn.Parameter(torch.ones(2))])})
