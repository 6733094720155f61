"""Data-parallel training: in each step all peers average their gradients, and make the same step of the optimizer.

    python3 ddp_digits.py                       a whole run on this machine, with a peer that is killed and one that joins
    python3 ddp_digits.py --master HOST:PORT    one peer
"""

import sys
import time

import digits
import local_run
import torch

import collective

STEPS = 300


def train(options):
    torch.set_num_threads(1)
    images, labels, test_images, test_labels = digits.load()
    model = digits.new_model(options.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loss_of = torch.nn.CrossEntropyLoss()
    # What all peers hold alike, and a newcomer is given. Numbers count as much as tensors.
    state = {"model": model, "optimizer": optimizer, "step": 0, "peers": 0}

    with collective.Communicator(options.master, minimum_world_size=options.peers_at_start) as communicator:
        while state["step"] < STEPS or state["peers"] < options.peers_at_end:
            # All peers get the same answer, so that all take the same way.
            world = communicator.step()
            if world.has_newcomers:
                communicator.sync(state)

            inputs, targets = digits.batch(images, labels, state["step"], world.rank, world.world_size)
            optimizer.zero_grad(set_to_none=False)
            loss = loss_of(model(inputs), targets)
            loss.backward()
            if state["step"] == options.die_at:
                for tag, parameter in enumerate(model.parameters()):
                    communicator.all_reduce_async(parameter.grad, op="avg", tag=tag)
                local_run.die()
            try:
                result = communicator.all_reduce_many([parameter.grad for parameter in model.parameters()], op="avg")
            except collective.TooFewPeers:
                time.sleep(0.1)  # alone: drop the step, and look whether somebody waits
                continue
            optimizer.step()
            state["step"] += 1
            state["peers"] = result.world_size
            if state["step"] % 50 == 0:
                print(f"step {state['step']}: loss {loss.item():.3f}, {result.world_size} peers", flush=True)

    score = digits.accuracy(model, test_images, test_labels)
    print(f"end step={state['step']} accuracy={score:.3f} digest={digits.digest(*model.parameters())}", flush=True)


if __name__ == "__main__":
    chosen = local_run.arguments(__doc__.splitlines()[0])
    sys.exit(train(chosen) if chosen.master else local_run.play(__file__, die_at=20))
