"""What the tests of data_parallel train: the same code in the peers, and in one process on the union of their batches."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

Loss = Callable[[int], torch.Tensor]


def mlp(*sizes: int) -> nn.Sequential:
    layers = [layer for one, two in zip(sizes, sizes[1:]) for layer in (nn.Linear(one, two), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


class Case:
    """A model, its loss, and how one step is made. ``self.parts`` are the modules, or in a peer their wrappers."""

    options: dict[str, object] = {}
    tolerance = 1e-5

    def __init__(self) -> None:
        self.modules = nn.ModuleDict(self.build())
        self.parts = dict(self.modules.items())
        self.optimizer = torch.optim.SGD(self.modules.parameters(), lr=0.05, momentum=0.9)
        self.no_sync = contextlib.nullcontext

    def build(self) -> dict[str, nn.Module]:
        return {"net": mlp(6, 8, 8, 6)}

    def wrap(self, data_parallel: Callable[..., nn.Module], **options: object) -> None:
        self.parts = {name: data_parallel(module, **self.options_of(name), **options) for name, module in self.modules.items()}
        self.no_sync = self.wrappers[0].no_sync

    def options_of(self, name: str) -> dict[str, object]:
        return self.options

    @property
    def wrappers(self) -> list:
        return list(self.parts.values())

    @property
    def deadly(self) -> nn.Parameter:
        """The gradient at which one peer dies."""
        return next(self.modules.parameters())

    def inputs(self, peer: int, step: int, turn: int) -> torch.Tensor:
        return torch.randn(4, 6, generator=torch.Generator().manual_seed(1000 * step + 10 * peer + turn))

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        inputs = self.inputs(peer, step, turn)
        return (self.parts["net"](inputs) - inputs.flip(1)).pow(2).mean()

    def make_step(self, loss: Loss, step: int) -> None:
        """``loss(turn)`` is this peer's; or the mean of those of all."""
        self.optimizer.zero_grad(set_to_none=True)
        loss(0).backward()
        self.optimizer.step()

    def digest(self) -> str:
        hashed = hashlib.sha256()
        for _, tensor in [*self.modules.named_parameters(), *self.modules.named_buffers()]:
            hashed.update(raw(tensor))
            grad = getattr(tensor, "grad", None)
            hashed.update(b"None" if grad is None else raw(grad))
        return hashed.hexdigest()[:16]

    def snapshot(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in [*self.modules.named_parameters(), *self.modules.named_buffers()]}


def raw(tensor: torch.Tensor) -> bytes:
    dense = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
    return dense.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


class Plain(Case):
    pass


class OneBucket(Case):
    options = {"bucket_bytes": 1 << 20}


class ManyBuckets(Case):
    """More than may be in flight at once."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shifts = nn.ParameterList(torch.randn(6) for _ in range(300))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs + torch.stack([torch.tanh(shift) for shift in self.shifts]).sum(0)

    options = {"bucket_bytes": 1}

    def build(self) -> dict[str, nn.Module]:
        return {"net": self.Net()}


class StaticGraph(Case):
    options = {"static_graph": True, "find_unused_parameters": False}


class Accumulation(Case):
    """Two passes that only accumulate before one that averages."""

    def make_step(self, loss: Loss, step: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with self.no_sync():
            loss(0).backward()
            loss(1).backward()
        loss(2).backward()
        self.optimizer.step()


class AccumulationAlone(Accumulation):
    """All passes accumulate, and the averaging is asked for."""

    def make_step(self, loss: Loss, step: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        with self.no_sync():
            loss(0).backward()
            loss(1).backward()
        if self.wrappers[0] is not self.modules["net"]:
            self.wrappers[0].average_gradients()
        self.optimizer.step()


class Autocast(Case):
    tolerance = 3e-2

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().loss(peer, step, turn).float()


class LossScaling(Case):
    """As a GradScaler: when a gradient is not finite on one peer, none makes the step."""

    scale = 1024.0

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        loss = super().loss(peer, step, turn) * self.scale
        return loss * float("inf") if (peer, step) == (1, 2) else loss

    def make_step(self, loss: Loss, step: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss(0).backward()
        for parameter in self.modules.parameters():
            parameter.grad /= self.scale
        if all(parameter.grad.isfinite().all() for parameter in self.modules.parameters()):
            self.optimizer.step()


class Types(Case):
    """Parameters of several types in one module, and one without elements."""

    tolerance = 3e-2

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = nn.Linear(6, 8), nn.Linear(8, 8).double(), nn.Linear(8, 6).bfloat16()
            self.empty = nn.Parameter(torch.empty(0))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.three(torch.tanh(self.two(torch.tanh(self.one(inputs) + self.empty.sum()).double())).bfloat16()).float()

    def build(self) -> dict[str, nn.Module]:
        return {"net": self.Net()}


class Tied(Case):
    def build(self) -> dict[str, nn.Module]:
        net = mlp(6, 6, 6, 6)
        net[4].weight = net[0].weight
        return {"net": net}


class Frozen(Case):
    def build(self) -> dict[str, nn.Module]:
        net = mlp(6, 8, 8, 6)
        net[2].requires_grad_(False)
        return {"net": net}


class FrozenLater(Case):
    """Which parameters are trained changes in mid-training, on all peers alike."""

    def make_step(self, loss: Loss, step: int) -> None:
        self.modules["net"][2].requires_grad_(step < 2 or step > 7)
        super().make_step(loss, step)


class Checkpointed(Case):
    """Parts of the module run again in the backward pass, some with the same parameters."""

    reentrant = True

    class Net(nn.Module):
        def __init__(self, reentrant: bool) -> None:
            super().__init__()
            self.layers, self.last, self.reentrant = mlp(6, 8, 6), nn.Linear(6, 6), reentrant

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            inputs = inputs.clone().requires_grad_()
            for _ in range(3):
                inputs = torch.tanh(checkpoint(self.layers, inputs, use_reentrant=self.reentrant))
            return self.last(inputs)

    def build(self) -> dict[str, nn.Module]:
        return {"net": self.Net(self.reentrant)}


class CheckpointedWithoutReentering(Checkpointed):
    reentrant = False


class CheckpointedOutside(Case):
    """The wrapper itself runs again in the backward pass."""

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        inputs = self.inputs(peer, step, turn).requires_grad_()
        return (checkpoint(self.parts["net"], inputs, use_reentrant=True) - inputs.detach().flip(1)).pow(2).mean()


class HiddenOutput(Checkpointed):
    """The output is an object in which nobody can find tensors."""

    class Hidden:
        def __init__(self, value: torch.Tensor) -> None:
            self.value = value

    class Net(Checkpointed.Net):
        def forward(self, inputs: torch.Tensor) -> object:
            return HiddenOutput.Hidden(super().forward(inputs))

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        inputs = self.inputs(peer, step, turn)
        return (self.parts["net"](inputs).value - inputs.flip(1)).pow(2).mean()


class Experts(Case):
    """Peers use different parameters, some use none of a kind, and some parameters nobody uses."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.experts, self.unused = nn.Linear(6, 6), nn.ModuleList(mlp(6, 6, 6) for _ in range(4)), nn.Linear(6, 6)

        def forward(self, inputs: torch.Tensor, expert: int) -> torch.Tensor:
            return self.experts[expert](torch.tanh(self.first(inputs)))

    def build(self) -> dict[str, nn.Module]:
        return {"net": self.Net()}

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        inputs = self.inputs(peer, step, turn)
        return (self.parts["net"](inputs, (peer + step) % 3) - inputs.flip(1)).pow(2).mean()

    def make_step(self, loss: Loss, step: int) -> None:
        super().make_step(loss, step)
        net = self.modules["net"]
        assert all(parameter.grad is None for module in (net.unused, net.experts[3]) for parameter in module.parameters())


class TwoModels(Case):
    """Two wrapped modules in one backward pass, which reaches them in different orders on different peers."""

    def build(self) -> dict[str, nn.Module]:
        return {"one": mlp(6, 8, 6), "two": mlp(6, 7, 6)}

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        inputs = self.inputs(peer, step, turn)
        first, second = ("one", "two") if peer % 2 else ("two", "one")
        return (self.parts[first](self.parts[second](inputs)) - inputs.flip(1)).pow(2).mean()


class Twins(TwoModels):
    """Two of equal layout."""

    def build(self) -> dict[str, nn.Module]:
        return {"one": mlp(6, 8, 6), "two": mlp(6, 8, 6)}


class SharedPart(Case):
    """Two wrapped modules have parameters in common, and only one of them is used."""

    def build(self) -> dict[str, nn.Module]:
        first = mlp(6, 6)
        return {"one": nn.Sequential(first, mlp(6, 8, 6)), "two": nn.Sequential(first, mlp(6, 7, 6))}

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        inputs = self.inputs(peer, step, turn)
        return (self.parts["one" if step % 2 else "two"](inputs) - inputs.flip(1)).pow(2).mean()


class Adversaries(Case):
    """Two wrapped modules that are trained in turn, one through the other."""

    def build(self) -> dict[str, nn.Module]:
        return {"generator": mlp(6, 8, 6), "judge": mlp(6, 8, 1)}

    @property
    def deadly(self) -> nn.Parameter:
        return next(self.modules["judge"].parameters())

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        inputs = self.inputs(peer, step, turn)
        made = self.parts["generator"](inputs)
        if turn == 0:
            return (self.parts["judge"](made.detach()) - self.parts["judge"](inputs)).tanh().mean()
        return -self.parts["judge"](made).tanh().mean()

    def make_step(self, loss: Loss, step: int) -> None:
        for turn, name in enumerate(("judge", "generator")):
            self.optimizer.zero_grad(set_to_none=True)
            for each, module in self.modules.items():
                module.requires_grad_(each == name)
            loss(turn).backward()
            self.optimizer.step()


class BatchNorm(Case):
    def build(self) -> dict[str, nn.Module]:
        return {"net": nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 6))}


class BatchNormAverage(BatchNorm):
    options = {"buffers": "average"}


class BatchNormTwice(BatchNorm):
    """Two forward passes before two backward passes."""

    def make_step(self, loss: Loss, step: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        first, second = loss(0), loss(1)
        first.backward()
        second.backward()
        self.optimizer.step()


class BackwardTwice(Case):
    """Two passes that average, before one step; the first one's graph is used again."""

    def make_step(self, loss: Loss, step: int) -> None:
        self.optimizer.zero_grad(set_to_none=False)
        first = loss(0)
        first.backward(retain_graph=True)
        (first * 0.5).backward()
        loss(1).backward()
        self.optimizer.step()


class GradientPenalty(Case):
    """A derivative of a derivative: autograd.grad in the forward pass."""

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        inputs = self.inputs(peer, step, turn).requires_grad_()
        outputs = self.parts["net"](inputs)
        (slope,) = torch.autograd.grad(outputs.sum(), inputs, create_graph=True)
        return (outputs - inputs.detach().flip(1)).pow(2).mean() + slope.pow(2).mean()


class GradientOfGradient(Case):
    """A penalty on the averaged gradients themselves."""

    def make_step(self, loss: Loss, step: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss(0).backward(create_graph=True)
        sum(parameter.grad.pow(2).sum() for parameter in self.modules.parameters()).mul(0.1).backward()
        for parameter in self.modules.parameters():
            parameter.grad = parameter.grad.detach()
        self.optimizer.step()


class Sparse(Case):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.last = nn.Embedding(10, 6, sparse=True), nn.Linear(6, 6)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.last(self.table(inputs.abs().mul(3).long().clamp(max=9)).mean(1))

    def build(self) -> dict[str, nn.Module]:
        return {"net": self.Net()}


class Complex(Case):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(6, 8, dtype=torch.complex64), nn.Linear(8, 6, dtype=torch.complex64)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.two(self.one(inputs.to(torch.complex64)).conj()).abs()

    def build(self) -> dict[str, nn.Module]:
        return {"net": self.Net()}


class Hooks(Case):
    """Hooks of the program change gradients: before they are added up, and after."""

    def wrap(self, data_parallel: Callable[..., nn.Module], **options: object) -> None:
        super().wrap(data_parallel, **options)
        self.add_hooks()

    def add_hooks(self) -> None:
        first, last = self.modules["net"][0].weight, self.modules["net"][4].weight

        def halve(*_: object) -> None:
            last.grad.mul_(0.5)

        first.register_hook(lambda grad: grad * 2)
        self.node = last.expand_as(last).grad_fn.next_functions[0][0]
        self.node.register_hook(halve)


class Copied(Case):
    """The copy of a wrapper is trained."""

    def wrap(self, data_parallel: Callable[..., nn.Module], **options: object) -> None:
        super().wrap(data_parallel, **options)
        original = self.parts["net"]
        self.parts = {"net": copy.deepcopy(original)}
        self.no_sync = self.parts["net"].no_sync
        assert self.parts["net"].module is not original.module
        self.modules = nn.ModuleDict({"net": self.parts["net"].module})
        self.optimizer = torch.optim.SGD(self.modules.parameters(), lr=0.05, momentum=0.9)


class WrappedAgain(Case):
    """What counts is the last wrapper of a module, whether or not somebody still holds another."""

    def wrap(self, data_parallel: Callable[..., nn.Module], **options: object) -> None:
        super().wrap(data_parallel, **options)
        self.before = self.parts
        super().wrap(data_parallel, **options)


class NoBatch(Case):
    """One peer has nothing to do in some steps."""

    def loss(self, peer: int, step: int, turn: int) -> torch.Tensor:
        if peer == 0 and step % 2:
            return torch.zeros(())
        return super().loss(peer, step, turn)

    def make_step(self, loss: Loss, step: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        mine = loss(0)
        if mine.requires_grad:
            mine.backward()
        elif self.wrappers[0] is not self.modules["net"]:
            self.wrappers[0].average_gradients()
        self.optimizer.step()


CASES = {
    kind.__name__: kind
    for kind in (
        Plain,
        OneBucket,
        ManyBuckets,
        StaticGraph,
        Accumulation,
        AccumulationAlone,
        Autocast,
        LossScaling,
        Types,
        Tied,
        Frozen,
        FrozenLater,
        Checkpointed,
        CheckpointedWithoutReentering,
        CheckpointedOutside,
        HiddenOutput,
        Experts,
        TwoModels,
        Twins,
        SharedPart,
        Adversaries,
        BatchNorm,
        BatchNormAverage,
        BatchNormTwice,
        BackwardTwice,
        GradientPenalty,
        GradientOfGradient,
        Sparse,
        Complex,
        Hooks,
        Copied,
        WrappedAgain,
        NoBatch,
    )
}
