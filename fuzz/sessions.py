"""Fuzz the session with sequences of messages and of the writer's news.

    python -m fuzz.sessions [--runs N] [libFuzzer options]

Each byte of an input is a choice: what comes next, and with which values. The state machine of the session's
property tests (`tests/unit/session/test_session_properties.py`) is the writer that obeys, and checks every
answer. The number of messages is printed now and then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fuzz import engine
from jfwriter.payload import Payload
from jfwriter.session import bounds, ledger, naming, paths, planning, run, session, share, verdict
from jfwriter.session.snapshot import State
from tests.support import messages
from tests.unit.session.test_session_properties import AnySession

SEEDS = tuple(bytes((seed * i + i // 7) % 256 for i in range(120)) for seed in range(1, 60, 3))
NUMBERS = (*range(13), *range(13), -1, 16, 10_016, 2**63, 2**64)
COUNTS = (None, 0, 1, 6, 12, 2**64)
ODDITIES: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {"number_of_images": 2**60},
    {"images_per_file": -1},
    {"images_per_file": 2**60},
    {"image_dtype": None},
    {"image_dtype": "uint64"},
    {"file_prefix": "../x"},
    {"file_prefix": None},
    {"file_format": 3},
    {"file_format": 6},
    {"file_format": 99},
    {"socket_number": 0},
    {"socket_number": 1},
    {"socket_number": 5},
    {"write_master_file": False},
    {"channels": ("default",)},
    {"channels": ("default", "other")},
    {"channels": ("a", "a")},
    {"data_reduction_factor_serialmx": 0.5},
    {"series_unique_id": ""},
    {"image_size_x": 2**40},
)
PAYLOADS = (
    messages.pixels(), messages.pixels(), messages.pixels(">u2"), messages.pixels("<u4"),
    messages.pixels(n_bytes=3), messages.pixels(shape=(1, 1)),
)  # fmt: skip
TOLD_EVERY = 100_000
COUNT: Counter[str] = Counter()


class Choices:
    """The bytes of an input, one after the other; 0 when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def of(self, values: Sequence[Any]) -> Any:
        byte = self._data[self._at] if self else 0
        self._at += 1
        return values[byte % len(values)]

    def channels(self) -> dict[str, Payload]:
        names = self.of((("default",), ("default",), ("default", "other"), ("other",), ("",), ()))
        return {name: self.of(PAYLOADS) for name in names}


def check(data: bytes) -> None:
    """Raises for a sequence that shows a bug."""
    choices = Choices(data)
    machine = AnySession()
    machine.set_up(choices.of((0, 1, 2)), choices.of((0, 4)))
    while choices:
        _step(machine, choices)
        if COUNT.total() % TOLD_EVERY == 0:
            print(f"{COUNT.total()} messages and news: {dict(COUNT)}")
        machine.states_agree()


def _step(machine: AnySession, choices: Choices) -> None:
    what = choices.of(("image",) * 6 + ("start", "several", "end", "calibration", "stop", "lost", "failed"))
    series_id = choices.of((1, 1, 1, 1, 2))
    COUNT[what] += 1
    if what == "image":
        machine.image(series_id, choices.of(NUMBERS), choices.channels())
    elif what == "start":
        sizes = {"number_of_images": choices.of((None, 1, 6, 12)), "images_per_file": choices.of((0, 1, 3))}
        machine.start(series_id, sizes, [choices.of(ODDITIES), choices.of(ODDITIES)])
    elif what == "several":
        machine.several_images(series_id, choices.of((1, 3, 6, 11, 12)))
    elif what == "calibration":
        machine.calibration(series_id, choices.channels())
    elif what == "end":
        machine.end(series_id, choices.of(COUNTS), choices.of(COUNTS), choices.of((None, False, True)))
    elif what == "stop":
        machine.cancel_or_stop(choices.of((True, False)))
    elif what == "lost":
        machine.image_lost(choices.of((True, False)), choices.of(range(13)))
    elif machine.session.state is not State.IDLE:
        machine.run_failed(choices.of((True, False)))


if __name__ == "__main__":
    engine.instrument(bounds, ledger, naming, paths, planning, run, session, share, verdict)
    engine.run("sessions", check, SEEDS)
