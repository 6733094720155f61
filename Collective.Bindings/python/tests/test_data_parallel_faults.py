"""collective.pytorch.data_parallel: what fails is told, on all peers, and changes nothing."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest
from conftest import BLOCKING

import collective

torch = pytest.importorskip("torch")

import collective.pytorch  # noqa: E402

# Of the peers that are threads of this process.
_gate = threading.Lock()


def net(*sizes: int) -> torch.nn.Sequential:
    with _gate:
        torch.manual_seed(0)
        return torch.nn.Sequential(*(torch.nn.Linear(one, two) for one, two in zip(sizes, sizes[1:])))


def backward(parallel: torch.nn.Module, value: float = 1.0) -> list[torch.Tensor]:
    parallel.zero_grad(set_to_none=True)
    parallel(torch.full((2, 4), float(value))).sum().backward()
    return [parameter.grad for parameter in parallel.parameters()]


def expected(sizes: tuple[int, ...], *values: float) -> list[torch.Tensor]:
    """The averages over peers with these inputs."""
    each = [backward(net(*sizes), value) for value in values]
    return [sum(grads) / len(values) for grads in zip(*each)]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.allclose(one, two) for one, two in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "other",
    [
        {"sizes": (4, 5, 2)},
        {"sizes": (4, 3, 2), "frozen": True},
        {"sizes": (4, 3, 2), "options": {"name": "other"}},
        {"sizes": (4, 3, 2), "options": {"bucket_bytes": 16}},
        {"sizes": (4, 3, 2), "double": True},
    ],
    ids=["shape", "frozen", "name", "option", "type"],
)
def test_another_layout_is_named_and_nothing_combined(run_peers, other):
    def body(communicator, number):
        mine = other if number else {"sizes": (4, 3, 2)}
        module = net(*mine["sizes"])
        module = module.double() if "double" in mine else module
        module[0].requires_grad_("frozen" not in mine)
        parallel = collective.pytorch.data_parallel(module, communicator, **mine.get("options", {}))
        inputs = torch.ones(2, 4, dtype=module[1].weight.dtype)
        alone = copy.deepcopy(module)
        alone(inputs).sum().backward()
        with pytest.raises(collective.Mismatch, match="layout") as failure:
            parallel(inputs).sum().backward()
        assert parallel.layout.split("layout ")[1] in str(failure.value)
        assert same([p.grad for p in module.parameters() if p.requires_grad], [p.grad for p in alone.parameters() if p.requires_grad])

    run_peers(2, body)


def test_a_pass_that_failed_on_one_peer_is_not_paired_with_its_next(run_peers):
    """It fails on all, for its gradients may be half of two batches; then all are together again."""

    def body(communicator, number):
        parallel = collective.pytorch.data_parallel(net(4, 3, 2), communicator, bucket_bytes=16)
        assert same(backward(parallel, number), expected((4, 3, 2), 0, 1))
        failing = parallel.module[0].weight.register_hook(lambda grad: 1 / 0) if number == 1 else None
        if failing is not None:
            with pytest.raises(ZeroDivisionError):
                backward(parallel)
            failing.remove()
        with pytest.raises(collective.Mismatch, match="different backward passes, numbers 1 to 2"):
            backward(parallel)
        assert same(backward(parallel, number), expected((4, 3, 2), 0, 1))

    run_peers(2, body)


def test_peers_of_one_that_failed_and_goes_another_way_do_not_hang(run_peers):
    def body(communicator, number):
        parallel = collective.pytorch.data_parallel(net(4, 3, 2), communicator, bucket_bytes=16)
        backward(parallel)
        if number == 1:
            failing = parallel.module[0].weight.register_hook(lambda grad: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                backward(parallel)
            failing.remove()
            with pytest.raises(collective.CrossedCalls):
                communicator.step()
        else:
            with pytest.raises(collective.CrossedCalls):
                backward(parallel)
        assert communicator.statistics.reduces_in_flight == 0

    run_peers(2, body)


def test_who_connects_again_is_in_the_pass_of_the_others(run_peers):
    def body(communicator, number):
        parallel = collective.pytorch.data_parallel(net(4, 3, 2), communicator)
        for _ in range(3):
            backward(parallel)
        if number == 1:
            communicator.close()
            with collective.Communicator(communicator._master, call_timeout=60) as again:
                other = collective.pytorch.data_parallel(parallel.module, again)
                assert again.step().has_newcomers
                return same(backward(other, 1), expected((4, 3, 2), 0, 1))
        while communicator.step().world_size < 2:
            pass
        return same(backward(parallel, 0), expected((4, 3, 2), 0, 1))

    assert run_peers(2, body, leave_early=True) == [True, True]


def test_alone_a_peer_keeps_its_gradients(run_peers):
    def body(communicator, number):
        parallel = collective.pytorch.data_parallel(net(4, 3, 2), communicator)
        assert same(backward(parallel, 3), expected((4, 3, 2), 3))
        assert parallel.result is None

    run_peers(1, body)


def test_the_result_tells_the_peers(run_peers):
    def body(communicator, number):
        parallel = collective.pytorch.data_parallel(net(4, 3, 2), communicator)
        backward(parallel)
        assert set(parallel.result.contributors) == set(communicator.peers)

    run_peers(2, body)


def test_gradients_that_autograd_saved_are_not_changed_behind_its_back(run_peers):
    def body(communicator, number):
        parallel = collective.pytorch.data_parallel(net(4, 3, 2), communicator)
        weight = parallel.module[0].weight
        backward(parallel)
        saved = (torch.ones_like(weight, requires_grad=True) * weight.grad).sum()
        parallel(torch.ones(2, 4)).sum().backward()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            saved.backward()

    run_peers(2, body)


def test_buffers_none_leaves_them(run_peers):
    def body(communicator, number):
        module = torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
        collective.pytorch.data_parallel(module, communicator, buffers="none")(torch.full((8, 4), float(number))).sum().backward()
        return module[0].running_mean[0].item()

    assert run_peers(2, body) == pytest.approx([0.0, 0.1])


def test_a_module_that_was_pickled_refuses_to_run(run_peers):
    def body(communicator, number):
        parallel = collective.pytorch.data_parallel(net(4, 3, 2), communicator)
        loaded = pickle.loads(pickle.dumps(parallel))
        assert [*loaded.state_dict()] == [*parallel.state_dict()] == [f"module.{key}" for key in parallel.module.state_dict()]
        for use in (lambda: loaded(torch.ones(2, 4)), loaded.no_sync().__enter__, loaded.average_gradients, lambda: copy.deepcopy(loaded)):
            with pytest.raises(collective.InvalidUsage, match="data_parallel"):
                use()
        backward(collective.pytorch.data_parallel(loaded.module, communicator))

    run_peers(1, body)


def test_an_earlier_wrapper_refuses_to_run(run_peers):
    def body(communicator, number):
        module = net(4, 3, 2)
        first = collective.pytorch.data_parallel(module, communicator)
        backward(collective.pytorch.data_parallel(module, communicator))
        with pytest.raises(collective.InvalidUsage, match="wrapped again"):
            first(torch.ones(2, 4))

    run_peers(1, body)


def test_a_dropped_wrapper_leaves_a_plain_module(run_peers):
    def body(communicator, number):
        parallel = collective.pytorch.data_parallel(net(4, 3, 2), communicator)
        backward(parallel)
        module = parallel.module
        del parallel
        before = communicator.statistics.reduces_committed
        backward(module)
        assert communicator.statistics.reduces_committed == before

    run_peers(2, body)


def test_a_parameter_that_nobody_knows_of_is_refused(run_peers):
    def body(communicator, number):
        module = net(4, 3, 2)
        parallel = collective.pytorch.data_parallel(module, communicator)
        outputs = parallel(torch.ones(2, 4))
        module[1].bias = torch.nn.Parameter(torch.zeros(2))
        with pytest.raises(collective.InvalidUsage, match="since the forward pass"):
            outputs.sum().backward()
        assert all(grad is not None for grad in backward(parallel))

    run_peers(2, body)


def test_a_parameter_that_was_frozen_after_the_forward_pass_is_refused(run_peers):
    def body(communicator, number):
        parallel = collective.pytorch.data_parallel(net(4, 3, 2), communicator)
        outputs = parallel(torch.ones(2, 4))
        parallel.module[0].requires_grad_(False)
        parallel(torch.ones(2, 4))
        with pytest.raises(collective.InvalidUsage, match="since the forward pass"):
            outputs.sum().backward()
        parallel.module[0].requires_grad_(True)
        assert same(backward(parallel, number), expected((4, 3, 2), 0, 1))

    run_peers(2, body)


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (lambda: net(4, 2), {"buffers": "some"}, "rule for buffers"),
        (lambda: net(4, 2), {"bucket_bytes": 0}, "bucket_bytes"),
        (lambda: net(4, 2).to("meta"), {}, "on the device meta"),
        (lambda: torch.nn.LazyLinear(2), {}, "no shape yet"),
    ],
    ids=["rule", "bucket", "device", "lazy"],
)
def test_what_cannot_be_averaged_is_refused(nobody, module, options, message):
    with pytest.raises(collective.InvalidArgument, match=message):
        collective.pytorch.data_parallel(module(), collective.Communicator(nobody), **options)


PROGRAM = """
import sys, torch, collective, collective.pytorch
torch.set_num_threads(1)
number = int(sys.argv[2])
communicator = collective.Communicator(sys.argv[1], minimum_world_size=2, call_timeout=240)
communicator.connect()
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
parallel = collective.pytorch.data_parallel(model, communicator, bucket_bytes=64)
"""


def test_the_loss_of_the_master_is_told_as_it_is(script, master):
    body = (
        PROGRAM
        + """
parallel(torch.ones(4, 8)).sum().backward()
print("trained", flush=True)
sys.stdin.readline()
try:
    parallel(torch.ones(4, 8)).sum().backward()
except collective.MasterLost:
    print("lost", flush=True)
"""
    )
    programs = [script(body, master.address, str(number)) for number in range(2)]
    for program in programs:
        program.expect("trained")
    master.close()
    for program in programs:
        program.say("go")
        program.expect("lost")
        assert program.end()[0] == 0


def test_ctrl_c_ends_a_backward_pass(script, master):
    body = (
        BLOCKING
        + PROGRAM
        + """
if number == 0:
    try:
        blocking(interrupt_this_thread)
        parallel(torch.ones(4, 8)).sum().backward()
    except KeyboardInterrupt:
        print("interrupted", communicator.statistics.reduces_in_flight, flush=True)
else:
    sys.stdin.readline()
"""
    )
    programs = [script(body, master.address, str(number)) for number in range(2)]
    programs[0].expect("interrupted 0")
    assert programs[0].end()[0] == 0


def test_the_interpreter_ends_while_gradients_are_on_their_way(script, master):
    body = (
        PROGRAM
        + """
if number == 0:
    def leave(grad):
        while communicator.statistics.reduces_in_flight == 0:
            pass
        print("on its way", flush=True)
        sys.exit(0)
    model[0].weight.register_hook(leave)
    parallel(torch.ones(4, 8)).sum().backward()
else:
    sys.stdin.readline()
"""
    )
    programs = [script(body, master.address, str(number)) for number in range(2)]
    programs[0].expect("on its way")
    code, _, errors = programs[0].end()
    assert code == 0, errors
