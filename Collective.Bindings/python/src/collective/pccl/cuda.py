"""``pccl.cuda``."""

from __future__ import annotations

import ctypes

from collective import _ffi
from collective._library import library


def is_available() -> bool:
    """Whether the native library was built with support for CUDA tensors."""
    info = _ffi.pcclBuildInfo_t()
    return library().pcclGetBuildInfo(ctypes.byref(info)) == 0 and bool(info.has_cuda_support)
