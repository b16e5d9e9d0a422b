from __future__ import annotations

import pytest

from jfwriter.session.bounds import UNPLANNED_JUMP, image_id_limit
from jfwriter.session.planning import make_plan
from tests.support import messages


@pytest.mark.parametrize(
    ("planned", "socket_number", "n_seen", "slack", "limit"),
    [
        (10, None, 0, 5, 15),
        (10, None, 12, 0, 10),
        (10, 1, 0, 5, 15),
        (None, None, 0, 5, UNPLANNED_JUMP),
        (None, None, 100, 20_000, 20_100),
        (None, None, 999_999, 5, 1_000_000),
        (None, 0, 0, 5, 1_000_000),
    ],
)
def test_limit(planned: int | None, socket_number: int | None, n_seen: int, slack: int, limit: int) -> None:
    settings = messages.settings(limits={"max_images": 1_000_000, "max_unexpected_images": slack})
    start = messages.start(number_of_images=planned, socket_number=socket_number)
    assert image_id_limit(make_plan(start, settings, 1, 0.0), n_seen, settings.limits) == limit
