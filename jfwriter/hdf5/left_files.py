"""Files that a run could not go on with, and what becomes of their images. Writer thread only."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py

from jfwriter.errors import StorageError
from jfwriter.hdf5 import hdf5_file
from jfwriter.hdf5.data_file import DataFile, FilledRows
from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.file_facts import FileFacts
from jfwriter.hdf5.file_images import image_path
from jfwriter.hdf5.image_dataset import ImageFormat
from jfwriter.hdf5.pieces import Piece, rest
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.run_ranges import with_images
from jfwriter.journal.file_journal import SUFFIX
from jfwriter.journal.image_record import unpacked
from jfwriter.journal.records import Kind, Reader
from jfwriter.session.orders import Range
from jfwriter.session.plan import FileFormat, RunPlan

MAX_RECORD_BYTES = 1 << 40
"""Of a message, as this process has taken it: nobody else has written the journal."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeftFile:
    """A closed file whose images are wanted in another one, which stores them in the same `formats`."""

    path: str
    rows: tuple[Range, ...]
    formats: Mapping[str, ImageFormat]

    @property
    def n_images(self) -> int:
        return sum(last - first + 1 for first, last in self.rows)


class LeftFiles:
    """The parts of one run, and where the rows of its data files stand because of them."""

    def __init__(self, plan: RunPlan) -> None:
        self.pieces: dict[int, list[Piece]] = {}
        """Data files in the second root directory, or of which a part was left; names are absolute."""
        self.only_in_parts: list[str] = []
        """What the files that the master leads to do not hold."""
        self._plan = plan
        self._wanted: dict[int, LeftFile] = {}
        """Files whose images the file that goes on shall hold, too."""
        self._published_rows: dict[int, frozenset[int]] = {}
        """Rows that stand in a published part, by data file."""
        self._n_known: dict[int, int] = {}
        """Images of files that were left that had been counted as synced."""

    def formats(self, file_index: int, usual: Mapping[str, ImageFormat]) -> Mapping[str, ImageFormat]:
        """How the images of a file have to be stored that goes on with one that was left."""
        left = self._wanted.get(file_index)
        return usual if left is None else left.formats

    def is_in_part(self, file_index: int, row: int) -> bool:
        return row in self._published_rows.get(file_index, ())

    def n_own(self, file_index: int, file: DataFile) -> int:
        """Images of a file that stand in no part of it."""
        in_part = self._published_rows.get(file_index, ())
        return file.images.n_written - sum(file.images.holds(row) for row in in_part)

    def known(self, file_index: int, n_images: int) -> None:
        """So many images of a file that was left had been counted as synced."""
        self._n_known[file_index] = n_images

    def publish_part(
        self,
        file_index: int,
        file: DataFile,
        directory: RunDirectory,
        before: Callable[[DataFile], None],
    ) -> FilledRows | None:
        """Close a file as it is, under the name of a part; None if that cannot be done.

        A virtual dataset is made of the part and the file that goes on; in other layouts its images are
        wanted there. `before` is called with the sealed file before it gets its name.
        """
        if not file.can_be_filled:
            return None
        rows = rows_of(file, file_index * self._plan.images_per_file)
        file.call_it(part_name(self._plan, file_index))
        try:
            filled = file.fill(file.images.end_row, fill_gaps=False)
            file.seal()
            before(file)
            file.publish()
        except StorageError as error:
            _log.error("%s: %s", self._plan.prefix, error)
            return None
        self._published_rows[file_index] = frozenset(_each(rows))
        self._add(file_index, directory.absolute + file.name, filled, rows)
        if self._plan.format is not FileFormat.NXmxVDS:
            self._wanted[file_index] = LeftFile(directory.path(file.name), rows, file.images.formats)
        return filled

    def restore_part(self, facts: FileFacts, filled: FilledRows, directory: RunDirectory) -> None:
        """A part that was published in an earlier life of the run."""
        name = part_name(self._plan, facts.file_index)
        self._published_rows[facts.file_index] = frozenset(_each(facts.rows))
        self._add(facts.file_index, directory.absolute + name, filled, facts.rows)
        if self._plan.format is not FileFormat.NXmxVDS:
            self._wanted[facts.file_index] = LeftFile(directory.path(name), facts.rows, facts.formats())

    def restore_main(self, facts: FileFacts, filled: FilledRows, directory: RunDirectory) -> int:
        """The same of the file that went on with a part, or of one that stands in the second root directory;
        returns the images that stand in no part of it."""
        file_index = facts.file_index
        left = self._wanted.pop(file_index, None)
        if left is not None:
            self._only_there(left)
        if directory.is_second:
            self._add_rest(file_index, directory.absolute + self._plan.data_file_name(file_index), filled)
        in_part = self._published_rows.get(file_index, frozenset())
        return facts.n_written - len(in_part.intersection(_each(facts.rows)))

    def want(self, file_index: int, file: DataFile) -> None:
        """A file was closed without being published; its images are to be saved."""
        rows = rows_of(file, file_index * self._plan.images_per_file)
        self._wanted[file_index] = LeftFile(file.path_now(), rows, file.images.formats)

    def bring_over(self, file_index: int, file: DataFile) -> None:
        """What was left of a file into the one that goes on. Raises StorageError."""
        left = self._wanted.pop(file_index, None)
        if left is None:
            return
        n_images, n_known = left.n_images, self._n_known.get(file_index, 0)
        file.images.knows(n_known)
        lost = bring_over(left, file)
        file.images.knows(min(n_known, n_images - len(lost)))
        shown = left.path.rpartition("/")[2]
        if file_index in self._published_rows and lost:
            self.only_in_parts.append(f"{len(lost)} images are only in {shown}")
        self._only_there(left)

    def in_second(self, file_index: int, file: DataFile, filled: FilledRows, directory: RunDirectory) -> None:
        """A data file was published in the second root directory."""
        self._add_rest(file_index, directory.absolute + file.name, filled)

    def _only_there(self, left: LeftFile) -> None:
        shown = left.path.rpartition("/")[2]
        self.only_in_parts.append(f"the per-image values of {left.n_images} images are only in {shown}")

    def _add_rest(self, file_index: int, name: str, filled: FilledRows) -> None:
        """With the rows that stand nowhere else."""
        elsewhere = sorted(row for piece in self.pieces.get(file_index, ()) for row in piece.rows)
        self._add(file_index, name, filled, rest(elsewhere, filled.n_rows))

    def _add(self, file_index: int, name: str, filled: FilledRows, rows: tuple[Range, ...]) -> None:
        paths = frozenset(stored.path for stored in filled.datasets)
        self.pieces.setdefault(file_index, []).append(Piece(name, filled.n_rows, rows, paths))


def part_name(plan: RunPlan, file_index: int) -> str:
    """Name of a file that holds the rows of a data file up to a failure. It never looks like a data file."""
    return f"{plan.data_file_name(file_index).removesuffix('.h5')}_part.h5"


def rows_of(file: DataFile, first_image: int) -> tuple[Range, ...]:
    return with_images((), (image_id - first_image for image_id in file.images.image_ids()))


def _each(rows: Iterable[Range]) -> Iterator[int]:
    for first, last in rows:
        yield from range(first, last + 1)


def bring_over(left: LeftFile, file: DataFile) -> list[int]:
    """Copy images as they are packed into `file`; returns the rows that cannot be read.

    Raises StorageError if `file` cannot take them.
    """
    todo = [row for row in _each(left.rows) if not file.images.holds(row)]
    lost = set(todo)
    for chunks_of in (_chunks, _chunks_by_journal):
        for row, chunks in chunks_of(left, sorted(lost)):
            file.images.adopt(row, chunks)
            lost.discard(row)
    return sorted(lost)


def _chunks_by_journal(left: LeftFile, rows: list[int]) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Of the rows that HDF5 cannot find, as it could not close the file: where its journal says they are."""
    wanted = set(rows)
    if not wanted:
        return
    try:
        with Path(left.path).open("rb") as data, Path(left.path + SUFFIX).open("rb") as journal:
            for record in Reader(journal, os.fstat(journal.fileno()).st_size):
                image = unpacked(record.body, MAX_RECORD_BYTES) if record.kind == Kind.IMAGE else None
                if image is None or image.row not in wanted or len(image.chunks) != len(left.formats):
                    continue
                read = [os.pread(data.fileno(), chunk.n_bytes, chunk.place) for chunk in image.chunks]
                if all(len(one) == chunk.n_bytes for one, chunk in zip(read, image.chunks, strict=True)):
                    wanted.discard(image.row)
                    yield image.row, dict(zip(left.formats, read, strict=True))
    except (OSError, ValueError) as error:
        _log.error("%s: %s", left.path, error)


def _chunks(left: LeftFile, rows: list[int]) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Of the rows that can be read."""
    try:
        with storage_faults(f"cannot open {left.path}"):
            source = hdf5_file.open_to_read(left.path)
    except StorageError as error:
        _log.error("%s", error)
        return
    with source:
        paths = {name: image_path(number, name).encode() for number, name in enumerate(left.formats)}
        for row in rows:
            try:
                with storage_faults(f"cannot read row {row} of {left.path}"):
                    chunks = {
                        name: bytes(h5py.h5d.open(source.id, path).read_direct_chunk((row, 0, 0))[1])
                        for name, path in paths.items()
                    }
            except StorageError as error:
                _log.error("%s", error)
                continue
            yield row, chunks
