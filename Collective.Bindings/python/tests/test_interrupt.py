"""Ctrl+C ends every blocking call, and leaves a communicator that works."""

from __future__ import annotations

import pytest
from conftest import BLOCKING

# What comes before a call blocks is the matter of test_interrupt_everywhere.py.
PROGRAM = """
import array, asyncio, threading
import collective

async def reduce():
    asyncio.create_task(tick())
    await asyncio.wait_for(communicator.all_reduce_async(tensor), 50)

async def tick():
    while True:  # asyncio sleeps on if the signal comes just before it sleeps
        await asyncio.sleep(0.05)

master = collective.Master("127.0.0.1:0")
other = collective.Communicator(master.address, minimum_world_size=2, call_timeout=240)
connecting = threading.Thread(target=other.connect)
connecting.start()
communicator = collective.Communicator(master.address, minimum_world_size=2, call_timeout=240)
communicator.connect()
connecting.join()
communicator.step()  # a newcomer's first one waits for nobody
third = collective.Communicator(master.address, minimum_world_size=5)
tensor = array.array("f", [1.0] * 1000)

try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("returned", flush=True)

assert set(tensor) == {{1.0}}
again = threading.Thread(target=lambda: other.all_reduce(array.array("f", [2.0] * 1000), retry=True))
again.start()
communicator.all_reduce(tensor, retry=True)
again.join()
print(sorted(set(tensor)), communicator.statistics.reduces_in_flight, flush=True)
third.close()
communicator.close()
other.close()
"""


CALLS = [
    "third.connect()",
    "communicator.step()",
    "communicator.update_topology()",
    "communicator.are_peers_pending()",
    "communicator.all_reduce(tensor)",
    "communicator.all_reduce(tensor, retry=True)",
    "communicator.all_reduce_async(tensor).wait()",
    "communicator.all_reduce_async(tensor).wait(50)",
    "communicator.all_reduce_many([tensor])",
    "communicator.sync({'a': tensor})",
    "asyncio.run(reduce())",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_blocking_call(script, call):
    program = script(BLOCKING + PROGRAM.format(call=f"blocking(); {call}"))
    program.expect("blocking")
    program.interrupt()
    program.expect("interrupted")
    program.expect("[3.0] 0")
    code, _, errors = program.end()
    assert (code, errors) == (0, "")


@pytest.mark.parametrize("call", CALLS)
def test_a_signal_that_does_not_wake_the_main_thread(script, call):
    """So is one that comes just before it blocks."""
    program = script(BLOCKING + PROGRAM.format(call=f"blocking(interrupt_this_thread); {call}"))
    program.expect("interrupted")
    program.expect("[3.0] 0")
    code, _, errors = program.end()
    assert (code, errors) == (0, "")


def test_an_impatient_user(script):
    program = script(BLOCKING + PROGRAM.format(call="blocking(); communicator.all_reduce_many([tensor])"))
    program.expect("blocking")
    for _ in range(5):
        program.interrupt()
    line = program.line()
    assert line in ("interrupted", ""), line  # the later ones may hit the program after the call
    program.kill()


def test_waiting_for_a_master(script):
    """Ends the wait, any number of times; the master goes on until it is closed."""
    program = script(
        """
import threading
import collective

with collective.Master("127.0.0.1:0") as master:
    for _ in range(2):
        try:
            print("blocking", flush=True)
            master.wait()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    with collective.Communicator(master.address) as communicator:
        print(communicator.world.world_size, flush=True)
    threading.Timer(0, master.close).start()
    try:
        master.wait()
    except collective.Closed:
        pass  # it was already
print("ended", flush=True)
"""
    )
    for _ in range(2):
        program.expect("blocking")
        program.interrupt()
        program.expect("interrupted")
    program.expect("1")
    program.expect("ended")
    assert program.end() == (0, "", "")


def test_a_signal_that_does_not_wake_who_waits_for_a_master(script):
    program = script(
        BLOCKING
        + """
import collective

with collective.Master("127.0.0.1:0") as master:
    try:
        blocking(interrupt_this_thread)
        master.wait()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    )
    program.expect("interrupted")
    assert program.end() == (0, "", "")


def test_a_master_that_nobody_closes(script):
    """The program ends as every interrupted one does."""
    program = script("import collective\nmaster = collective.Master('127.0.0.1:0')\nprint('blocking', flush=True)\nmaster.wait()")
    program.expect("blocking")
    program.interrupt()
    code, _, errors = program.end()
    assert code == -2 and errors.rstrip().endswith("KeyboardInterrupt")
