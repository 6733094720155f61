"""How the ranks of a process group find the master that their first rank runs: by addresses that really lead there, whatever the group was made with."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import secrets
import socket
import struct
import time
from typing import Any

from .._master import Master
from ..errors import MasterUnreachable

_KEY = "collective"

# Seconds for one address to accept a connection; those that lead elsewhere often do not answer at all.
_CONNECT_SECONDS = 3.0

# Addresses of no host (documentation), to ask the system by which of its addresses it would leave.
_SOMEWHERE = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))

_SIOCGIFADDR = 0x8915


def publish(store: Any) -> tuple[Master, str, int]:
    """The first rank's part: starts a master and says where it is. Returns it, its address for this process, and the number of the group of peers."""
    master = _start_master()
    group = secrets.randbits(32)
    record = {"host": _host_identity(), "addresses": own_addresses(), "port": master.port, "group": group}
    store.set(_KEY, json.dumps(record))
    return master, f"127.0.0.1:{master.port}", group


def find(store: Any, seconds: float = math.inf) -> tuple[str, int]:
    """The others' part: the address that answers, and the number of the group. Waits for the first rank as long as the store does."""
    record = json.loads(store.get(_KEY).decode())
    # Over loopback only on the same host: elsewhere something else may listen at that port.
    addresses = ["127.0.0.1"] if record["host"] == _host_identity() else []
    addresses += record["addresses"]
    deadline = time.monotonic() + seconds
    failures = []
    for address in addresses:
        left = min(_CONNECT_SECONDS, deadline - time.monotonic())
        if left <= 0:
            failures.append(f"{address}: not tried, the time is over")
            continue
        try:
            socket.create_connection((address, record["port"]), left).close()
        except OSError as error:
            failures.append(f"{address}: {error.strerror or error}")
        else:
            return with_port(address, record["port"]), int(record["group"])
    raise MasterUnreachable(
        f"The first rank of the process group is reached at none of its addresses, port {record['port']} ({'; '.join(failures) or 'it has none'}).",
        hint="Check that its host and this one are in one network, and the firewall.",
    )


def with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def own_addresses() -> list[str]:
    """Addresses of this host at which others may reach it, the likeliest first: loopback and link-local ones are of no use to them."""
    found = [*_by_route(), *_by_interface(), *_by_name()]
    return [address for address in dict.fromkeys(found) if not address.startswith(("127.", "169.254.", "fe80:", "0.")) and address != "::1"]


def _start_master() -> Master:
    try:
        return Master("[::]:0")  # both families
    except Exception:
        return Master("0.0.0.0:0")  # a host without IPv6


def _by_route() -> list[str]:
    """The addresses from which packets leave: towards the store, if torch's environment names its host, and towards the world. Nothing is sent."""
    targets = [*_SOMEWHERE]
    with contextlib.suppress(OSError):
        host = os.environ.get("MASTER_ADDR", "")
        targets = [(str(info[4][0]), info[0]) for info in socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)] + targets if host else targets
    found = []
    for address, family in targets:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            found.append(str(probe.getsockname()[0]).partition("%")[0])
    return found


def _by_interface() -> list[str]:
    """Of every interface, where the system is Linux."""
    found = []
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found.append(socket.inet_ntoa(answer[20:24]))
    with contextlib.suppress(OSError), open("/proc/net/if_inet6", encoding="ascii") as table:
        found += [socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line.split()[0])) for line in table]
    return found


def _by_name() -> list[str]:
    with contextlib.suppress(OSError):
        return [str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)]
    return []


def _host_identity() -> str:
    """The same for processes that reach each other over loopback: of one boot of one system, in one network namespace."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
        parts.append(boot.read().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/net"))
    return "/".join(parts)
