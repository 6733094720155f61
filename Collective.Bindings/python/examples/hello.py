"""Hello, all-reduce.

Start a master, and this program twice:

    python3 -m collective.master --listen 127.0.0.1:48148
    python3 hello.py 127.0.0.1:48148

Kill one of the two while they run, or start a third: the others go on.
"""

import array
import sys

import collective

STEPS = 100

with collective.Communicator(sys.argv[1] if len(sys.argv) > 1 else "localhost:48148", minimum_world_size=2) as communicator:
    for step in range(STEPS):
        gradients = array.array("f", [step] * 1000)  # your training step; numpy arrays and torch tensors work as well
        try:
            result = communicator.all_reduce(gradients, op="avg", retry=True)
        except collective.TooFewPeers:
            print(f"step {step}: alone, so the gradients are my own")
            break
        print(f"step {step}: {gradients[0]}, averaged over {result.world_size} peers")
