"""The calls of torch.distributed's backend "collective": the results are those of Gloo, and ranks that are out of step never get a sum."""

from __future__ import annotations

import pytest
from test_process_group import run_ranks

torch = pytest.importorskip("torch")

# failure(call): what it raises.
FAILURE = """
def failure(call):
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("it worked")
"""

# Each call gives what it has written; inputs are made by new(number), in the layout that is tried.
TABLE = """
import itertools, warnings
warnings.simplefilter("ignore")
gloo = dist.new_group(list(range(size)), backend="gloo")
ours = dist.group.WORLD
last = size - 1

def in_place(call):
    def run(group, new):
        tensor = new(rank)
        call(group, tensor)
        return [tensor]
    return run

def reduced(operation):
    return in_place(lambda group, tensor: dist.all_reduce(tensor, op=operation, group=group))

def reduce(group, new):
    tensor = new(rank)
    dist.reduce(tensor, dst=last, group=group)
    return [tensor] if rank == last else []  # Gloo uses the memory of the others

def coalesced(group, new):
    tensors = [new(rank), new(rank + 1), new(2)]
    dist.all_reduce_coalesced(tensors, group=group)
    return tensors

def all_gather(group, new):
    outputs, tensor = [new(9) for _ in range(size)], new(rank)
    dist.all_gather(outputs, tensor, group=group)
    return [*outputs, tensor]

def gather(group, new):
    outputs, tensor = [new(9) for _ in range(size)] if rank == last else None, new(rank)
    dist.gather(tensor, outputs, dst=last, group=group)
    return [*(outputs or []), tensor]

def scatter(group, new):
    output, inputs = new(9), [new(each) for each in range(size)] if rank == last else None
    dist.scatter(output, inputs, src=last, group=group)
    return [output, *(inputs or [])]

CALLS = {
    **{f"all_reduce {name}": reduced(getattr(dist.ReduceOp, name)) for name in ("SUM", "PRODUCT", "MIN", "MAX")},
    "all_reduce_coalesced": coalesced,
    "reduce": reduce,
    "broadcast from the first": in_place(lambda group, tensor: dist.broadcast(tensor, 0, group=group)),
    "broadcast from the last": in_place(lambda group, tensor: dist.broadcast(tensor, last, group=group)),
    "all_gather": all_gather,
    "gather": gather,
    "scatter": scatter,
}

DTYPES = [torch.float16, torch.float32, torch.float64, torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool, torch.complex64, torch.bfloat16, torch.int16]

def plain(tensor):
    return tensor.clone(memory_format=torch.contiguous_format)

def transposed(tensor):
    axes = tuple(reversed(range(tensor.dim())))
    return plain(tensor.permute(axes)).permute(axes)

def with_gaps(tensor):
    room = torch.zeros(*tensor.shape, 2, dtype=tensor.dtype)
    room[..., 1] = tensor
    return room[..., 1]

def channels_last(tensor):
    return tensor.clone(memory_format=torch.channels_last)

LAYOUTS = [
    ((3, 4), plain), ((3, 4), transposed), ((3, 4), with_gaps), ((), plain), ((), with_gaps), ((1,), plain), ((0,), plain), ((0, 3), transposed), ((2, 0, 3), with_gaps),
    ((2, 3, 2, 2), channels_last), ((7,), plain),
]

def values(dtype, shape, number):
    count = torch.Size(shape).numel()
    numbers = (torch.arange(count) * (number + 2) + number) % 3
    if dtype.is_complex:
        return (numbers + 1j * (2 - numbers)).to(dtype).reshape(shape)
    return numbers.to(dtype).reshape(shape)

tried = refused = 0
for dtype, (shape, layout), (name, call) in itertools.product(DTYPES, LAYOUTS, CALLS.items()):
    what = (name, dtype, shape, layout.__name__)
    written = None
    if torch.Size(shape).numel() == 0 and name == "all_gather":
        written = [torch.empty(shape, dtype=dtype)] * (size + 1)  # Gloo's process ends of it
    else:
        try:
            # Gloo reads and writes memory as it lies; ours goes by indices, as torch does.
            written = call(gloo, lambda number: plain(values(dtype, shape, number)))
        except RuntimeError as error:
            written = None
    if written is None:
        refused += 1
        assert dtype in (torch.bool, torch.bfloat16, torch.int16, torch.complex64), what
        continue
    mine = call(ours, lambda number: layout(values(dtype, shape, number)))
    tried += 1
    assert len(mine) == len(written) and all(one.shape == other.shape and torch.equal(one, other) for one, other in zip(mine, written)), (what, mine, written)
assert tried > 800 and refused > 0, (tried, refused)
dist.barrier()
print("done")
"""


def test_results_are_those_of_gloo(script, tmp_path):
    run_ranks(script, tmp_path, TABLE)


def test_what_gloo_has_not(script, tmp_path):
    """reduce_scatter of even and uneven parts, and tensors that are whole."""
    run_ranks(
        script,
        tmp_path,
        """
gather_base = getattr(dist, "all_gather_into_tensor", dist._all_gather_base)
scatter_base = getattr(dist, "reduce_scatter_tensor", dist._reduce_scatter_base)
for shapes in ([(2, 3)] * size, [(each, 2) for each in range(size)], [(0,)] * size):
    for make in (lambda tensor: tensor, lambda tensor: torch.stack([tensor, tensor], dim=-1)[..., 0]):
        inputs = [make(torch.full(shape, rank + 10.0 * each)) for each, shape in enumerate(shapes)]
        output = make(torch.zeros(shapes[rank]))
        dist.reduce_scatter(output, inputs)
        assert output.eq(sum(range(size)) + 10.0 * rank * size).all()
        assert all(tensor.eq(rank + 10.0 * each).all() for each, tensor in enumerate(inputs))
for shape in ((2, 3), (), (0, 2)):
    part = torch.full(shape, rank + 1.0)
    whole = torch.zeros(size, *shape)
    gather_base(whole, part)
    assert all(whole[each].eq(each + 1.0).all() for each in range(size))
    back = torch.zeros(shape)
    scatter_base(back, whole)
    assert back.eq(size * (rank + 1.0)).all()
flags = torch.tensor([[True, rank == 0]]).t()
dist.all_reduce(flags, op=dist.ReduceOp.PRODUCT)
assert flags.tolist() == [[True], [False]]
print("done")
""",
        3,
    )


def test_ranks_out_of_step_never_get_a_sum(script, tmp_path):
    """Each case is a call of rank 0 and another one of rank 1. All ranks hear of both; then all go on."""
    run_ranks(
        script,
        tmp_path,
        FAILURE
        + """
def reduce_of(*shape, dtype=torch.float32, op=dist.ReduceOp.SUM):
    return lambda: dist.all_reduce(torch.ones(*shape, dtype=dtype), op=op)

def gather_of(*shape):
    return lambda: dist.all_gather([torch.zeros(*shape) for _ in range(size)], torch.ones(*shape))

cases = [
    (reduce_of(0), reduce_of(4), "float32 [0]", "float32 [4]"),
    (reduce_of(2, 3), reduce_of(3, 2), "float32 [2, 3]", "float32 [3, 2]"),
    (reduce_of(0, 3), reduce_of(0), "float32 [0, 3]", "float32 [0]"),
    (reduce_of(4), reduce_of(4, dtype=torch.int32), "float32 [4]", "int32 [4]"),
    (reduce_of(4), reduce_of(4, op=dist.ReduceOp.MAX), "all_reduce (sum)", "all_reduce (max)"),
    (reduce_of(0), lambda: dist.barrier(), "all_reduce (sum)", "barrier"),
    (lambda: dist.broadcast(torch.ones(4), 0), lambda: dist.broadcast(torch.ones(4), 1), "from rank 0", "from rank 1"),
    (lambda: dist.broadcast(torch.ones(4), 0), reduce_of(4), "broadcast", "all_reduce"),
    (lambda: dist.reduce(torch.ones(4), 0), lambda: dist.reduce(torch.ones(4), 1), "to rank 0", "to rank 1"),
    (gather_of(0), gather_of(4), "all_gather of float32 [0]", "all_gather of float32 [4]"),
    (gather_of(2), gather_of(3), "float32 [2]", "float32 [3]"),
    (lambda: dist.all_reduce_coalesced([torch.ones(2), torch.ones(3)]), lambda: dist.all_reduce_coalesced([torch.ones(3), torch.ones(2)]), "[2], float32 [3]", "[3], float32 [2]"),
    (lambda: dist.all_reduce_coalesced([torch.ones(2)] + [torch.ones(1) for _ in range(99)]), lambda: dist.all_reduce_coalesced([torch.ones(2)] + [torch.ones(1) for _ in range(98)]), "#", "#"),
    (lambda: dist.scatter(torch.ones(2), [torch.ones(2)] * size if rank == 0 else None, src=0), lambda: dist.gather(torch.ones(2), None, dst=0), "scatter", "gather"),
]
for number, (first, second, *names) in enumerate(cases):
    # All of its tensors are what they were: nothing was combined.
    error = failure(second if rank else first)
    assert isinstance(error, collective.Mismatch), (number, error)
    assert all(str(error).count(name) >= (1 if names[0] != names[1] else 2) for name in names), (number, error)
    assert str(error).count(f"call {2 * number + 1}: ") == 2, (number, error)
    tensor = torch.full((4,), 10.0 * (rank + 1))
    dist.all_reduce(tensor)
    assert tensor.tolist() == [30.0] * 4, (number, tensor)
print("done")
""",
    )


def test_a_call_that_one_rank_refuses_fails_on_all(script, tmp_path):
    """Before anything is sent, with the reason; then all go on."""
    run_ranks(
        script,
        tmp_path,
        FAILURE
        + """
good = lambda: dist.all_reduce(torch.ones(4))
zeros = torch.zeros
ours = dist.group.WORLD
cases = [
    (lambda: dist.all_reduce(zeros(1).expand(4)), good, "overlaps itself"),
    (lambda: dist.broadcast(zeros(1).expand(4), 1), lambda: dist.broadcast(torch.ones(4), 1), "overlaps itself"),
    (lambda: dist.all_gather([zeros(1).expand(4), zeros(4)], torch.ones(4)), lambda: dist.all_gather([zeros(4), zeros(4)], torch.ones(4)), "overlaps itself"),
    (lambda: dist.all_gather([tensor := zeros(4), tensor], torch.ones(4)), lambda: dist.all_gather([zeros(4), zeros(4)], torch.ones(4)), "share memory"),
    (lambda: dist.all_gather([zeros(4), zeros(5)], torch.ones(4)), lambda: dist.all_gather([zeros(4), zeros(4)], torch.ones(4)), "float32 [5], and not float32 [4]"),
    (lambda: dist.gather(zeros(4), [zeros(4), zeros(5)], dst=0), lambda: dist.gather(zeros(4), None, dst=0), "float32 [5], and not float32 [4]"),
    (lambda: dist.scatter(zeros(2), [zeros(2), zeros(3)], src=0), lambda: dist.scatter(zeros(2), None, src=0), "float32 [3], and not float32 [2]"),
    (lambda: dist.scatter(zeros(2), [zeros(2)], src=0), lambda: dist.scatter(zeros(2), None, src=0), "1 inputs for 2 ranks"),
    (lambda: dist._reduce_scatter_base(zeros(2), zeros(5)), lambda: dist._reduce_scatter_base(zeros(2), zeros(4)), "float32 [5]"),
    (lambda: dist.all_reduce(zeros(4).bool()), good, "booleans"),
    (lambda: dist.all_reduce(zeros(4).to_sparse()), good, "layout"),
    (lambda: ours.allreduce([zeros(4), zeros(4)], dist.AllreduceOptions()).wait(), good, "2 tensors"),
    (lambda: ours.allreduce_coalesced([zeros(4), zeros(4).double()], dist.AllreduceCoalescedOptions()).wait(), lambda: dist.all_reduce_coalesced([zeros(4), zeros(4)]), "all of one type"),
    (lambda: dist.all_reduce(zeros(4, dtype=torch.int32), op=dist.ReduceOp.BOR), good, "reduce operation"),
    (lambda: dist.broadcast(zeros(4), 7), good, "7 is no rank"),
    (lambda: ours._start("all_gather", [], lambda reduce: 1 / 0).wait(), lambda: dist.all_gather([zeros(4), zeros(4)], torch.ones(4)), "division by zero"),
]
for number, (wrong, right, reason) in enumerate(cases):
    error = failure(right if rank else wrong)
    if rank == 0:
        assert type(error) in (collective.InvalidArgument, collective.NotSupported, ZeroDivisionError), (number, error)
        assert reason.split(", and")[0] in str(error), (number, error)
    else:
        assert isinstance(error, collective.Mismatch) and "that was refused: " in str(error), (number, error)
    tensor = torch.full((4,), 10.0 * (rank + 1))
    dist.all_reduce(tensor)
    assert tensor.tolist() == [30.0] * 4, (number, tensor)
# What all refuse alike is no mismatch.
for wrong, *_ in (cases[0], cases[2], cases[9]):
    assert isinstance(failure(wrong), collective.InvalidArgument)
dist.barrier()
print("done")
""",
    )


def test_a_rank_that_has_missed_a_call_stays_out_of_step(script, tmp_path):
    """Consistently: every later call fails on all ranks, and a new group works."""
    run_ranks(
        script,
        tmp_path,
        FAILURE
        + """
dist.barrier()
if rank == 0:
    dist.group.WORLD._numbers.next(("a call that this rank has made alone",))
for number in range(3):
    tensor = torch.ones(4)
    error = failure(lambda: dist.all_reduce(tensor))
    assert isinstance(error, collective.Mismatch) and f"call {number + 2}: " in str(error) and f"call {number + 3}: " in str(error), error
    assert tensor.eq(1).all()
group = dist.new_group(list(range(size)))
dist.all_reduce(tensor, group=group)
assert tensor.eq(size).all()
print("done")
""",
        1 + 1,
    )


def test_what_autograd_has_saved_is_not_changed_behind_its_back(script, tmp_path):
    run_ranks(
        script,
        tmp_path,
        """
def changes(call):
    weights = torch.ones(4, requires_grad=True)
    saved = weights.exp()
    call(saved)
    try:
        saved.sum().backward()
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error), error
        return True
    return False

others = lambda: [torch.zeros(4) for _ in range(size - 1)]
assert changes(dist.all_reduce)
assert changes(lambda saved: dist.all_reduce_coalesced([saved, torch.ones(2)]))
assert changes(lambda saved: dist.all_gather([saved, *others()], torch.ones(4)))
assert changes(lambda saved: dist.reduce_scatter(saved, [torch.ones(4)] * size))
assert changes(lambda saved: dist.scatter(saved, [torch.ones(4)] * size if rank == 0 else None, src=0))
assert changes(lambda saved: dist.broadcast(saved, 0)) == (rank != 0)
assert changes(lambda saved: dist.reduce(saved, 0)) == (rank == 0)
assert not changes(lambda saved: dist.all_gather([torch.zeros(4), *others()], saved))
parameter = torch.nn.Parameter(torch.full((3,), rank + 1.0))
dist.all_reduce(parameter)
assert parameter.tolist() == [3.0] * 3 and parameter.requires_grad and parameter.is_leaf and parameter._version == 1
with torch.inference_mode():
    tensor = torch.full((2, 3), rank + 1.0)
    dist.all_reduce(tensor.t())
    dist.broadcast(tensor, 0)
dist.all_reduce(tensor)
assert tensor.eq(6).all()
print("done")
""",
    )
