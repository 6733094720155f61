"""A process that gets no more descriptors, threads or address space: an exception says so, and the process lives."""

import os
import resource
import shutil
import subprocess
import sys
import threading

import pytest

import collective
from collective import _calls

DEADLINE = 120

# The peer: takes part under a limit, and again when the limit is gone.
PEER = """
import resource, sys, threading, time
import collective

kind, limit, address = getattr(resource, sys.argv[1]), int(sys.argv[2]), sys.argv[3]
before = resource.getrlimit(kind)

def take_part(communicator):
    communicator.connect()
    communicator.step()
    values = bytearray(b"\\1" * 8)
    communicator.all_reduce(memoryview(values).cast("B"))
    assert values == bytearray(b"\\2" * 8), values

try:
    communicator = collective.Communicator(address, minimum_world_size=2, listen_port=0, stripe_count=2)
except ImportError as error:
    assert "The library cannot start" in str(error), error
    print("IMPORT")
    sys.exit()
resource.setrlimit(kind, (limit, before[1]))
try:
    take_part(communicator)
    print("PASSED")
except collective.LimitExceeded as error:
    print("LIMIT", error)
    resource.setrlimit(kind, before)
    if communicator.connected:
        communicator.close()
        communicator = collective.Communicator(address, minimum_world_size=2, listen_port=0, stripe_count=2)
    take_part(communicator)
    resource.setrlimit(kind, (limit, before[1]))
communicator.close()
assert communicator.closed
print("CLOSED")
"""


class Company:
    """A peer that reduces with whoever comes."""

    def __init__(self, address):
        self._stops = False
        self._communicator = collective.Communicator(address, listen_port=0)
        self._communicator.connect()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stops:
            try:
                if self._communicator.step(timeout=DEADLINE).world_size > 1:
                    self._communicator.all_reduce(bytearray(b"\1" * 8))
                else:
                    threading.Event().wait(0.002)
            except (collective.Aborted, collective.TooFewPeers):
                pass
            except (collective.Closed, collective.Cancelled, collective.NotConnected):
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stops = True
        self._communicator.close()
        self._thread.join(DEADLINE)


def run(*command):
    ended = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert ended.returncode == 0, f"{ended.returncode}: {ended.stdout} {ended.stderr}"
    return ended.stdout.split("\n")


def test_too_few_descriptors(master):
    with Company(master.address):
        lines = [run(sys.executable, "-c", PEER, "RLIMIT_NOFILE", str(limit), master.address) for limit in (3, 5, 6, 7, 8, 9, 10, 12, 14, 64)]
    assert all("CLOSED" in each for each in lines)
    assert lines[0][0].startswith("LIMIT") and "no file descriptors left" in lines[0][0]
    assert lines[-1][0] == "PASSED"


def test_too_few_threads(master):
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to be a user of its own: the limit counts a user's threads, and does not bind root")
    with Company(master.address):
        lines = []
        for at, limit in enumerate((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 40)):
            user = str(700000 + os.getpid() % 10000 * 32 + at)
            lines.append(run("setpriv", "--reuid", user, "--clear-groups", sys.executable, "-c", PEER, "RLIMIT_NPROC", str(limit), master.address))
    assert all("CLOSED" in each for each in lines)
    assert lines[0][0].startswith("LIMIT") and "no more threads" in lines[0][0]
    assert lines[-1][0] == "PASSED"


@pytest.mark.parametrize("mebibytes", [64, 96, 112, 128, 144, 160, 192, 224, 256, 512])
def test_too_little_address_space(master, mebibytes):
    if shutil.which("prlimit") is None:
        pytest.skip("needs prlimit (util-linux)")
    with Company(master.address):
        lines = run("prlimit", f"--as={mebibytes << 20}", sys.executable, "-c", PEER, "RLIMIT_AS", str(mebibytes << 20), master.address)
    assert lines[0] == "IMPORT" or "CLOSED" in lines
    assert lines[0] != "IMPORT" or mebibytes < 256


def test_no_thread_for_the_library_is_an_import_error():
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to be a user of its own: the limit counts a user's threads, and does not bind root")
    program = "import collective\ntry:\n collective.version()\nexcept ImportError as error:\n print(error)"
    text = run("setpriv", "--reuid", str(690000 + os.getpid() % 10000), "--clear-groups", "prlimit", "--nproc=1", sys.executable, "-c", program)[0]
    assert "The library cannot start" in text and "threads" in text


def test_little_address_space_is_reserved():
    """Half of a limit, and twice the memory of the machine without one, is what the runtime takes unasked."""
    program = "import collective; collective.version(); print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmPeak')))"
    assert int(run(sys.executable, "-c", program)[0]) < 6 << 20
    assert int(run("prlimit", f"--as={4 << 30}", sys.executable, "-c", program)[0]) < 1 << 20


def test_a_call_that_gets_no_thread_is_typed_and_close_needs_none(master, monkeypatch):
    communicator = collective.Communicator(master.address, listen_port=0)
    communicator.connect()
    with monkeypatch.context() as patch:
        patch.setattr(_calls._thread, "start_new_thread", no_thread)
        with pytest.raises(collective.LimitExceeded, match="no more threads"):
            communicator.step()
    assert communicator.step().world_size == 1
    with monkeypatch.context() as patch:
        patch.setattr(_calls._thread, "start_new_thread", no_thread)
        communicator.close()
    assert communicator.closed


def no_thread(*_):
    raise RuntimeError("can't start new thread")
