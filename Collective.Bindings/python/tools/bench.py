#!/usr/bin/env python3
"""Times all-reduces through the native library: two peers and their master in this process, over loopback.

    python3 tools/bench.py [--mebibytes 16] [--iterations 20] [--quantization min_max|zero_point_scale] [--to uint8]

Prints the median time of a call, and the processor time that both peers together spend on it, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import array
import os
import pathlib
import random
import statistics
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "src"))
os.environ.setdefault("COLLECTIVE_LIBRARY", str(HERE.parents[2] / "artifacts" / "native" / "libcollective.so"))

import collective  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description="Times all-reduces of float32 through the native library.")
    parser.add_argument("--mebibytes", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--quantization", choices=["min_max", "zero_point_scale"])
    parser.add_argument("--to", default="uint8", help="the type to quantise to (default: %(default)s)")
    options = parser.parse_args()
    quantization = collective.Quantization(options.quantization, options.to) if options.quantization else None

    source = random.Random(1)
    block = array.array("f", (source.gauss(0, 1) for _ in range(1 << 18)))
    with collective.Master("127.0.0.1:0") as master:
        peers = [threading.Thread(target=run, args=(master.address, block * options.mebibytes, quantization, options.iterations, at)) for at in range(2)]
        for peer in peers:
            peer.start()
        for peer in peers:
            peer.join()


def run(master: str, values: array.array[float], quantization: collective.Quantization | None, iterations: int, number: int) -> None:
    result = array.array("f", bytes(4 * len(values)))
    walls, cpus = [], []
    with collective.Communicator(master, minimum_world_size=2) as communicator:
        for _ in range(iterations + 2):
            wall, cpu = time.perf_counter(), time.process_time()
            communicator.all_reduce(values, result, quantization=quantization)
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    if number == 0:
        print(f"{statistics.median(walls[2:]) * 1000:.1f} ms, {statistics.median(cpus[2:]) * 1000:.1f} ms of processor time")


if __name__ == "__main__":
    main()
