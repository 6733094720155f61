"""One try to average the gradients and buffers of some models: all of them over the same peers, or none."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from .._reduce import ReduceHandle
from .._types import ReduceResult
from ..communicator import Communicator
from ..errors import Aborted, CollectiveError, Mismatch
from ._layout import Bucket, BufferGroup

if TYPE_CHECKING:
    from ._gradients import Model

# Part i of what is averaged has the tag GRADIENTS_TAG + i.
GRADIENTS_TAG = 1 << 32

# The library allows for 256 operations in flight. Those that are launched early come in any order. The rest comes in the same order on all
# peers, so that a peer that waits for the first of the rest waits for what all others have launched, or launch next.
_EARLY_MAX = 64
_REST_MAX = 128

# Less than anything that a peer says.
_NOTHING = -(1 << 62)

# Of each of these the largest is agreed on, so that with the opposite of a number its least is known too.
_HEAD = ["pass", "opposite of pass", "misses", "opposite of misses", "root", "opposite of root", "stale"]


@dataclass(frozen=True)
class _Part:
    """What one all-reduce of an attempt moves."""

    source: Bucket | BufferGroup
    op: str
    quantization: Any
    label: str


class Attempt:
    """Buckets may be launched early, while the backward pass goes on. Nothing is written before :meth:`finish`."""

    def __init__(self, models: list[Model]) -> None:
        self._models = models
        self._communicator: Communicator = models[0].communicator
        self._parts = [part for model in models for part in _parts_of(model)]
        self._positions = {part.source: position for position, part in enumerate(self._parts)}
        self._launched: set[int] = set()
        self._failure: CollectiveError | None = None
        self._ended = False
        self._reductions = _Reductions(self._communicator)

    def launch_early(self, bucket: Bucket) -> None:
        """A failure is told by :meth:`complete`."""
        if self._failure is None and len(self._launched) < _EARLY_MAX:
            try:
                self._launch(self._positions[bucket], is_root=False)
            except CollectiveError as error:
                self._failure = error

    def complete(self, place: Place) -> tuple[ReduceResult, Agreement]:
        """Launches the rest, and waits."""
        try:
            if self._failure is not None:
                raise self._failure
            world = self._communicator.world
            root = (world.id.int >> 66) + 1 if world.rank == 0 else None
            early = [part.source for position, part in enumerate(self._parts) if position in self._launched]
            for ordinal, position in enumerate(rest := [each for each in range(len(self._parts)) if each not in self._launched]):
                if ordinal >= _REST_MAX:
                    self._reductions.result_of(rest[ordinal - _REST_MAX])
                self._launch(position, is_root=root is not None)
            stale = any(source.is_stale() for source in early if isinstance(source, Bucket))
            used = [parameter.grad is not None for model in self._models for parameter in model.layout.parameters]
            agreement = Agreement(place, root, stale, used, needs_root=any(part.op == "max" for part in self._parts))
            self._reductions.launch(len(self._parts), agreement.memory, op="max", label="what the peers agree on")
            results = self._reductions.wait()
        except BaseException:
            self.abandon()
            raise
        self._ended = True
        agreement.has_one_membership = len({each.contributor_bytes for each in results}) == 1
        sums = {name: sum(getattr(each, name) for each in results) for name in ("tx_bytes", "rx_bytes")}
        return dataclasses.replace(results[-1], **sums), agreement

    def finish(self, agreement: Agreement) -> None:
        """Writes what came of it."""
        used = agreement.used
        for model in self._models:
            for bucket in model.layout.buckets:
                bucket.unpack(used)
            for group in model.layout.buffers:
                group.unpack()
            used = used[len(model.layout.parameters) :]

    def abandon(self) -> None:
        """Ends it, for all peers, unless it has ended."""
        if not self._ended:
            self._ended = True
            self._reductions.abandon()

    def _launch(self, position: int, *, is_root: bool) -> None:
        part = self._parts[position]
        self._launched.add(position)
        tensor, out = part.source.pack(is_root)
        self._reductions.launch(position, tensor, out, op=part.op, quantization=part.quantization, label=part.label)


class _Reductions:
    """The all-reduces of an attempt. When a peer is lost, those that it has aborted are made again."""

    def __init__(self, communicator: Communicator) -> None:
        self._communicator = communicator
        self._calls: dict[int, Callable[[], ReduceHandle]] = {}
        self._handles: dict[int, ReduceHandle] = {}

    def launch(self, position: int, tensor: torch.Tensor, out: torch.Tensor | None = None, **options: Any) -> None:
        tag = GRADIENTS_TAG + position
        self._calls[position] = functools.partial(self._communicator.all_reduce_async, tensor, out, tag=tag, **options)
        self._handles[position] = self._calls[position]()

    def wait(self) -> list[ReduceResult]:
        return [self.result_of(position) for position in sorted(self._calls)]

    def result_of(self, position: int) -> ReduceResult:
        while True:
            try:
                return self._handles[position].wait()
            except Aborted:
                self._repeat()

    def abandon(self) -> None:
        """Ends them, for all peers, unless they have ended."""
        for handle in self._handles.values():
            handle.abandon()

    def _repeat(self) -> None:
        for position, handle in self._handles.items():
            if handle.done():
                try:
                    handle.wait()
                except Aborted:
                    self._handles[position] = self._calls[position]()


@dataclass(frozen=True)
class Place:
    """Which backward pass a peer is in."""

    number: int | None
    """The group's count; None for a peer that has not heard it yet."""
    misses: int
    """Passes that failed on such a peer."""


class Agreement:
    """What the peers tell each other of a pass: of each number the largest, once it was reduced."""

    def __init__(self, place: Place, root: int | None, stale: bool, used: list[bool], *, needs_root: bool) -> None:
        said = [*_both(place.number), *_both(place.misses if place.number is None else None), *_both(root), int(stale)]
        assert len(said) == len(_HEAD)
        self._needs_root = needs_root
        # Known alike on all peers, because what was reduced tells all of them who took part.
        self.has_one_membership = True
        self.memory = torch.tensor(said + [int(each) for each in used], dtype=torch.int64)

    @property
    def used(self) -> list[bool]:
        """Which parameters got a gradient, on any peer."""
        return [bool(each) for each in self.memory[len(_HEAD) :].tolist()]

    @property
    def was_stale(self) -> bool:
        """Whether some peer launched a gradient before its last part had come."""
        return bool(self.memory[6] > 0)

    @property
    def is_final(self) -> bool:
        """Whether the result counts. All peers see the same, and else make another attempt."""
        root, opposite = self.memory[4:6].tolist()
        return self.has_one_membership and not self.was_stale and (not self._needs_root or root == -opposite)

    @property
    def next_number(self) -> int:
        """Of the pass after this one."""
        return max(0, int(self.memory[0])) + 1

    def require_one_pass(self) -> None:
        """Fails, on all peers, when they are not all in the same pass: then one has left out what the others wait for."""
        largest, least, most_misses, least_misses = (sign * number for sign, number in zip((1, -1, 1, -1), self.memory[:4].tolist()))
        if largest != _NOTHING and largest != least:
            where = f"The peers are in different backward passes, numbers {least} to {largest}"
        elif most_misses != _NOTHING and (most_misses != least_misses or (most_misses > 0 and largest != _NOTHING)):
            where = "The peers are in different backward passes: one has left out its first"
        else:
            return
        raise Mismatch(
            f"{where}. A pass that fails on one peer counts, for its gradients are there in part.",
            hint="Drop this step on all peers; the next pass has the same number on all.",
        )


def _both(number: int | None) -> tuple[int, int]:
    return (_NOTHING, _NOTHING) if number is None else (number, -number)


def _parts_of(model: Model) -> list[_Part]:
    layout = model.layout
    sources: list[Bucket | BufferGroup] = [*layout.buckets, *layout.buffers]
    labels = (f"{layout.label}, part {at + 1} of {len(sources)}" for at in range(len(sources)))
    return [_Part(source, source.op, source.quantization, label) for source, label in zip(sources, labels)]
