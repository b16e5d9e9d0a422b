from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cbor2
import pytest

from jfwriter.settings import LimitSettings
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import Message
from tests.support.wire_fields import smallest


@pytest.fixture
def limits() -> LimitSettings:
    return LimitSettings()


@pytest.fixture
def read(limits: LimitSettings) -> Callable[..., Any]:
    """Decode a message of the essential fields and the given ones, encoded by plain cbor2."""

    def read_(kind: str, **fields: object) -> Message:
        return decode(cbor2.dumps({**smallest(kind), **fields}), limits)

    return read_
