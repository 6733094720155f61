"""Averages the gradients of ``DistributedDataParallel`` over peers that come and go."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed

from .._reduce import QuantizationLike
from ..communicator import Communicator
from ..errors import TooFewPeers
from ._futures import new_future
from ._workers import Workers

# So many buckets are on their way at once. All peers produce buckets in the same order, so that the earliest unfinished one is always among them.
_BUCKETS_IN_FLIGHT = 4


class HookState:
    """The first argument of ``register_comm_hook``.

    Args:
        communicator: through it the gradients are averaged.
        quantization: sends fewer bytes; see :meth:`collective.Communicator.all_reduce`.
        first_tag: bucket i has the tag ``first_tag + i``. Tags of other operations that run during the backward pass have to be different.
    """

    def __init__(self, communicator: Communicator, *, quantization: QuantizationLike = None, first_tag: int = 1 << 32) -> None:
        self.communicator = communicator
        self.quantization = quantization
        self.first_tag = first_tag
        self._workers = Workers(_BUCKETS_IN_FLIGHT, "bucket", communicator.close)

    def _average(self, bucket: Any) -> Any:
        outcome, future = new_future()
        gradients, index = bucket.buffer(), bucket.index()
        self._workers.submit(lambda: self._reduce(gradients, index, outcome))
        return future

    def _reduce(self, gradients: torch.Tensor, index: int, outcome: Any) -> Callable[[], object]:
        try:
            self.communicator.all_reduce(gradients, op="avg", tag=self.first_tag + index, quantization=self.quantization, retry=True)
        except TooFewPeers:
            pass  # Alone: the average over one peer is its own gradient.
        except BaseException as error:  # goes to the thread that runs the backward pass
            failure = error.with_traceback(None)
            return lambda: outcome.set_result(failure)
        return lambda: outcome.set_result(gradients)


# Without annotations: DDP compares them with types, and finds strings here.
def all_reduce_hook(state, bucket):  # type: ignore[no-untyped-def]
    """Averages the gradients over all peers of the communicator's group.

    ::

        model.register_comm_hook(communicator, collective.pytorch.all_reduce_hook)

    ``state`` is a :class:`HookState` or a communicator. When a peer is lost the bucket is reduced again among the others; a peer that is alone keeps its
    gradients. Other failures end the backward pass.
    """
    return (state if isinstance(state, HookState) else _state_of(state))._average(bucket)


def data_parallel(module: torch.nn.Module, communicator: Communicator, *, quantization: QuantizationLike = None, **options: Any) -> Any:
    """Wraps a module in ``DistributedDataParallel`` whose gradients are averaged by the communicator, over however many peers there are.

    Where ``torch.distributed`` is not initialised it is, with a process group of this process alone: DDP asks for one, and does not use it. Before training,
    and whenever peers have joined, :meth:`collective.Communicator.sync` gives all the same parameters.

    Args:
        options: passed to ``DistributedDataParallel``.
    """
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    options.setdefault("process_group", _group_of_one())
    wrapped = torch.nn.parallel.DistributedDataParallel(module, **options)
    wrapped.register_comm_hook(HookState(communicator, quantization=quantization), all_reduce_hook)
    return wrapped


def _group_of_one() -> Any:
    """None (the default group) where that is a group of one already."""
    if torch.distributed.get_world_size() == 1:
        return None
    rank = torch.distributed.get_rank()
    groups = [torch.distributed.new_group([each], backend="gloo") for each in range(torch.distributed.get_world_size())]
    return groups[rank]


# Guards the table below.
_gate = threading.Lock()
_states: weakref.WeakKeyDictionary[Communicator, HookState] = weakref.WeakKeyDictionary()


def _state_of(communicator: Communicator) -> HookState:
    with _gate:
        state = _states.get(communicator)
        if state is None:
            # The state must not keep its key alive.
            state = _states[communicator] = HookState(weakref.proxy(communicator))
        return state
