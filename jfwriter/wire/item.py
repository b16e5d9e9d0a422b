"""One CBOR item as Python values: scanned in place, then decoded by cbor2 without its large byte strings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cbor2
import numpy as np
import numpy.typing as npt

from jfwriter.errors import ProtocolError
from jfwriter.settings import LimitSettings
from jfwriter.wire.scan import CUT_BYTES_TAG, CUT_TABLE_TAG, Status, scan

_REFUSALS: Final = {
    Status.TRUNCATED: ("truncated", "the message ends inside an item"),
    Status.TRAILING: ("trailing_bytes", "bytes follow the end of the item"),
    Status.RESERVED: ("not_well_formed", "a reserved length or simple value"),
    Status.BAD_BREAK: ("not_well_formed", "a break where none may stand"),
    Status.BAD_CHUNK: ("not_well_formed", "a chunk of another type inside a string of indefinite length"),
    Status.BAD_KEY: ("bad_key", "a map key that is neither text nor an unsigned integer below 65536"),
    Status.TAG_REFUSED: ("tag_refused", "a tag outside 0 to 3, 30, 40, 64-87, 56500, or a longer integer"),
    Status.TOO_DEEP: ("over_limit", "nested deeper than limits.max_nesting"),
    Status.TOO_LARGE: ("over_limit", "more bytes beside the arrays than limits.max_metadata_bytes"),
    Status.TOO_MANY_ITEMS: ("over_limit", "too many data items"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """The bytes of an array that was left where it is: a well-formed item of its own."""

    data: memoryview


class ItemReader:
    """Reads items one after another with the same scratch memory. Belongs to one thread.

    The scratch grows to the largest metadata seen, at most `limits.max_metadata_bytes`.
    """

    def __init__(self) -> None:
        self._scratch = np.empty(1 << 16, np.uint8)
        self._cuts = np.empty((64, 2), np.int64)
        self._stack = np.empty((256, 2), np.int64)
        self._result = np.zeros(3, np.int64)
        self.cuts: list[list[int]] = []
        """(offset, size) of what came as memoryviews of the last buffer, in the order of the bytes."""

    def read(self, buffer: bytes | memoryview, limits: LimitSettings) -> object:
        """Decode the one item in `buffer`.

        Large byte strings come as read-only memoryviews of `buffer`, smaller ones as bytes; the arrays of the
        top level's `spots`, `reflections` and `images` as `Table`; tags as
        `cbor2.CBORTag`; null and undefined as None; arrays inside tags as tuples. Text that is not UTF-8
        comes with U+FFFD in place of the wrong bytes.

        Raises ProtocolError with a reason of `docs/reference/messages/index.md`.
        """
        view = memoryview(buffer).toreadonly()
        if view.ndim != 1 or view.itemsize != 1:
            view = view.cast("B")
        if len(view) == 0:
            raise ProtocolError("truncated", "the message is empty")
        self._scan(np.frombuffer(view, np.uint8), limits)
        n_spliced, n_cuts, _ = self._result.tolist()
        self.cuts = self._cuts[:n_cuts].tolist()
        parts = [view[offset : offset + size] for offset, size in self.cuts]
        return _decode(self._scratch[:n_spliced].tobytes(), parts, limits.max_nesting + 1)

    def _scan(self, data: npt.NDArray[np.uint8], limits: LimitSettings) -> None:
        """Fill scratch, cuts and result, with more memory where the kernel asks for it."""
        while True:
            status = scan(
                data,
                self._scratch,
                self._cuts,
                self._stack,
                self._result,
                limits.max_nesting,
                limits.max_metadata_bytes,
            )
            if status == Status.OK:
                return
            if status == Status.MORE_SCRATCH:
                self._scratch = np.empty(2 * self._scratch.size, np.uint8)
            elif status == Status.MORE_CUTS:
                self._cuts = np.empty((2 * len(self._cuts), 2), np.int64)
            else:
                reason, text = _REFUSALS[Status(status)]
                raise ProtocolError(reason, f"not decoded: {text} (byte {self._result[2]} of {data.size})")


def _decode(splice: bytes, parts: Sequence[memoryview], max_depth: int) -> object:
    def resolve(tag: cbor2.CBORTag, _immutable: bool) -> object:
        number = tag.tag
        if number == CUT_BYTES_TAG:
            return parts[tag.value]
        return Table(parts[tag.value]) if number == CUT_TABLE_TAG else tag

    try:
        return _loads(splice, resolve, "strict", max_depth)
    except cbor2.CBORDecodeError:
        # Mostly text that is not UTF-8. Replacing from the start would cost every message a third more.
        try:
            return _loads(splice, resolve, "replace", max_depth)
        except cbor2.CBORDecodeError as error:
            reason = "duplicate_key" if "Duplicate map key" in str(error) else "not_well_formed"
            raise ProtocolError(reason, f"not decoded: {_printable(error)}") from None


def _loads(
    splice: bytes, resolve: Callable[[cbor2.CBORTag, bool], object], str_errors: str, max_depth: int
) -> object:
    return cbor2.loads(
        splice, tag_hook=resolve, str_errors=str_errors, max_depth=max_depth, allow_duplicate_keys=False
    )


def _printable(error: Exception) -> str:
    return ascii(str(error))[1:-1][:160]


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.reader = ItemReader()


_PER_THREAD = _PerThread()


def thread_reader() -> ItemReader:
    """The calling thread's own."""
    return _PER_THREAD.reader


def read_item(buffer: bytes | memoryview, limits: LimitSettings) -> object:
    """`ItemReader.read` with the calling thread's own reader."""
    return _PER_THREAD.reader.read(buffer, limits)
