"""Numbers, strings and other small values as records of one size: in the shared state their type and length are content, not structure."""

from __future__ import annotations

import struct
import sys
from typing import Any

RECORD_BYTES = 256

_LENGTH = struct.Struct("<H")
_FLOAT = struct.Struct("<d")
_COMPLEX = struct.Struct("<dd")

# Kinds of numpy scalars that are their bytes.
_NUMPY_KINDS = "biufcmMSU"


def encode(value: Any) -> bytes | None:
    """The record of a value; None when it is not of a type that has one.

    Raises:
        ValueError: it is of such a type, and too large.
    """
    text = _encode(value)
    if text is None:
        return None
    if len(text) > RECORD_BYTES - _LENGTH.size:
        raise ValueError(f"takes {len(text)} bytes; a value has at most {RECORD_BYTES - _LENGTH.size}")
    return (_LENGTH.pack(len(text)) + text).ljust(RECORD_BYTES, b"\0")


def decode(record: bytes) -> Any:
    """The value of a record.

    Raises:
        ValueError: it is no record of this version.
    """
    (length,) = _LENGTH.unpack_from(record)
    if length > RECORD_BYTES - _LENGTH.size:
        raise ValueError("a record that is longer than records are")
    return _decode(record[_LENGTH.size : _LENGTH.size + length])


def _encode(value: Any) -> bytes | None:
    kind = type(value)  # exactly: another peer need not have a subclass such as an enumeration
    if value is None:
        return b"N"
    if kind is bool:
        return b"T" if value else b"F"
    if kind is int:
        # Hexadecimal: Python limits the digits of decimal ones.
        return b"i" + format(value, "x").encode()
    if kind is float:
        return b"f" + _FLOAT.pack(value)
    if kind is complex:
        return b"c" + _COMPLEX.pack(value.real, value.imag)
    if kind is str:
        return b"s" + str(value).encode("utf-8", "surrogatepass")
    if kind is bytes:
        return b"b" + bytes(value)
    if kind is tuple:
        items = [_encode(item) for item in value]
        return None if None in items else b"(" + b"".join(_LENGTH.pack(min(len(item or b""), 0xFFFF)) + (item or b"") for item in items)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic) and value.dtype.kind in _NUMPY_KINDS:
        little = value.dtype.newbyteorder("<")
        return b"".join((b"n", little.str.encode(), b":", value.astype(little).tobytes()))
    return None


def _decode(text: bytes) -> Any:
    tag, rest = text[:1], text[1:]
    if text in (b"N", b"T", b"F"):
        return {b"N": None, b"T": True, b"F": False}[text]
    if tag == b"i":
        return int(rest, 16)
    if tag == b"f" and len(rest) == _FLOAT.size:
        return _FLOAT.unpack(rest)[0]
    if tag == b"c" and len(rest) == _COMPLEX.size:
        return complex(*_COMPLEX.unpack(rest))
    if tag == b"s":
        return rest.decode("utf-8", "surrogatepass")
    if tag == b"b":
        return rest
    if tag == b"(":
        return tuple(_decode(item) for item in _items(rest))
    if tag == b"n":
        return _numpy_scalar(rest)
    raise ValueError("a record of an unknown type")


def _items(rest: bytes) -> list[bytes]:
    items = []
    while rest:
        if len(rest) < _LENGTH.size or len(rest) < _LENGTH.size + _LENGTH.unpack_from(rest)[0]:
            raise ValueError("a tuple that is cut short")
        end = _LENGTH.size + _LENGTH.unpack_from(rest)[0]
        items.append(rest[_LENGTH.size : end])
        rest = rest[end:]
    return items


def _numpy_scalar(rest: bytes) -> Any:
    try:
        import numpy
    except ImportError:
        raise ValueError("a numpy scalar, and numpy is not installed here") from None
    name, _, content = rest.partition(b":")
    try:
        dtype = numpy.dtype(name.decode("ascii"))
        if dtype.kind not in _NUMPY_KINDS or dtype.itemsize != len(content):
            raise ValueError("a numpy scalar of another size than its type has")
        return numpy.frombuffer(content, dtype)[0].astype(dtype.newbyteorder("=")) if dtype.itemsize else dtype.type()
    except (TypeError, UnicodeDecodeError):
        raise ValueError("a numpy scalar of an unknown type") from None
