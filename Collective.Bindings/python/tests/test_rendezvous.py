"""How the ranks of a process group find each other."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import uuid

import pytest

torch = pytest.importorskip("torch")

import collective  # noqa: E402
from collective.pytorch import _rendezvous  # noqa: E402

RANK = """
import ctypes, os, sys
if sys.argv[4]:
    assert ctypes.CDLL(None, use_errno=True).setns(os.open("/run/netns/" + sys.argv[4], os.O_RDONLY), 0x40000000) == 0
import torch, torch.distributed as dist
import collective, collective.pytorch
rank, size, where = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
collective.pytorch.register_backend()
torch.set_num_threads(1)

def check(group=None, members=size):
    tensor = torch.ones(70_000)
    dist.all_reduce(tensor, group=group)
    assert tensor.eq(members).all(), tensor
"""

END = """
dist.destroy_process_group()
print("done")
"""


def run_ranks(script, body, where, size=2, namespaces=("", "", "")):
    ranks = [script(RANK + body + END, str(rank), str(size), str(where), namespaces[rank]) for rank in range(size)]
    for rank, program in enumerate(ranks):
        code, out, errors = program.end()
        assert code == 0, f"rank {rank}: {errors}"
        assert out.strip() == "done", f"rank {rank}: {out} {errors}"


FILE = 'dist.init_process_group("collective", init_method="file://" + where, rank=rank, world_size=size)\n'


def test_a_group_without_rank_0(script, tmp_path):
    run_ranks(
        script,
        FILE
        + """
group, other = dist.new_group([1, 2]), dist.new_group([2, 0])
if rank:
    check(group, 2)
if rank != 1:
    check(other, 2)
check()
""",
        tmp_path / "store",
        size=3,
    )


def test_the_environment_names_another_host(script, tmp_path):
    """MASTER_ADDR is where torch's own store is, if it is used at all."""
    run_ranks(script, 'os.environ["MASTER_ADDR"] = "192.0.2.99"\n' + FILE + "check()\n", tmp_path / "store")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tcp(script, host):
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("", 0))
        where = f"tcp://{host}:{reserved.getsockname()[1]}"
        run_ranks(script, 'dist.init_process_group("collective", init_method=where, rank=rank, world_size=size)\ncheck()\n', where)


def test_a_store(script, tmp_path):
    run_ranks(script, 'dist.init_process_group("collective", store=dist.FileStore(where, size), rank=rank, world_size=size)\ncheck()\n', tmp_path / "store")


class Store(dict):
    """As torch's, for one process."""

    def set(self, key, value):
        self[key] = value.encode()

    def get(self, key):
        return self[key]


def test_own_addresses_are_of_use_to_others():
    for address in _rendezvous.own_addresses():
        assert not address.startswith(("127.", "fe80:", "169.254.")) and address not in ("::1", "::", "0.0.0.0")


def test_every_address_is_tried(nobody):
    host, _, closed = nobody.rpartition(":")
    with collective.Master("127.0.0.1:0") as master:
        record = {"host": "another", "addresses": ["127.0.0.9", "127.0.0.1"], "port": master.port, "group": 7}
        assert _rendezvous.find(Store(collective=json.dumps(record).encode())) == (f"127.0.0.1:{master.port}", 7)
    record = {"host": "another", "addresses": ["127.0.0.9", "127.0.0.1"], "port": int(closed), "group": 7}
    with pytest.raises(collective.MasterUnreachable) as caught:
        _rendezvous.find(Store(collective=json.dumps(record).encode()))
    assert "127.0.0.9: " in str(caught.value) and "127.0.0.1: " in str(caught.value) and closed in str(caught.value)
    with pytest.raises(collective.MasterUnreachable, match="not tried"):
        _rendezvous.find(Store(collective=json.dumps(record).encode()), 0)


def test_publishing():
    store = Store()
    master, address, group = _rendezvous.publish(store)
    with master:
        assert _rendezvous.find(store) == (address, group)
        with collective.Communicator(address) as communicator:
            assert communicator.connected
    assert _rendezvous.with_port("2001:db8::1", 5) == "[2001:db8::1]:5"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def two_hosts():
    """Two network namespaces, which reach each other by IPv4 and IPv6."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    names = [f"collective-py-{uuid.uuid4().hex[:8]}-{number}" for number in range(2)]
    try:
        try:
            for name in names:
                ip("netns", "add", name)
            ip("-n", names[0], "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", names[1])
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr}")
        for number, name in enumerate(names):
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "addr", "add", f"10.84.0.{number + 1}/24", "dev", "eth0")
            ip("-n", name, "addr", "add", f"fd84::{number + 1}/64", "dev", "eth0", "nodad")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.mark.parametrize("family", ["both", "IPv4", "IPv6"])
def test_hosts_of_their_own(script, tmp_path, two_hosts, family):
    """The first rank is on another host than the second, and nothing says where."""
    if family != "both":
        for name in two_hosts:
            ip("-n", name, "-6" if family == "IPv4" else "-4", "addr", "flush", "dev", "eth0")
    run_ranks(script, FILE + "check()\n", tmp_path / "store", namespaces=two_hosts)
