"""Finds and loads the native library, once, when it is first needed."""

from __future__ import annotations

import ctypes
import os
import pathlib
import sys
import threading

from . import _ffi

_FILE_NAME = {"darwin": "libcollective.dylib", "win32": "collective.dll"}.get(sys.platform, "libcollective.so")

# Guards the loading: two threads may make the first communicators of a process at the same time.
_gate = threading.Lock()
_functions: _ffi.Functions | None = None


def library() -> _ffi.Functions:
    """The functions of the native library; loads it on the first call.

    Raises:
        ImportError: there is no library where it is looked for, or it does not fit this package.
    """
    global _functions
    if _functions is None:
        with _gate:
            if _functions is None:
                _functions = _load(library_path())
    return _functions


def library_path() -> pathlib.Path:
    """The file that is loaded: ``COLLECTIVE_LIBRARY`` where it is set (a file, or the directory that holds it), else the one in this package."""
    if configured := os.environ.get("COLLECTIVE_LIBRARY"):
        path = pathlib.Path(configured)
        return path / _FILE_NAME if path.is_dir() else path
    return pathlib.Path(__file__).resolve().parent / "lib" / _FILE_NAME


def _load(path: pathlib.Path) -> _ffi.Functions:
    if not path.is_file():
        raise ImportError(
            f"Collective's native library is not at {path}. Install the wheel, which contains it, or build it with "
            f"'bash Collective.Native/build.sh' and set COLLECTIVE_LIBRARY to artifacts/native/{_FILE_NAME}."
        )
    try:
        functions = _ffi.Functions(ctypes.CDLL(str(path)))
    except OSError as error:
        raise ImportError(f"Collective's native library {path} cannot be loaded on this machine: {error}") from error
    except AttributeError as error:
        raise ImportError(f"{path} is not Collective's native library, or an older one than this package needs: {error}") from error
    if (version := functions.pcclxGetAbiVersion()) < _ffi.COLLECTIVE_ABI_VERSION:
        raise ImportError(f"{path} has ABI version {version}, this package needs {_ffi.COLLECTIVE_ABI_VERSION}: use library and package of one release.")
    if (result := functions.pcclInit()) != 0:
        raise ImportError(f"{path} cannot be used in this process: {functions.pcclxGetLastError().decode()} (pcclInit returned {result})")
    return functions
