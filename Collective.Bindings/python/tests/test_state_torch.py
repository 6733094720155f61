"""The state of torch modules and optimizers: what is received is what the module or optimizer then has, or the call fails."""

from __future__ import annotations

import inspect

import pytest

torch = pytest.importorskip("torch")

from test_state import entries, received  # noqa: E402

import collective  # noqa: E402
from collective import InvalidArgument  # noqa: E402

OPTIONS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1},
    ],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1}],
    "AdamW": [{}, {"amsgrad": True}],
    "RMSprop": [{}, {"momentum": 0.9, "centered": True}],
    "Adagrad": [{}, {"initial_accumulator_value": 0.5, "lr_decay": 0.1}],
}
OPTIMIZERS = {name for name, kind in vars(torch.optim).items() if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)}
CASES = [(name, options) for name in sorted(OPTIMIZERS - {"Optimizer", "LBFGS"}) for options in OPTIONS.get(name, [{}])]


class Training:
    """A few parameters, one of them frozen and one without gradients, and an optimizer."""

    def __init__(self, name, options, seed=0, used=(0, 1)):
        torch.manual_seed(seed)
        shapes = ((3, 2), (4,), (2, 2), (2,)) if name != "Muon" else ((3, 2), (4, 4), (2, 2), (2, 3))
        self.parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
        self.parameters[3].requires_grad = False
        self.used, self.sparse = used, name == "SparseAdam"
        groups = [{"params": self.parameters[:2]}, {"params": self.parameters[2:], "lr": 0.02}]
        self.optimizer = getattr(torch.optim, name)(groups, **options)

    def steps(self, count, used=None):
        for step in range(count):
            for at in self.used if used is None else used:
                gradient = self.parameters[at].detach() * 0.1 + step + 1
                self.parameters[at].grad = gradient.to_sparse(1) if self.sparse else gradient
            self.optimizer.step()
        return self

    @property
    def state(self):
        return {"optimizer": self.optimizer, "parameters": [parameter.data for parameter in self.parameters]}

    @property
    def names(self):
        return [sorted(self.optimizer.state[parameter]) if parameter in self.optimizer.state else None for parameter in self.parameters]

    @property
    def values(self):
        return [parameter.detach().clone() for parameter in self.parameters]

    def equals(self, other):
        return all(torch.equal(one, two) for one, two in zip(self.values, other.values))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_sync_before_the_first_step_leaves_no_trace(name, options):
    plain, synced, newcomer = Training(name, options), Training(name, options), Training(name, options, seed=1)
    generator = torch.get_rng_state()
    received(synced.state, newcomer.state)
    assert torch.equal(torch.get_rng_state(), generator)
    for training in (synced, newcomer):
        assert all(parameter.grad is None for parameter in training.parameters)
        assert training.names == plain.names
        keys = entries(training.state).keys
        assert training.steps(4).equals(Training(name, options).steps(4))
        assert entries(training.state).keys == keys


@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_newcomer_goes_on_as_the_others_do(name, options):
    for steps in (1, 3):
        old, new = Training(name, options).steps(steps), Training(name, options, seed=1)
        received(old.state, new.state)
        assert new.steps(3, used=(0, 1, 2)).equals(old.steps(3, used=(0, 1, 2)))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_who_receives_a_state_before_the_first_step_forgets_its_own(name, options):
    old, new = Training(name, options).steps(3), Training(name, options, seed=1)
    received(new.state, old.state)
    assert old.steps(3).equals(new.steps(3))


def test_a_real_sync_hands_over_each_optimizer(run_peers):
    chosen = [(name, options) for name, options in CASES if name != "SparseAdam"]

    def body(communicator, number):
        trainings = [Training(name, options, seed=number) for name, options in chosen]
        if number == 0:
            for training in trainings:
                training.steps(2)
        state = {str(at): training.state for at, training in enumerate(trainings)}
        communicator.sync(state, strategy="receive_only" if number else "send_only")
        return trainings

    for old, new in zip(*run_peers(2, body)):
        assert old.steps(3).equals(new.steps(3))


def test_lbfgs_is_refused():
    with pytest.raises(InvalidArgument, match="LBFGS.*closure"):
        entries({"o": torch.optim.LBFGS([torch.nn.Parameter(torch.ones(2))])})


class Forgetful(torch.optim.SGD):
    """Keeps state where no other peer can see it."""

    turn = 0

    @torch.no_grad()
    def step(self, closure=None):
        self.turn += 1
        for parameter in self.param_groups[0]["params"]:
            parameter -= self.turn * parameter.grad


class Thirsty(torch.optim.SGD):
    """Has more state after its second step than after its first."""

    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            state = self.state[parameter]
            state[f"step{len(state)}"] = torch.ones(1)


@pytest.mark.parametrize(
    ("kind", "message"), [(Forgetful, "went on differently"), (Thirsty, "cannot be known that it has optimizer.state.0.step1")]
)
def test_an_optimizer_whose_state_is_elsewhere_is_refused(kind, message):
    optimizer = kind([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    with pytest.raises(InvalidArgument, match=f"{kind.__name__}.*{message}"):
        entries({"o": optimizer})
    assert not optimizer.state and not vars(optimizer).get("turn")


def test_an_optimizer_that_a_scheduler_has_wrapped():
    training = Training("Adam", {})
    scheduler = torch.optim.lr_scheduler.StepLR(training.optimizer, 1)
    entries(training.state)
    assert training.optimizer._step_count == 0 and scheduler.last_epoch == 0


class Scaled(torch.nn.Linear):
    """Extra state of the kind that is given."""

    def __init__(self, extra):
        super().__init__(2, 2)
        self.extra = extra

    def get_extra_state(self):
        return self.extra.clone() if isinstance(self.extra, torch.Tensor) else self.extra

    def set_extra_state(self, state):
        self.extra = state


@pytest.mark.parametrize(
    ("mine", "yours"),
    [(torch.tensor([7.0]), torch.tensor([1.0])), ({"scale": 7.0, "name": "a"}, {"scale": 1, "name": ""}), (None, 3), ("text", 0.5)],
)
def test_extra_state_is_received(mine, yours):
    one, other = torch.nn.Sequential(Scaled(mine)), torch.nn.Sequential(Scaled(yours))
    received({"m": one}, {"m": other})
    assert other[0].extra == mine and type(other[0].extra) is type(mine)
    assert torch.equal(one[0].weight, other[0].weight)


class Cloning(torch.nn.Module):
    """Hands out copies of its parameters."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)
        self._register_state_dict_hook(lambda module, state, *_: state.update({key: value.clone() for key, value in state.items()}))


def test_a_module_that_hands_out_copies_receives():
    one, other = Cloning(), Cloning()
    weight = other.inner.weight
    received(one, other)
    assert other.inner.weight is weight and torch.equal(weight, one.inner.weight)


class Renaming(torch.nn.Module):
    """Adds a copy to its state that it does not take back."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)
        self._register_state_dict_hook(lambda module, state, prefix, metadata: state.update({"sum": module.inner.weight.sum()}))


def test_a_module_that_does_not_take_back_its_state_is_refused():
    with pytest.raises(InvalidArgument, match=r"(?s)m \(Renaming\) hands out copies.*Unexpected key.*sum"):
        entries({"m": Renaming()})


class Deaf(Scaled):
    def set_extra_state(self, state):
        pass


def test_a_module_that_ignores_what_it_received_is_found_out():
    with pytest.raises(InvalidArgument, match=r"m \(Deaf\) did not keep what was received for m._extra_state"):
        received({"m": Deaf(7.0)}, {"m": Deaf(1.0)})


def test_a_scheduler_is_shared():
    one, other = (torch.optim.lr_scheduler.StepLR(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1), 3) for _ in range(2))
    one.last_epoch, one.gamma = 5, 0.25
    received({"s": one}, {"s": other})
    assert (other.last_epoch, other.gamma) == (5, 0.25)


def test_tensors_whose_bytes_are_not_their_content():
    with pytest.raises(InvalidArgument, match="weight.*without a shape"):
        entries(torch.nn.LazyLinear(3))
    with pytest.raises(InvalidArgument, match="q is a quantized tensor"):
        entries({"q": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)})


def test_a_real_sync_of_copies(run_peers):
    def body(communicator, number):
        module = torch.nn.Sequential(Scaled(torch.tensor([float(number)])), Cloning())
        communicator.sync(module, strategy="receive_only" if number else "send_only")
        return module[0].extra.item(), [value.tolist() for value in module.state_dict().values()]

    one, two = run_peers(2, body)
    assert one == two and one[0] == 0.0


def test_a_module_that_ignores_what_it_received_fails_its_own_peer_only(run_peers):
    def body(communicator, number):
        module = Deaf(float(number))
        try:
            communicator.sync({"m": module}, strategy="receive_only" if number else "send_only")
        except collective.InvalidArgument:
            return "refused"
        return "done"

    assert run_peers(2, body) == ["done", "refused"]
