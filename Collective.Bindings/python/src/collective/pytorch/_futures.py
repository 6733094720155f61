"""Futures of torch whose failures C++ hears of."""

from __future__ import annotations

from typing import Any

import torch

from .._calls import copied


def new_future() -> tuple[Any, Any]:
    """One to set, to a result or to an exception; and the one to hand out, which raises an exception.

    A failure that Python sets is a value to C++; one that a callback raises is a failure there too.
    """
    outcome: Any = torch.futures.Future()
    return outcome, outcome.then(_value)


def _value(outcome: Any) -> Any:
    value = outcome.value()
    if isinstance(value, BaseException):
        raise copied(value)
    return value
