"""Addresses: of both families, and announced ones."""

from __future__ import annotations

import array
import socket

import pytest
from conftest import together

import collective
from collective._master import _host_of


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def reduce_with(master: str, **options) -> float:
    with collective.Communicator(master, minimum_world_size=2, listen_port=0, **options) as communicator:
        tensor = array.array("f", [1.0] * 100_000)
        communicator.all_reduce(tensor)
        communicator.step()
        return tensor[-1]


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")
def test_peers_of_both_families():
    with collective.Master("[::]:0") as master:
        assert master.address == f"[::1]:{master.port}"
        assert together(2, lambda number: reduce_with((f"127.0.0.1:{master.port}", master.address)[number])) == [2.0, 2.0]


@pytest.mark.parametrize(("listen", "host"), [("::", "::"), ("[::]", "::"), ("[::]:0", "::"), ("2001:db8::1", "2001:db8::1"), ("name:1", "name"), ("name", "name"), ("0.0.0.0:1", "0.0.0.0")])
def test_the_host_of_an_address(listen, host):
    assert _host_of(listen) == host


def test_an_announced_address(master):
    assert together(2, lambda number: reduce_with(master.address, advertise_address="127.0.0.1")) == [2.0, 2.0]


@pytest.mark.parametrize("address", ["", "0.0.0.0", "[::]:5", "a b", "host:99999", "fe80::1"])
def test_an_announced_address_that_is_none(address):
    with pytest.raises(collective.InvalidArgument, match="advertised address"):
        collective.Communicator("localhost", advertise_address=address)


def test_the_environment(script, master):
    """What it says counts where the program says nothing."""
    program = script(
        """
import os, sys
os.environ["COLLECTIVE_ADVERTISE_ADDRESS"] = "192.0.2.77:5000"
import collective
with collective.Communicator(sys.argv[1]):
    try:
        collective.Communicator(sys.argv[1]).connect()
    except collective.MasterRefused as error:
        print("192.0.2.77:5000" in str(error))
os.environ["COLLECTIVE_ADVERTISE_ADDRESS"] = "0.0.0.0"
try:
    collective.Communicator(sys.argv[1])
except collective.InvalidArgument as error:
    print("COLLECTIVE_ADVERTISE_ADDRESS" in str(error))
""",
        master.address,
    )
    program.expect("True")
    program.expect("True")
    assert program.end()[0] == 0
