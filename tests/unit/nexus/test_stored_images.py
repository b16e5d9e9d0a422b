from __future__ import annotations

import pytest

from jfwriter.nexus.stored_images import StoredImages


@pytest.mark.parametrize(
    ("channels", "values", "wanted"),
    [
        (("b", "a"), {"a": 1, "b": 2}, 2),
        (("x",), {"a": 1, "b": 2}, 1),
        ((), {"a": 1}, 1),
        (("a",), {}, None),
    ],
)
def test_the_value_of_the_first_channel(
    channels: tuple[str, ...], values: dict[str, int], wanted: int | None
) -> None:
    assert StoredImages((3, 4), None, channels).of_first_channel(values) == wanted
