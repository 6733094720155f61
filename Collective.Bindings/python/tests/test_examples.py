"""Each example runs, through a death and a join where it trains."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import DEADLINE, PACKAGE

EXAMPLES = PACKAGE / "examples"


def run(*command: str, **options):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE / "src"), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=EXAMPLES, **options)


def test_every_example_has_its_test():
    programs = {path.name for path in EXAMPLES.glob("*.py") if "__main__" in path.read_text() or "sys.argv" in path.read_text()} - {"local_run.py"}
    assert programs == {"hello.py", "ddp_digits.py", "diloco.py", "async_diloco.py"}


def test_hello(master):
    peers = [run("hello.py", master.address) for _ in range(2)]
    for peer in peers:
        out, _ = peer.communicate(timeout=DEADLINE)
        assert peer.returncode == 0, out
        assert "step 10: 10.0, averaged over 2 peers" in out and "step 99: 99.0" in out


@pytest.mark.parametrize("name", ["ddp_digits.py", "diloco.py", "async_diloco.py"])
def test_training(name):
    pytest.importorskip("torch")
    program = run(name)
    try:
        out, _ = program.communicate(timeout=400)
    finally:
        program.kill()
    assert program.returncode == 0, out
    assert ": equal; accuracy" in out and out.rstrip().endswith(": good")
    assert "carl has died; dora joins" in out and "dora: end " in out
