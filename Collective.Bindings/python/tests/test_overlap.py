"""Which tensors share memory: against a list of all their bytes."""

from __future__ import annotations

import itertools
import random

import pytest

from collective._overlap import Layout, first_overlap


def bytes_of(layout):
    indices = itertools.product(*map(range, layout.shape))
    places = (layout.address + sum(index * stride for index, stride in zip(each, layout.strides)) for each in indices)
    return [place + byte for place in places for byte in range(layout.itemsize)]


def any_layout(rng):
    dimensions = rng.randint(0, 4)
    shape = tuple(rng.choice((0, 1, 2, 3, 4) if rng.random() < 0.2 else (1, 2, 3, 4)) for _ in range(dimensions))
    return Layout(rng.randint(0, 60), rng.choice((1, 2, 4)), shape, tuple(rng.randint(-20, 20) for _ in range(dimensions)))


def test_any_strides():
    rng = random.Random(7)
    seen = set()
    for _ in range(3000):
        one, other = any_layout(rng), any_layout(rng)
        mine = bytes_of(one)
        overlaps_itself, overlaps = len(set(mine)) != len(mine), not set(mine).isdisjoint(bytes_of(other))
        assert one.overlaps_itself() == overlaps_itself, one
        assert one.overlaps(other) == other.overlaps(one) == overlaps, (one, other)
        if mine:
            assert one.span == (min(mine), max(mine) + 1), one
        seen.add((overlaps_itself, overlaps))
    assert len(seen) == 4


def test_the_first_pair_of_many():
    rng = random.Random(8)
    for _ in range(300):
        layouts = [any_layout(rng) for _ in range(rng.randint(0, 5))]
        shared = [{one, other} for one, other in itertools.combinations(range(len(layouts)), 2) if not set(bytes_of(layouts[one])).isdisjoint(bytes_of(layouts[other]))]
        found = first_overlap(layouts)
        assert (found is None) == (not shared) and (found is None or set(found) in shared), layouts


def test_a_doubt_is_an_overlap():
    assert Layout(0, 4, (1000, 1000, 1000), (4 * 1009, 4 * 1013, 4 * 1019)).overlaps_itself()


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_columns_of_a_matrix_share_nothing(library):
    module = pytest.importorskip(library)
    matrix = module.zeros((50, 50))
    columns = [matrix[:, column] for column in range(50)]
    strides = [tuple(column.strides) if library == "numpy" else tuple(4 * each for each in column.stride()) for column in columns]
    addresses = [column.__array_interface__["data"][0] if library == "numpy" else column.data_ptr() for column in columns]
    itemsize = 8 if library == "numpy" else 4
    layouts = [Layout(address, itemsize, (50,), each) for address, each in zip(addresses, strides)]
    assert first_overlap(layouts) is None
    assert first_overlap([*layouts, layouts[7]]) == (7, 50)
