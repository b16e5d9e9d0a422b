"""Direct writes that go on while their thread does something else (Linux: io_submit(2), io_getevents(2)).

Python has no such calls. A thread that waits for each write would have to get the interpreter back after it,
beside an event loop that needs it; and of one write at a time a device does half as much as it could.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from jfwriter.hdf5.native import address_of
from jfwriter.hdf5.system_calls import system_call

MAX_WRITES = 32
"""At a time."""

_PWRITEV: Final = 8
_NUMBERS: Final = {"x86_64": (206, 209, 208), "aarch64": (0, 2, 4)}
"""Of io_setup, io_submit, io_getevents, by machine."""

_IOCB: Final = np.dtype(
    [
        ("data", "u8"), ("key", "u4"), ("flags_rw", "i4"), ("opcode", "u2"), ("priority", "i2"),
        ("descriptor", "u4"), ("buffer", "u8"), ("n_bytes", "u8"), ("offset", "i8"), ("reserved", "u8"),
        ("flags", "u4"), ("event_descriptor", "u4"),
    ]
)  # fmt: skip
"""linux/aio_abi.h, `struct iocb`, little-endian."""
_EVENT: Final = np.dtype([("data", "u8"), ("iocb", "u8"), ("result", "i8"), ("result_2", "i8")])
_IOVEC: Final = np.dtype([("base", "u8"), ("n_bytes", "u8")])


class Write(NamedTuple):
    """`pieces`, one behind the other, to `offset` of the file that is open for direct writing."""

    descriptor: int
    pieces: Sequence[npt.NDArray[np.uint8]]
    offset: int


class AsyncWrites:
    """One thread begins writes and waits for them. The context lasts as long as the process: to end it takes
    some milliseconds.
    """

    def __init__(self) -> None:
        """Raises OSError where there is no such thing."""
        numbers = _NUMBERS.get(platform.machine())
        if numbers is None or np.little_endian is False:
            raise OSError(f"the numbers of these calls are not known for {platform.machine()}")
        setup, self._submit, self._get_events = numbers
        context = ctypes.c_ulong(0)
        system_call(setup, MAX_WRITES, ctypes.addressof(context))
        self._context = context.value
        self._events = np.zeros(MAX_WRITES, _EVENT)
        self._results: dict[int, int] = {}
        self._n_begun = 0
        self.n_in_flight = 0

    def begin(self, writes: Sequence[Write]) -> list[int]:
        """Tickets of those that have begun, the first ones. What they write stays until `wait` or `drain`."""
        controls = np.zeros(len(writes), _IOCB)
        vectors = []
        for control, write in zip(controls, writes, strict=True):
            vector = np.array([(address_of(piece), piece.size) for piece in write.pieces], _IOVEC)
            vectors.append(vector)  # the kernel copies it
            control["data"] = self._n_begun + len(vectors) - 1
            control["opcode"], control["descriptor"] = _PWRITEV, write.descriptor
            control["buffer"], control["n_bytes"] = address_of(vector), vector.size
            control["offset"] = write.offset
        pointers = address_of(controls) + _IOCB.itemsize * np.arange(len(writes), dtype=np.uint64)
        first = self._n_begun
        try:
            n_begun = system_call(self._submit, self._context, len(writes), address_of(pointers))
        except OSError:
            n_begun = 0
        self._n_begun += n_begun
        self.n_in_flight += n_begun
        return list(range(first, first + n_begun))

    def wait(self, ticket: int) -> int:
        """Bytes written, or a negative error number; of each ticket once."""
        while ticket not in self._results and self.n_in_flight:
            self._collect()
        return self._results.pop(ticket)

    def drain(self) -> None:
        """Wait for all, and forget what came of them."""
        while self.n_in_flight:
            self._collect()
        self._results.clear()

    def _collect(self) -> None:
        try:
            n_events = system_call(
                self._get_events, self._context, 1, MAX_WRITES, address_of(self._events), 0
            )
        except InterruptedError:
            return
        self.n_in_flight -= n_events
        for event in self._events[:n_events]:
            self._results[int(event["data"])] = int(event["result"])
