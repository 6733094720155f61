"""Starts peers that train a case, each in a fork of this process: torch is imported once.

Reads lines of JSON that say what to start; prints what the peers say, and their ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback

import torch
from data_parallel_cases import CASES, Case

STEPS, DIES_AT, JOINS_AT = 10, 3, 6


def say(**what: object) -> None:
    os.write(1, (json.dumps(what) + "\n").encode())


def train(case: Case, communicator: object, number: int, folder: str) -> None:
    import collective.pytorch

    case.wrap(lambda module, **options: collective.pytorch.data_parallel(module, communicator, **{"bucket_bytes": 100, **options}))
    state = {"modules": case.modules, "optimizer": case.optimizer, "step": 0}
    say(number=number, id=communicator.world.id.hex)
    if number == 2:
        case.deadly.register_hook(lambda grad: os.kill(os.getpid(), signal.SIGKILL) if state["step"] == DIES_AT else grad)
    while state["step"] < STEPS:
        step = state["step"]
        world = communicator.step()
        while step == JOINS_AT and world.world_size < 3 and number < 2:
            world = communicator.step()
        if world.has_newcomers:
            communicator.sync(state)
            step = state["step"]
            if step == 0:
                torch.save(case.snapshot(), f"{folder}/initial")
        case.make_step(lambda turn: case.loss(number, step, turn), step)
        state["step"] += 1
        result = case.wrappers[-1].result
        contributors = [] if result is None else [each.hex for each in result.contributors]
        say(number=number, step=step, digest=case.digest(), contributors=contributors)
    torch.save(case.snapshot(), f"{folder}/{number}")


def run(name: str, address: str, number: int, folder: str) -> None:
    import collective

    torch.manual_seed(number)
    with collective.Communicator(address, minimum_world_size=3 if number < 3 else 1, call_timeout=120) as communicator:
        train(CASES[name](), communicator, number, folder)


def start(order: dict) -> None:
    number = order["number"]
    process = os.fork()
    if process:
        numbers[process] = number
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # when the parent is gone
    code = 1
    try:
        globals()[order.pop("do", "run")](**order)
        code = 0
    except BaseException:
        say(number=number, failure=traceback.format_exc())
    finally:
        os._exit(code)


def reap(*_: object) -> None:
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            say(number=numbers[ended[0]], exit=os.waitstatus_to_exitcode(ended[1]))
    except ChildProcessError:
        pass


numbers: dict[int, int] = {}

def main() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGCHLD, reap)
    say(ready=True)
    for line in sys.stdin:
        start(json.loads(line))
