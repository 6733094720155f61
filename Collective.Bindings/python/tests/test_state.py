"""How a state becomes named memory."""

from __future__ import annotations

import array
import ctypes
import signal
import types

import pytest

from collective import InvalidArgument
from collective._state import Entries


def entries(state, *may_differ):
    return Entries(state, frozenset(may_differ))


def received(source, target):
    """As if the second state had received the first."""
    sent, taken = entries(source), entries(target)
    assert sent.keys == taken.keys
    for info, key in zip(taken.infos, taken.keys):
        content = sent.bytes_of(key)
        assert len(content) == len(taken.bytes_of(key)), key
        ctypes.memmove(info.data, content, len(content))
    taken.write_back()


def test_dicts_lists_and_numbers():
    inner, items = {"b": array.array("d", [3]), "n": 4}, [5, array.array("B", [6])]
    state = {"a": array.array("f", [1, 2]), "inner": inner, "list": items, "rate": 0.5, "flag": True}
    found = entries(state)
    assert found.keys == ["a", "inner.b", "inner.n", "list.0", "list.1", "rate", "flag"]
    inner, items = {"b": array.array("d", [0]), "n": 0}, [0, array.array("B", [0])]
    other = {"a": array.array("f", [0, 0]), "inner": inner, "list": items, "rate": 0.0, "flag": False}
    tensor = other["inner"]["b"]
    received(state, other)
    assert other == state and other["inner"]["b"] is tensor
    assert [type(other[key]) for key in ("rate", "flag")] == [float, bool]


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
        ({"a": object()}, "a is a object"),
        ({"a": {1, 2}}, "a is a set"),
        ({"a": signal.SIGINT}, "a is a Signals"),
        ({"a": "text" * 100}, "a takes 401 bytes"),
        ({"a": 1 << 2000}, "a takes 502 bytes"),
        (types.MappingProxyType({"a": 1}), "a is a int that cannot be replaced"),
        (bytearray(3), "single tensor"),
        ({"a": {"b": bytearray(1)}, "a.b": bytearray(1)}, "have the key 'a.b'"),
        ({"": bytearray(1)}, "empty key"),
        ((bytearray(1), bytearray(1)), "pair"),
        (7, "cannot be replaced"),
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


def test_an_optimizers_numbers_are_replaced():
    torch = pytest.importorskip("torch")
    one, other = (torch.optim.Adam([torch.nn.Parameter(torch.ones(2))], lr=lr, betas=(lr, 0.9)) for lr in (0.5, 0.25))
    received({"o": one}, {"o": other})
    assert other.param_groups[0]["lr"] == 0.5 and other.param_groups[0]["betas"] == (0.5, 0.9)


def test_a_pair_of_module_and_optimizer():
    torch = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert entries((model, optimizer)).keys[:2] == ["model.weight", "model.bias"]
    assert entries((optimizer, model)).keys[-1] == "model.bias"


def test_a_values_type_is_content():
    numpy = pytest.importorskip("numpy")
    values = {"best": 0.93, "name": "run 7", "shape": (2, (3, None)), "none": None, "flag": True, "list": [1, "a"]}
    values["rate"] = numpy.float32(0.1)
    others = {"best": 0, "name": "", "shape": (), "none": 1, "flag": 0, "list": [None, 2], "rate": 1}
    received(values, others)
    assert others == values and [type(value) for value in others.values()] == [type(value) for value in values.values()]


def test_a_tuple_with_tensors():
    one, other = {"t": (array.array("f", [1]), 2)}, {"t": (array.array("f", [3]), "x")}
    tensor = other["t"][0]
    received(one, other)
    assert other == one and other["t"][0] is tensor


def test_a_value_that_is_no_record():
    state = {"a": 1}
    found = entries(state)
    ctypes.memset(found.infos[0].data, 0x58, 16)
    with pytest.raises(InvalidArgument, match="received for a"):
        found.write_back()
    assert state == {"a": 1}


def test_what_can_be_written_is_although_something_else_cannot():
    class Stubborn(dict):
        def __setitem__(self, key, value):
            raise RuntimeError("as it is")

    state = {"first": Stubborn(a=1), "second": {"b": 2}}
    with pytest.raises(RuntimeError, match="as it is"):
        received({"first": {"a": 3}, "second": {"b": 4}}, state)
    assert state["second"] == {"b": 4}
