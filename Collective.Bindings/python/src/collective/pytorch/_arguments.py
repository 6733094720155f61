"""What the calls of ``torch.distributed`` are given: what it is called, whether it can be used, and its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed

from .._calls import fitting_label
from .._overlap import first_overlap
from .._tensors import examine, write
from ..errors import InvalidArgument, NotSupported

_OPERATIONS = {"SUM": "sum", "AVG": "avg", "PRODUCT": "prod", "MIN": "min", "MAX": "max"}


def label(number: int, text: str) -> str:
    """What a call is to the other ranks, who compare it with theirs: equal for equal calls only."""
    return fitting_label(f"call {number}: {text}")


def described(*tensors: torch.Tensor) -> str:
    """Type and shape of tensors, as labels have them."""
    return ", ".join(f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}" for tensor in tensors)


def single(tensors: Sequence[Any]) -> Any:
    """The one tensor, or list of tensors, of a call that has one for each rank."""
    if len(tensors) != 1:
        raise InvalidArgument(f"There are {len(tensors)} tensors for this rank.", hint="Pass one for each call.")
    return tensors[0]


def require_input(tensor: torch.Tensor, *, name: str = "tensor") -> None:
    """Refuses what cannot be sent."""
    examine(tensor, writable=False, name=name, any_type=True)


def require_outputs(*tensors: torch.Tensor, name: str = "tensor") -> None:
    """Refuses what cannot be written, each without a change of another."""
    several = len(tensors) > 1
    layouts = [examine(tensor, writable=True, name=f"{name} {at}" if several else name, any_type=True) for at, tensor in enumerate(tensors)]
    if (found := first_overlap(layouts)) is not None:
        raise InvalidArgument(f"{name} {found[0]} and {name} {found[1]} share memory.", hint="Pass each memory once.")


def require_numbers(op: str, *tensors: torch.Tensor) -> None:
    """Refuses tensors that cannot be reduced so."""
    for tensor in tensors:
        examine(tensor, writable=False, name="tensor", any_type=tensor.dtype == torch.bool)
        if tensor.dtype == torch.bool and op not in ("min", "max", "prod"):
            raise InvalidArgument(f"{op} of booleans is not defined.", hint="Use min (all of them) or max (any of them).")


def require_like(model: torch.Tensor, *tensors: torch.Tensor, name: str) -> None:
    """Refuses tensors whose type or shape is not that of the model."""
    for at, tensor in enumerate(tensors):
        if (tensor.dtype, tensor.shape) != (model.dtype, model.shape):
            raise InvalidArgument(f"{name} {at} is {described(tensor)}, and not {described(model)}.", hint="All are of one type and shape.")


def require_count(tensors: Sequence[Any], count: int, name: str) -> None:
    """Refuses a list that has not one for each rank."""
    if len(tensors) != count:
        raise InvalidArgument(f"There are {len(tensors)} {name} for {count} ranks.", hint="Pass one for each rank.")


def operation(opts: Any) -> str:
    """The name of the reduce operation that options of torch ask for."""
    wanted = torch.distributed.ReduceOp.SUM if opts is None else opts.reduceOp
    for name, ours in _OPERATIONS.items():
        # Newer versions of torch wrap the value in an object of its own, which equals it.
        if wanted == getattr(torch.distributed.ReduceOp, name):
            return ours
    raise cannot(f"the reduce operation {wanted}")


def root_of(opts: Any, size: int) -> int:
    """The rank that options of torch name."""
    root = 0 if opts is None else opts.rootRank
    if not 0 <= root < size:
        raise InvalidArgument(f"{root} is no rank of this group.", hint=f"Choose one from 0 to {size - 1}.")
    return int(root)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of a tensor, in the order of its indices; perhaps its own memory."""
    return tensor.detach().resolve_conj().resolve_neg().contiguous().view(-1).view(torch.uint8)


def copy_bits(source: torch.Tensor, tensors: Sequence[torch.Tensor]) -> None:
    """Brings bytes to tensors, one after the other."""
    at = 0
    for tensor in tensors:
        count = tensor.numel() * tensor.element_size()
        # A slice may lie at an odd address, where no wider type can be seen.
        write(tensor, source[at : at + count].clone().view(tensor.dtype).view(tensor.shape))
        at += count


def cannot(what: str) -> NotSupported:
    """The failure of calls that this backend does not have."""
    return NotSupported(f'The backend "collective" has no {what}.', hint="Use a second process group with the backend gloo for it.")
