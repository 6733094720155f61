"""The communication hook of DistributedDataParallel."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

HOOK = """
import sys, torch, collective, collective.pytorch
torch.set_num_threads(1)
number = int(sys.argv[2])
communicator = collective.Communicator(sys.argv[1], minimum_world_size=2, call_timeout=240)
communicator.connect()
torch.manual_seed(number)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
"""


def test_the_hook_averages_over_the_communicator(script, master, tmp_path):
    body = (
        HOOK
        + """
parallel = collective.pytorch.data_parallel(model, communicator, bucket_cap_mb=0.0005)
with torch.no_grad():
    for parameter in model.parameters():
        parameter.fill_(0.1)
inputs = torch.full((4, 8), number + 1.0)
parallel(inputs).sum().backward()
torch.save([parameter.grad for parameter in model.parameters()], sys.argv[3])
print("done", flush=True)
communicator.step()
"""
    )
    def alone(value):
        model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.1)
        model(torch.full((4, 8), value)).sum().backward()
        return [parameter.grad for parameter in model.parameters()]

    programs = [script(body, master.address, str(number), str(tmp_path / str(number))) for number in range(2)]
    for program in programs:
        program.expect("done")
        assert program.end()[0] == 0
    first, second = (torch.load(tmp_path / str(number)) for number in range(2))
    assert all(torch.equal(one, two) for one, two in zip(first, second))
    assert all(torch.allclose(ours, (one + two) / 2) for ours, one, two in zip(first, alone(1.0), alone(2.0)))


def test_the_hook_survives_a_killed_peer(script, master):
    body = (
        HOOK.replace("minimum_world_size=2", "minimum_world_size=3")
        + """
parallel = torch.nn.parallel.DistributedDataParallel
torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
parallel = parallel(model)
parallel.register_comm_hook(communicator, collective.pytorch.all_reduce_hook)
for step in range(30):
    if number == 2 and step == 10:
        print("die", flush=True)
        sys.stdin.read()
    parallel(torch.full((4, 8), float(step))).sum().backward()
    parallel.zero_grad()
print(communicator.world.world_size, flush=True)
communicator.step()
"""
    )
    programs = [script(body, master.address, str(number)) for number in range(3)]
    programs[2].expect("die")
    programs[2].kill()
    for program in programs[:2]:
        program.expect("2")
        code, _, errors = program.end()
        assert code == 0, errors


def test_a_failure_in_the_hook_ends_the_backward_pass(script, master):
    body = (
        HOOK
        + """
parallel = collective.pytorch.data_parallel(model, communicator)
parallel(torch.ones(4, 8)).sum().backward()
print("trained", flush=True)
sys.stdin.readline()
try:
    parallel(torch.ones(4, 8)).sum().backward()
except RuntimeError as error:
    print("MasterLost" in str(error), flush=True)
"""
    )
    programs = [script(body, master.address, str(number)) for number in range(2)]
    for program in programs:
        program.expect("trained")
    master.close()
    for program in programs:
        program.say("go")
        program.expect("True")


def test_the_interpreter_ends_while_a_bucket_is_on_its_way(script, master):
    body = (
        HOOK
        + """
class Bucket:
    # A backward pass in a thread that ends with the interpreter would be ended inside torch, which aborts.
    def buffer(self):
        return torch.ones(8)

    def index(self):
        return 0

if number == 0:
    future = collective.pytorch.all_reduce_hook(communicator, Bucket())
    while communicator.statistics.reduces_in_flight == 0:
        pass
    print("on its way", flush=True)
else:
    sys.stdin.readline()
"""
    )
    programs = [script(body, master.address, str(number)) for number in range(2)]
    programs[0].expect("on its way")
    code, _, errors = programs[0].end()
    assert code == 0, errors
    programs[1].say("go")
    assert programs[1].end()[0] == 0


def test_the_hook_alone_keeps_its_gradients(script, master):
    body = (
        HOOK.replace("minimum_world_size=2", "minimum_world_size=1")
        + """
communicator.step()
parallel = collective.pytorch.data_parallel(model, communicator)
parallel(torch.ones(4, 8)).sum().backward()
print(model[2].bias.grad.tolist(), flush=True)
"""
    )
    program = script(body, master.address, "0")
    program.expect("[4.0, 4.0]")
    assert program.end()[0] == 0
