"""Masters in this process, and as a program."""

from __future__ import annotations

import ctypes
import logging
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
from conftest import DEADLINE, PACKAGE

import collective.master


def test_address_and_end():
    with collective.Master("127.0.0.1:0") as master:
        assert master.port > 0 and master.address == f"127.0.0.1:{master.port}" and not master.closed
        with collective.Communicator(master.address) as communicator:
            assert communicator.world.world_size == 1
    master.close()
    assert master.closed and "closed" in repr(master)
    with pytest.raises(collective.Closed):
        master.wait()


def test_every_address_of_this_host():
    with collective.Master("0.0.0.0:0") as master:
        assert master.address == f"127.0.0.1:{master.port}"
        with collective.Communicator(f"localhost:{master.port}") as communicator:
            assert communicator.connected


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_ipv6():
    with collective.Master("[::1]:0") as master, collective.Communicator(master.address) as communicator:
        assert communicator.connected


def test_an_address_in_use():
    with collective.Master("127.0.0.1:0") as master, pytest.raises(collective.AddressInUse) as caught:
        collective.Master(master.address)
    assert "port 0" in caught.value.hint


@pytest.mark.parametrize("options", [{"listen": "nonsense::1:2"}, {"listen": "127.0.0.1:99999"}, {"heartbeat_timeout": 0.001}, {"crossed_calls_timeout": -1}])
def test_wrong_options(options):
    with pytest.raises(collective.InvalidArgument):
        collective.Master(**{"listen": "127.0.0.1:0", **options})


def test_a_crossed_calls_timeout(script):
    """Two peers that wait for each other under different tags are told soon."""
    program = script(
        """
import array, collective, threading
master = collective.Master("127.0.0.1:0", crossed_calls_timeout=0.2)
def peer(tag):
    with collective.Communicator(master.address, minimum_world_size=2) as communicator:
        try:
            communicator.all_reduce(array.array("f", [1.0]), tag=tag)
        except collective.CrossedCalls:
            print("told\\n", end="")  # one write: both threads say it
threads = [threading.Thread(target=peer, args=(tag,)) for tag in (1, 2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    )
    program.expect("told")
    program.expect("told")


class Program:
    def __init__(self, module, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PACKAGE / "src", env=None
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize(("module", "option"), [("collective.master", "--listen"), ("collective.pccl.master", "--listen-address")])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_as_a_program(module, option, number):
    with Program(module, option, "127.0.0.1:0") as program:
        words = program.process.stdout.readline().split()
        assert words[:2] == ["listening", "on"]
        with collective.Communicator(words[2]) as communicator:
            assert communicator.connected
        program.process.send_signal(number)
        _, errors = program.process.communicate(timeout=DEADLINE)
        assert program.process.returncode == 0
        assert "INFO collective.master" in errors


def test_the_program_says_where_it_really_listens():
    with Program("collective.master", "--listen", "0.0.0.0:0") as program:
        assert program.process.stdout.readline().split()[2].startswith("0.0.0.0:")


def test_a_signal_to_another_thread_ends_the_program():
    """As one that comes just before the main thread blocks, it does not wake that."""
    with Program("collective.master", "--listen", "127.0.0.1:0") as program:
        program.process.stdout.readline()
        pid = program.process.pid
        while program.process.poll() is None and pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            pass  # until it blocks
        other = max(int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir())
        assert other != pid and ctypes.CDLL(None, use_errno=True).tgkill(pid, other, signal.SIGTERM) == 0
        program.process.communicate(timeout=DEADLINE)
        assert program.process.returncode == 0


def test_a_defect_ends_the_program(monkeypatch, capsys):
    def fails(_):
        raise collective.LimitExceeded("There is no memory left.")

    monkeypatch.setattr(collective.Master, "wait", fails)
    for each in ("signal", "set_wakeup_fd"):
        monkeypatch.setattr(signal, each, lambda *_, **__: None)
    assert collective.master.main(["--listen", "127.0.0.1:0", "--log-level", "error"]) == 1
    assert "no memory" in capsys.readouterr().err


def test_exit_codes():
    with collective.Master("127.0.0.1:0") as master, Program("collective.master", "--listen", master.address) as program:
        _, errors = program.process.communicate(timeout=DEADLINE)
        assert program.process.returncode == 3 and master.address in errors
    with Program("collective.master", "--listen", "nonsense::1:2") as program:
        program.process.communicate(timeout=DEADLINE)
        assert program.process.returncode == 2


def test_the_log_goes_where_it_is_told(caplog, master):
    logger = logging.getLogger("collective")
    with caplog.at_level(logging.DEBUG, "collective"):
        collective.log_to(logger)
        try:
            with collective.Communicator(master.address):
                pass
        finally:
            collective.log_to(None)
    assert {"collective.peer", "collective.master"} <= {record.name for record in caplog.records}
    caplog.clear()
    with collective.Communicator(master.address):
        pass
    assert not caplog.records


def test_silent_by_default(script):
    program = script(
        """
import collective
with collective.Master("127.0.0.1:0") as master, collective.Communicator(master.address) as communicator:
    communicator.step()
"""
    )
    assert program.end() == (0, "", "")
