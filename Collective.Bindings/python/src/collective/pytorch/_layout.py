"""How the gradients of a module travel: laid out from names, shapes and types alone, alike on all peers, whatever they did before."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InvalidArgument

# What elements of these types are averaged as. Complex ones are pairs.
_WIRE_TYPES = {
    torch.float16: torch.float16,
    torch.bfloat16: torch.bfloat16,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}

BUFFER_RULES = ("broadcast", "average", "none")


@dataclass(frozen=True)
class Options:
    """What all peers have to choose alike."""

    buffers: str
    bucket_bytes: int
    quantization: Any
    name: str


class Layout:
    """The parameters of a module that get gradients, in buckets, and the buffers that are kept equal."""

    def __init__(self, module: torch.nn.Module, options: Options) -> None:
        self.signature = signature(module)
        trainable = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
        for name, parameter in trainable:
            _require_ours(name, parameter)
        self.parameters = [parameter for _, parameter in trainable]
        self.buckets = list(_buckets(self.parameters, options))
        self.bucket_of = {key: bucket for bucket in self.buckets for key in bucket.keys}
        self.buffers = list(_buffer_groups(module, options.buffers))
        described = [f"{name} {_described(parameter)}" for name, parameter in trainable]
        described += [f"buffer {name} {_described(tensor)}" for group in self.buffers for name, tensor in group.described()]
        text = "\n".join(["1", repr(options), *described])
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        elements = sum(parameter.numel() for parameter in self.parameters)
        title = (options.name or type(module).__name__).encode()[:60].decode(errors="ignore")
        self.label = f"gradients of {title}: {len(self.parameters)} parameters, {elements} elements, layout {self.digest}"

    def covers(self, module: torch.nn.Module) -> bool:
        """Whether every parameter that gets gradients now is in it, as it is now."""
        mine = set(self.signature)
        return all(each in mine for each in signature(module) if each[2])


def signature(module: torch.nn.Module) -> list[tuple[Any, ...]]:
    """What a layout depends on. Two of one module are equal while its layout stays the same."""
    found: list[tuple[Any, ...]] = []
    for name, parameter in module.named_parameters():
        shape = None if _is_lazy(parameter) else parameter.shape
        found.append((name, id(parameter), parameter.requires_grad, parameter.dtype, parameter.device, shape))
    for name, owner, _, tensor in _persistent_buffers(module):
        found.append((name, id(owner), False, tensor.dtype, tensor.device, tensor.shape))
    return found


class Bucket:
    """Gradients of one type that travel together."""

    op = "avg"

    def __init__(self, dtype: torch.dtype, members: list[int], parameters: list[torch.nn.Parameter], quantization: Any) -> None:
        self.members = members
        self.quantization = quantization if _WIRE_TYPES[dtype] in (torch.float32, torch.float64) else None
        self._parameters = parameters
        self._dtype = dtype
        # Out of place, for an abort then has nothing to restore.
        self._packed = _Elements(dtype, parameters)
        self._averages = _Elements(dtype, parameters)
        self._seen: list[tuple[torch.Tensor | None, int]] = []

    @property
    def keys(self) -> set[int]:
        """Ids of its parameters."""
        return {id(parameter) for parameter in self._parameters}

    def pack(self, is_root: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """The gradients in one tensor, with zeros for those that this peer does not have; and where their averages go."""
        grads = [parameter.grad for parameter in self._parameters]
        self._seen = [(grad, 0 if grad is None else grad._version) for grad in grads]
        if len(grads) == 1 and (grad := grads[0]) is not None and _is_plain(grad):
            return grad.detach().view(-1), self._averages.memory
        with torch.no_grad():
            for view, grad in zip(self._packed.views, grads):
                if grad is None:
                    view.zero_()
                else:
                    view.copy_(grad if grad.layout == torch.strided else grad.to_dense())
        return self._packed.memory, self._averages.memory

    def is_stale(self) -> bool:
        """Whether a gradient has changed since it was packed."""
        for parameter, (packed, version) in zip(self._parameters, self._seen):
            grad = parameter.grad
            if grad is not packed or (grad is not None and grad._version != version):
                return True
        return False

    def unpack(self, used: list[bool]) -> None:
        """Brings the averages to the gradients. What nobody used stays as it is."""
        for at, parameter, view in zip(self.members, self._parameters, self._averages.views):
            if used[at]:
                _replace_gradient(parameter, view)

        self._seen = []


class _Elements:
    """Memory for the elements of some parameters, from when it is needed."""

    def __init__(self, dtype: torch.dtype, parameters: list[torch.nn.Parameter]) -> None:
        self._dtype = dtype
        self._shapes = [parameter.shape for parameter in parameters]

    @functools.cached_property
    def memory(self) -> torch.Tensor:
        return torch.empty(sum(self._counts), dtype=_WIRE_TYPES[self._dtype])

    @functools.cached_property
    def views(self) -> list[torch.Tensor]:
        """Of each parameter's elements, in its shape."""
        pairs = self._dtype.is_complex
        parts = zip(self._shapes, self.memory.split(self._counts))
        return [(torch.view_as_complex(part.view(-1, 2)) if pairs else part).view(shape) for shape, part in parts]

    @property
    def _counts(self) -> list[int]:
        return [shape.numel() * (2 if self._dtype.is_complex else 1) for shape in self._shapes]


class BufferGroup:
    """Buffers of a module that are made equal together."""

    quantization = None

    def __init__(self, places: list[tuple[str, torch.nn.Module, str]], average: bool) -> None:
        self._places = places
        self.op = "avg" if average else "max"
        self._average = average
        self._mine: list[torch.Tensor] = []
        self._memory = torch.empty(0)

    def described(self) -> Iterator[tuple[str, torch.Tensor]]:
        return ((name, getattr(owner, attribute)) for name, owner, attribute in self._places)

    def pack(self, is_root: bool) -> tuple[torch.Tensor, None]:
        """What is averaged; or the root's bytes, and zeros of everybody else."""
        self._mine = [tensor for _, tensor in self.described()]
        flat = [tensor.detach().reshape(-1) if self._average else _bytes(tensor) for tensor in self._mine]
        self._memory = torch.cat(flat)
        if not self._average and not is_root:
            self._memory.zero_()
        return self._memory, None

    def unpack(self) -> None:
        """Puts new tensors in the place of the old ones: autograd may have saved those."""
        made: dict[int, torch.Tensor] = {}  # a buffer that two modules share stays shared
        counts = [tensor.numel() * (1 if self._average else tensor.element_size()) for tensor in self._mine]
        for (_, owner, attribute), mine, part in zip(self._places, self._mine, self._memory.split(counts)):
            if not torch.equal(_bytes(mine), _bytes(part)):
                setattr(owner, attribute, made.setdefault(id(mine), part.clone().view(mine.dtype).view(mine.shape)))
        self._mine = []


class _Averaged(torch.autograd.Function):  # type: ignore[misc]
    """A gradient with the average's value. Its own derivative stays this peer's, whose average over the peers is right as well."""

    @staticmethod
    def forward(ctx: Any, mine: torch.Tensor, average: torch.Tensor) -> torch.Tensor:
        return average.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


def _replace_gradient(parameter: torch.nn.Parameter, average: torch.Tensor) -> None:
    grad = parameter.grad
    if grad is not None and grad.requires_grad:  # backward(create_graph=True)
        with torch.enable_grad():
            parameter.grad = _Averaged.apply(grad, average)
    elif grad is None or grad.layout != torch.strided:
        parameter.grad = torch.empty_like(parameter, requires_grad=False).copy_(average)
    else:
        with torch.no_grad():
            grad.copy_(average)


def _buckets(parameters: list[torch.nn.Parameter], options: Options) -> Iterator[Bucket]:
    """From the last parameter to the first, as a backward pass meets them in most modules; a bucket for each type at a time."""
    gathered: dict[torch.dtype, list[int]] = {}
    sizes: dict[torch.dtype, int] = {}

    def bucket(dtype: torch.dtype) -> Bucket:
        members = gathered.pop(dtype)
        return Bucket(dtype, members, [parameters[at] for at in members], options.quantization)

    for at in reversed(range(len(parameters))):
        dtype, size = parameters[at].dtype, parameters[at].numel() * parameters[at].element_size()
        if dtype in gathered and sizes[dtype] + size > options.bucket_bytes:
            yield bucket(dtype)
        sizes[dtype] = size + (sizes[dtype] if dtype in gathered else 0)
        gathered.setdefault(dtype, []).append(at)
    for dtype in list(gathered):
        yield bucket(dtype)


def _buffer_groups(module: torch.nn.Module, rule: str) -> Iterator[BufferGroup]:
    if rule == "none":
        return
    averaged: dict[torch.dtype, list[tuple[str, torch.nn.Module, str]]] = {}
    copied: list[tuple[str, torch.nn.Module, str]] = []
    for name, owner, attribute, tensor in _persistent_buffers(module):
        _require_dense(name, tensor)
        average = rule == "average" and tensor.dtype.is_floating_point and tensor.dtype in _WIRE_TYPES
        (averaged.setdefault(tensor.dtype, []) if average else copied).append((name, owner, attribute))
    for places in averaged.values():
        yield BufferGroup(places, average=True)
    if copied:
        yield BufferGroup(copied, average=False)


def _persistent_buffers(module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module, str, torch.Tensor]]:
    """Those of the state dict: a module can recompute the others."""
    for prefix, owner in module.named_modules():
        for attribute, tensor in owner._buffers.items():
            if tensor is not None and attribute not in owner._non_persistent_buffers_set:
                yield (f"{prefix}.{attribute}" if prefix else attribute), owner, attribute, tensor


def _require_ours(name: str, parameter: torch.nn.Parameter) -> None:
    if _is_lazy(parameter):
        raise InvalidArgument(f"{name} has no shape yet.", hint="Run the module once, then wrap it.")
    _require_dense(name, parameter)
    if parameter.dtype not in _WIRE_TYPES:
        raise InvalidArgument(f"{name} has elements of type {parameter.dtype}, which have no average.", hint="Convert or freeze it.")


def _require_dense(name: str, tensor: torch.Tensor) -> None:
    if tensor.device.type != "cpu":
        raise InvalidArgument(f"{name} is on the device {tensor.device}.", hint="Move the module to the CPU: module.cpu().")
    if tensor.layout != torch.strided:
        raise InvalidArgument(f"{name} has the layout {tensor.layout}.", hint="Use a dense tensor.")


def _is_plain(grad: torch.Tensor) -> bool:
    """Whether its elements lie as they travel."""
    return grad.layout == torch.strided and grad.is_contiguous() and not grad.is_complex() and not grad.is_neg()


def _is_lazy(parameter: torch.nn.Parameter) -> bool:
    return bool(torch.nn.parameter.is_lazy(parameter))


def _described(tensor: torch.Tensor) -> str:
    return f"{tensor.dtype} {'x'.join(map(str, tensor.shape))}"


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().view(-1).view(torch.uint8)
