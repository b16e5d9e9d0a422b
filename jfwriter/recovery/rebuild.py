"""One run from its raw material to its final files, by the same writer that would have made them."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from jfwriter.analysis import Prepared, Scratch, prepare, wishes_of
from jfwriter.analysis.figures import RunFigures
from jfwriter.compression import check_framing
from jfwriter.errors import PayloadError
from jfwriter.hdf5.file_facts import StoredFile
from jfwriter.hdf5.files_root import FilesRoot
from jfwriter.hdf5.link_walk import Walk
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.hdf5.whereabouts import Whereabouts
from jfwriter.journal.interface import Journal
from jfwriter.plugins import plugins_for
from jfwriter.recovery.images import BadImage, FileImages
from jfwriter.recovery.material import RunMaterial
from jfwriter.recovery.opened import opened
from jfwriter.recovery.place import RunPlace, ownership
from jfwriter.session.image_status import ImageStatus
from jfwriter.session.ledger import Ledger
from jfwriter.session.orders import FinishRun, Outcome, RunReport, WriteImage
from jfwriter.session.plan import RunPlan
from jfwriter.session.verdict import Closing, finish
from jfwriter.settings import Settings
from jfwriter.wire.messages import CalibrationMessage, ImageMessage

REASON = "recovered after a crash"
LOST = "write_failed"
MAX_SHOWN_PROBLEMS = 20


@dataclass(slots=True)
class Found:
    """What was read from the raw material."""

    ledger: Ledger
    n_images: int = 0
    _bad: list[tuple[int, str]] = field(default_factory=list)
    """Image and text, of the first ones."""
    _bad_ids: set[int] = field(default_factory=set)
    _n_nameless: int = 0

    @property
    def n_bad(self) -> int:
        return len(self._bad_ids) + self._n_nameless

    @property
    def bad(self) -> list[str]:
        texts = (f"image {i}: {text}" for i, text in self._bad if i < 0 or i in self._bad_ids)
        return list(itertools.islice(texts, MAX_SHOWN_PROBLEMS))

    def accept(self, image_id: int) -> None:
        """Perhaps one that could not be taken from another file."""
        self.ledger.accept(image_id)
        self._bad_ids.discard(image_id)

    def reject(self, image: BadImage) -> None:
        if image.image_id >= 0:
            if self.ledger.holds(image.image_id):
                return
            self._bad_ids.add(image.image_id)
            self.ledger.marks.set((image.image_id,), ImageStatus.WRITE_FAILED)
        else:
            self._n_nameless += 1
        if len(self._bad) < 2 * MAX_SHOWN_PROBLEMS:
            self._bad.append((image.image_id, image.text))

    def take_back(self, image: BadImage) -> None:
        self.ledger.lose(image.image_id)
        self.n_images -= 1
        self.reject(image)


class Unpublished(NamedTuple):
    """A data file without its final name, in an open directory, and its journal there."""

    directory: int
    journal: str
    images: FileImages


class Rebuild:
    """Reads the images of `files` in this order and, on request, writes them."""

    def __init__(
        self,
        material: RunMaterial,
        places: Sequence[RunPlace],
        published: Sequence[StoredFile],
        files: Sequence[Unpublished],
        untold: Sequence[int] = (),
    ) -> None:
        """`places`: the directory of the run, and that in which it went on, if there is one. `published`: the
        files that stand. `untold`: indices of files that stand and of which nothing more is known."""
        self._material = material
        self._places = places
        self._published = published
        self._files = files
        self._untold = untold
        self._analysis = _Analysis(material.plan, material.settings)
        self.found = Found(Ledger(material.plan.images_per_file))
        for facts in (stored.facts for stored in published):
            first = facts.file_index * material.plan.images_per_file
            for low, high in facts.rows:
                for image_id in range(first + low, first + high + 1):
                    if not self.found.ledger.holds(image_id):  # in a part, and in what went on with it
                        self.found.accept(image_id)

    def look(self) -> FinishRun:
        """Read and check everything; write nothing. Raises OSError."""
        for _ in self._images():
            pass
        return self._verdict()

    def write(self, journal: Journal, *, overwrite: bool, replace_manifest: bool = False) -> RunReport:
        """Write what is lacking. `replace_manifest`: one of this run stands there.

        Raises OSError, StorageError; then nothing half-written has a final name.
        """
        settings = self._material.settings
        plan = replace(self._analysis.plan, overwrite=overwrite)
        writer = RunWriter(plan, plugins_for(plan), settings, lambda _: None)
        directory, second = (*(run_directory(p, settings) for p in self._places), None)[:2]
        assert directory is not None  # noqa: S101 there is at least one place
        try:
            if second is not None:
                second.is_second = True
            writer.resume(
                directory,
                self._published,
                journal,
                self._untold,
                second=second,
                replace_manifest=replace_manifest,
            )
            figures = RunFigures(settings.analysis.min_spots_for_hit)
            for message in self._material.calibrations:
                for sound in _sound(message):
                    writer.write_calibration(sound)
            for order in self._images():
                completed = replace(order, image=self._analysis.complete(order.image))
                try:
                    writer.write_image(completed)
                except PayloadError as error:
                    self.found.take_back(BadImage(order.image.image_id, str(error)))
                    continue
                figures.add((completed.image,))
            order_to_finish = self._verdict()
            if not self._published:  # the means of a run whose images are not all here would be wrong
                order_to_finish = replace(order_to_finish, figures=figures.of_the_run())
            return writer.finish(order_to_finish)
        finally:
            writer.abandon()
            directory.close()
            if second is not None:
                second.close()

    def _images(self) -> Iterator[WriteImage]:
        """The good ones, each once."""
        found = self.found
        for directory, journal_name, images in self._files:
            with opened(directory, journal_name) as journal:
                for order in images.images(directory, journal):
                    if isinstance(order, BadImage):
                        found.reject(order)
                        continue
                    image_id = order.image.image_id
                    if found.ledger.holds(image_id) or found.ledger.is_full(order.file_index):
                        continue
                    found.accept(image_id)
                    found.n_images += 1
                    yield order

    def _verdict(self) -> FinishRun:
        """Never complete: what came and was not yet in the journal is not known."""
        material, found = self._material, self.found
        dropped = {LOST: found.n_bad} if found.n_bad else {}
        order = finish(
            material.plan,
            found.ledger,
            dropped,
            material.settings,
            end=material.end,
            closing=Closing(Outcome.INCOMPLETE, REASON),
        )
        return replace(order, n_received=found.ledger.n_accepted + found.n_bad)


class _Analysis:
    """What the writer computed is not in the journal: it is computed again, with the same settings."""

    def __init__(self, plan: RunPlan, settings: Settings) -> None:
        wishes = wishes_of(plan.start, settings.analysis)
        self._prepared = prepare(plan, settings) if wishes else Prepared(plan, None, wishes)
        self._scratch = Scratch()

    @property
    def plan(self) -> RunPlan:
        return self._prepared.plan

    def complete(self, image: ImageMessage) -> ImageMessage:
        analyser = self._prepared.analyser
        if analyser is None or not analyser.wants(image):
            return image
        try:
            return analyser.complete(image, self._scratch)
        except PayloadError:  # as in the daemon, it is still good for storing
            return image


def run_directory(place: RunPlace, settings: Settings) -> RunDirectory:
    """The open directory of the raw material, wherever it lies by now. Raises OSError."""
    itself = Path(f"/proc/self/fd/{place.descriptor}")
    with contextlib.closing(Walk(itself)) as walk:
        whereabouts = Whereabouts(itself, (), walk)
    parts = tuple(part for part in place.shown.split("/") if part)
    return RunDirectory(
        os.dup(place.descriptor), parts, whereabouts, FilesRoot(place.top), ownership(settings)
    )


def _sound(message: CalibrationMessage) -> Iterator[CalibrationMessage]:
    """The images of a calibration message whose framing is right, as the session takes them."""
    sound = {}
    for name, payload in message.data.items():
        try:
            check_framing(payload)
        except PayloadError:
            continue
        sound[name] = payload
    if sound:
        yield replace(message, data=sound)


def shown(problems: Sequence[str], n_problems: int) -> tuple[str, ...]:
    """The first of them, and how many more there are."""
    first = tuple(itertools.islice(problems, MAX_SHOWN_PROBLEMS))
    n_more = n_problems - len(first)
    return (*first, f"and {n_more} more") if n_more > 0 else first
