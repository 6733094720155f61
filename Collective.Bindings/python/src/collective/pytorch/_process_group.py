"""A backend of ``torch.distributed`` that does with all-reduce what all-reduce can do."""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import time
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed

from .._calls import Running, to_the_end
from .._master import Master
from ..communicator import Communicator
from ..errors import Aborted, Closed, CollectiveError, Forked, InvalidArgument, NotSupported, TimedOut, TooFewPeers
from . import _rendezvous
from ._futures import new_future
from ._workers import Workers, interpreter_ends

BACKEND = "collective"

# C++ may hold a Work whose Python half nobody refers to; it is lost then. So the last ones are kept until they were waited for.
_WORKS_KEPT = 256

def register_backend() -> None:
    """Makes ``torch.distributed.init_process_group("collective")`` work. May be called again."""
    if hasattr(torch.distributed.Backend, BACKEND.upper()):
        return
    register = torch.distributed.Backend.register_backend
    # Newer versions of torch ask which devices it is for.
    devices = {"devices": ["cpu"]} if "devices" in inspect.signature(register).parameters else {}
    register(BACKEND, ProcessGroupCollective, **devices)


class Work(torch._C._distributed_c10d.Work):  # type: ignore[misc]
    """One call of a process group. The one that torch makes from a future would hide failures from who waits."""

    def __init__(self, group: ProcessGroupCollective, tensors: list[torch.Tensor], action: Callable[[], object]) -> None:
        super().__init__()
        self._group = weakref.ref(group)  # which keeps it
        self._tensors = tensors
        self._running = Running(torch.no_grad()(action))
        self._outcome, self._future = new_future()

    def run(self) -> Callable[[], object]:
        self._running.run()
        return self._tell

    def wait(self, timeout: timedelta | None = None) -> bool:
        self._require_process()
        try:
            seconds = timeout.total_seconds() if timeout else math.inf  # torch's zero means none
            deadline = time.monotonic() + seconds
            while not self._running.wait():
                if interpreter_ends():
                    raise Closed("The interpreter ends.", hint="Wait before.")
                if time.monotonic() >= deadline:
                    raise TimedOut(f"The call has not ended within {seconds} s; it goes on.", hint="Wait again.")
        except CollectiveError:
            raise
        except BaseException:  # an interrupt
            to_the_end(self._end)
            self._forget()
            raise
        with contextlib.suppress(RuntimeError):  # its failure, which is raised below as it was
            self._future.wait()
        self._forget()
        self._running.outcome()
        return True

    def result(self) -> list[torch.Tensor]:
        return self._tensors

    def is_completed(self) -> bool:
        return bool(self._future.done())

    def get_future(self) -> Any:
        return self._future

    def _tell(self) -> None:
        try:
            self._running.outcome()
        except BaseException as failure:
            self._outcome.set_result(failure.with_traceback(None))
        else:
            self._outcome.set_result(self._tensors)

    def _end(self) -> None:
        """Cancels it, and what is queued before it."""
        while not self._running.ended and not interpreter_ends():
            with contextlib.suppress(CollectiveError):  # closed, which ends it as well
                if (group := self._group()) is not None:
                    group._communicator.cancel()
            self._running.wait()

    def _require_process(self) -> None:
        if (group := self._group()) is not None:
            group.require_process()

    def _forget(self) -> None:
        if (group := self._group()) is not None:
            group._works.pop(id(self), None)


class ProcessGroupCollective(torch.distributed.ProcessGroup):  # type: ignore[misc]
    """A process group of fixed size on CPU tensors.

    all_reduce (sum, avg, product, min, max), barrier, broadcast, reduce, all_gather, all_gather_into_tensor, gather, scatter, reduce_scatter and
    reduce_scatter_tensor work; all but the first two send more bytes than a dedicated algorithm would. send, recv, all_to_all and operations on bits raise
    :class:`collective.NotSupported`.

    Rank 0 runs the master; the others find it through the store. A connection that breaks is made anew without anybody noticing. When a process dies, the
    operation in flight and all later ones fail with :class:`collective.Aborted` on the others: ``torch.distributed`` knows no smaller world. Programs whose
    peers come and go use :func:`collective.pytorch.data_parallel`, or a communicator.
    """

    def __init__(self, store: Any, rank: int, size: int, timeout: timedelta = timedelta(minutes=30)) -> None:
        super().__init__(rank, size)
        self._rank, self._size = rank, size
        self._master: Master | None = None
        if rank == 0:
            self._master, address, group = _rendezvous.publish(store)
        else:
            address, group = _rendezvous.find(store, timeout.total_seconds())
        self._communicator = Communicator(address, group=group, minimum_world_size=size, call_timeout=timeout.total_seconds())
        self._communicator.connect()
        self._process = os.getpid()
        self._lost: Aborted | None = None
        self._works: dict[int, Work] = {}
        # One after the other, in the order of the calls, which is the same on all ranks.
        self._workers = Workers(1, "process-group", self._communicator.close)

    # -------------------------------------------------------------------------------------------------- what torch calls

    def getBackendName(self) -> str:
        return BACKEND

    def allreduce(self, tensors: list[torch.Tensor], opts: Any = None) -> Work:
        return self._start(tensors, lambda: self._reduce_all(tensors, _operation(opts)))

    def allreduce_coalesced(self, tensors: list[torch.Tensor], opts: Any = None) -> Work:
        return self.allreduce(tensors, opts)

    def barrier(self, opts: Any = None) -> Work:
        return self._start([], lambda: self._all_reduce(torch.zeros(1, dtype=torch.uint8), "max"))

    def broadcast(self, tensors: list[torch.Tensor], opts: Any = None) -> Work:
        root = 0 if opts is None else opts.rootRank

        def run() -> None:
            for tensor in tensors:
                self._broadcast(tensor, root)

        return self._start(tensors, run)

    def reduce(self, tensors: list[torch.Tensor], opts: Any) -> Work:
        def run() -> None:
            # Only the root's tensor is to change.
            targets = tensors if self._rank == opts.rootRank else [tensor.clone() for tensor in tensors]
            self._reduce_all(targets, _operation(opts))

        return self._start(tensors, run)

    def allgather(self, output_tensors: list[list[torch.Tensor]], input_tensors: list[torch.Tensor], opts: Any = None) -> Work:
        def run() -> None:
            for outputs, tensor in zip(output_tensors, input_tensors):
                _copy_bits(self._all_gather(tensor), outputs)

        return self._start([tensor for outputs in output_tensors for tensor in outputs], run)

    def _allgather_base(self, output: torch.Tensor, input: torch.Tensor, opts: Any = None) -> Work:
        return self._start([output], lambda: _copy_bits(self._all_gather(input), [output]))

    def gather(self, output_tensors: list[list[torch.Tensor]], input_tensors: list[torch.Tensor], opts: Any) -> Work:
        def run() -> None:
            for at, tensor in enumerate(input_tensors):
                bits = self._all_gather(tensor)
                if self._rank == opts.rootRank:
                    _copy_bits(bits, output_tensors[at])

        return self._start([tensor for outputs in output_tensors for tensor in outputs], run)

    def scatter(self, output_tensors: list[torch.Tensor], input_tensors: list[list[torch.Tensor]], opts: Any) -> Work:
        def run() -> None:
            for at, output in enumerate(output_tensors):
                own = torch.cat([_bits(tensor) for tensor in input_tensors[at]]) if self._rank == opts.rootRank else None
                bits = self._from_root(own, output.numel() * output.element_size() * self._size)
                _copy_bits(bits.chunk(self._size)[self._rank], [output])

        return self._start(output_tensors, run)

    def reduce_scatter(self, output_tensors: list[torch.Tensor], input_tensors: list[list[torch.Tensor]], opts: Any = None) -> Work:
        def run() -> None:
            for output, inputs in zip(output_tensors, input_tensors):
                self._reduce_scatter(output, torch.cat([tensor.reshape(-1) for tensor in inputs]), _operation(opts))

        return self._start(output_tensors, run)

    def _reduce_scatter_base(self, output: torch.Tensor, input: torch.Tensor, opts: Any = None) -> Work:
        return self._start([output], lambda: self._reduce_scatter(output, input.reshape(-1).clone(), _operation(opts)))

    def send(self, tensors: list[torch.Tensor], dst: int, tag: int = 0) -> Work:
        raise _cannot("send")

    def recv(self, tensors: list[torch.Tensor], src: int, tag: int = 0) -> Work:
        raise _cannot("recv")

    def recv_anysource(self, tensors: list[torch.Tensor], tag: int = 0) -> Work:
        raise _cannot("recv")

    def alltoall(self, output_tensors: list[torch.Tensor], input_tensors: list[torch.Tensor], opts: Any = None) -> Work:
        raise _cannot("all_to_all")

    def alltoall_base(self, output: torch.Tensor, input: torch.Tensor, output_sizes: list[int], input_sizes: list[int], opts: Any = None) -> Work:
        raise _cannot("all_to_all_single")

    # ------------------------------------------------------------------------------------------------------ how it is done

    def require_process(self) -> None:
        """Fails in a forked child."""
        if os.getpid() != self._process:
            raise Forked("The process group is the parent process's.")

    def _start(self, result: list[torch.Tensor], action: Callable[[], object]) -> Work:
        self.require_process()
        work = Work(self, result, action)
        self._works[id(work)] = work
        while len(self._works) > _WORKS_KEPT:
            self._works.pop(next(iter(self._works)))
        self._workers.submit(work.run)
        return work

    def _all_reduce(self, tensor: torch.Tensor, op: str) -> None:
        """Reduces in place, and again when a connection broke but nobody was lost."""
        if self._size == 1 or tensor.numel() == 0:
            return
        while self._lost is None:
            try:
                if self._communicator.all_reduce(tensor, op=op).world_size == self._size:
                    return
            except TooFewPeers:
                pass
            except Aborted:
                if self._communicator.world.world_size == self._size:
                    continue
            self._give_up()
        raise self._lost

    def _give_up(self) -> None:
        """Leaves the run, so that ranks which hear of the loss later do not wait for this one."""
        left = self._communicator.world.world_size
        self._lost = Aborted(
            f"A process of the group is lost: {left} of {self._size} are left.",
            hint="Start all of them again, or use collective.pytorch.data_parallel, which goes on with fewer.",
        )
        self._communicator.close()

    def _reduce_all(self, tensors: list[torch.Tensor], op: str) -> None:
        for tensor in tensors:
            if tensor.dtype == torch.bool:
                if op not in ("min", "max", "prod"):
                    raise InvalidArgument(f"{op} of booleans is not defined.", hint="Use min (all of them) or max (any of them).")
                bits = tensor.to(torch.uint8)
                self._all_reduce(bits, op)
                tensor.copy_(bits)
            else:
                self._all_reduce(tensor, op)

    def _from_root(self, bits: torch.Tensor | None, count: int) -> torch.Tensor:
        """The root's bytes: its own plus the zeros of all others, where nothing is ever rounded."""
        buffer = torch.zeros(count, dtype=torch.uint8) if bits is None else bits.clone()
        self._all_reduce(buffer, "sum")
        return buffer

    def _broadcast(self, tensor: torch.Tensor, root: int) -> None:
        bits = self._from_root(_bits(tensor) if self._rank == root else None, tensor.numel() * tensor.element_size())
        if self._rank != root:
            _copy_bits(bits, [tensor])

    def _all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """The bytes of all ranks, one after the other."""
        own = _bits(tensor)
        bits = torch.zeros(own.numel() * self._size, dtype=torch.uint8)
        bits[own.numel() * self._rank : own.numel() * (self._rank + 1)] = own
        self._all_reduce(bits, "sum")
        return bits

    def _reduce_scatter(self, output: torch.Tensor, flat: torch.Tensor, op: str) -> None:
        self._reduce_all([flat], op)
        output.copy_(flat.chunk(self._size)[self._rank].view(output.shape))


def _operation(opts: Any) -> str:
    operation = torch.distributed.ReduceOp.SUM if opts is None else opts.reduceOp
    names = {"SUM": "sum", "AVG": "avg", "PRODUCT": "prod", "MIN": "min", "MAX": "max"}
    for name, ours in names.items():
        # Newer versions of torch wrap the value in an object of its own, which equals it.
        if operation == getattr(torch.distributed.ReduceOp, name):
            return ours
    raise _cannot(f"the reduce operation {operation}")


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().view(-1).view(torch.uint8)


def _copy_bits(bits: torch.Tensor, tensors: list[torch.Tensor]) -> None:
    at = 0
    for tensor in tensors:
        count = tensor.numel() * tensor.element_size()
        # A slice may lie at an odd address, where no wider type can be seen.
        tensor.copy_(bits[at : at + count].clone().view(tensor.dtype).view(tensor.shape))
        at += count


def _cannot(what: str) -> NotSupported:
    return NotSupported(f'The backend "{BACKEND}" has no {what}.', hint="Use a second process group with the backend gloo for it.")
