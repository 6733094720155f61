"""Where the elements of tensors lie in memory, and whether any of them share it."""

from __future__ import annotations

from dataclasses import dataclass

# Strides that come from slicing, transposing and reshaping need a few dozen steps. Strides made by hand may need more: then the answer is yes.
_STEPS_MAX = 10_000

# (stride in bytes, smallest and largest number of strides to go)
_Term = tuple[int, int, int]


@dataclass(frozen=True)
class Layout:
    """Where the elements of one tensor lie."""

    address: int
    """Of the element whose indices are all 0."""
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In bytes."""

    @staticmethod
    def contiguous(address: int, count: int, itemsize: int) -> Layout:
        """Of elements that lie one after the other."""
        return Layout(address, itemsize, (count,), (itemsize,))

    @property
    def span(self) -> tuple[int, int]:
        """The first byte of all elements, and the one after the last."""
        low, high = 0, self.itemsize
        for size, stride in zip(self.shape, self.strides):
            low, high = low + min(0, stride * (size - 1)), high + max(0, stride * (size - 1))
        return self.address + low, self.address + high

    def is_same(self, other: Layout) -> bool:
        """Whether equal indices are the same memory."""
        return (self.address, self.itemsize, self._dimensions()) == (other.address, other.itemsize, other._dimensions())

    def overlaps_itself(self) -> bool:
        """Whether two of its elements share memory. Writing one changes the other."""
        if 0 in self.shape:
            return False
        # Two elements are apart by a difference of indices in each dimension.
        terms = [(abs(stride), 1 - size, size - 1) for size, stride in self._dimensions()]
        return _meets(terms, 1 - self.itemsize, self.itemsize - 1, any_nonzero=True)

    def overlaps(self, other: Layout) -> bool:
        """Whether an element shares memory with one of the other tensor's."""
        if 0 in self.shape or 0 in other.shape:
            return False
        (low, high), (other_low, other_high) = self.span, other.span
        if high <= other_low or other_high <= low:
            return False
        terms: dict[int, tuple[int, int]] = {}
        for sign, layout in ((1, self), (-1, other)):
            for size, stride in layout._dimensions():
                least, most = terms.get(abs(stride), (0, 0))
                end = size - 1 if sign * stride > 0 else 1 - size
                terms[abs(stride)] = (least + min(0, end), most + max(0, end))
        distance = other.address - self.address
        return _meets([(stride, *ends) for stride, ends in terms.items()], distance + 1 - self.itemsize, distance + other.itemsize - 1)

    def _dimensions(self) -> tuple[tuple[int, int], ...]:
        return tuple([(size, stride) for size, stride in zip(self.shape, self.strides) if size != 1])


def first_overlap(layouts: list[Layout]) -> tuple[int, int] | None:
    """The numbers of two that share memory."""
    near: list[tuple[int, int, Layout]] = []
    for low, number, layout in sorted([(layout.span[0], number, layout) for number, layout in enumerate(layouts) if 0 not in layout.shape]):
        near = [each for each in near if each[0] > low]
        for _, before, other in near:
            if layout.overlaps(other):
                return min(before, number), max(before, number)
        near.append((layout.span[1], number, layout))
    return None


def _meets(terms: list[_Term], low: int, high: int, *, any_nonzero: bool = False) -> bool:
    """Whether some numbers of strides, not all of them 0 if so said, lead to a place from low to high."""
    terms = sorted(terms, reverse=True)
    # How far the terms from each on can lead.
    reach = [(0, 0)]
    for stride, least, most in reversed(terms):
        reach.append((reach[-1][0] + stride * least, reach[-1][1] + stride * most))
    reach.reverse()
    steps = 0

    def search(at: int, low: int, high: int, moved: bool) -> bool:
        nonlocal steps
        if at == len(terms):
            return moved and low <= 0 <= high
        stride, least, most = terms[at]
        if stride > 0:
            rest_low, rest_high = reach[at + 1]
            least, most = max(least, -((rest_high - low) // stride)), min(most, (high - rest_low) // stride)
        for number in range(least, most + 1):
            steps += 1
            if steps > _STEPS_MAX or search(at + 1, low - number * stride, high - number * stride, moved or number != 0):
                return True
        return False

    return search(0, low, high, not any_nonzero)
