"""Plays a whole run on this machine: a master, three peers of which one is killed in the middle, and one that joins later."""

import argparse
import os
import queue
import signal
import subprocess
import sys
import threading

import collective

PEERS = 3
LONGEST_SECONDS = 300


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--master", metavar="ADDRESS", help="be one peer of the run with this master; without it, play a whole run on this machine")
    parser.add_argument("--peers-at-start", type=int, default=1, metavar="N", help="wait for so many peers before training begins")
    parser.add_argument("--peers-at-end", type=int, default=1, metavar="N", help="train on until there are so many peers")
    parser.add_argument("--seed", type=int, default=0, help="of this peer's first parameters; those of the others win if it joins them")
    parser.add_argument("--die-at", type=int, metavar="STEP", help="kill this process in the middle of that step, to see what the others do")
    return parser.parse_args()


def die():
    """As a machine that loses power: nothing is said to anybody."""
    os.kill(os.getpid(), signal.SIGKILL)


def play(script, die_at, least_accuracy=0.9):
    """0 if the survivors and the newcomer end with the same bits and a good model."""
    lines = queue.Queue()
    with collective.Master("127.0.0.1:0") as master:
        common = ["--master", master.address, "--peers-at-end", str(PEERS)]
        peers = [Peer(script, name, [*common, "--peers-at-start", str(PEERS), "--seed", str(at)], lines) for at, name in enumerate(("anna", "ben"))]
        victim = Peer(script, "carl", [*common, "--peers-at-start", str(PEERS), "--seed", "2", "--die-at", str(die_at)], lines)
        peers.append(victim)
        digests, scores = {}, {}
        try:
            waiting_for = {peer.name for peer in peers}
            while waiting_for:
                name, line = lines.get(timeout=LONGEST_SECONDS)
                if line is None:
                    waiting_for.remove(name)
                    if name == victim.name:
                        print(f"{name} has died; dora joins", flush=True)
                        peers.append(Peer(script, "dora", [*common, "--seed", "3"], lines))
                        waiting_for.add("dora")
                    continue
                print(f"{name}: {line}", flush=True)
                if line.startswith("end "):
                    fields = dict(field.split("=") for field in line.split()[1:])
                    digests[name], scores[name] = fields["digest"], float(fields["accuracy"])
        finally:
            for peer in peers:
                peer.process.kill()
                peer.process.wait()
    codes = {peer.name: peer.process.returncode for peer in peers}
    expected = {"anna": 0, "ben": 0, "carl": -signal.SIGKILL, "dora": 0}
    agreed = codes == expected and set(digests) == {"anna", "ben", "dora"} and len(set(digests.values())) == 1
    good = min(scores.values(), default=0) >= least_accuracy
    print(f"exit codes {codes}, digests {digests}: {'equal' if agreed else 'NOT AS EXPECTED'}; accuracy {scores}: {'good' if good else 'NOT GOOD'}")
    return 0 if agreed and good else 1


class Peer:
    """One process of the run; its lines, and None at its end, go to a queue."""

    def __init__(self, script, name, options, lines):
        self.name = name
        self.process = subprocess.Popen([sys.executable, script, *options], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def _read(self, lines):
        for line in self.process.stdout:
            lines.put((self.name, line.rstrip()))
        self.process.wait()
        lines.put((self.name, None))
