"""A backend of ``torch.distributed`` that does with all-reduce what all-reduce can do."""

from __future__ import annotations

import contextlib
import inspect
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed

from .._calls import copied
from .._master import Master
from .._tensors import write
from ..communicator import Communicator
from ..errors import Aborted, Cancelled, CollectiveError, Forked, InvalidArgument, TimedOut, TooFewPeers
from . import _rendezvous
from ._arguments import (
    bits,
    cannot,
    copy_bits,
    described,
    label,
    operation,
    require_count,
    require_input,
    require_like,
    require_numbers,
    require_outputs,
    root_of,
    single,
)
from ._workers import Workers
from ._works import Numbers, Work

BACKEND = "collective"

# C++ may hold a Work whose Python half nobody refers to; it is lost then. So the last ones are kept until they were waited for.
_WORKS_KEPT = 256

# (tensor, operation): all-reduces in place, for the one call that it is made for
_Reduce = Callable[[torch.Tensor, str], None]
_Run = Callable[[_Reduce], None]

# What a call is, to be equal on all ranks; and how it is done.
_Plan = tuple[str, _Run]


def register_backend() -> None:
    """Makes ``torch.distributed.init_process_group("collective")`` work. May be called again."""
    if hasattr(torch.distributed.Backend, BACKEND.upper()):
        return
    register = torch.distributed.Backend.register_backend
    # Newer versions of torch ask which devices it is for.
    devices = {"devices": ["cpu"]} if "devices" in inspect.signature(register).parameters else {}
    register(BACKEND, ProcessGroupCollective, **devices)


class ProcessGroupCollective(torch.distributed.ProcessGroup):  # type: ignore[misc]
    """A process group of fixed size on CPU tensors.

    all_reduce (sum, avg, product, min, max), barrier, broadcast, reduce, all_gather, all_gather_into_tensor, gather, scatter, reduce_scatter and
    reduce_scatter_tensor work; all but the first two send more bytes than a dedicated algorithm would. send, recv, all_to_all and operations on bits raise
    :class:`collective.NotSupported`.

    Rank 0 runs the master; the others find it through the store. A connection that breaks is made again without anybody noticing. When a process dies, the
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
        # Guards the numbers: they are the order in which calls are made.
        self._gate = threading.Lock()
        self._numbers = Numbers()
        # One after the other, in the order of the calls, which is the same on all ranks.
        self._workers = Workers(1, "process-group", self._communicator.close)

    # -------------------------------------------------------------------------------------------------- what torch calls
    # Each call is one all-reduce, which all ranks enter under the same label: what they do is equal, or fails for all.

    def getBackendName(self) -> str:
        return BACKEND

    def allreduce(self, tensors: list[torch.Tensor], opts: Any = None) -> Work:
        def plan() -> _Plan:
            tensor, op = single(tensors), operation(opts)
            require_numbers(op, tensor)
            require_outputs(tensor)
            return f"all_reduce ({op}) of {described(tensor)}", lambda reduce: _reduce_in_place(reduce, tensor, op)

        return self._make("all_reduce", tensors, plan)

    def allreduce_coalesced(self, tensors: list[torch.Tensor], opts: Any = None) -> Work:
        def plan() -> _Plan:
            op = operation(opts)
            require_numbers(op, *tensors)
            require_outputs(*tensors)
            if len({tensor.dtype for tensor in tensors}) != 1:
                raise InvalidArgument(f"The tensors are {described(*tensors)}.", hint="Pass at least one, all of one type.")

            def run(reduce: _Reduce) -> None:
                flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
                _reduce_in_place(reduce, flat, op)
                copy_bits(bits(flat), tensors)

            return f"all_reduce_coalesced ({op}) of {described(*tensors)}", run

        return self._make("all_reduce_coalesced", tensors, plan)

    def barrier(self, opts: Any = None) -> Work:
        return self._make("barrier", [], lambda: ("barrier", lambda reduce: reduce(torch.empty(0), "sum")))

    def broadcast(self, tensors: list[torch.Tensor], opts: Any = None) -> Work:
        def plan() -> _Plan:
            tensor, root = single(tensors), root_of(opts, self._size)
            require_input(tensor) if self._rank == root else require_outputs(tensor)

            def run(reduce: _Reduce) -> None:
                received = _from_root(reduce, bits(tensor) if self._rank == root else None, _bytes(tensor))
                if self._rank != root:
                    copy_bits(received, [tensor])

            return f"broadcast from rank {root} of {described(tensor)}", run

        return self._make("broadcast", tensors, plan)

    def reduce(self, tensors: list[torch.Tensor], opts: Any) -> Work:
        def plan() -> _Plan:
            tensor, op, root = single(tensors), operation(opts), root_of(opts, self._size)
            require_numbers(op, tensor)
            if self._rank == root:
                require_outputs(tensor)
            # Only the root's tensor is to change.
            return f"reduce ({op}) to rank {root} of {described(tensor)}", lambda reduce: _reduce_in_place(
                reduce, tensor if self._rank == root else tensor.detach().clone(), op
            )

        return self._make("reduce", tensors, plan)

    def allgather(self, output_tensors: list[list[torch.Tensor]], input_tensors: list[torch.Tensor], opts: Any = None) -> Work:
        def plan() -> _Plan:
            outputs, tensor = single(output_tensors), single(input_tensors)
            return f"all_gather of {described(tensor)}", self._gathering(tensor, outputs)

        return self._make("all_gather", _flat(output_tensors), plan)

    def _allgather_base(self, output: torch.Tensor, input: torch.Tensor, opts: Any = None) -> Work:
        def plan() -> _Plan:
            require_input(input)
            require_outputs(output)
            _require_whole(output, input, self._size, "output")
            return f"all_gather_into_tensor of {described(input)}", lambda reduce: copy_bits(self._gather(reduce, input), [output])

        return self._make("all_gather_into_tensor", [output], plan)

    def gather(self, output_tensors: list[list[torch.Tensor]], input_tensors: list[torch.Tensor], opts: Any) -> Work:
        def plan() -> _Plan:
            tensor, root = single(input_tensors), root_of(opts, self._size)
            outputs = single(output_tensors) if self._rank == root else None
            return f"gather to rank {root} of {described(tensor)}", self._gathering(tensor, outputs)

        return self._make("gather", _flat(output_tensors) if self._rank == opts.rootRank else [], plan)

    def scatter(self, output_tensors: list[torch.Tensor], input_tensors: list[list[torch.Tensor]], opts: Any) -> Work:
        def plan() -> _Plan:
            output, root = single(output_tensors), root_of(opts, self._size)
            inputs = single(input_tensors) if self._rank == root else None
            require_outputs(output, name="output")
            if inputs is not None:
                require_count(inputs, self._size, "inputs")
                for tensor in inputs:
                    require_input(tensor, name="input")
                require_like(output, *inputs, name="input")

            def run(reduce: _Reduce) -> None:
                own = None if inputs is None else torch.cat([bits(tensor) for tensor in inputs])
                received = _from_root(reduce, own, _bytes(output) * self._size)
                copy_bits(received[_bytes(output) * self._rank :], [output])

            return f"scatter from rank {root} of {described(output)}", run

        return self._make("scatter", output_tensors, plan)

    def reduce_scatter(self, output_tensors: list[torch.Tensor], input_tensors: list[list[torch.Tensor]], opts: Any = None) -> Work:
        def plan() -> _Plan:
            output, inputs, op = single(output_tensors), single(input_tensors), operation(opts)
            require_numbers(op, output, *inputs)
            require_outputs(output, name="output")
            require_count(inputs, self._size, "inputs")
            require_like(output, inputs[self._rank], name=f"The input of rank {self._rank}, which is input")
            if len({tensor.dtype for tensor in inputs}) != 1:
                raise InvalidArgument(f"The inputs are {described(*inputs)}.", hint="Pass tensors of one type.")
            before = sum(tensor.numel() for tensor in inputs[: self._rank])
            return f"reduce_scatter ({op}) of {described(*inputs)}", _reduce_scatter(inputs, output, before, op)

        return self._make("reduce_scatter", output_tensors, plan)

    def _reduce_scatter_base(self, output: torch.Tensor, input: torch.Tensor, opts: Any = None) -> Work:
        def plan() -> _Plan:
            op = operation(opts)
            require_numbers(op, output, input)
            require_outputs(output, name="output")
            _require_whole(input, output, self._size, "input")
            return f"reduce_scatter_tensor ({op}) of {described(input)}", _reduce_scatter([input], output, output.numel() * self._rank, op)

        return self._make("reduce_scatter_tensor", [output], plan)

    def send(self, tensors: list[torch.Tensor], dst: int, tag: int = 0) -> Work:
        raise cannot("send")

    def recv(self, tensors: list[torch.Tensor], src: int, tag: int = 0) -> Work:
        raise cannot("recv")

    def recv_anysource(self, tensors: list[torch.Tensor], tag: int = 0) -> Work:
        raise cannot("recv")

    def alltoall(self, output_tensors: list[torch.Tensor], input_tensors: list[torch.Tensor], opts: Any = None) -> Work:
        raise cannot("all_to_all")

    def alltoall_base(self, output: torch.Tensor, input: torch.Tensor, output_sizes: list[int], input_sizes: list[int], opts: Any = None) -> Work:
        raise cannot("all_to_all_single")

    # ------------------------------------------------------------------------------------------------------ how it is done

    def require_process(self) -> None:
        """Fails in a forked child."""
        if os.getpid() != self._process:
            raise Forked("The process group is the parent process's.")

    def _make(self, kind: str, result: list[torch.Tensor], plan: Callable[[], _Plan]) -> Work:
        """Makes a call. One that is refused here counts, too, and fails on the other ranks, so that all go on with the same one."""
        self.require_process()
        try:
            text, run = plan()
        except Exception as error:
            refusal = copied(error)

            def refuse(_: _Reduce) -> None:
                raise refusal

            self._start(kind, [], refuse)
            raise
        return self._start(text, result, run)

    def _start(self, text: str, result: list[torch.Tensor], run: _Run) -> Work:
        with self._gate:
            what = (text, *(tensor.data_ptr() for tensor in result))
            number = self._numbers.next(what)
            work = Work(self, result, lambda: self._act(run, number, what))
            self._works[id(work)] = work
            while len(self._works) > _WORKS_KEPT:
                self._works.pop(next(iter(self._works)))
            self._workers.submit(work.run)
        return work

    def _act(self, run: _Run, number: int, what: tuple[Any, ...]) -> None:
        text: str = what[0]
        entered = False

        def reduce(tensor: torch.Tensor, op: str) -> None:
            nonlocal entered
            entered = True
            self._all_reduce(label(number, text), tensor, op)

        try:
            run(reduce)
        except (Cancelled, TimedOut):
            with self._gate:
                self._numbers.give_back(number, what)
            raise
        except Exception as error:
            if not entered:  # the others wait for this rank
                refused = f"{text.partition(' ')[0]} that was refused: {getattr(error, 'message', error)}"
                with contextlib.suppress(CollectiveError):
                    self._all_reduce(label(number, refused), torch.empty(0), "sum")
            raise

    def _all_reduce(self, label: str, tensor: torch.Tensor, op: str) -> None:
        """Reduces in place, and again when a connection broke but nobody was lost."""
        if self._size == 1:
            return
        while self._lost is None:
            try:
                if self._communicator.all_reduce(tensor, op=op, label=label).world_size == self._size:
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

    def _gathering(self, tensor: torch.Tensor, outputs: list[torch.Tensor] | None) -> _Run:
        require_input(tensor)
        if outputs is not None:
            require_count(outputs, self._size, "outputs")
            require_outputs(*outputs, name="output")
            require_like(tensor, *outputs, name="output")

        def run(reduce: _Reduce) -> None:
            gathered = self._gather(reduce, tensor)
            if outputs is not None:
                copy_bits(gathered, outputs)

        return run

    def _gather(self, reduce: _Reduce, tensor: torch.Tensor) -> torch.Tensor:
        """The bytes of all ranks, one after the other: each adds its own to zeros."""
        count = _bytes(tensor)
        gathered = torch.zeros(count * self._size, dtype=torch.uint8)
        gathered[count * self._rank : count * (self._rank + 1)] = bits(tensor)
        reduce(gathered, "sum")
        return gathered


def _reduce_in_place(reduce: _Reduce, tensor: torch.Tensor, op: str) -> None:
    if tensor.dtype != torch.bool:
        reduce(tensor, op)
        return
    numbers = tensor.to(torch.uint8)
    reduce(numbers, op)
    write(tensor, numbers)


def _from_root(reduce: _Reduce, own: torch.Tensor | None, count: int) -> torch.Tensor:
    """The root's bytes: its own plus the zeros of all others, where nothing is ever rounded."""
    buffer = torch.zeros(count, dtype=torch.uint8) if own is None else own.clone()
    reduce(buffer, "sum")
    return buffer


def _reduce_scatter(inputs: list[torch.Tensor], output: torch.Tensor, before: int, op: str) -> _Run:
    def run(reduce: _Reduce) -> None:
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in inputs])
        _reduce_in_place(reduce, flat, op)
        write(output, flat[before : before + output.numel()].view(output.shape))

    return run


def _require_whole(whole: torch.Tensor, part: torch.Tensor, size: int, name: str) -> None:
    if (whole.dtype, whole.numel()) != (part.dtype, part.numel() * size):
        raise InvalidArgument(f"The {name} is {described(whole)}, and not {size} times {described(part)}.", hint="Make them fit.")


def _bytes(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())


def _flat(lists: list[list[torch.Tensor]]) -> list[torch.Tensor]:
    return [tensor for each in lists for tensor in each]
