"""Asynchronous DiLoCo: as diloco.py, but peers train on while the last averages are on their way, and apply them one step late.

    python3 async_diloco.py                       a whole run on this machine, with a peer that is killed and one that joins
    python3 async_diloco.py --master HOST:PORT    one peer
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait

import digits
import local_run
import torch

import collective

OUTER_STEPS = 40
INNER_STEPS = 20


class Trainer:
    def __init__(self, options):
        self.images, self.labels, self.test_images, self.test_labels = digits.load()
        self.model = digits.new_model(options.seed)
        self.inner = torch.optim.AdamW(self.model.parameters(), lr=4e-3)
        self.loss_of = torch.nn.CrossEntropyLoss()
        self.outer = [torch.nn.Parameter(parameter.detach().clone()) for parameter in self.model.parameters()]
        # What is applied one step late overshoots, and momentum on top of that swings up and never settles: none here, and smaller steps than in diloco.py.
        self.outer_optimizer = torch.optim.SGD(self.outer, lr=0.5)
        self.state = {
            "outer": {str(at): parameter for at, parameter in enumerate(self.outer)},
            "optimizer": self.outer_optimizer,
            "rounds": 0,  # begun
            "steps": 0,  # outer steps applied
            "peers": 0,
        }

    def reset(self):
        """Back to what all agree on."""
        with torch.no_grad():
            for parameter, source in zip(self.model.parameters(), self.outer):
                parameter.copy_(source)

    def wander(self, world):
        """The inner steps."""
        for step in range(INNER_STEPS):
            inputs, targets = digits.batch(self.images, self.labels, self.state["rounds"] * INNER_STEPS + step, world.rank, world.world_size)
            self.inner.zero_grad()
            loss = self.loss_of(self.model(inputs), targets)
            loss.backward()
            self.inner.step()
        return loss.item()

    def distances(self):
        """How far this peer has come from the outer parameters."""
        return [parameter.detach() - trained.detach() for parameter, trained in zip(self.outer, self.model.parameters())]

    def apply(self, arrived):
        if arrived is None:
            return
        averages, result = arrived
        for parameter, average in zip(self.outer, averages):
            parameter.grad = average
        self.outer_optimizer.step()
        self.state["steps"] += 1
        self.state["peers"] = result.world_size


def train(options):
    torch.set_num_threads(1)
    trainer = Trainer(options)
    state = trainer.state
    background = ThreadPoolExecutor(1)

    def average(distances):
        try:
            return distances, communicator.all_reduce_many(distances, op="avg", retry=True)
        except collective.TooFewPeers:
            time.sleep(0.1)
            return None  # alone: drop it

    with background, collective.Communicator(options.master, minimum_world_size=options.peers_at_start) as communicator:
        in_flight = None
        newcomer = True
        while state["steps"] < OUTER_STEPS or state["peers"] < options.peers_at_end:
            # Asked while the averages are on their way; membership may only change when they have arrived.
            admitting = newcomer or communicator.are_peers_pending()
            if admitting:
                if not newcomer:
                    wait([in_flight])
                    communicator.update_topology()
                communicator.sync(state)
                if newcomer:
                    trainer.reset()
            first_round = state["rounds"] == 0
            loss = trainer.wander(communicator.world)
            distances = trainer.distances()

            if not newcomer:
                trainer.apply(in_flight.result())
            if admitting and not first_round:
                # Newcomers were not part of what has just been applied: they receive what came out.
                communicator.sync(state, strategy="receive_only" if newcomer else "send_only")
            newcomer = False

            if state["rounds"] == options.die_at:
                many = communicator.reduction_set(len(distances))
                for distance in distances[:-1]:
                    many.launch(distance, op="avg")
                local_run.die()
            state["rounds"] += 1
            in_flight = background.submit(average, distances)
            # The inner model starts from the outer parameters, which do not know of its last steps yet.
            trainer.reset()
            print(f"round {state['rounds']}: loss {loss:.3f}, {state['peers']} peers", flush=True)

        trainer.apply(in_flight.result())

    trainer.reset()
    score = digits.accuracy(trainer.model, trainer.test_images, trainer.test_labels)
    print(f"end step={state['steps']} accuracy={score:.3f} digest={digits.digest(*trainer.outer)}", flush=True)


if __name__ == "__main__":
    chosen = local_run.arguments(__doc__.splitlines()[0])
    sys.exit(train(chosen) if chosen.master else local_run.play(__file__, die_at=6))
