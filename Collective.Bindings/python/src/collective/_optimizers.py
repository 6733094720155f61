"""The state of torch optimizers as something that can be handed to a peer whose optimizer has not made a step yet.

Before its first step an optimizer has no state. A stand-in, a copy with parameters of its own, makes a step to find out what it will
have, so that no trace is left in the real one. Whether a piece of state is there at all is part of the content: it is handed on, and never made up.
"""

from __future__ import annotations

import collections
import copy
import sys
import weakref
from collections.abc import Callable
from typing import Any

from .errors import InvalidArgument

Gradient = Callable[[Any], Any]

_HINT = "Share what it holds as a dict of your own, whose tensors all peers have from the beginning."

# Attributes that a stand-in does not copy: it has its own, or they lead to the real optimizer.
_NOT_COPIED = ("state", "param_groups", "step")

# How the gradients look that a kind of optimizer takes; of those kinds that were tried.
_proved: dict[type, Gradient] = {}

# Positions of parameters of which a step leaves no state.
_stateless: weakref.WeakKeyDictionary[Any, set[int]] = weakref.WeakKeyDictionary()


class HeldState:
    """What an optimizer holds for each of its parameters, and room for what it may receive.

    Attributes:
        values: for each parameter, by name: the optimizer's own tensor or number, or room for one that is absent.
        present: a byte for each of them, parameter by parameter in the order of the names: whether it is there.
    """

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer
        self._parameters = parameters_of(optimizer)
        own = [dict(optimizer.state.get(parameter, {})) for parameter in self._parameters]
        known = _stateless.setdefault(optimizer, set())
        fresh = [at for at, parameter in enumerate(self._parameters) if parameter.requires_grad and not own[at] and at not in known]
        room = _first_state(optimizer, fresh) if fresh else {}
        known.update(at for at in fresh if not room[at])
        self.values = [values or room.get(at, {}) for at, values in enumerate(own)]
        self.present = bytearray(bool(own[at]) for at, values in enumerate(self.values) for _ in values)

    def adopt(self) -> None:
        """Makes the values and what is said to be present the optimizer's state."""
        flags = iter(bytes(self.present))
        for parameter, values in zip(self._parameters, self.values):
            state = {name: values[name] for name in sorted(values) if next(flags)}
            if state:
                self._optimizer.state[parameter].update(state)
            for name in values.keys() - state.keys():
                self._optimizer.state.get(parameter, {}).pop(name, None)
            if values and not self._optimizer.state.get(parameter):
                self._optimizer.state.pop(parameter, None)


def parameters_of(optimizer: Any) -> list[Any]:
    """All parameters, in the order of the groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def prove(optimizer: Any, transplant: Callable[[Any, Any], None]) -> None:
    """Tries once for each kind of optimizer whether one that received another's state goes on exactly as that one does.

    Args:
        transplant: makes the second optimizer what the first one is, as a sync does.

    Raises:
        InvalidArgument: it does not, such as one that keeps state elsewhere; or it cannot be tried.
    """
    kind = type(optimizer)
    if kind in _proved or not parameters_of(optimizer):
        return
    failure: Exception | None = None
    for gradient in (_dense, _sparse):
        _proved[kind] = gradient
        try:
            if _goes_on_alike(optimizer, gradient, transplant):
                return
            failure = failure or ValueError("one that received another's state went on differently")
        except Exception as error:  # whatever a foreign optimizer raises
            failure = failure or error
    del _proved[kind]
    raise InvalidArgument(f"The state of {kind.__name__} cannot be handed to a peer: {failure}", hint=_HINT) from None


def _goes_on_alike(optimizer: Any, gradient: Gradient, transplant: Callable[[Any, Any], None]) -> bool:
    torch = sys.modules["torch"]
    trained = ([parameter for parameter in group["params"] if parameter.requires_grad][:1] for group in optimizer.param_groups)
    ones = [[torch.nn.Parameter(_small(parameter)) for parameter in group] for group in trained]

    def stand_in() -> Any:
        return _stand_in(optimizer, [[torch.nn.Parameter(each.detach().clone()) for each in group] for group in ones])

    one, other, fresh, unused = (stand_in() for _ in range(4))
    for number in range(3):
        _step(one, gradient, number + 1)
    transplant(one, other)
    transplant(fresh, fresh)
    with torch.no_grad():
        for target, source in zip(parameters_of(other), parameters_of(one)):
            target.copy_(source)
    for number in range(3):
        for each in (one, other, fresh, unused):
            _step(each, gradient, number + 2)
    return all(
        torch.equal(left, right)
        for pair in ((one, other), (fresh, unused))
        for left, right in zip(*(parameters_of(each) for each in pair))
    )


def _first_state(optimizer: Any, positions: list[int]) -> dict[int, dict[str, Any]]:
    """What a first step would leave for the parameters at these positions, emptied."""
    torch = sys.modules["torch"]
    every = parameters_of(optimizer)
    doubles = {at: torch.nn.Parameter(torch.zeros_like(every[at], requires_grad=False)) for at in positions}
    groups, start = [], 0
    for group in optimizer.param_groups:
        groups.append([doubles[at] for at in range(start, start + len(group["params"])) if at in doubles])
        start += len(group["params"])
    try:
        double = _stand_in(optimizer, groups)
        _step(double, _proved.get(type(optimizer), _dense), 0)
    except Exception as error:  # whatever a foreign optimizer raises
        what = f"The state that {type(optimizer).__name__} will have after its first step cannot be found out"
        raise InvalidArgument(f"{what}: {error}", hint=_HINT) from error
    return {at: {name: _emptied(value) for name, value in double.state.get(parameter, {}).items()} for at, parameter in doubles.items()}


def _stand_in(optimizer: Any, groups: list[list[Any]]) -> Any:
    """An optimizer of the same kind and with the same options for other parameters, as it is before its first step."""
    own = [
        {**{name: copy.deepcopy(value) for name, value in group.items() if name != "params"}, "params": parameters}
        for group, parameters in zip(optimizer.param_groups, groups)
    ]
    try:
        # Some, such as Adagrad, give their parameters a state at once.
        return type(optimizer)(own, **optimizer.defaults)
    except Exception:  # its constructor wants something else
        return _bare_stand_in(optimizer, own)


def _bare_stand_in(optimizer: Any, groups: list[dict[str, Any]]) -> Any:
    double = object.__new__(type(optimizer))
    memo = {id(optimizer): double}
    for name, value in vars(optimizer).items():
        if name.endswith("hooks"):
            setattr(double, name, collections.OrderedDict())
        elif name not in _NOT_COPIED:
            setattr(double, name, copy.deepcopy(value, memo))
    double.state = collections.defaultdict(dict)
    double.param_groups = groups
    return double


def _step(optimizer: Any, gradient: Gradient, scale: int) -> None:
    torch = sys.modules["torch"]
    for parameter in parameters_of(optimizer):
        parameter.grad = gradient(torch.full_like(parameter, 0.25 * scale, requires_grad=False))
    with torch.random.fork_rng(devices=[]):
        type(optimizer).step(optimizer)  # not the one of the object, which a scheduler may have wrapped


def _small(parameter: Any) -> Any:
    torch = sys.modules["torch"]
    shape = [min(size, 3) for size in parameter.shape]
    return torch.arange(1, 1 + torch.Size(shape).numel()).reshape(shape).to(parameter.dtype)


def _dense(gradient: Any) -> Any:
    return gradient


def _sparse(gradient: Any) -> Any:
    torch = sys.modules["torch"]
    if gradient.dim() == 0:
        raise ValueError("a parameter without dimensions has no sparse gradient")
    rows = torch.arange(gradient.shape[0]).unsqueeze(0)
    return torch.sparse_coo_tensor(rows, gradient, gradient.shape)


def _emptied(value: Any) -> Any:
    """Room for such a value: what all peers on which it is absent hold alike."""
    torch = sys.modules["torch"]
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    if isinstance(value, dict):
        return {name: _emptied(item) for name, item in value.items()}
    return [_emptied(item) for item in value] if isinstance(value, list) else None
