"""What a call can be given: numpy arrays, torch CPU tensors, and anything with the buffer protocol. Imports neither numpy nor torch."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._types import DataType
from .errors import InvalidArgument

_OF_KIND = {
    ("i", 1): DataType.INT8,
    ("i", 2): DataType.INT16,
    ("i", 4): DataType.INT32,
    ("i", 8): DataType.INT64,
    ("u", 1): DataType.UINT8,
    ("u", 2): DataType.UINT16,
    ("u", 4): DataType.UINT32,
    ("u", 8): DataType.UINT64,
    ("f", 2): DataType.FLOAT16,
    ("f", 4): DataType.FLOAT32,
    ("f", 8): DataType.FLOAT64,
}

_KIND_OF_FORMAT = {**dict.fromkeys("bhilqn", "i"), **dict.fromkeys("BHILQN", "u"), **dict.fromkeys("efd", "f")}

_NATIVE_ORDER = "@=<" if sys.byteorder == "little" else "@=>"

_TORCH_NAMES = {
    "uint8": DataType.UINT8,
    "int8": DataType.INT8,
    "int16": DataType.INT16,
    "uint16": DataType.UINT16,
    "uint32": DataType.UINT32,
    "int32": DataType.INT32,
    "uint64": DataType.UINT64,
    "int64": DataType.INT64,
    "float16": DataType.FLOAT16,
    "bfloat16": DataType.BFLOAT16,
    "float32": DataType.FLOAT32,
    "float64": DataType.FLOAT64,
}


@dataclass
class Buffer:
    """Memory for the native library. Keep it as long as the library uses the address."""

    address: int
    count: int
    dtype: DataType
    owner: Any
    """Keeps the memory alive."""
    copied: bool = False
    """Whether it is a copy, because the original is not contiguous."""
    write_back: Callable[[], object] | None = None
    """Copies a result to where the caller wants it, when the library could not work there; to be called on success."""


def reducible(tensor: Any, *, writable: bool = True, name: str = "tensor") -> Buffer:
    """The elements of ``tensor``, for an all-reduce."""
    return _buffer(tensor, writable=writable, name=name, any_type=False)


def shareable(tensor: Any, *, name: str) -> Buffer:
    """The elements of ``tensor``, for the shared state: of any type, as bytes where it has no number of its own."""
    return _buffer(tensor, writable=True, name=name, any_type=True)


def is_tensor(value: Any) -> bool:
    """Whether ``value`` is something that holds elements."""
    if isinstance(value, (str, bytes)):
        return False
    if _is_torch(value) or _is_numpy(value):
        return True
    try:
        memoryview(value).release()
    except TypeError:
        return False
    return True


def _is_torch(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _is_numpy(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _buffer(tensor: Any, *, writable: bool, name: str, any_type: bool) -> Buffer:
    if _is_torch(tensor):
        return _of_torch(tensor, writable, name, any_type)
    if _is_numpy(tensor):
        return _of_numpy(tensor, writable, name, any_type)
    return _of_memory(tensor, writable, name, any_type)


def _of_torch(tensor: Any, writable: bool, name: str, any_type: bool) -> Buffer:
    torch = sys.modules["torch"]
    tensor = tensor.detach()
    if tensor.device.type != "cpu":
        raise InvalidArgument(f"{name} is on the device {tensor.device}.", hint="Copy it to the CPU first: tensor.cpu().")
    if tensor.layout != torch.strided:
        raise InvalidArgument(f"{name} has the layout {tensor.layout}.", hint="Pass a dense tensor: tensor.to_dense().")
    dtype = _TORCH_NAMES.get(str(tensor.dtype).removeprefix("torch."))
    count = tensor.numel()
    if dtype is None:
        if not any_type:
            raise _no_type(name, tensor.dtype)
        dtype, count = DataType.UINT8, count * tensor.element_size()
    if tensor.is_contiguous() and not tensor.is_neg() and not tensor.is_conj():
        return Buffer(tensor.data_ptr(), count, dtype, tensor)
    copy = tensor.clone(memory_format=torch.contiguous_format).resolve_conj().resolve_neg()
    return Buffer(copy.data_ptr(), count, dtype, copy, True, (lambda: tensor.copy_(copy)) if writable else None)


def _of_numpy(array: Any, writable: bool, name: str, any_type: bool) -> Buffer:
    numpy = sys.modules["numpy"]
    if writable and not array.flags.writeable:
        raise InvalidArgument(f"{name} is a read-only array.", hint="Pass a copy: array.copy().")
    if array.dtype.hasobject:
        raise _no_type(name, array.dtype)
    if not array.dtype.isnative:
        raise InvalidArgument(f"{name} is in the byte order of another machine.", hint="Convert it: array.astype(array.dtype.newbyteorder('=')).")
    dtype = DataType.BFLOAT16 if array.dtype.name == "bfloat16" else _OF_KIND.get((array.dtype.kind, array.dtype.itemsize))
    count = array.size
    if dtype is None:
        if not any_type:
            raise _no_type(name, array.dtype)
        dtype, count = DataType.UINT8, array.nbytes
    if array.flags.c_contiguous:
        return Buffer(array.__array_interface__["data"][0], count, dtype, array)
    copy = numpy.ascontiguousarray(array)
    return Buffer(copy.__array_interface__["data"][0], count, dtype, copy, True, (lambda: numpy.copyto(array, copy)) if writable else None)


def _of_memory(value: Any, writable: bool, name: str, any_type: bool) -> Buffer:
    try:
        view = memoryview(value)
    except TypeError:
        raise InvalidArgument(
            f"{name} is a {type(value).__name__}.", hint="Pass a numpy array, a torch CPU tensor, or an object with the buffer protocol such as array.array."
        ) from None
    if not view.c_contiguous:
        raise InvalidArgument(f"{name} is not contiguous.", hint="Pass a contiguous buffer.")
    dtype = _OF_KIND.get((_KIND_OF_FORMAT.get(view.format.lstrip(_NATIVE_ORDER), ""), view.itemsize))
    if dtype is None:
        if not any_type:
            raise _no_type(name, view.format)
        dtype = DataType.UINT8
    count = view.nbytes // dtype.itemsize
    if not view.readonly:
        memory = (ctypes.c_char * view.nbytes).from_buffer(view)
    elif writable:
        raise InvalidArgument(f"{name} is read-only.", hint="Pass a bytearray, array.array or another buffer that can be written.")
    else:
        memory = (ctypes.c_char * view.nbytes).from_buffer_copy(view)
    return Buffer(ctypes.addressof(memory), count, dtype, memory)


def _no_type(name: str, dtype: Any) -> InvalidArgument:
    names = ", ".join(kind.name.lower() for kind in DataType)
    return InvalidArgument(f"{name} has elements of type {dtype}.", hint=f"Convert it to one of {names}.")
