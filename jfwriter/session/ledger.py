"""Which images of a run are accepted: one bit per image, whatever the order of arrival."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from jfwriter.session.image_status import ImageStatus, Marks

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_BLOCK_BITS = 1 << 20
_STEP_BYTES = 1 << 13


class Bits:
    """A set of integers from 0, one bit each; grows to the highest one."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __contains__(self, index: int) -> bool:
        byte = index >> 3
        return byte < len(self._bytes) and bool(self._bytes[byte] & (1 << (index & 7)))

    def add(self, index: int) -> None:
        byte = index >> 3
        if byte >= len(self._bytes):
            self._bytes.extend(bytes(byte + _STEP_BYTES - len(self._bytes)))
        self._bytes[byte] |= 1 << (index & 7)

    def discard(self, index: int) -> None:
        byte = index >> 3
        if byte < len(self._bytes):
            self._bytes[byte] &= ~(1 << (index & 7)) & 0xFF

    def block(self, start: int, stop: int) -> Mask:
        """Membership of start ... stop - 1 as bool [stop - start]; `start` is a multiple of 8."""
        packed = np.frombuffer(bytes(self._bytes[start >> 3 : (stop + 7) >> 3]), np.uint8)
        mask = np.zeros(stop - start, np.bool_)
        present = np.unpackbits(packed, count=min(packed.size * 8, stop - start), bitorder="little")
        mask[: present.size] = present
        return mask

    def add_rows(self, first: int, rows: Mask) -> None:
        """Add `first` + i for each i at which `rows` is true."""
        if not rows.size:
            return
        start, stop = first >> 3, (first + rows.size + 7) >> 3
        if stop > len(self._bytes):
            self._bytes.extend(bytes(stop + _STEP_BYTES - len(self._bytes)))
        bits = np.zeros((stop - start) * 8, np.bool_)
        bits[first - start * 8 : first - start * 8 + rows.size] = rows
        packed = np.packbits(bits, bitorder="little")
        packed |= np.frombuffer(self._bytes, np.uint8, stop - start, start)
        self._bytes[start:stop] = packed.tobytes()

    def indices(self, stop: int) -> Ids:
        """The members below `stop`, ascending."""
        return np.flatnonzero(self.block(0, min(stop, len(self._bytes) * 8))).astype(np.int64, copy=False)

    def contains_each(self, indices: Ids) -> Mask:
        """Membership of each of `indices`."""
        if not self._bytes:
            return np.zeros(indices.shape, np.bool_)
        packed = np.frombuffer(bytes(self._bytes), np.uint8)
        byte = indices >> 3
        value = packed[np.minimum(byte, packed.size - 1)] >> (indices & 7).astype(np.uint8)
        members: Mask = (byte < packed.size) & (value & 1).astype(np.bool_)
        return members


class Ledger:
    """What was accepted so far, by image and by data file.

    `place` gives (file_index, row) of an image; a file is full when `images_per_file` images of it were
    accepted (never when that is 0). A full file is closed at once, so nothing is accepted into it any more.
    """

    def __init__(self, images_per_file: int) -> None:
        self._images_per_file = images_per_file
        self._images = Bits()
        self._files_with_images = Bits()
        self._full_files = Bits()
        self._n_in_open_file: dict[int, int] = {}
        self.marks = Marks()
        """What became of the images that were not accepted, lost again, or came twice."""
        self.n_accepted = 0
        self.n_full_files = 0
        self.n_seen = 0
        """Highest image id that came and was within bounds, plus one; rejected images count."""

    @property
    def n_open_files(self) -> int:
        return len(self._n_in_open_file)

    def holds(self, image_id: int) -> bool:
        return image_id in self._images

    def is_full(self, file_index: int) -> bool:
        return file_index in self._full_files

    def see(self, image_id: int) -> None:
        self.n_seen = max(self.n_seen, image_id + 1)

    def accept(self, image_id: int) -> bool:
        """Enter an image that is neither held nor of a full file; True if its file is full with it."""
        file_index = self._file_index(image_id)
        self._images.add(image_id)
        self._files_with_images.add(file_index)
        self.see(image_id)
        self.n_accepted += 1
        n_in_file = self._n_in_open_file.get(file_index, 0) + 1
        if n_in_file != self._images_per_file:
            self._n_in_open_file[file_index] = n_in_file
            return False
        self._n_in_open_file.pop(file_index, None)
        self._full_files.add(file_index)
        self.n_full_files += 1
        return True

    def lose(self, image_id: int) -> bool:
        """Take back an image that could not be written; False if it was not held."""
        if image_id not in self._images:
            return False
        self._images.discard(image_id)
        self.marks.set((image_id,), ImageStatus.WRITE_FAILED)
        self.n_accepted -= 1
        file_index = self._file_index(image_id)
        if file_index in self._n_in_open_file:
            self._n_in_open_file[file_index] -= 1
        return True

    def files_with_images(self, n_files: int) -> Ids:
        return self._files_with_images.indices(n_files)

    def has_images_in_each(self, file_indices: Ids) -> Mask:
        return self._files_with_images.contains_each(file_indices)

    def missing(self, start: int, stop: int, judged: Callable[[Ids], Mask] | None = None) -> Ids:
        """Ranges [r, 2] (first, last) of the images start ... stop - 1 that are not accepted.

        `judged` says which image ids count at all (None: every one). Works in blocks: a few MB whatever
        the length of the run.
        """
        edges: list[Ids] = []
        inside = False
        for block_start in range(start - start % 8, stop, _BLOCK_BITS):
            block_stop = min(block_start + _BLOCK_BITS, stop)
            absent = ~self._images.block(block_start, block_stop)
            absent[: max(0, start - block_start)] = False
            if judged is not None:
                absent &= judged(np.arange(block_start, block_stop, dtype=np.int64))
            edges.append(np.flatnonzero(np.diff(absent, prepend=inside)) + block_start)
            inside = bool(absent[-1])
        if inside:
            edges.append(np.array([stop]))
        if not edges:
            return np.zeros((0, 2), np.int64)
        ranges: Ids = np.concatenate(edges).astype(np.int64, copy=False).reshape(-1, 2)
        ranges[:, 1] -= 1
        return ranges

    def _file_index(self, image_id: int) -> int:
        return image_id // self._images_per_file if self._images_per_file else 0
