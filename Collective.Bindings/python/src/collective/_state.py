"""The shared state: flattens what a program calls its state into named memory for the native library. Imports neither numpy nor torch."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence
from typing import Any

from . import _ffi
from ._tensors import Buffer, is_tensor, shareable
from ._types import DataType
from .errors import InvalidArgument

# A dict of tensors, numbers, modules, optimizers and dicts of these; a module; an optimizer; or a pair of the latter two.
StateLike = Any

Replace = Callable[[Any], object]


class Entries:
    """The named tensors of a state."""

    def __init__(self, state: StateLike, may_differ: frozenset[str]) -> None:
        self._buffers: dict[str, Buffer] = {}
        self._places: set[tuple[int, int, DataType]] = set()
        self._aliases: set[str] = set()
        self._add_root(state)
        if unknown := may_differ - self._buffers.keys() - self._aliases:
            raise InvalidArgument(f"may_differ names {sorted(unknown)[0]!r}, which is not in the state.", hint=f"Its keys are {_some(self._buffers)}.")
        if not self._buffers:
            raise InvalidArgument("The state holds no tensor.", hint="Pass a dict of tensors, a torch module, an optimizer, or a pair of both.")
        names = [name.encode() for name in self._buffers]
        self._names = names
        self.infos = (_ffi.pcclTensorInfo_t * len(names))(
            *(
                _ffi.pcclTensorInfo_t(name, buffer.address, buffer.count, buffer.dtype, _ffi.pcclDeviceType_t.pcclDeviceCpu, name.decode() in may_differ)
                for name, buffer in zip(names, self._buffers.values())
            )
        )

    def __len__(self) -> int:
        return len(self._buffers)

    @property
    def keys(self) -> list[str]:
        """The keys, in the order in which they were found."""
        return list(self._buffers)

    def write_back(self) -> None:
        """Brings what was received to where it was read from; to be called on success."""
        for buffer in self._buffers.values():
            if buffer.write_back is not None:
                buffer.write_back()

    def _add_root(self, state: StateLike) -> None:
        if isinstance(state, (tuple, list)):
            kinds = ["model" if _is_module(part) else "optimizer" if _is_optimizer(part) else "" for part in state]
            if not all(kinds) or len(set(kinds)) != len(kinds):
                raise InvalidArgument("A pair of states is a torch module and an optimizer.", hint="Pass a dict for anything else.")
            state = dict(zip(kinds, state))
        elif is_tensor(state):
            raise InvalidArgument("The state is a single tensor.", hint='Give it a name: {"name": tensor}.')
        try:
            self._add("", state, None)
        except RecursionError:
            raise InvalidArgument("The state contains itself, or is nested too deeply.", hint="Pass a dict of its tensors.") from None

    def _add(self, key: str, value: Any, replace: Replace | None) -> None:
        if _is_module(value):
            self._add_mapping(key, value.state_dict(), None)
        elif _is_optimizer(value):
            self._add_optimizer(key, value)
        elif isinstance(value, Mapping):
            self._add_mapping(key, value, value if isinstance(value, MutableMapping) else None)
        elif isinstance(value, (bool, int, float)) and replace is not None:
            self._add_buffer(key, _number(key, value, replace))
        elif isinstance(value, MutableSequence) and not is_tensor(value):
            for at, item in enumerate(value):
                self._add(_join(key, at), item, _setter(value, at))
        elif is_tensor(value):
            self._add_buffer(key, shareable(value, name=key))
        else:
            raise InvalidArgument(
                f"{key or 'The state'} is a {type(value).__name__}, which cannot be shared.",
                hint="A state is made of tensors, numbers, torch modules and optimizers, and dicts and lists of these.",
            )

    def _add_mapping(self, key: str, values: Mapping[Any, Any], target: MutableMapping[Any, Any] | None) -> None:
        for name, value in values.items():
            self._add(_join(key, name), value, None if target is None else _setter(target, name))

    def _add_optimizer(self, key: str, optimizer: Any) -> None:
        _materialize(optimizer)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for at, parameter in enumerate(parameters):
            state = optimizer.state.get(parameter, {})
            self._add_mapping(_join(key, f"state.{at}"), {name: value for name, value in state.items() if value is not None}, state)
        for at, group in enumerate(optimizer.param_groups):
            for name, value in group.items():
                if name != "params":
                    self._add_option(_join(key, f"group.{at}.{name}"), value, _setter(group, name))

    def _add_option(self, key: str, value: Any, replace: Replace) -> None:
        """Numbers of a parameter group, such as lr and betas; switches and None are the program's, not the state's."""
        if isinstance(value, tuple) and all(isinstance(item, (int, float)) for item in value):
            items = list(value)
            for at, item in enumerate(value):
                self._add(_join(key, at), item, _item_setter(items, at, replace))
        elif is_tensor(value) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            self._add(key, value, replace)

    def _add_buffer(self, key: str, buffer: Buffer) -> None:
        if not key:
            raise InvalidArgument("A tensor of the state has an empty key.", hint="Name it.")
        if key in self._buffers:
            raise InvalidArgument(f"Two tensors of the state have the key {key!r}.", hint="Rename one.")
        place = (buffer.address, buffer.count, buffer.dtype)
        if place in self._places:
            self._aliases.add(key)  # such as tied weights: once is enough
        elif buffer.count > 0:
            self._places.add(place)
            self._buffers[key] = buffer


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _is_optimizer(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.optim.Optimizer)


def _materialize(optimizer: Any) -> None:
    """Gives every parameter that has not been stepped yet the state that a first step starts from, so that all peers have the same keys.

    Made by a step with gradients, learning rate and weight decay of zero, after which parameters are put back and step counters set to zero.
    """
    torch = sys.modules["torch"]
    every = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    fresh = [parameter for parameter in every if parameter.requires_grad and not optimizer.state.get(parameter)]
    if not fresh:
        return
    gradients = [parameter.grad for parameter in every]
    values = [parameter.detach().clone() for parameter in fresh]
    options = [{name: group[name] for name in ("lr", "weight_decay") if name in group} for group in optimizer.param_groups]
    try:
        for parameter in every:
            parameter.grad = None
        for parameter in fresh:
            parameter.grad = torch.zeros_like(parameter)
        for group, saved in zip(optimizer.param_groups, options):
            group.update(dict.fromkeys(saved, 0.0))
        optimizer.step()
    except TypeError as error:
        raise InvalidArgument(f"{type(optimizer).__name__} makes no step without a closure: {error}", hint="Share its state as a dict of your own.") from None
    finally:
        for group, saved in zip(optimizer.param_groups, options):
            group.update(saved)
        for parameter, gradient in zip(every, gradients):
            parameter.grad = gradient
    with torch.no_grad():
        for parameter, value in zip(fresh, values):
            parameter.copy_(value)
            state = optimizer.state.get(parameter, {})
            if "step" in state:
                state["step"] = state["step"] * 0


def _number(key: str, value: Any, replace: Replace) -> Buffer:
    kind = type(value)
    memory: Any
    if isinstance(value, bool):
        memory, dtype = ctypes.c_uint8(value), DataType.UINT8
    elif isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise InvalidArgument(f"{key} is {value}.", hint="Numbers of the state have 64 bits.")
        memory, dtype = ctypes.c_int64(value), DataType.INT64
    else:
        memory, dtype = ctypes.c_double(value), DataType.FLOAT64
    return Buffer(ctypes.addressof(memory), 1, dtype, memory, True, lambda: replace(kind(memory.value)))


def _setter(target: Any, key: Any) -> Replace:
    return lambda value: target.__setitem__(key, value)


def _item_setter(items: list[Any], at: int, replace: Replace) -> Replace:
    """Replaces a tuple as a whole, because its items cannot be."""

    def set_item(value: Any) -> None:
        items[at] = value
        replace(tuple(items))

    return set_item


def _join(prefix: str, key: Any) -> str:
    return f"{prefix}.{key}" if prefix else str(key)


def _some(keys: Any) -> str:
    listed = sorted(keys)
    return ", ".join(repr(key) for key in listed[:8]) + (", …" if len(listed) > 8 else "")
