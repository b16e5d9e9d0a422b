"""Fuzz the decoder and what the session makes of its messages.

    python -m fuzz.decoder [--runs N] [libFuzzer options]

Each input is one message. It is decoded by the compiled kernels, scanned once more by the same kernels in
plain Python with checked memory, and what comes out goes to a session that has a run open. Wrong is: any
exception but ProtocolError, two scans or two decoders that disagree, an item that is taken although it is not
well-formed or the other way round, a message that the session does not answer.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fuzz import engine
from fuzz.interpreted import Memory, interpreted
from fuzz.seeds import messages, open_run, words
from fuzz.well_formed import is_well_formed
from jfwriter.errors import ProtocolError
from jfwriter.session import bounds, ledger, naming, paths, planning, run, share, verdict
from jfwriter.session import session as session_module
from jfwriter.session.orders import Order
from jfwriter.session.session import Session
from jfwriter.settings import LimitSettings, Settings
from jfwriter.wire import (
    aliases,
    array_fields,
    collect,
    columns,
    end,
    fields,
    image,
    item,
    jsonlike,
    mismatch,
    spots,
    start,
    structures,
    tags,
)  # fmt: skip
from jfwriter.wire import decode as decode_module
from jfwriter.wire.decode import claims_to_be_start, decode
from jfwriter.wire.messages import CalibrationMessage, EndMessage, ImageMessage, StartMessage
from jfwriter.wire.scan import Status, scan
from tests.support.plain_images import Both, plain_message

LIMITS = LimitSettings(max_message_bytes=1 << 16, max_metadata_bytes=1 << 12, max_nesting=8)
STREAM_LIMITS = LimitSettings(max_message_bytes=1 << 16)
_SCRATCH_BYTES = 1 << 13
_OTHER_REASONS = (
    Status.MORE_CUTS, Status.BAD_KEY, Status.TAG_REFUSED, Status.TOO_DEEP, Status.TOO_LARGE,
    Status.TOO_MANY_ITEMS,
)  # fmt: skip
"""Refusals of items that may be well-formed."""
_TWIN = interpreted("jfwriter.wire.scan", engine.seen)


class Scans:
    """The compiled scan and the interpreted one, each with its own memory."""

    def __init__(self) -> None:
        self._scratch = np.zeros(_SCRATCH_BYTES, np.uint8)
        self._cuts = [np.zeros((64, 2), np.int64) for _ in range(2)]
        self._stack = [np.zeros((LIMITS.max_nesting + 1, 2), np.int64) for _ in range(2)]

    def compare(self, data: bytes) -> None:
        """The two with each other, and with the grammar of the RFC."""
        result, twin_result = np.zeros(3, np.int64), np.zeros(3, np.int64)
        twin_scratch = Memory(_SCRATCH_BYTES)
        limits = (LIMITS.max_nesting, LIMITS.max_metadata_bytes)
        status = scan(
            np.frombuffer(data, np.uint8), self._scratch, self._cuts[0], self._stack[0], result, *limits
        )
        twin = _TWIN.scan(Memory(data), twin_scratch, self._cuts[1], self._stack[1], twin_result, *limits)
        if (status, *result) != (twin, *twin_result) and (status == Status.OK or status != twin):
            raise AssertionError(f"compiled {status} {result}, interpreted {twin} {twin_result}")
        item = data[3:] if data.startswith(b"\xd9\xd9\xf7") else data
        if status not in (*_OTHER_REASONS, Status.OK) and is_well_formed(item):
            raise AssertionError(f"status {status} of a well-formed item")
        if status == Status.OK and not is_well_formed(item):
            raise AssertionError("an item that is not well-formed was taken")
        n_used, n_cuts = int(result[0]), int(result[1])
        if status == Status.OK and (
            bytes(twin_scratch[:n_used]) != self._scratch[:n_used].tobytes()
            or not np.array_equal(self._cuts[0][:n_cuts], self._cuts[1][:n_cuts])
        ):
            raise AssertionError("the two scans leave different splices")


_SCANS = Scans()


@cache
def settings() -> Settings:
    return Settings()


def check(data: bytes) -> None:
    """Raises for an input that shows a bug."""
    if data:
        _SCANS.compare(data)
    _both_decoders(data)
    try:
        message: Any = decode(data, LIMITS)
    except ProtocolError as error:
        if not str(error).isprintable() or len(str(error)) > 400:
            raise AssertionError(f"not to be shown: {error!r}") from None
        claims_to_be_start(data)
        return
    _session_answers(message)


def _both_decoders(data: bytes) -> None:
    """That of a stream, which has seen an image like this one, gives what the general one gives."""
    both = Both(STREAM_LIMITS)
    both.read(plain_message())
    both.read(data)
    both.read(data)


def _session_answers(message: Any) -> None:
    session = Session(settings())
    session.on_start(open_run(), 1.0)
    orders: tuple[Order, ...] | None = None
    if isinstance(message, StartMessage):
        orders = session.on_start(message, 2.0)
    elif isinstance(message, ImageMessage):
        orders = session.on_image(message)
    elif isinstance(message, CalibrationMessage):
        orders = session.on_calibration(message)
    elif isinstance(message, EndMessage):
        orders = session.on_end(message)
    if orders == ():
        raise AssertionError(f"no answer to {message}")
    session.snapshot()
    session.stop()


if __name__ == "__main__":
    engine.instrument(
        aliases, array_fields, collect, columns, decode_module, end, fields, image, item, jsonlike, mismatch,
        spots, start, structures, tags,
        bounds, ledger, naming, paths, planning, run, session_module, share, verdict,
    )  # fmt: skip
    engine.run("decoder", check, messages(), words())
