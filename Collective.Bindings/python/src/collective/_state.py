"""The shared state: flattens what a program calls its state into named memory for the native library. Imports neither numpy nor torch."""

from __future__ import annotations

import ctypes
import hashlib
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any

from . import _ffi, _values
from ._optimizers import HeldState, prove
from ._tensors import Buffer, is_tensor, shareable
from ._types import DataType
from .errors import InvalidArgument

# A dict of tensors, numbers, strings, modules, optimizers and dicts of these; a module; an optimizer; or a pair of the latter two.
StateLike = Any

Replace = Callable[[Any], object]

# Objects with a state_dict that take their own state back.
_round_trips: weakref.WeakSet[Any] = weakref.WeakSet()


class Entries:
    """The named tensors of a state. Values such as numbers, strings and None are tensors of bytes."""

    def __init__(self, state: StateLike, may_differ: frozenset[str], *, proving: bool = False) -> None:
        self._buffers: dict[str, Buffer] = {}
        self._places: set[tuple[int, int, DataType]] = set()
        self._aliases: set[str] = set()
        # What takes received state in as a whole, once all tensors are written.
        self._adopt: list[Callable[[], object]] = []
        self._proving = proving
        self._add_root(state)
        if unknown := may_differ - self._buffers.keys() - self._aliases:
            raise InvalidArgument(
                f"may_differ names {sorted(unknown)[0]!r}, which is not in the state.", hint=f"Its keys are {_some(self._buffers)}."
            )
        if not self._buffers:
            hint = "Pass a dict of tensors, a torch module, an optimizer, or a pair of both."
            raise InvalidArgument("The state holds no tensor.", hint=hint)
        names = [name.encode() for name in self._buffers]
        self._names = names
        self.infos = (_ffi.pcclTensorInfo_t * len(names))(
            *(
                _ffi.pcclTensorInfo_t(
                    name, buffer.address, buffer.count, buffer.dtype, _ffi.pcclDeviceType_t.pcclDeviceCpu, name.decode() in may_differ
                )
                for name, buffer in zip(names, self._buffers.values())
            )
        )

    def __len__(self) -> int:
        return len(self._buffers)

    @property
    def keys(self) -> list[str]:
        """The keys, in the order in which they were found."""
        return list(self._buffers)

    @property
    def fingerprint(self) -> str:
        """A digest of what is named: keys, types and sizes, in whatever order."""
        named = sorted(f"{info.name!r} {info.datatype} {info.count}" for info in self.infos)
        return hashlib.blake2b("\n".join(named).encode(), digest_size=16).hexdigest()

    def write_back(self) -> None:
        """Brings what was received to where it was read from; to be called on success. One failure does not stop the rest."""
        writes: list[Callable[[], object]] = [buffer.write_back for buffer in self._buffers.values() if buffer.write_back is not None]
        failure: BaseException | None = None
        for write in [*writes, *self._adopt]:
            try:
                write()
            except BaseException as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def bytes_of(self, key: str) -> bytes:
        """The content under a key."""
        buffer = self._buffers[key]
        return ctypes.string_at(buffer.address, buffer.count * buffer.dtype.itemsize)

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
        if _is_optimizer(value):
            self._add_optimizer(key, value)
        elif _is_module(value) or (callable(getattr(value, "state_dict", None)) and callable(getattr(value, "load_state_dict", None))):
            self._add_stateful(key, value)
        elif isinstance(value, Mapping):
            self._add_mapping(key, value, value if isinstance(value, MutableMapping) else None)
        elif isinstance(value, MutableSequence) and not is_tensor(value):
            for at, item in enumerate(value):
                self._add(_join(key, at), item, _setter(value, at))
        elif (record := _record(key, value)) is not None:
            self._add_value(key, value, record, replace)
        elif type(value) is tuple:
            items = list(value)
            for at, item in enumerate(value):
                self._add(_join(key, at), item, None if replace is None else _item_setter(items, at, replace))
        elif is_tensor(value):
            self._add_buffer(key, shareable(_ready(key, value), name=key))
        else:
            raise InvalidArgument(
                f"{key or 'The state'} is a {type(value).__name__}, which cannot be shared.",
                hint="A state is made of tensors, numbers, strings, torch modules and optimizers, and dicts and lists of these.",
            )

    def _add_mapping(self, key: str, values: Mapping[Any, Any], target: MutableMapping[Any, Any] | None) -> None:
        for name, value in values.items():
            self._add(_join(key, name), value, None if target is None else _setter(target, name))

    def _add_stateful(self, key: str, owner: Any) -> None:
        """A module, or anything else that hands out its state and takes it back."""
        state = owner.state_dict()
        if not isinstance(state, MutableMapping):
            raise InvalidArgument(
                f"The state_dict of {_of(key, owner)} is a {type(state).__name__}.", hint="Share its tensors as a dict of your own."
            )
        own = {_storage(tensor) for tensor in (*owner.parameters(), *owner.buffers())} if _is_module(owner) else set()
        if not all(_storage(leaf) in own for leaf in _leaves(state)):
            # Some of it are copies, into which receiving would be in vain.
            _require_round_trip(key, owner, state)
            self._adopt.append(lambda: _take_back(key, owner, state))
        self._add_mapping(key, state, state)

    def _add_optimizer(self, key: str, optimizer: Any) -> None:
        if not self._proving:
            prove(optimizer, _transplant)
        held = HeldState(optimizer)
        for at, values in enumerate(held.values):
            self._add_mapping(_join(key, f"state.{at}"), values, values)
        if held.present:
            self._add_buffer(_join(key, "state.present"), shareable(held.present, name=key))
            self._adopt.append(held.adopt)
        for at, group in enumerate(optimizer.param_groups):
            for name, value in group.items():
                if name != "params":
                    self._add_option(_join(key, f"group.{at}.{name}"), value, _setter(group, name))

    def _add_option(self, key: str, value: Any, replace: Replace) -> None:
        """Numbers of a parameter group, such as lr and betas; switches and None are the program's, not the state's."""
        numbers = value if type(value) is tuple else (value,)
        if is_tensor(value) or all(_is_number(item) for item in numbers):
            self._add(key, value, replace)

    def _add_value(self, key: str, value: Any, record: bytes, replace: Replace | None) -> None:
        if replace is None:
            what = f"{key or 'The state'} is a {type(value).__name__} that cannot be replaced where it is."
            raise InvalidArgument(what, hint="Keep it in a dict or a list.")
        put: Replace = replace
        memory = (ctypes.c_uint8 * len(record)).from_buffer_copy(record)

        def write() -> None:
            if bytes(memory) == record:
                return
            try:
                received = _values.decode(bytes(memory))
            except ValueError as error:
                hint = "All peers need the same version of this package."
                raise InvalidArgument(f"What was received for {key} is {error}.", hint=hint) from None
            put(received)

        self._add_buffer(key, Buffer(ctypes.addressof(memory), len(record), DataType.UINT8, memory, True, write))

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


def _transplant(source: Any, target: Any) -> None:
    """Makes an optimizer what another one is, as a sync between them would."""
    sent, received = (Entries({"optimizer": each}, frozenset(), proving=True) for each in (source, target))
    if sent.keys != received.keys:
        raise ValueError(f"before its first step it cannot be known that it has {', '.join(sorted(set(sent.keys) ^ set(received.keys)))}")
    for key in sent.keys:
        content, buffer = sent.bytes_of(key), received._buffers[key]
        if len(content) != buffer.count * buffer.dtype.itemsize:
            raise ValueError(f"before its first step the size of {key} cannot be known")
        ctypes.memmove(buffer.address, content, len(content))
    received.write_back()


def _require_round_trip(key: str, owner: Any, state: Any) -> None:
    if _remembered(owner):
        return
    try:
        owner.load_state_dict(state)
    except Exception as error:  # whatever the program's own code raises
        what = f"{_of(key, owner)} hands out copies of its state, and does not take them back: {error}"
        raise InvalidArgument(what, hint="Share its tensors as a dict of your own.") from error
    try:
        _round_trips.add(owner)
    except TypeError:
        pass  # no weak references, so it is tried each time


def _remembered(owner: Any) -> bool:
    try:
        return owner in _round_trips
    except TypeError:
        return False


def _take_back(key: str, owner: Any, state: Any) -> None:
    owner.load_state_dict(state)
    wanted, found = (Entries({key or "state": each}, frozenset()) for each in (state, dict(owner.state_dict())))
    for name in wanted.keys:
        if name not in found._buffers or found.bytes_of(name) != wanted.bytes_of(name):
            raise InvalidArgument(
                f"{_of(key, owner)} did not keep what was received for {name}.",
                hint="Its load_state_dict has to bring back what its state_dict hands out; or share its tensors as a dict of your own.",
            )


def _leaves(state: Any) -> Iterator[Any]:
    """What a state_dict holds, without the dicts and lists around it."""
    if isinstance(state, Mapping):
        state = state.values()
    elif not isinstance(state, (list, tuple)):
        yield state
        return
    for item in state:
        yield from _leaves(item)


def _storage(value: Any) -> int | None:
    """Where the memory of a torch tensor begins, whichever part of it the tensor is."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor) or value.layout != torch.strided or _is_lazy(value):
        return None
    storage = value.untyped_storage() if hasattr(value, "untyped_storage") else value.storage()
    return int(storage.data_ptr())


def _is_lazy(tensor: Any) -> bool:
    return bool(sys.modules["torch"].nn.parameter.is_lazy(tensor))


def _ready(key: str, value: Any) -> Any:
    """The tensor, unless its bytes are not its content."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        if _is_lazy(value):
            raise InvalidArgument(f"{key} is a parameter without a shape yet.", hint="Run the module once on an input first.")
        if value.is_quantized:
            hint = "Share its int_repr(), scales and zero points as a dict of your own."
            raise InvalidArgument(f"{key} is a quantized tensor.", hint=hint)
    return value


def _record(key: str, value: Any) -> bytes | None:
    try:
        return _values.encode(value)
    except ValueError as error:
        raise InvalidArgument(f"{key or 'The state'} {error}.", hint="Share it as a bytearray of a size that all peers know.") from None


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _is_optimizer(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.optim.Optimizer)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _of(key: str, owner: Any) -> str:
    return f"{key} ({type(owner).__name__})" if key else f"The {type(owner).__name__}"


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
