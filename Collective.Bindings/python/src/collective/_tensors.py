"""What a call can be given: numpy arrays, torch CPU tensors, and anything with the buffer protocol. Imports neither numpy nor torch."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._overlap import Layout, first_overlap
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
    """To be called when a result was written: copies it to where the caller wants it, and tells autograd that a tensor of torch has changed."""
    layout: Layout | None = None
    """Where the caller's elements lie; None for a number, which lies nowhere."""


def reducible(tensor: Any, *, writable: bool = True, name: str = "tensor") -> Buffer:
    """The elements of ``tensor``, for an all-reduce."""
    return _buffer(tensor, writable=writable, name=name, any_type=False)


def shareable(tensor: Any, *, name: str) -> Buffer:
    """The elements of ``tensor``, for the shared state: of any type, as bytes where it has no number of its own."""
    return _buffer(tensor, writable=True, name=name, any_type=True)


def same_memory(one: Buffer, other: Buffer, name: str, other_name: str) -> bool:
    """Whether two tensors of one call are the same elements in the same order. Refuses those of which only some are, or in another order."""
    if one.layout is None or other.layout is None or not one.layout.overlaps(other.layout):
        return False
    if one.layout.is_same(other.layout):
        return True
    raise InvalidArgument(f"{name} and {other_name} share some of their memory.", hint="Pass tensors that share none, or the same one for both.")


def require_disjoint(buffers: list[Buffer]) -> None:
    """Refuses tensors of one call that share memory: what is written to one would change the other."""
    if (found := first_overlap([buffer.layout for buffer in buffers if buffer.layout is not None])) is not None:
        raise InvalidArgument(f"The tensors {found[0]} and {found[1]} share memory.", hint="Pass each memory once.")


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


def examine(tensor: Any, *, writable: bool, name: str, any_type: bool) -> Layout:
    """Refuses a tensor of torch that no call could read, or write if that is wanted. Copies nothing."""
    layout = _layout_of_torch(tensor, name)
    if not any_type and _type_of_torch(tensor) is None:
        raise _no_type(name, tensor.dtype)
    if writable:
        _require_apart(layout, tensor.is_contiguous(), name)
    return layout


def write(tensor: Any, values: Any) -> None:
    """Writes to a tensor of torch as a call does in place: as under ``torch.no_grad()``. Only in inference mode may inference tensors be written."""
    torch = sys.modules["torch"]
    with torch.inference_mode() if tensor.is_inference() else torch.no_grad():
        tensor.detach().copy_(values)


def _of_torch(tensor: Any, writable: bool, name: str, any_type: bool) -> Buffer:
    torch = sys.modules["torch"]
    layout = examine(tensor, writable=writable, name=name, any_type=any_type)
    dtype, count = _type_of_torch(tensor), tensor.numel()
    if dtype is None:
        dtype, count = DataType.UINT8, count * tensor.element_size()
    tensor = tensor.detach()
    if tensor.is_contiguous() and not tensor.is_neg() and not tensor.is_conj():
        return Buffer(layout.address, count, dtype, tensor, write_back=(lambda: _raise_version(tensor)) if writable else None, layout=layout)
    copy = tensor.clone(memory_format=torch.contiguous_format).resolve_conj().resolve_neg()
    return Buffer(copy.data_ptr(), count, dtype, copy, True, (lambda: write(tensor, copy)) if writable else None, layout)


def _raise_version(tensor: Any) -> None:
    """Lets autograd refuse what it has saved of a tensor that the library has written: by writing none of its elements. Inference tensors have no version."""
    if not tensor.is_inference():
        tensor.unsqueeze(0).narrow(0, 0, 0).zero_()


def _type_of_torch(tensor: Any) -> DataType | None:
    return _TORCH_NAMES.get(str(tensor.dtype).removeprefix("torch."))


def _layout_of_torch(tensor: Any, name: str) -> Layout:
    torch = sys.modules["torch"]
    if tensor.device.type != "cpu":
        raise InvalidArgument(f"{name} is on the device {tensor.device}.", hint="Copy it to the CPU first: tensor.cpu().")
    if tensor.layout != torch.strided:
        raise InvalidArgument(f"{name} has the layout {tensor.layout}.", hint="Pass a dense tensor: tensor.to_dense().")
    try:
        itemsize = tensor.element_size()
        layout = Layout(tensor.data_ptr(), itemsize, tuple(tensor.size()), tuple(stride * itemsize for stride in tensor.stride()))
    except Exception as error:  # such as a parameter without a shape yet, a nested tensor, or one inside of vmap
        raise _no_memory(tensor, name) from error
    if layout.address == 0 and 0 not in layout.shape:
        raise _no_memory(tensor, name)
    return layout


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
    layout = Layout(_address_of_numpy(array), array.itemsize, array.shape, array.strides)
    if writable:
        _require_apart(layout, array.flags.c_contiguous, name)
    if array.flags.c_contiguous:
        return Buffer(layout.address, count, dtype, array, layout=layout)
    copy = numpy.ascontiguousarray(array)
    return Buffer(_address_of_numpy(copy), count, dtype, copy, True, (lambda: numpy.copyto(array, copy)) if writable else None, layout)


def _address_of_numpy(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


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
    address = ctypes.addressof(memory)
    return Buffer(address, count, dtype, memory, layout=Layout.contiguous(address, count, dtype.itemsize))


def _require_apart(layout: Layout, contiguous: bool, name: str) -> None:
    if not contiguous and layout.overlaps_itself():
        raise InvalidArgument(
            f"{name} overlaps itself: of shape {layout.shape} and strides {layout.strides} in bytes, some elements share memory, so that no result can be written.",
            hint="Pass a copy: tensor.clone(), or array.copy().",
        )


def _no_memory(tensor: Any, name: str) -> InvalidArgument:
    return InvalidArgument(f"{name} is a {type(tensor).__name__} without memory of its own that could be read and written.", hint="Pass a plain, dense tensor.")


def _no_type(name: str, dtype: Any) -> InvalidArgument:
    names = ", ".join(kind.name.lower() for kind in DataType)
    return InvalidArgument(f"{name} has elements of type {dtype}.", hint=f"Convert it to one of {names}.")
