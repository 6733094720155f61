"""Averages what backward passes leave in ``.grad``: of all models of one pass together, over the same peers."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from .._types import ReduceResult
from ..communicator import Communicator
from ..errors import Aborted, InvalidUsage, Mismatch, TooFewPeers
from ._attempt import Attempt, Place
from ._layout import Bucket, Layout, Options, signature

# Outputs are looked for so deep in dicts, lists and objects.
_OUTPUT_DEPTH = 8


class Model:
    """A wrapped module: hears of its gradients, and has them averaged when the backward pass ends."""

    _numbers = itertools.count()

    def __init__(self, module: torch.nn.Module, communicator: Communicator, options: Options) -> None:
        self.module = module
        self.communicator = communicator
        self.layout = Layout(module, options)
        communicator._announce_own("data_parallel", self.layout.digest)
        self.number = next(self._numbers)
        self.synchronizes = True
        self.result: ReduceResult | None = None
        self.passing: _Pass | None = None
        self._options = options
        # By the parameter's id: itself, the node of the graph that adds to its gradient, and the hook there.
        self._watched: dict[int, tuple[torch.nn.Parameter, Any, Any]] = {}
        self._released = False
        self._run = _run_of(communicator)
        with _gate:
            for other in _models:
                if other.module is module:
                    other.release()
            _models.add(self)
            self._run.models.add(self)
        self._watch_parameters()

    def release(self) -> None:
        """Hears of no gradient any more."""
        self._released = True
        self._run.models.discard(self)
        for _, _, handle in self._watched.values():
            handle.remove()
        self._watched = {}

    def refresh(self) -> None:
        """Before a forward pass and a reduction: has the layout that the module has now."""
        if self._released:
            raise InvalidUsage("The module was wrapped again since.", hint="Use the wrapper that data_parallel() returned last.")
        if self.passing is None and signature(self.module) != self.layout.signature:
            self.layout = Layout(self.module, self._options)
            self.communicator._announce_own("data_parallel", self.layout.digest)
            self._watch_parameters()

    def watch(self, outputs: Any) -> None:
        """After a forward pass: hears when a backward pass begins. Parameters of a checkpointed module tell only of a pass inside it."""
        if self.layout.parameters:
            for tensor in _tensors(outputs, _OUTPUT_DEPTH):
                if tensor.grad_fn is not None:
                    tensor.register_hook(_weakly(self, Model._enter))

    def average(self) -> None:
        """What the end of a backward pass does, without one."""
        if self.passing is not None:
            raise InvalidUsage("A backward pass goes on.", hint="Call it after backward().")
        self.refresh()
        self._run.average([self])

    def end(self, of: _Pass) -> None:
        """The backward pass has ended."""
        if self.passing is of:
            self._run.average(self._run.reached_by(of.thread))
            self.passing = None

    def fail(self, of: _Pass) -> None:
        """The backward pass has failed: nobody gets anything of it."""
        if self.passing is of:
            self.passing = None
            of.abandon()
            if of.reached:
                self._run.begin()

    def _watch_parameters(self) -> None:
        """Those that were frozen since stay watched: a graph that is older may still give them gradients."""
        for parameter in self.layout.parameters:
            # The node lives as long as somebody has it; with another type comes another one.
            with torch.enable_grad():
                node = parameter.expand_as(parameter).grad_fn.next_functions[0][0]
            key = id(parameter)
            if key in self._watched and self._watched[key][1] is not node:
                self._watched.pop(key)[2].remove()
            if key not in self._watched:
                self._watched[key] = parameter, node, node.register_hook(_weakly(self, functools.partial(Model._arrived, key=key)))

    def _enter(self) -> None:
        if self.passing is None and self.synchronizes and not self._released:
            self.passing = _Pass(self)

    def _arrived(self, key: int) -> None:
        """A gradient is there. Perhaps not for the last time."""
        self._enter()
        if self.passing is not None:
            self.passing.arrived(self.layout.bucket_of.get(key), key, overlap=self._run.overlaps)


class _Pass:
    """A backward pass that has reached a model."""

    def __init__(self, model: Model) -> None:
        self.thread = threading.get_ident()
        self.reached = False
        self.attempt: Attempt | None = None
        self._model = weakref.ref(model)
        self.has_strangers = False
        self._missing: dict[Bucket, set[int]] = {bucket: bucket.keys for bucket in model.layout.buckets}
        torch.autograd.Variable._execution_engine.queue_callback(_End(model, self))

    def arrived(self, bucket: Bucket | None, key: int, overlap: bool) -> None:
        self.reached = True
        if bucket is None:
            self.has_strangers = True
        elif overlap and bucket in self._missing:
            missing = self._missing[bucket]
            missing.discard(key)
            if not missing:
                del self._missing[bucket]
                self._launch(bucket)

    def _launch(self, bucket: Bucket) -> None:
        if (model := self._model()) is not None:
            self.attempt = self.attempt or Attempt([model])
            self.attempt.launch_early(bucket)

    def abandon(self) -> None:
        if self.attempt is not None:
            self.attempt.abandon()
            self.attempt = None


class _End:
    """What torch calls when a backward pass has ended, and lets go of uncalled when it has failed."""

    def __init__(self, model: Model, current: _Pass) -> None:
        self._model = model
        self._pass = current

    def __call__(self) -> None:
        self._model.end(self._pass)

    def __del__(self) -> None:
        self._model.fail(self._pass)


class _Run:
    """What the models of one communicator have in common."""

    def __init__(self) -> None:
        self.models: weakref.WeakSet[Model] = weakref.WeakSet()
        self._overlaps = True
        self._peer: uuid.UUID | None = None
        self._next = Place(None, 0)
        # Guards the one set in flight against a second thread.
        self._gate = threading.Lock()

    @property
    def overlaps(self) -> bool:
        """Whether buckets leave before the pass has ended: what else has to go with them is known only if there is one model."""
        return self._overlaps and len(self.models) == 1

    def reached_by(self, thread: int) -> list[Model]:
        """The models that the backward pass of a thread gave gradients."""
        return [model for model in self.models if model.passing is not None and model.passing.thread == thread and model.passing.reached]

    def begin(self) -> Place:
        """A pass counts from its beginning on: that some have left it out is noticed."""
        place = self._next
        self._next = Place(None, place.misses + 1) if place.number is None else Place(place.number + 1, 0)
        return place

    def average(self, models: list[Model]) -> None:
        """Gives all of them the averages over all peers, or fails and changes nothing. Alone, they keep what they have."""
        if not models:
            return
        models.sort(key=lambda model: (model.layout.digest, model.number))
        passes = [model.passing for model in models if model.passing is not None]
        try:
            early = passes[0].attempt if passes else None
            with self._gate:
                result = self._average(models, early)
        finally:
            for each in passes:
                each.abandon()
            for model in models:
                model.passing = None
        for model in models:
            model.result = result

    def _average(self, models: list[Model], early: Attempt | None) -> ReduceResult | None:
        if (peer := models[0].communicator.world.id) != self._peer:
            self._peer, self._next = peer, Place(None, 0)
        place = self.begin()
        for model in models:
            if not model.layout.covers(model.module) or (model.passing is not None and model.passing.has_strangers):
                message = "The module has other parameters, or has frozen or unfrozen some, since the forward pass."
                raise InvalidUsage(message, hint="Change it before the forward pass, and call the wrapper.")
        while True:
            attempt = early or Attempt(models)
            early = None
            try:
                result, agreement = attempt.complete(place)
            except TooFewPeers:
                self._next = Place(None, 0)  # whoever joins is no more behind than this peer
                return None
            except Aborted:
                continue
            except Mismatch as error:
                mine = "; ".join(model.layout.label for model in models)
                hint = "Wrap equal modules with equal options on all peers."
                raise Mismatch(f"{error.message} This peer averages {mine}.", hint=hint) from error
            self._next = Place(agreement.next_number, 0)
            agreement.require_one_pass()
            if agreement.is_final:
                attempt.finish(agreement)
                return result
            self._overlaps = self._overlaps and not agreement.was_stale


# Guards what follows.
_gate = threading.Lock()
_models: weakref.WeakSet[Model] = weakref.WeakSet()
_runs: weakref.WeakKeyDictionary[Communicator, _Run] = weakref.WeakKeyDictionary()


def _run_of(communicator: Communicator) -> _Run:
    with _gate:
        return _runs.setdefault(communicator, _Run())


def _weakly(model: Model, action: Callable[[Model], None]) -> Callable[..., None]:
    """A hook that does not keep the model alive: graphs and parameters live as long as they like."""
    reference = weakref.ref(model)

    def hook(*_: Any) -> None:
        if (alive := reference()) is not None:
            action(alive)

    return hook


def _tensors(value: Any, depth: int) -> Iterator[torch.Tensor]:
    """Those in the output of a module."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth > 0:
        if isinstance(value, Mapping):
            parts: Any = value.values()
        elif isinstance(value, (tuple, list, set, frozenset)):
            parts = value
        else:
            parts = vars(value).values() if dataclasses.is_dataclass(value) and not isinstance(value, type) else ()
        for part in parts:
            yield from _tensors(part, depth - 1)
