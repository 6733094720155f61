#!/usr/bin/env python3
"""Writes src/collective/_ffi.py from collective.h, so that the binding cannot say anything else than the header.

    python3 tools/generate_ffi.py            writes the file
    python3 tools/generate_ffi.py --check    ends with 1 if the file is not what the header says

The header is ours and regular: enums with every value written out, structs of scalars, arrays and pointers, prototypes
marked PCCL_EXPORT. What the few patterns below do not know is an error, never left out in silence.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE.parents[2] / "Collective.Native" / "include" / "collective.h"
TARGET = HERE.parent / "src" / "collective" / "_ffi.py"

SCALARS = {
    "bool": "c_bool",
    "char": "c_char",
    "int": "c_int",
    "int32_t": "c_int32",
    "int64_t": "c_int64",
    "size_t": "c_size_t",
    "uint8_t": "c_uint8",
    "uint16_t": "c_uint16",
    "uint32_t": "c_uint32",
    "uint64_t": "c_uint64",
}


class HeaderError(Exception):
    """The header holds something the generator does not know."""


class Header:
    """The declarations of the header, in the order in which they stand there."""

    def __init__(self, text: str) -> None:
        code = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
        self.constants = self._constants(code)
        code = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", code, flags=re.MULTILINE)
        code = re.sub(r'extern\s+"C"\s*\{', "", code)
        self.enums: dict[str, list[tuple[str, int]]] = {}
        self.structs: dict[str, list[tuple[str, str]]] = {}
        self.opaque: set[str] = set()
        self.callbacks: dict[str, list[str]] = {}
        self.types: list[str] = []  # names of structs and callbacks, which may use what stands before them
        self.functions: dict[str, tuple[str, list[str]]] = {}
        for declaration in self._declarations(code):
            self._read(declaration)

    @staticmethod
    def _constants(code: str) -> list[tuple[str, str]]:
        found = []
        for name, value in re.findall(r"^[ \t]*#define[ \t]+(\w+)[ \t]+(\S.*?)[ \t]*$", code, flags=re.MULTILINE):
            if name == "PCCL_EXPORT" or name.endswith("_INIT"):
                continue
            plain = re.sub(r"\(\(\w+\)\s*(-?\d+)\)", r"\1", value)
            if not re.fullmatch(r'-?\d+u?|"[^"\\]*"', plain):
                raise HeaderError(f"#define {name} {value}: only numbers and strings are known")
            found.append((name, plain.rstrip("u") if plain[0] != '"' else plain))
        return found

    @staticmethod
    def _declarations(code: str) -> list[str]:
        found, depth, start = [], 0, 0
        for at, character in enumerate(code):
            depth += {"{": 1, "}": -1}.get(character, 0)
            if character == ";" and depth == 0:
                found.append(" ".join(code[start:at].split()))
                start = at + 1
        if (rest := code[start:].split()) not in ([], ["}"]):
            raise HeaderError(f"not understood at the end: {' '.join(rest)}")
        return found

    def _read(self, declaration: str) -> None:
        if match := re.fullmatch(r"typedef enum \w+ \{(.*)\} (\w+)", declaration):
            values = [value.strip() for value in match[1].split(",") if value.strip()]
            self.enums[match[2]] = [self._enum_value(value) for value in values]
        elif match := re.fullmatch(r"typedef struct \w+ \{(.*)\} (\w+)", declaration):
            fields = [field.strip() for field in match[1].split(";") if field.strip()]
            self.structs[match[2]] = [self._field(field) for field in fields]
            self.types.append(match[2])
        elif match := re.fullmatch(r"typedef struct \w+ (\w+)", declaration):
            self.opaque.add(match[1])
        elif match := re.fullmatch(r"typedef void \(\*(\w+)\)\((.*)\)", declaration):
            self.callbacks[match[1]] = self._parameters(match[2])
            self.types.append(match[1])
        elif match := re.fullmatch(r"PCCL_EXPORT (.*?)(\w+)\((.*)\)", declaration):
            self.functions[match[2]] = (self._type(match[1]), self._parameters(match[3]))
        else:
            raise HeaderError(f"not understood: {declaration}")

    @staticmethod
    def _enum_value(text: str) -> tuple[str, int]:
        match = re.fullmatch(r"(\w+) = (\d+)", text)
        if not match:
            raise HeaderError(f"an enum value without its number: {text}")
        return match[1], int(match[2])

    def _field(self, text: str) -> tuple[str, str]:
        match = re.fullmatch(r"(.*?)(\w+)(?:\[(\d+)\])?", text)
        if not match:
            raise HeaderError(f"not understood as a field: {text}")
        kind = self._type(match[1])
        return match[2], f"{kind} * {match[3]}" if match[3] else kind

    def _parameters(self, text: str) -> list[str]:
        if text.strip() == "void":
            return []
        return [self._type(re.sub(r"\w+$", "", parameter.strip())) for parameter in text.split(",")]

    def _type(self, text: str) -> str:
        words = text.replace("*", " * ").split()
        stars, base = words.count("*"), [word for word in words if word not in ("*", "const")]
        if len(base) != 1:
            raise HeaderError(f"not understood as a type: {text}")
        name = base[0]
        if stars and (name == "void" or name in self.opaque):
            kind, stars = "c_void_p", stars - 1
        elif stars and name == "char":
            kind, stars = "c_char_p", stars - 1
        elif name in self.enums:
            kind = "c_int32"
        elif name in self.structs or name in self.callbacks:
            kind = name
        elif name in SCALARS:
            kind = SCALARS[name]
        else:
            raise HeaderError(f"unknown type {text}")
        return "POINTER(" * stars + kind + ")" * stars


def render(header: Header) -> str:
    """The text of _ffi.py."""
    lines = [
        '"""Generated from collective.h by tools/generate_ffi.py. Do not edit: change the header and generate again."""',
        "",
        "from __future__ import annotations",
        "",
        "import ctypes",
        "import enum",
        "from collections.abc import Callable",
        "from ctypes import CFUNCTYPE, POINTER, Structure",
        "from ctypes import " + ", ".join(_used_ctypes(header)),
        "from typing import Any",
        "",
    ]
    lines += [f"{name} = {value}" for name, value in header.constants]
    for name, values in header.enums.items():
        lines += ["", "", f"class {name}(enum.IntEnum):"]
        lines += [f"    {value} = {number}" for value, number in values]
    for name in header.types:
        if name in header.callbacks:
            lines += ["", "", f"{name} = CFUNCTYPE({', '.join(['None', *header.callbacks[name]])})"]
            continue
        lines += ["", "", f"class {name}(Structure):", "    _fields_ = ["]
        lines += [f'        ("{field}", {kind}),' for field, kind in header.structs[name]]
        lines += ["    ]"]
    lines += ["", "", "# Name: what it returns, what it takes.", "FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {"]
    for name, (result, parameters) in header.functions.items():
        lines += [f'    "{name}": ({result}, [{", ".join(parameters)}]),']
    lines += [
        "}",
        "",
        "",
        "class Functions:",
        '    """The functions of one loaded library."""',
        "",
    ]
    for name, (result, _) in header.functions.items():
        returned = {"c_char_p": "bytes"}.get(result, "int")
        lines += [f"    {name}: Callable[..., {returned}]"]
    lines += [
        "",
        "    def __init__(self, library: ctypes.CDLL) -> None:",
        "        for name, (result, parameters) in FUNCTIONS.items():",
        "            function = getattr(library, name)",
        "            function.restype = result",
        "            function.argtypes = parameters",
        "            setattr(self, name, function)",
        "",
    ]
    return "\n".join(lines)


def _used_ctypes(header: Header) -> list[str]:
    kinds = [kind for fields in header.structs.values() for _, kind in fields]
    kinds += [kind for parameters in header.callbacks.values() for kind in parameters]
    kinds += [kind for result, parameters in header.functions.values() for kind in (result, *parameters)]
    return sorted({word for kind in kinds for word in re.findall(r"c_\w+", kind) if word in (*SCALARS.values(), "c_void_p", "c_char_p")})


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes _ffi.py from collective.h.")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if the file differs")
    parser.add_argument("--header", type=pathlib.Path, default=HEADER)
    parser.add_argument("--target", type=pathlib.Path, default=TARGET)
    arguments = parser.parse_args()
    text = render(Header(arguments.header.read_text(encoding="utf-8")))
    if not arguments.check:
        arguments.target.write_text(text, encoding="utf-8")
        return 0
    if arguments.target.exists() and arguments.target.read_text(encoding="utf-8") == text:
        return 0
    print(f"{arguments.target} is not what {arguments.header} says. Run: python3 {pathlib.Path(__file__)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
