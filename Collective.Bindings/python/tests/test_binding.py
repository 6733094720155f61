"""The binding says what the header says, and the library has what the binding names."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import subprocess
import sys

import pytest
from conftest import PACKAGE, REPOSITORY

from collective import _ffi
from collective._library import library

HEADER = REPOSITORY / "Collective.Native" / "include" / "collective.h"
GENERATOR = PACKAGE / "tools" / "generate_ffi.py"


def generator():
    spec = importlib.util.spec_from_file_location("generate_ffi", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ffi_is_what_the_header_says():
    result = subprocess.run([sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_changed_header_is_noticed(tmp_path):
    changed = tmp_path / "collective.h"
    changed.write_text(HEADER.read_text().replace("uint32_t peer_group;", "uint64_t peer_group;"))
    result = subprocess.run([sys.executable, str(GENERATOR), "--check", "--header", str(changed)], capture_output=True, text=True)
    assert result.returncode == 1
    assert "generate_ffi.py" in result.stderr


@pytest.mark.parametrize(
    "declaration",
    ["union u { int a; };", "typedef enum e { a, b = 1 } e;", "PCCL_EXPORT unknown_t f(void);", "typedef struct s { int a : 3; } s;", "#define X (1 + 2)", "int left_over"],
)
def test_what_the_generator_does_not_know_is_an_error(declaration):
    module = generator()
    with pytest.raises(module.HeaderError):
        module.Header(declaration)


def test_offsets_and_sizes_are_those_the_header_states():
    checked = 0
    for body, name, size in re.findall(r"typedef struct \w+ \{([^}]*)\} (\w+);[ \t]*(?:/\* (\d+) bytes)?", HEADER.read_text()):
        structure = getattr(_ffi, name)
        if size:
            assert ctypes.sizeof(structure) == int(size), name
            checked += 1
        for field, offset in re.findall(r"(\w+);\s*/\* (\d+)[ :,*]", body):
            assert getattr(structure, field).offset == int(offset), f"{name}.{field}"
            checked += 1
    assert checked > 100


def test_sizes_are_those_of_pccl():
    sizes = {
        "ccoip_ipv4_address_t": 4, "ccoip_ipv6_address_t": 16, "ccoip_inet_address_t": 24, "ccoip_socket_address_t": 28, "pcclCommCreateParams_t": 36,
        "pcclReduceInfo_t": 24, "pcclReduceOperandDescriptor_t": 8, "pcclQuantizationOptions_t": 8, "pcclReduceDescriptor_t": 40, "pcclReduceOpDescriptor_t": 56,
        "pcclAsyncReduceOp_t": 16, "pcclRankUuid_t": 16, "pcclTensorInfo_t": 40, "pcclSharedState_t": 24, "pcclSharedStateSyncInfo_t": 16, "pcclBuildInfo_t": 1,
    }  # fmt: skip
    assert {name: ctypes.sizeof(getattr(_ffi, name)) for name in sizes} == sizes


def test_the_library_has_every_function_and_the_version_of_the_header():
    functions = library()
    assert functions.pcclxGetVersion().decode() == _ffi.COLLECTIVE_VERSION
    assert functions.pcclxGetAbiVersion() >= _ffi.COLLECTIVE_ABI_VERSION
    assert len(_ffi.FUNCTIONS) >= 19 and all(hasattr(functions, name) for name in _ffi.FUNCTIONS)


def test_a_missing_library_is_named_with_what_to_do(script):
    program = script("import os; os.environ['COLLECTIVE_LIBRARY'] = '/nowhere/libcollective.so'\nimport collective\ncollective.Master('127.0.0.1:0')")
    code, _, errors = program.end()
    assert code == 1
    assert "ImportError" in errors and "/nowhere/libcollective.so" in errors and "COLLECTIVE_LIBRARY" in errors


def test_another_library_is_refused(script):
    other = ctypes.util.find_library("c") if hasattr(ctypes, "util") else None
    path = other if other and other.startswith("/") else next(line.split()[-1] for line in open("/proc/self/maps") if "libc.so" in line)
    code, _, errors = script(f"import os; os.environ['COLLECTIVE_LIBRARY'] = {path!r}\nimport collective\ncollective.version()").end()
    assert code == 1
    assert "is not Collective's native library" in errors


def test_neither_numpy_nor_torch_is_imported(script):
    program = script("import sys, collective, collective.pccl\ncollective.version()\nprint(sorted(name for name in ('numpy', 'torch') if name in sys.modules))")
    program.expect("[]")
