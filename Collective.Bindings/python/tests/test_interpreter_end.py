"""The end of the interpreter, whatever is on its way: no process aborts or hangs."""

from __future__ import annotations

import signal

import pytest
from test_process_group import GROUP

BUSY = """
import array, gc, logging, sys, threading
import collective
{imports}
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
collective.log_to(logging.getLogger("collective"))
master = collective.Master("127.0.0.1:0")
one, other = (collective.Communicator(master.address, minimum_world_size=2) for _ in range(2))
thread = threading.Thread(target=other.connect)
thread.start()
one.connect()
thread.join()

def new():
    return {tensor}

called = []
handles = [one.all_reduce_async(new(), tag=tag) for tag in range(40)]
joined = [other.all_reduce_async(new(), tag=tag) for tag in range(0, 40, 2)]
for handle in handles:
    handle.add_done_callback(lambda: called.append(sum(range(1000))))
# Some were dropped: threads of their own write what comes.
del handles[10:30], handle
del joined[5:15]
gc.collect()
forgotten = collective.Communicator(master.address)
threading.Thread(target=lambda: other.all_reduce(new(), tag=99), daemon=True).start()
joined[0].wait()
print("done")
"""

TENSORS = {
    "array": ("", 'array.array("f", [1.0] * 1000)'),
    "numpy": ("import numpy", "numpy.ones((100, 100), numpy.float32)[:, ::2]"),
    "torch": ("import torch; torch.set_num_threads(1)", "torch.ones(100, 100).t()[:, ::2]"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_operations_handles_and_callbacks(script, name):
    if name != "array":
        pytest.importorskip(name)
    imports, tensor = TENSORS[name]
    programs = [script(BUSY.format(imports=imports, tensor=tensor)) for _ in range(4)]
    for program in programs:
        code, out, errors = program.end()
        # The thread of the program's own hears that its communicator was closed.
        assert code == 0 and out.splitlines().count("done") == 1 and "terminate" not in errors and "Fatal" not in errors, (code, out, errors)


WORKS = """
def square(ended):
    return torch.ones(50, 50).matmul(torch.ones(50, 50))

def again(ended):
    try:
        return dist.all_reduce(torch.ones(9), async_op=True).get_future().wait()
    except (RuntimeError, collective.CollectiveError):
        return None

works = [dist.all_reduce(torch.ones(300, 200).t(), async_op=True) for _ in range(60)]
futures = [work.get_future().then(again if number % 7 == 0 else square) for number, work in enumerate(works)]
try:
    works[0 if rank else 3].wait()  # so that rank 0, which runs the master, is seldom gone before
except collective.CollectiveError:
    pass  # the other rank has come to its end already
if rank == 1:
    del works, futures
print("done")
"""


def test_works_and_their_callbacks(script, tmp_path):
    """A callback may wait for a call that has not begun: that one fails, so that it ends."""
    pytest.importorskip("torch")
    for run in range(2):
        ranks = [script(GROUP + WORKS, str(rank), "2", str(tmp_path / f"store {run}")) for rank in range(2)]
        for program in ranks:
            code, out, errors = program.end()
            assert (code, out) == (0, "done\n") and "terminate" not in errors, (code, out, errors)


CALLBACK = """
import collective._end
collective._end._QUIET_SECONDS = 0.01

def wait_for_a_line(ended):
    if threading.current_thread() is threading.main_thread():
        return torch.ones(3)  # the call had ended before the callback was attached
    print("callback", flush=True)
    sys.stdin.readline()
    return torch.ones(3)

while (future := dist.all_reduce(torch.ones(3), async_op=True).get_future().then(wait_for_a_line)).done():
    pass
"""


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_callback_that_still_runs(script, tmp_path, interrupted):
    """It is waited for, aloud. Ctrl+C ends the process as if nobody had asked for the signal."""
    pytest.importorskip("torch")
    program = script(GROUP + CALLBACK, "0", "1", str(tmp_path / "store"))
    program.expect("callback")
    assert program.process.stderr is not None
    assert "callbacks that still run" in program.process.stderr.readline()
    if interrupted:
        program.interrupt()
    else:
        program.say("go on")
    code, out, errors = program.end()
    assert (code, out, errors) == (-signal.SIGINT if interrupted else 0, "", "")


def test_a_forked_child_waits_for_no_thread(script, tmp_path):
    pytest.importorskip("torch")
    program = script(
        GROUP
        + """
work = dist.all_reduce(torch.ones(3), async_op=True)
child = os.fork()
if child == 0:
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
work.wait()
print("done")
""",
        "0",
        "1",
        str(tmp_path / "store"),
    )
    assert program.end() == (0, "done\n", "")
