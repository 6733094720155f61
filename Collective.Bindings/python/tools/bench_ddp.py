#!/usr/bin/env python3
"""Times steps of a perceptron of 10 million parameters in several processes: data_parallel, and DistributedDataParallel on Gloo, in turn.

    python3 tools/bench_ddp.py [--peers 2] [--steps 20] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "src"))
os.environ.setdefault("COLLECTIVE_LIBRARY", str(HERE.parents[2] / "artifacts" / "native" / "libcollective.so"))

import collective  # noqa: E402


def peer(options: argparse.Namespace) -> None:
    import torch

    import collective.pytorch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.distributed.init_process_group("gloo", init_method=f"tcp://{options.store}", rank=options.rank, world_size=options.peers)

    def model() -> torch.nn.Module:
        layers = [torch.nn.Linear(one, two) for one, two in ((784, 2048), (2048, 2048), (2048, 2048), (2048, 10))]
        return torch.nn.Sequential(*(each for layer in layers for each in (layer, torch.nn.ReLU())))

    def run(wrapped: torch.nn.Module) -> tuple[float, float]:
        """Milliseconds of a step, and of this process's processor time for it: medians."""
        optimizer = torch.optim.SGD(wrapped.parameters(), lr=1e-3)
        inputs = torch.randn(options.batch, 784)
        walls, processors = [], []
        for _ in range(options.steps + 2):
            torch.distributed.barrier()
            wall, processor = time.perf_counter(), time.process_time()
            optimizer.zero_grad(set_to_none=True)
            wrapped(inputs).pow(2).mean().backward()
            optimizer.step()
            walls.append(time.perf_counter() - wall)
            processors.append(time.process_time() - processor)
        return statistics.median(walls[2:]) * 1000, statistics.median(processors[2:]) * 1000

    with collective.Communicator(options.master, minimum_world_size=options.peers) as communicator:
        kinds = {
            "data_parallel": lambda: collective.pytorch.data_parallel(model(), communicator),
            "DDP on Gloo": lambda: torch.nn.parallel.DistributedDataParallel(model()),
            "no averaging": model,
        }
        times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for kind, make in kinds.items():
                times[kind].append(run(make()))
        if options.rank == 0:
            for kind, medians in times.items():
                print(f"{kind:15} {'  '.join(f'{wall:6.1f} ({processor:6.1f})' for wall, processor in medians)} ms (processor time)")
        torch.distributed.barrier()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("peers", 2), ("steps", 20), ("rounds", 3), ("batch", 32), ("rank", -1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--master")
    parser.add_argument("--store")
    options = parser.parse_args()
    if options.rank >= 0:
        peer(options)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        store = f"127.0.0.1:{probe.getsockname()[1]}"
    with collective.Master("127.0.0.1:0") as master:
        arguments = [sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--master", master.address, "--store", store]
        peers = [subprocess.Popen([*arguments, "--rank", str(rank)]) for rank in range(options.peers)]
        sys.exit(max(each.wait() for each in peers))


if __name__ == "__main__":
    main()
