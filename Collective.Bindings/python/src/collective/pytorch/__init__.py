"""What joins Collective and PyTorch: a communication hook for ``DistributedDataParallel``, and a backend for ``torch.distributed``.

:meth:`collective.Communicator.all_reduce` and :meth:`~collective.Communicator.sync` take tensors, modules and optimizers without this module.
"""

from __future__ import annotations

from ._hook import HookState, all_reduce_hook, data_parallel
from ._process_group import ProcessGroupCollective, register_backend

__all__ = ["HookState", "ProcessGroupCollective", "all_reduce_hook", "data_parallel", "register_backend"]
