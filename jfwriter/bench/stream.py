"""What a measurement sends: the simulator's runs, in messages that are made once and sent again and again."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from jfwriter.simulator import RunOptions, SimulatedRun, default_geometry, default_sample, find_detector
from jfwriter.simulator.run import Progress
from jfwriter.simulator.source import ImageSource


@dataclass(frozen=True, slots=True)
class Size:
    """A detector of the simulator, its pixel type, and how many distinct images are made in seconds."""

    detector: str
    dtype: str
    n_distinct: int


SIZES: Mapping[str, Size] = {
    "module": Size("1024x512", "int16", 16),
    "4M": Size("jungfrau-4m", "int16", 4),
    "16M": Size("eiger2-16m", "uint32", 2),
}

N_SPOTS = 30
"""Spots in each image message, and the width of the stored arrays."""


def run_options(size: Size, **changed: object) -> RunOptions:
    """A run as Jungfraujoch sends it: spots, indexing, profile, regions, statistics with every image."""
    detector = find_detector(size.detector)
    options: dict[str, object] = {
        "detector": detector,
        "geometry": default_geometry(detector),
        "sample": default_sample(detector),
        "dtype": np.dtype(size.dtype),
        "n_distinct": size.n_distinct,
        "n_images": size.n_distinct,
        "max_spot_count": N_SPOTS,
        "with_calibration": False,
        "file_format": "NXmxVDS",
        "overwrite": True,
        "run_name": "bench",
    }
    return RunOptions(**(options | changed))  # type: ignore[arg-type]


SourceOf = Callable[[RunOptions], ImageSource]
"""Makes the images of a run; a function that another process can import."""


def make_run(name: str, source_of: SourceOf | None = None, progress: Progress | None = None) -> SimulatedRun:
    """A run of the size with this name; of synthetic images unless a source is given."""
    options = run_options(SIZES[name])
    return SimulatedRun(options, None if source_of is None else source_of(options), progress)


def is_image(message: bytes | memoryview) -> bool:
    """Tell images of the simulator from start and end messages without decoding, as a bare loop must."""
    return bytes(message[:24]).find(b"dtypeeimage") > 0


class MessageRing:
    """Image messages in buffers that are used again: only the numbers and times in them are written anew.

    Joining a message anew for each image would cost the sender a copy of the payload, and holding all
    messages of a run more memory than there is.
    """

    _FIRST = 1 << 28
    """Numbers in the template are so large that each takes its full width in CBOR: 4 bytes, times 8."""

    def __init__(self, run: SimulatedRun, n_buffers: int) -> None:
        self._options = run.options
        n_distinct = max(1, len(run.prepared))
        first = -(-self._FIRST // n_distinct) * n_distinct
        self.buffers = [bytearray(run.image(first + i)) for i in range(n_buffers)]
        head = bytes(self.buffers[0][:512])
        self._ids = [_after(head, f"{name}\x1a") for name in ("himage_id", "qoriginal_image_id")]
        self._times = [_after(head, f"{name}\x82\x1b") for name in ("jstart_time", "istop_time")]
        self._frame = round(run.options.frame_time_s * 1e9)
        self._exposure = round(run.options.count_time_s * 1e9)

    def __len__(self) -> int:
        return len(self.buffers)

    @property
    def message_bytes(self) -> float:
        """Mean size of a message."""
        return sum(map(len, self.buffers)) / len(self.buffers)

    def message(self, image_id: int) -> bytearray:
        """The message of this image, in buffer `image_id` modulo their number. The message that was there
        must not be needed any more."""
        buffer = self.buffers[image_id % len(self.buffers)]
        for offset in self._ids:
            struct.pack_into(">I", buffer, offset, image_id)
        for offset, start in zip(self._times, (0, self._exposure), strict=True):
            struct.pack_into(">Q", buffer, offset, image_id * self._frame + start)
        return buffer


def _after(head: bytes, text: str) -> int:
    wanted = text.encode("latin-1")
    return head.index(wanted) + len(wanted)
