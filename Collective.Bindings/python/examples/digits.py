"""What the training examples share: 1,797 images of handwritten digits, a small model, and the digest of a state."""

import gzip
import hashlib
import pathlib

import torch

DATA = pathlib.Path(__file__).resolve().parents[3] / "stress" / "Demo" / "data" / "digits.csv.gz"

TEST_EVERY = 5  # every fifth image is for testing


def load(path=DATA):
    """(training images, their labels, test images, their labels)"""
    with gzip.open(path, "rt") as lines:
        rows = torch.tensor([[int(word) for word in line.split(",")] for line in lines if line.strip()])
    images, labels = rows[:, :64].float() / 16, rows[:, 64]
    test = torch.arange(len(rows)) % TEST_EVERY == 0
    return images[~test], labels[~test], images[test], labels[test]


def new_model(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(64, 48), torch.nn.ReLU(), torch.nn.Linear(48, 10))


def batch(images, labels, step, part, parts, size=32):
    """This peer's share of the samples of a step, which all peers draw alike."""
    generator = torch.Generator().manual_seed(step)
    chosen = torch.randint(len(images), (size * parts,), generator=generator)[part::parts]
    return images[chosen], labels[chosen]


def accuracy(model, images, labels):
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


def digest(*tensors):
    """The same on two peers if, and only if, all tensors are the same to the last bit."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.detach().contiguous().numpy().tobytes())
    return total.hexdigest()[:16]
