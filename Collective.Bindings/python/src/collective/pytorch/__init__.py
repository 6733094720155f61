"""What joins Collective and PyTorch: data-parallel training, and a backend for ``torch.distributed``.

:meth:`collective.Communicator.all_reduce` and :meth:`~collective.Communicator.sync` take tensors, modules and optimizers without this module.
"""

from __future__ import annotations

from ._data_parallel import DataParallel, data_parallel
from ._process_group import ProcessGroupCollective, register_backend

__all__ = ["DataParallel", "ProcessGroupCollective", "data_parallel", "register_backend"]
