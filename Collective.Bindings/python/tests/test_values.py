"""Numbers, strings and other small values as records."""

from __future__ import annotations

import math
import random

import pytest

from collective._values import RECORD_BYTES, decode, encode

VALUES = [None, True, False, 0, -1, 1 << 900, 0.93, -0.0, math.inf, 1e-310, 2 - 3j, "", "größer", "\ud800", b"", b"\0\xff", (), ((),)]
VALUES += [(1, (None, "a"), 2.5)]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_with_its_type(value):
    record = encode(value)
    assert record is not None and len(record) == RECORD_BYTES
    back = decode(record)
    assert type(back) is type(value) and repr(back) == repr(value)


def test_not_a_number_comes_back():
    assert math.isnan(decode(encode(math.nan)))


def test_numpy_scalars_come_back_with_their_type():
    numpy = pytest.importorskip("numpy")
    numbers = [numpy.float16(2), numpy.float32(0.1), numpy.float64(0.1), numpy.int8(-3), numpy.uint64(1 << 63), numpy.complex64(1 + 2j)]
    for value in (*numbers, numpy.bool_(True), numpy.str_("ab"), numpy.bytes_(b"x"), numpy.datetime64("2026-12-01")):
        back = decode(encode(value))
        assert type(back) is type(value) and back == value and back.dtype == value.dtype


def test_what_has_no_record():
    class Own(int):
        pass

    assert [encode(value) for value in (Own(3), [1], {}, object(), (1, [2]), int)] == [None] * 6


def test_what_is_too_large():
    for value in ("a" * 254, b"a" * 254, 1 << 1013, ("a" * 130, "b" * 130), ("a" * 100_000,)):
        with pytest.raises(ValueError, match="a value has at most 254"):
            encode(value)
    assert decode(encode("a" * 253)) == "a" * 253


def test_any_bytes_are_a_value_or_an_error():
    generator = random.Random(1)
    records = [bytearray(encode(value)) for value in VALUES]
    for _ in range(20_000):
        record = bytearray(generator.choice(records))
        for _ in range(generator.randrange(1, 4)):
            record[generator.randrange(generator.choice((4, 12, RECORD_BYTES)))] = generator.choice(b"\0\1\2NTFifcsbn(:\xff")
        try:
            decode(bytes(record))
        except ValueError:
            pass
