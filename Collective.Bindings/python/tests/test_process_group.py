"""The process group: torch.distributed's backend "collective"."""

from __future__ import annotations

import pytest
from conftest import BLOCKING

torch = pytest.importorskip("torch")

GROUP = """
import datetime, os, sys, threading
import torch, torch.distributed as dist
import collective, collective.pytorch
rank, size, store = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
collective.pytorch.register_backend()
collective.pytorch.register_backend()
torch.set_num_threads(1)
dist.init_process_group("collective", init_method="file://" + store, rank=rank, world_size=size)
"""

# gone(references): whether all are let go without the garbage collector; the thread that ran a work does it a moment after the work's end.
GONE = """
import gc, time, weakref

def gone(references):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if all(reference() is None for reference in references):
            return True
        time.sleep(0)
    return False
"""


def run_ranks(script, tmp_path, body, size=2):
    """Runs body on so many ranks; each has to end well."""
    ranks = [script(GROUP + body, str(rank), str(size), str(tmp_path / "store")) for rank in range(size)]
    for rank, program in enumerate(ranks):
        code, out, errors = program.end()
        assert code == 0, f"rank {rank}: {errors}"
        assert out.strip() == "done", f"rank {rank}: {out} {errors}"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_collectives(script, tmp_path, size):
    run_ranks(
        script,
        tmp_path,
        """
every = list(range(size))
assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (rank, size, "collective")

for operation, expected in ((dist.ReduceOp.SUM, sum(range(1, size + 1))), (dist.ReduceOp.AVG, (size + 1) / 2), (dist.ReduceOp.MIN, 1), (dist.ReduceOp.MAX, size)):
    tensor = torch.full((5,), rank + 1.0)
    dist.all_reduce(tensor, op=operation)
    assert tensor.eq(expected).all(), (operation, tensor)
works = [dist.all_reduce(torch.ones(10), async_op=True) for _ in range(10)]
for work in works:
    work.wait()
    assert work.result()[0].eq(size).all()
flags = torch.tensor([rank == 0, True])
dist.all_reduce(flags, op=dist.ReduceOp.MIN)
assert flags.tolist() == [size == 1, True]

dist.barrier()

for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool):
    for root in every:
        tensor = torch.tensor([[1, 0, 3], [1, 1, 0]]).to(dtype) if rank == root else torch.zeros(2, 3, dtype=dtype)
        dist.broadcast(tensor, root)
        assert torch.equal(tensor, torch.tensor([[1, 0, 3], [1, 1, 0]]).to(dtype))
special = torch.tensor([float("nan"), float("-inf"), -0.0, 1e-45]) if rank == 0 else torch.ones(4)
dist.broadcast(special, 0)
assert special.view(torch.int32).tolist() == torch.tensor([float("nan"), float("-inf"), -0.0, 1e-45]).view(torch.int32).tolist()

tensor = torch.full((3,), rank + 1.0)
dist.reduce(tensor, dst=size - 1)
assert tensor.eq(sum(range(1, size + 1)) if rank == size - 1 else rank + 1.0).all()

outputs = [torch.zeros(2, 2) for _ in every]
dist.all_gather(outputs, torch.full((2, 2), float(rank)))
assert [output.mean().item() for output in outputs] == every

gathered = torch.zeros(size * 3, dtype=torch.int16)
getattr(dist, "all_gather_into_tensor", dist._all_gather_base)(gathered, torch.full((3,), rank, dtype=torch.int16))
assert gathered.tolist() == [each for each in every for _ in range(3)]

outputs = [torch.zeros(2) for _ in every] if rank == 0 else None
dist.gather(torch.full((2,), float(rank)), outputs, dst=0)
assert rank != 0 or [output.mean().item() for output in outputs] == every

output = torch.zeros(2)
dist.scatter(output, [torch.full((2,), each * 10.0) for each in every] if rank == 0 else None, src=0)
assert output.eq(rank * 10).all()

output = torch.zeros(2)
dist.reduce_scatter(output, [torch.full((2,), float(each)) for each in every])
assert output.eq(rank * size).all()

output = torch.zeros(2)
getattr(dist, "reduce_scatter_tensor", dist._reduce_scatter_base)(output, torch.arange(size).repeat_interleave(2).float())
assert output.eq(rank * size).all()

objects = [None] * size
dist.all_gather_object(objects, {"rank": rank})
assert objects == [{"rank": each} for each in every]

for call in (lambda: dist.send(torch.ones(1), 0 if rank else size - 1), lambda: dist.recv(torch.ones(1), 0), lambda: dist.all_reduce(torch.ones(1, dtype=torch.int32), op=dist.ReduceOp.BOR)):
    try:
        call()
    except collective.NotSupported as error:
        assert "gloo" in str(error)
    else:
        raise AssertionError("it worked")
dist.barrier()
dist.destroy_process_group()
print("done")
""",
        size,
    )


def test_an_interrupt(script, tmp_path):
    """Ends the call on this rank; the others repeat theirs, and so may this one."""
    ranks = [
        script(
            BLOCKING
            + GROUP
            + """
tensor = torch.ones(3)
dist.barrier()
if rank == 0:
    work = dist.all_reduce(tensor, async_op=True)
    try:
        work.wait(datetime.timedelta(seconds=0.01))
    except TimeoutError:
        print("timed out", flush=True)
    try:
        blocking(interrupt_this_thread)
        work.wait()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    try:
        work.wait()
    except collective.Cancelled:
        print("cancelled", flush=True)
    assert tensor.eq(1).all()
else:
    sys.stdin.readline()
dist.all_reduce(tensor)
assert tensor.eq(2).all()
print("done", flush=True)
""",
            str(rank),
            "2",
            str(tmp_path / "store"),
        )
        for rank in range(2)
    ]
    for line in ("timed out", "interrupted", "cancelled"):
        ranks[0].expect(line)
    ranks[1].say("go on")
    for program in ranks:
        assert program.end() == (0, "done\n", "")


def test_a_works_end(script, tmp_path):
    """Its tensors are let go with it, its callbacks may wait for it, and a forked child has none."""
    run_ranks(
        script,
        tmp_path,
        GONE
        + """
gc.disable()
tensor = torch.ones(3)
life = weakref.ref(tensor)
work = dist.all_reduce(tensor, async_op=True)
waited = work.get_future().then(lambda ended: work.wait())
assert waited.wait() and work.wait() and work.is_completed()
del tensor, work, waited
assert gone([life])

child = os.fork()
if child == 0:
    try:
        dist.barrier()
    except collective.Forked:
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print("done")
""",
        size=1,
    )


def test_a_failed_work_lets_go(script, tmp_path):
    """Whoever heard of the failure; and the group ends when it is destroyed."""
    run_ranks(
        script,
        tmp_path,
        GONE
        + """
gc.disable()
group = weakref.ref(dist.group.WORLD)
communicator = weakref.ref(group()._communicator)
lives = []
for number in range(10):
    tensor = torch.ones(3)
    lives.append(weakref.ref(tensor))
    work = group().allreduce([tensor], None) if number else group()._start("all_reduce", [tensor], lambda reduce: 1 / 0)
    if number == 0:
        group()._lost = collective.Aborted("Lost.")
        group()._size = 2
    for _ in range(2):
        try:
            work.wait()
        except (ZeroDivisionError, collective.Aborted):
            pass
        try:
            work.get_future().wait()
        except RuntimeError as error:
            assert "ZeroDivisionError" in str(error) or "Lost." in str(error)
    del tensor, work
assert gone(lives)
dist.destroy_process_group()
assert gone([communicator])
print("done")
""",
        size=1,
    )


def test_futures(script, tmp_path):
    """Done after a wait; a callback may wait for a later call, as torch's PowerSGD does."""
    run_ranks(
        script,
        tmp_path,
        """
for _ in range(200):
    work = dist.all_reduce(torch.ones(3), async_op=True)
    assert work.wait() and work.is_completed() and work.get_future().done() and work.get_future().value()[0].eq(size).all()

def later(_):
    return dist.all_reduce(torch.full((2,), 2.0), async_op=True).get_future().wait()

works = [dist.all_reduce(torch.ones(3), async_op=True) for _ in range(10)]
for future in [work.get_future().then(later) for work in works]:
    assert future.wait()[0].eq(2 * size).all()
print("done")
""",
    )


def test_powersgd(script, tmp_path):
    run_ranks(
        script,
        tmp_path,
        """
from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook
torch.manual_seed(0)
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(50, 50), torch.nn.Linear(50, 50)))
model.register_comm_hook(PowerSGDState(None, matrix_approximation_rank=1, start_powerSGD_iter=2), powerSGD_hook)
for step in range(6):
    model.zero_grad()
    model(torch.full((4, 50), rank + step + 1.0)).sum().backward()
mine = torch.cat([parameter.grad.reshape(-1) for parameter in model.parameters()])
theirs = [torch.zeros_like(mine) for _ in range(size)]
dist.all_gather(theirs, mine)
assert all(torch.equal(mine, each) for each in theirs)
print("done")
""",
    )


def test_the_interpreter_ends_with_works_in_flight(script, tmp_path):
    """However far each is: no rank aborts."""
    body = """
works = [dist.all_reduce(torch.ones(200_000), async_op=True) for _ in range(100)]
works[rank].wait()
print("done")
"""
    run_ranks(script, tmp_path, body)


def test_a_call_when_the_interpreter_ends(script, tmp_path):
    last = """
import atexit

@atexit.register
def last():
    try:
        dist.barrier()
    except collective.Closed:
        print("closed")
"""
    program = script(last + GROUP, "0", "1", str(tmp_path / "store"))
    assert program.end() == (0, "closed\n", "")


def test_ddp_and_a_second_group(script, tmp_path):
    """DDP calls the process group from C++."""
    run_ranks(
        script,
        tmp_path,
        """
torch.manual_seed(rank)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
parallel = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1)
for step in range(5):
    optimizer.zero_grad()
    parallel(torch.randn(16, 4)).square().mean().backward()
    optimizer.step()
flat = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
others = [torch.zeros_like(flat) for _ in range(size)]
group = dist.new_group(list(range(size)))
dist.all_gather(others, flat, group=group)
assert all(torch.equal(flat, other) for other in others)
dist.barrier()
dist.destroy_process_group()
print("done")
""",
        3,
    )


def test_a_lost_rank_ends_the_group(script, tmp_path):
    body = """
dist.all_reduce(torch.ones(3))
if rank == 2:
    print("die", flush=True)
    sys.stdin.read()
try:
    while True:
        dist.all_reduce(torch.ones(100))
except collective.Aborted:
    print("lost", flush=True)
try:
    dist.all_reduce(torch.ones(100))
except collective.Aborted as error:
    print(error, flush=True)
sys.stdin.readline()  # rank 0 runs the master
os._exit(0)
"""
    ranks = [script(GROUP + body, str(rank), "3", str(tmp_path / "store")) for rank in range(3)]
    ranks[2].expect("die")
    ranks[2].kill()
    for program in ranks[:2]:
        program.expect("lost")
        assert "of 3" in program.line()


def test_a_rank_that_hears_of_the_loss_later_does_not_wait_for_the_others(script, tmp_path):
    body = """
dist.all_reduce(torch.ones(3))
print("first", flush=True)
if rank > 0:
    sys.stdin.readline()
try:
    dist.all_reduce(torch.ones(100))
except collective.Aborted:
    print("lost", flush=True)
sys.stdin.readline()
os._exit(0)
"""
    ranks = [script(GROUP + body, str(rank), "3", str(tmp_path / "store")) for rank in range(3)]
    for program in ranks:
        program.expect("first")
    ranks[2].kill()
    ranks[0].expect("lost")
    ranks[1].say("go on")
    ranks[1].expect("lost")
