"""All data files of one run: which are open, which are published. Writer thread only."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from jfwriter.compression.filters import filter_for
from jfwriter.errors import PayloadError, StorageError
from jfwriter.hdf5.data_file import DataFile, FileParts, FilledRows
from jfwriter.hdf5.file_facts import StoredFile, to_json
from jfwriter.hdf5.image_dataset import ImageFormat
from jfwriter.hdf5.left_files import LeftFiles, part_name
from jfwriter.hdf5.master_file import UNKNOWN_PIXELS
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.journal.interface import Journal
from jfwriter.payload import Codec
from jfwriter.session.ledger import Bits
from jfwriter.session.orders import ClosedFile, CompareImage, Likeness, WriteImage
from jfwriter.wire.messages import ImageMessage

MIN_OPEN_FILES, MAX_OPEN_FILES = 16, 64
OPEN_IMAGES = 4096
"""Files stay open for late images: 16 of them, and so many more that 4096 images fit in, but 64 at most.
Each takes about 1 MB in HDF5, and closing one takes longer the more are open."""

GAP_BYTES = 1 << 30
"""What rows without image may take in all files of a run, if the images themselves take no more."""
GAP_ROWS = 200_000
"""How many they may be, if there are no more images than that: each is a write, about 10 µs, and the next run
waits for it."""
MISSING_FILE_BYTES = 1 << 20
"""What a file without any image is charged besides its rows: its datasets and the time to make them."""

LATE = "file_closed"

Formats: TypeAlias = Mapping[str, ImageFormat]

_log = logging.getLogger(__name__)


class DataFiles:
    """Opens a file with its first image and keeps it open until it is full or the run ends.

    `on_closed` is told of each file once it stands under its final name. With more files open than
    `max_open`, the one that has waited longest for an image is closed with its gaps (never the last file of
    the run, whose length is not known yet). Methods raise StorageError.
    """

    def __init__(self, parts: FileParts, raw_codec: Codec, on_closed: Callable[[ClosedFile], None]) -> None:
        self._parts = parts
        self._plan = parts.plan
        self._raw_codec = raw_codec
        self._on_closed = on_closed
        self._open: dict[int, DataFile] = {}
        """The file that got an image last is the last."""
        self._closed = Bits()
        self.written = Bits()
        """Images in the files that are closed or being closed."""
        self._gap_bytes = 0
        self._n_gap_rows = 0
        self._n_images = 0
        """Images in the files that are closed or being closed."""
        self._image_bytes = 0
        """Payloads in the files that are closed or being closed."""
        self.formats: Formats = {}
        """Channels of the run and how they are stored, from its first image."""
        self.sizes_bytes: dict[str, int] = {}
        """Published files: base name -> size."""
        self.n_published = 0
        """Images in published files."""
        self.datasets: dict[str, StoredDataset] = {}
        """Per-image datasets of the closed files, the first of each path."""
        self.stored_paths: dict[int, frozenset[str]] = {}
        """Per closed file: the paths of its per-image datasets. Equal sets are kept once."""
        self._path_sets: dict[frozenset[str], frozenset[str]] = {}
        self.image_groups: list[tuple[int, str]] = []
        self.left = LeftFiles(parts.plan)
        self.n_rows_unfilled = 0
        """Rows without image for which no fill values were stored, as there are too many."""

    @property
    def max_open(self) -> int:
        per_file = self._plan.images_per_file or OPEN_IMAGES
        return min(MAX_OPEN_FILES, max(MIN_OPEN_FILES, OPEN_IMAGES // per_file))

    @property
    def n_open(self) -> int:
        return len(self._open)

    def restore(self, stored: StoredFile, directory: RunDirectory) -> ClosedFile:
        """Take a file for closed that stands in `directory` since an earlier life of the run; the part of a
        data file before the file that went on with it.

        Raises ValueError or TypeError for facts that are none.
        """
        facts, index = stored.facts, stored.facts.file_index
        self.formats = self.formats or facts.formats()
        first = index * self._plan.images_per_file
        for low, high in facts.rows:
            for row in range(low, high + 1):
                self.written.add(first + row)
        filled = FilledRows(facts.n_rows, facts.n_written, facts.stored(), facts.image_groups)
        self._remember(index, filled)
        if stored.is_part:
            name, n_written = part_name(self._plan, index), facts.n_written
            self.left.restore_part(facts, filled, directory)
        else:
            name, n_written = (
                self._plan.data_file_name(index),
                self.left.restore_main(facts, filled, directory),
            )
            self._closed.add(index)
            self.sizes_bytes[name] = facts.size_bytes
            self.n_published += n_written
        return ClosedFile(directory.relative(name), index, facts.n_rows, n_written, facts.size_bytes)

    def leave(self, file_index: int) -> None:
        """A file stands under its final name that is not this writer's to touch."""
        self._closed.add(file_index)

    def for_image(self, order: WriteImage) -> DataFile:
        """The file of an image, opened if need be. Raises PayloadError if it is closed."""
        file = self._open.pop(order.file_index, None)
        if file is None:
            file = self._first_image(order.file_index, order.image)
        self._open[order.file_index] = file
        return file

    def write_ahead(self, orders: Sequence[WriteImage]) -> Generator[int]:
        """Store the first of `orders` together, if they need no decision, and enter them; yields the bytes of
        each. Raises StorageError. Close the generator."""
        first = orders[0]
        file = self._open.get(first.file_index)
        if file is not None:
            same = itertools.takewhile(lambda order: order.file_index == first.file_index, orders)
            with contextlib.closing(file.images.write_ahead(list(same))) as sizes:
                yield from sizes

    def compare(self, order: CompareImage) -> Likeness:
        """An image that came again, with the one of an open file. Raises nothing."""
        file = self._open.get(order.file_index)
        return Likeness.UNKNOWN if file is None else file.images.compare(order.row, order.image.channels)

    def is_open(self, file_index: int) -> bool:
        return file_index in self._open

    def close(
        self,
        file_index: int,
        n_rows: int,
        before_seal: Callable[[DataFile, FilledRows], None] | None = None,
        *,
        fill_gaps: bool = True,
    ) -> None:
        """Bring an open file to `n_rows` rows, check it, publish it, tell of it.

        `before_seal` may write more into the file when its rows are final. `fill_gaps` False: nothing is
        stored for rows without an image, as there may be no room.
        """
        file = self._open[file_index]
        n_rows = max(n_rows, file.images.end_row)
        filled = file.fill(n_rows, fill_gaps=fill_gaps and self._may_fill(file, n_rows))
        self.written.add_rows(file.first_image, file.images.written_rows())
        self._remember(file_index, filled)
        if before_seal is not None:
            before_seal(file, filled)
        file.seal()
        journal = self._parts.journal
        if journal is not None:
            journal.closing(to_json(file.facts(self._parts.original_numbers)))
        size_bytes = file.publish()
        if journal is not None:
            journal.closed(file_index)
        del self._open[file_index]
        self._closed.add(file_index)
        self._published(file_index, file, filled, size_bytes)

    def _published(self, file_index: int, file: DataFile, filled: FilledRows, size_bytes: int) -> None:
        n_written = self.left.n_own(file_index, file)
        self.sizes_bytes[file.name] = size_bytes
        self.n_published += n_written
        if self._parts.directory.is_second:
            self.left.in_second(file_index, file, filled, self._parts.directory)
        self._on_closed(ClosedFile(file.relative_name, file_index, filled.n_rows, n_written, size_bytes))

    def close_all(self, n_images: int) -> None:
        """Close what is open, in order, for a run of `n_images` images."""
        for file_index in sorted(self._open):
            self.close(file_index, self._plan.rows_in_file(file_index, n_images))

    def create_missing(self, n_images: int) -> int:
        """Make the files of which no image came, up to the limits; returns how many are left out.

        A link to a file that does not exist makes durin crash and fabio end there.
        """
        n_files = self._plan.n_files(n_images)
        for file_index in range(n_files):
            if file_index in self._closed:
                continue
            if self._gap_bytes + MISSING_FILE_BYTES > self._gap_limit:
                return n_files - len(self.sizes_bytes)
            self._gap_bytes += MISSING_FILE_BYTES
            self.open_empty(file_index)
            self.close(file_index, self._plan.rows_in_file(file_index, n_images))
        return 0

    def open_empty(self, file_index: int, *, with_images: bool = True) -> None:
        """Open a file of which no image came; `with_images` False: nor will it have a row."""
        formats = self.left.formats(file_index, self.formats or self._unseen_formats())
        self._open[file_index] = self._new(file_index, formats if with_images else {}, for_images=False)

    def close_as_they_are(self) -> None:
        """After a failure: publish the files that can be closed with the images they hold. Raises nothing;
        the others stay open."""
        for file_index, file in sorted(self._open.items()):
            if file.images.n_written and file.can_be_filled and not self._plan.is_integrated:
                with contextlib.suppress(StorageError):
                    self.close(file_index, 0, fill_gaps=False)

    def go_on_in(self, directory: RunDirectory, journal: Journal | None) -> list[int]:
        """Close the open files with what they hold and go on in `directory`; returns the images lost.

        Raises nothing: what `directory` does not take is lost. `journal`: the one that stands there; None if
        nobody follows the run any more.
        """
        left = sorted(self._open.items())
        self._open.clear()
        old, self._parts = self._parts, replace(self._parts, directory=directory, journal=journal)
        return [image_id for file_index, file in left for image_id in self._leave(file_index, file, old)]

    def forget(self, order: WriteImage) -> None:
        """The image of `order` was not stored, or not whole."""
        if order.file_index in self._open:
            self._open[order.file_index].images.forget(order.row)

    def _leave(self, file_index: int, file: DataFile, parts: FileParts) -> list[int]:
        """Bring to safety what a file of `parts` holds; returns the images that are lost."""
        lost = list(file.images.image_ids())
        if not lost:
            file.abandon(storage_works=False)
            if parts.journal is not None:
                parts.journal.drop_file(file_index)
            return []
        filled = self.left.publish_part(file_index, file, parts.directory, partial(self._tell_part, parts))
        if filled is not None:
            if parts.journal is not None:
                self.left.known(file_index, parts.journal.closed(file_index))
            self.written.add_rows(file.first_image, file.images.written_rows())
            self._remember(file_index, filled)
            size_bytes = file.size_bytes
            self._on_closed(
                ClosedFile(file.relative_name, file_index, filled.n_rows, filled.n_written, size_bytes)
            )
            return []
        name = file.abandon(storage_works=False)
        _log.error("%s: what was written of an unfinished file stays in %s", self._plan.prefix, name)
        if not file.may_be_read_back:
            return lost
        if parts.journal is not None:
            self.left.known(file_index, parts.journal.left(file_index))
        self.left.want(file_index, file)
        try:
            self._open[file_index] = saved = self._new(file_index, file.images.formats)
        except StorageError as error:
            _log.error("%s: %s", self._plan.prefix, error)
            return lost
        kept = set(saved.images.image_ids())
        return [image_id for image_id in lost if image_id not in kept]

    def _tell_part(self, parts: FileParts, file: DataFile) -> None:
        """To both journals: each may be the only one that is found."""
        facts = to_json(file.facts(self._parts.original_numbers))
        for journal in (parts.journal, self._parts.journal):
            if journal is not None:
                journal.part(facts)

    def abandon(self, *, storage_works: bool) -> list[str]:
        """Close all without publishing; returns the temporary names of those that hold images."""
        kept = []
        while self._open:
            file_index, file = self._open.popitem()
            name = file.abandon(storage_works=storage_works)
            if name is not None:
                kept.append(name)
            elif self._parts.journal is not None:
                self._parts.journal.drop_file(file_index)
        return kept

    def unpublished(self) -> Iterator[int]:
        """Images in the open files and in no other."""
        for file_index, file in self._open.items():
            for image_id in file.images.image_ids():
                if not self.left.is_in_part(file_index, image_id - file_index * self._plan.images_per_file):
                    yield image_id

    def _first_image(self, file_index: int, image: ImageMessage) -> DataFile:
        if file_index in self._closed:
            name = self._plan.data_file_name(file_index)
            raise PayloadError(LATE, f"image {image.image_id}: its file {name} is closed already")
        while len(self._open) >= self.max_open:
            self._close_longest_waiting()
        formats = {name: ImageFormat.of(payload, self._raw_codec) for name, payload in image.channels.items()}
        file = self._new(file_index, self.left.formats(file_index, formats))
        if not self.formats:
            self.formats = formats
        return file

    def _new(self, file_index: int, formats: Formats, *, for_images: bool = True) -> DataFile:
        name = self._plan.data_file_name(file_index)
        if not self._plan.overwrite and self._parts.directory.exists(name):
            shown = self._parts.directory.relative(name)
            text = f"{shown} exists already; choose another file_prefix or send overwrite"
            raise StorageError("exists", text)
        file = DataFile(self._parts, file_index, formats, for_images=for_images)
        try:
            self.left.bring_over(file_index, file)
        except BaseException:
            file.abandon(storage_works=False)
            raise
        return file

    def _close_longest_waiting(self) -> None:
        last = max(self._open)
        file_index = next(index for index in self._open if index != last)
        _log.warning(
            "%s is closed although images of it are missing: %d newer files are open",
            self._open[file_index].relative_name,
            len(self._open) - 1,
        )
        self.close(file_index, self._plan.images_per_file)

    def _unseen_formats(self) -> Formats:
        """For files of a run of which no image came at all."""
        dtype = (self._plan.dtype or UNKNOWN_PIXELS).newbyteorder("<")
        codec = Codec.BSLZ4
        image_format = ImageFormat(self._plan.shape, dtype, codec, filter_for(codec, dtype))
        return dict.fromkeys(self._plan.channels or ("default",), image_format)

    @property
    def _gap_limit(self) -> int:
        return max(GAP_BYTES, self._image_bytes)

    def _may_fill(self, file: DataFile, n_rows: int) -> bool:
        """Fill the gaps of a file? One false image number must not fill the disk with nothing."""
        self._image_bytes += file.images.n_bytes
        if not self._plan.fill_gaps:
            return False
        self._n_images += file.images.n_written
        n_bytes, n_gap_rows = file.images.gap_bytes(n_rows), n_rows - file.images.n_written
        too_many = self._n_gap_rows + n_gap_rows > max(GAP_ROWS, self._n_images)
        if too_many or self._gap_bytes + n_bytes > self._gap_limit:
            self.n_rows_unfilled += n_gap_rows
            return False
        self._gap_bytes += n_bytes
        self._n_gap_rows += n_gap_rows
        return True

    def _remember(self, file_index: int, filled: FilledRows) -> None:
        for stored in filled.datasets:
            self.datasets.setdefault(stored.path, stored)
        if self._plan.write_master and not self._plan.is_integrated:
            paths = frozenset(stored.path for stored in filled.datasets)
            self.stored_paths[file_index] = self._path_sets.setdefault(paths, paths)
            self.image_groups += filled.image_groups
