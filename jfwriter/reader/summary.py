"""What is in a finished run: files, images, gaps, spots, and what is wrong.

Reads a master of any layout, or a single data file. Nothing is trusted: what cannot be read, is of another
type or points elsewhere becomes an entry of `problems`. Only files in the directory of the given one are
opened.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.reader import guard
from jfwriter.reader.contents import (
    DETECTOR_SPECIFIC,
    MAX_IMAGES,
    Contents,
    contents_of,
    read_contents,
)
from jfwriter.reader.fields import float_of, short, text_of, vector_of
from jfwriter.reader.layout import RunLayout, SourceFile, read_layout
from jfwriter.reader.nodes import TROUBLE, dataset_at
from jfwriter.reader.outcome import read_outcome

Range = tuple[int, int]
"""First and last image number, both included."""


@dataclass(frozen=True, slots=True)
class FileSummary:
    """A file of the run. `role` is "master" or "data", `n_images` the rows of image data in it."""

    name: str
    role: str
    size_bytes: int
    n_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A finished run. `shape` is (height, width). None stands where the files do not say.

    `format` is NXmxLegacy, NXmxVDS, NXmxIntegrated, data file or unknown. `n_images` is the extent of the
    run, `n_written` how many of them are there, `missing` the others. Spots are per written image.
    """

    path: str
    format: str
    files: tuple[FileSummary, ...] = ()
    shape: tuple[int, int] | None = None
    dtype: str | None = None
    codec: str | None = None
    n_images: int | None = None
    n_written: int = 0
    missing: tuple[Range, ...] = ()
    outcome: str | None = None
    """The verdict, as the master has it."""
    reasons: tuple[str, ...] = ()
    by_status: Mapping[str, int] = field(default_factory=dict)
    """Images by what became of them (`image_status` of the master)."""
    spots_mean: float | None = None
    spots_max: int | None = None
    wavelength_angstrom: float | None = None
    detector_distance_m: float | None = None
    frame_time_s: float | None = None
    start_time: str | None = None
    end_time: str | None = None
    problems: tuple[str, ...] = ()

    @property
    def n_missing(self) -> int:
        return sum(last - first + 1 for first, last in self.missing)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def duration_s(self) -> float | None:
        """End minus start time; None if one of them is absent or no date."""
        try:
            start, end = (datetime.datetime.fromisoformat(t or "") for t in (self.start_time, self.end_time))
            return (end - start).total_seconds()
        except (ValueError, TypeError):
            return None


def summarize(path: str | Path) -> RunSummary:
    """Summary of the run with this master (or of a single data file). Never raises for what a file holds."""
    path = Path(path)
    try:
        with guard.open_file(path) as file:
            return _summarize(file, path)
    except TROUBLE as error:
        why = "not there" if not path.exists() else f"cannot be read: {short(error)}"
        return RunSummary(path=str(path), format="unknown", problems=(f"{path.name}: {why}",))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A file of the run as the master names it, and what is in it if it can be read."""

    source: SourceFile
    contents: Contents | None


def _summarize(file: h5py.File, path: Path) -> RunSummary:
    layout = read_layout(file)
    problems = [f"{path.name}: {text}" for text in layout.problems]
    own_size_bytes = path.stat().st_size
    if layout.in_one_file:
        own = contents_of(file, path)
        pieces = [_piece(SourceFile(path.name, first_image=0), own, problems)]
        role = "data" if layout.format == "data file" else "master"
        rows = 0 if isinstance(own, str) else own.n_rows
        files: tuple[FileSummary, ...] = (FileSummary(path.name, role, own_size_bytes, rows),)
    else:
        pieces = [_read_source(source, path.parent, problems) for source in layout.sources]
        files = tuple(
            FileSummary(piece.source.name, "data", piece.contents.size_bytes, piece.contents.n_rows)
            for piece in pieces
            if piece.contents is not None
        )
        files += (FileSummary(path.name, "master", own_size_bytes, 0),)
    told = read_outcome(file)
    return dataclasses.replace(
        _images_of(file, layout, pieces, problems),
        path=str(path),
        files=files,
        problems=tuple(problems),
        outcome=told.outcome,
        reasons=told.reasons,
        by_status=told.counts(),
    )


def _read_source(source: SourceFile, directory: Path, problems: list[str]) -> _Piece:
    """Open a data file that the master names, if it lies beside it."""
    try:
        place = guard.beside(directory / "master", source.name)
    except (OSError, ValueError) as error:
        problems.append(str(error))
        return _Piece(source, None)
    return _piece(source, read_contents(place), problems)


def _piece(source: SourceFile, contents: Contents | str, problems: list[str]) -> _Piece:
    if isinstance(contents, str):
        problems.append(contents)
        return _Piece(source, None)
    problems += contents.problems
    return _Piece(source, contents)


def _images_of(file: h5py.File, layout: RunLayout, pieces: list[_Piece], problems: list[str]) -> RunSummary:
    """Images, gaps and spots of the pieces, and what the master says about the run."""
    known = [piece.contents for piece in pieces if piece.contents is not None]
    starts = _first_images(pieces)
    n_images = layout.n_images
    if n_images is None and known:
        n_images = max(
            start + piece.contents.n_rows
            for start, piece in zip(starts, pieces, strict=True)
            if piece.contents is not None
        )
    written = np.zeros(0, np.bool_)
    if n_images is not None and 0 <= n_images <= MAX_IMAGES:
        written = _written(n_images, starts, pieces, problems)
    elif n_images is not None:
        problems.append(f"a run of {n_images} images: not looked at one by one")
    shapes = {(c.shape, c.dtype) for c in known}
    if len(shapes) > 1:
        problems.append(f"data files differ in image shape or pixel type: {sorted(shapes)}")
    missing = ranges(np.flatnonzero(~written))
    _compare_missing(file, missing, problems)
    spots = [c.n_spots[c.written] for c in known if c.n_spots is not None]
    n_spots = np.concatenate(spots) if spots else np.empty(0, np.int64)
    distance_m = float_of(file, "/entry/instrument/detector/detector_distance")
    if distance_m is None:
        distance_m = float_of(file, "/entry/instrument/detector/distance")
    return RunSummary(
        path="",
        format=layout.format,
        shape=known[0].shape if known else None,
        dtype=known[0].dtype if known else None,
        codec=known[0].codec if known else None,
        n_images=n_images,
        n_written=int(written.sum()),
        missing=missing,
        spots_mean=float(n_spots.mean()) if n_spots.size else None,
        spots_max=int(n_spots.max()) if n_spots.size else None,
        wavelength_angstrom=float_of(file, "/entry/instrument/beam/incident_wavelength"),
        detector_distance_m=distance_m,
        frame_time_s=float_of(file, "/entry/instrument/detector/frame_time"),
        start_time=text_of(file, "/entry/start_time"),
        end_time=text_of(file, "/entry/end_time"),
    )


def _first_images(pieces: list[_Piece]) -> list[int]:
    """The run's number of the first image of each file: as mapped, else as the file says, else by counting.

    Files in a row hold equally many images but for the last, so that an absent one has the size of the first
    that is there.
    """
    rows = next((piece.contents.n_rows for piece in pieces if piece.contents is not None), 0)
    starts, position = [], 0
    for piece in pieces:
        source, contents = piece.source, piece.contents
        if source.first_image is not None:
            position = source.first_image
        elif contents is not None and contents.first_image is not None and contents.first_image >= 0:
            position = contents.first_image
        starts.append(position)
        position += rows if contents is None else contents.n_rows
    return starts


def _written(
    n_images: int, starts: list[int], pieces: list[_Piece], problems: list[str]
) -> npt.NDArray[np.bool_]:
    """Which images of the run are there. [n_images]"""
    written = np.zeros(n_images, np.bool_)
    for start, piece in zip(starts, pieces, strict=True):
        source, contents = piece.source, piece.contents
        if contents is None:
            continue
        rows = contents.n_rows
        if source.n_images is not None and rows != source.n_images:
            problems.append(f"{source.name}: has {rows} images, the master maps {source.n_images}")
            rows = min(rows, source.n_images)
        if start + rows > n_images:
            problems.append(
                f"{source.name}: its images reach to {start + rows - 1}, the run to {n_images - 1}"
            )
        part = written[start : start + rows]
        part |= contents.written[: len(part)]
    return written


def _compare_missing(file: h5py.File, missing: tuple[Range, ...], problems: list[str]) -> None:
    """A master that lists its gaps must list those that the files show."""
    if dataset_at(file, f"{DETECTOR_SPECIFIC}/missing_images") is None:
        return
    listed = vector_of(file, f"{DETECTOR_SPECIFIC}/missing_images", MAX_IMAGES)
    if listed is None:
        problems.append("the list of missing images in the master cannot be read")
    elif ranges(np.unique(listed.astype(np.int64))) != missing:
        shown = sum(last - first + 1 for first, last in missing)
        problems.append(f"the master lists {listed.size} missing images, the files show {shown}")


def ranges(numbers: npt.NDArray[np.int64]) -> tuple[Range, ...]:
    """Ascending numbers as ranges of neighbours."""
    if not numbers.size:
        return ()
    breaks = np.flatnonzero(np.diff(numbers) != 1)
    first = numbers[np.concatenate([[0], breaks + 1])]
    last = numbers[np.concatenate([breaks, [numbers.size - 1]])]
    return tuple(zip(first.tolist(), last.tolist(), strict=True))
