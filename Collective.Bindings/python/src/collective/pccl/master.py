"""``python -m pccl.master``, or ``python -m collective.pccl.master``: PCCL's stand-alone master, with its option."""

from __future__ import annotations

import argparse
import sys

from collective.master import main as run


def main() -> int:
    """Runs a master until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="A master; see python -m collective.master for one with more options.")
    parser.add_argument("--listen-address", default="0.0.0.0:48148", metavar="HOST:PORT")
    return run(["--listen", parser.parse_args().listen_address])


if __name__ == "__main__":
    sys.exit(main())
