"""The package as users get it: a wheel with the library in it, and types that check."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest
from conftest import PACKAGE

import collective

PROGRAM = """
import array, threading
import collective
assert collective.library_path().parent.parent == __import__("pathlib").Path(collective.__file__).parent, collective.library_path()
with collective.Master("127.0.0.1:0") as master:
    def peer(number):
        with collective.Communicator(master.address, minimum_world_size=2) as communicator:
            tensor = array.array("f", [number])
            communicator.all_reduce(tensor)
            assert tensor[0] == 1
    threads = [threading.Thread(target=peer, args=(number,)) for number in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
print(collective.version())
"""

SWITCHER = """
import pccl.master
from pccl import Communicator, MasterNode
from pccl.cuda import is_available
import pccl.cuda
import pccl
import collective.pccl
assert pccl is collective.pccl and pccl.master.main and MasterNode is pccl.MasterNode
print(is_available())
"""

USER = """
import numpy
import collective
from collective import Communicator, ReduceResult

with Communicator("localhost", minimum_world_size=2) as communicator:
    result: ReduceResult = communicator.all_reduce(numpy.ones(3), op="avg")
    size: int = result.world_size
    handle = communicator.all_reduce_async(numpy.ones(3))
    other: ReduceResult = handle.wait()
    revision: int = communicator.sync({"a": numpy.ones(3)}).revision
    try:
        communicator.step(timeout=3.0)
    except collective.TimedOut as error:
        text: str = error.hint

async def program() -> ReduceResult:
    return await communicator.all_reduce_async(numpy.ones(3))
"""


def has(*modules: str) -> bool:
    return all(subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode == 0 for module in modules)


@pytest.mark.skipif(not has("pip", "setuptools", "wheel"), reason="pip, setuptools or wheel is missing (Debian: python3-pip python3-setuptools python3-wheel)")
def test_the_wheel_contains_the_library_and_works(tmp_path):
    environment = {**os.environ, "OUT": str(tmp_path / "wheel"), "PYTHON": sys.executable, "COLLECTIVE_LIBRARY": str(collective.library_path())}
    built = subprocess.run(["bash", str(PACKAGE / "build_wheel.sh")], capture_output=True, text=True, env=environment)
    assert built.returncode == 0, built.stdout + built.stderr
    wheel, names_of_pccl = sorted((tmp_path / "wheel").iterdir())
    assert names_of_pccl.name == "pypccl-1.0.0.post1-py3-none-any.whl"
    assert wheel.name.startswith(f"collective-{collective.__version__}-py3-none-linux_")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"collective/lib/libcollective.so", "collective/py.typed", "collective/pccl/cuda.py", "collective/pytorch/_data_parallel.py"} <= set(names)
    assert not any("test" in name or "example" in name for name in names)

    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--target", str(target), str(wheel), str(names_of_pccl)]
    installed = subprocess.run(install, capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr
    clean = {name: value for name, value in os.environ.items() if name not in ("COLLECTIVE_LIBRARY", "PYTHONPATH")}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env={**clean, "PYTHONPATH": str(target)}, cwd=tmp_path)
    assert (ran.returncode, ran.stdout.strip()) == (0, collective.version()), ran.stderr
    ran = subprocess.run([sys.executable, "-c", SWITCHER], capture_output=True, text=True, env={**clean, "PYTHONPATH": str(target)}, cwd=tmp_path)
    assert (ran.returncode, ran.stdout.strip()) == (0, "False"), ran.stderr


def test_an_interpreter_that_cannot_make_a_wheel_is_named(tmp_path):
    poor = tmp_path / "python"
    poor.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')  # without what was installed
    poor.chmod(0o755)
    built = subprocess.run(["bash", str(PACKAGE / "build_wheel.sh")], capture_output=True, text=True, env={**os.environ, "OUT": str(tmp_path / "wheel"), "PYTHON": str(poor)})
    assert (built.returncode, built.stdout, built.stderr.count("\n")) == (1, "", 1)
    assert str(poor) in built.stderr and "setuptools" in built.stderr and "PYTHON=" in built.stderr


def test_no_wheel_without_the_library(tmp_path):
    environment = {**os.environ, "OUT": str(tmp_path), "PYTHON": sys.executable, "COLLECTIVE_LIBRARY": "/nowhere/libcollective.so"}
    built = subprocess.run(["bash", str(PACKAGE / "build_wheel.sh")], capture_output=True, text=True, env=environment)
    assert built.returncode != 0 and not list(tmp_path.iterdir())


@pytest.mark.skipif(not has("mypy"), reason="mypy is missing (Debian: mypy)")
def test_types(tmp_path):
    cache = ["--cache-dir", str(tmp_path / "cache")]
    package = subprocess.run([sys.executable, "-m", "mypy", *cache], capture_output=True, text=True, cwd=PACKAGE)
    assert package.returncode == 0, package.stdout

    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(USER)
    wrong.write_text(USER.replace("size: int", "size: str").replace("timeout=3.0", 'timeout="3"'))
    environment = {**os.environ, "MYPYPATH": str(PACKAGE / "src")}
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--follow-imports", "silent", *cache]
    assert subprocess.run([*command, str(right)], capture_output=True, text=True, env=environment).returncode == 0
    found = subprocess.run([*command, str(wrong)], capture_output=True, text=True, env=environment)
    assert found.returncode == 1 and found.stdout.count("error:") == 2, found.stdout


def test_every_public_name_is_there_and_explained():
    assert sorted(collective.__all__) == collective.__all__
    assert {name for name, value in vars(collective).items() if isinstance(value, type)} <= set(collective.__all__)
    for name in collective.__all__:
        assert getattr(collective, name).__doc__, name
