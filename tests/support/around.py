"""Something done before and after each call of a function, such as a copy of what a crash would leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def around(patch: pytest.MonkeyPatch, owner: Any, name: str, do: Callable[[], None]) -> None:
    """Every call of `owner.name` has `do` before and after it."""
    real: Callable[..., Any] = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        do()
        result = real(*arguments, **options)
        do()
        return result

    patch.setattr(owner, name, call)
