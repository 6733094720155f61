"""Data-parallel training: in each step all peers average their gradients, and make the same step of the optimizer.

    python3 ddp_digits.py                       a whole run on this machine, with a peer that is killed and one that joins
    python3 ddp_digits.py --master HOST:PORT    one peer
"""

import sys

import digits
import local_run
import torch

import collective
import collective.pytorch

STEPS = 300


def train(options):
    torch.set_num_threads(1)
    images, labels, test_images, test_labels = digits.load()
    model = digits.new_model(options.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loss_of = torch.nn.CrossEntropyLoss()
    # What all peers hold alike, and a newcomer is given. Numbers count as much as tensors.
    state = {"model": model, "optimizer": optimizer, "step": 0, "peers": 0}

    # A peer that dies in the middle of a backward pass: the others average again without it.
    next(model.parameters()).register_hook(lambda _: local_run.die() if state["step"] == options.die_at else None)

    with collective.Communicator(options.master, minimum_world_size=options.peers_at_start) as communicator:
        parallel = collective.pytorch.data_parallel(model, communicator)
        while state["step"] < STEPS or state["peers"] < options.peers_at_end:
            # All peers get the same answer, so that all take the same way.
            world = communicator.step()
            if world.has_newcomers:
                communicator.sync(state)

            inputs, targets = digits.batch(images, labels, state["step"], world.rank, world.world_size)
            optimizer.zero_grad()
            loss = loss_of(parallel(inputs), targets)
            loss.backward()
            optimizer.step()
            state["step"] += 1
            state["peers"] = parallel.result.world_size if parallel.result else 1
            if state["step"] % 50 == 0:
                print(f"step {state['step']}: loss {loss.item():.3f}, {state['peers']} peers", flush=True)

    score = digits.accuracy(model, test_images, test_labels)
    print(f"end step={state['step']} accuracy={score:.3f} digest={digits.digest(*model.parameters())}", flush=True)


if __name__ == "__main__":
    chosen = local_run.arguments(__doc__.splitlines()[0])
    sys.exit(train(chosen) if chosen.master else local_run.play(__file__, die_at=20))
