"""DiLoCo: peers train alone for many steps, then average how far they have come, and make one outer step with it.

    python3 diloco.py                       a whole run on this machine, with a peer that is killed and one that joins
    python3 diloco.py --master HOST:PORT    one peer
"""

import sys
import time

import digits
import local_run
import torch

import collective

OUTER_STEPS = 20
INNER_STEPS = 20


def train(options):
    torch.set_num_threads(1)
    images, labels, test_images, test_labels = digits.load()
    model = digits.new_model(options.seed)
    inner = torch.optim.AdamW(model.parameters(), lr=2e-3)
    loss_of = torch.nn.CrossEntropyLoss()
    # The outer parameters are what all peers agree on; the model wanders off from them and comes back.
    outer = [torch.nn.Parameter(parameter.detach().clone()) for parameter in model.parameters()]
    outer_optimizer = torch.optim.SGD(outer, lr=0.7, momentum=0.9, nesterov=True)
    state = {"outer": {str(at): parameter for at, parameter in enumerate(outer)}, "optimizer": outer_optimizer, "step": 0, "peers": 0}

    with collective.Communicator(options.master, minimum_world_size=options.peers_at_start) as communicator:
        while state["step"] < OUTER_STEPS or state["peers"] < options.peers_at_end:
            # All peers get the same answer, so that all take the same way.
            if communicator.step().has_newcomers:
                communicator.sync(state)

            copy(outer, model.parameters())
            for step in range(INNER_STEPS):
                world = communicator.world
                inputs, targets = digits.batch(images, labels, state["step"] * INNER_STEPS + step, world.rank, world.world_size)
                inner.zero_grad()
                loss = loss_of(model(inputs), targets)
                loss.backward()
                inner.step()

            for parameter, trained in zip(outer, model.parameters()):
                parameter.grad = parameter.detach() - trained.detach()
            if state["step"] == options.die_at:
                many = communicator.reduction_set(len(outer))
                for parameter in outer[:-1]:
                    many.launch(parameter.grad, op="avg", quantization="min_max")
                local_run.die()
            try:
                # A quarter of the bytes: eight bits for each number.
                result = communicator.all_reduce_many([parameter.grad for parameter in outer], op="avg", quantization="min_max", retry=True)
            except collective.TooFewPeers:
                time.sleep(0.1)  # alone: drop the step, and look whether somebody waits
                continue
            outer_optimizer.step()
            state["step"] += 1
            state["peers"] = result.world_size
            print(f"outer step {state['step']}: loss {loss.item():.3f}, {result.world_size} peers", flush=True)

    copy(outer, model.parameters())
    score = digits.accuracy(model, test_images, test_labels)
    print(f"end step={state['step']} accuracy={score:.3f} digest={digits.digest(*outer)}", flush=True)


def copy(sources, targets):
    with torch.no_grad():
        for source, target in zip(sources, targets):
            target.copy_(source)


if __name__ == "__main__":
    chosen = local_run.arguments(__doc__.splitlines()[0])
    sys.exit(train(chosen) if chosen.master else local_run.play(__file__, die_at=5))
