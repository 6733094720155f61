"""Data-parallel training over peers that come and go."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch

from .._reduce import QuantizationLike
from .._types import Quantization, ReduceResult
from ..communicator import Communicator
from ..errors import InvalidArgument, InvalidUsage
from ._gradients import Model
from ._layout import BUFFER_RULES, Options

_BUCKET_BYTES = 8 << 20


class DataParallel(torch.nn.Module):  # type: ignore[misc]
    """A module whose gradients are averaged over the peers of a communicator when a backward pass ends. Made by :func:`data_parallel`.

    Gradients leave while the backward pass goes on. Those of all modules that one pass reaches are averaged over the same peers; when a
    peer is lost they are averaged again among the others. Afterwards ``.grad`` has the same bits on all peers. When ``backward()`` raises
    instead, no gradient was averaged.

    What is averaged is what ``.grad`` holds at the end of the pass. A peer that has no gradient for a parameter counts as zero; a
    parameter that has none on any peer keeps None. A peer that is alone keeps its gradients.

    The state dict has the module's keys with "module." in front; share and save ``parallel.module``. A deep copy averages through the same
    communicator; one that was pickled and loaded refuses to run: wrap its ``module``.
    """

    def __init__(self, module: torch.nn.Module, communicator: Communicator, options: Options) -> None:
        super().__init__()
        self.module = module
        self._options = options
        self._gradients: Model | None = Model(module, communicator, options)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        gradients = self._require_communicator()
        if not torch.is_grad_enabled():
            return self.module(*args, **kwargs)
        gradients.refresh()
        outputs = self.module(*args, **kwargs)
        gradients.watch(outputs)
        return outputs

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Backward passes in here only accumulate; the next one outside averages. What counts is where ``backward()`` is called."""
        gradients = self._require_communicator()
        before, gradients.synchronizes = gradients.synchronizes, False
        try:
            yield
        finally:
            gradients.synchronizes = before

    def average_gradients(self) -> ReduceResult | None:
        """Averages what ``.grad`` holds now.

        For a peer that has no backward pass to make when the others make one, or after passes in :meth:`no_sync`.
        """
        self._require_communicator().average()
        return self.result

    @property
    def result(self) -> ReduceResult | None:
        """What the last averaging reports, such as the peers that took part; None where this peer was alone, or there was none yet."""
        return self._require_communicator().result

    @property
    def layout(self) -> str:
        """What has to be equal on all peers, with a digest of the names, shapes and types of parameters, and of the options."""
        return self._require_communicator().layout.label

    def __deepcopy__(self, memo: dict[int, Any]) -> DataParallel:
        gradients = self._require_communicator()
        made = DataParallel(copy.deepcopy(self.module, memo), gradients.communicator, self._options)
        memo[id(self)] = made
        made.train(self.training)
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_gradients": None}

    def _require_communicator(self) -> Model:
        if self._gradients is None:
            raise InvalidUsage("This wrapper was loaded, and has no communicator.", hint="Call data_parallel(loaded.module, communicator).")
        return self._gradients


def data_parallel(
    module: torch.nn.Module,
    communicator: Communicator,
    *,
    buffers: str = "broadcast",
    quantization: QuantizationLike = None,
    bucket_bytes: int = _BUCKET_BYTES,
    name: str = "",
    find_unused_parameters: bool = True,
    static_graph: bool = False,
) -> DataParallel:
    """Wraps a module so that its gradients are averaged over however many peers there are.

    Nothing that peers exchange depends on what one of them did before: parameters are matched by name, shape and type, and peers whose
    modules or options differ get :class:`collective.Mismatch`. Before training, and whenever peers have joined,
    :meth:`collective.Communicator.sync` gives all the same parameters.

    Args:
        buffers: what becomes of the buffers in the state dict, such as the statistics of BatchNorm, whenever gradients are averaged:
            ``"broadcast"``: all get those of rank 0; ``"average"``: floating-point ones are averaged, others are those of rank 0;
            ``"none"``: each peer keeps its own.
        quantization: sends fewer bytes of float32 and float64 gradients; see :meth:`collective.Communicator.all_reduce`.
        bucket_bytes: small gradients travel together up to this size.
        name: part of what has to be equal on all peers, for modules of equal layout.
        find_unused_parameters, static_graph: taken from programs written for ``DistributedDataParallel``; without effect, because any
            parameter may stay unused.
    """
    if buffers not in BUFFER_RULES:
        raise InvalidArgument(f"{buffers!r} is no rule for buffers.", hint=f"Choose one of {', '.join(map(repr, BUFFER_RULES))}.")
    if bucket_bytes < 1:
        raise InvalidArgument(f"bucket_bytes is {bucket_bytes}.", hint="Choose a whole number from 1.")
    if isinstance(module, DataParallel):
        raise InvalidArgument("The module is wrapped already.", hint="Use it, or wrap its module.")
    quantization = Quantization(quantization) if isinstance(quantization, str) else quantization
    return DataParallel(module, communicator, Options(buffers, bucket_bytes, quantization, name))
