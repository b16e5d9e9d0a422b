"""The files of one run, from its plan to its report. Writer thread only.

`open`, then images, calibrations and full files in any order, then `finish` or `abandon`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from jfwriter.errors import PayloadError, RunRefused, StorageError
from jfwriter.hdf5.calibrations import Calibrations
from jfwriter.hdf5.checksums import promised_checksums
from jfwriter.hdf5.data_file import DataFile, FileParts, FilledRows
from jfwriter.hdf5.data_files import LATE, DataFiles
from jfwriter.hdf5.file_facts import FileFacts
from jfwriter.hdf5.image_dataset import Scratch
from jfwriter.hdf5.image_statuses import ImageStatuses, n_in_files
from jfwriter.hdf5.losses import Losses, base_name, with_missing
from jfwriter.hdf5.manifest import write_manifest
from jfwriter.hdf5.master_file import MasterContent, write_master
from jfwriter.hdf5.original_numbers import OriginalNumbers
from jfwriter.hdf5.pieces import as_seen_from
from jfwriter.hdf5.plugin import ImagePlugin
from jfwriter.hdf5.plugin_set import PluginSet
from jfwriter.hdf5.preflight import raw_image_bytes
from jfwriter.hdf5.publish_master import publish_master
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.run_ranges import with_images
from jfwriter.hdf5.run_roots import RunRoots
from jfwriter.hdf5.shared_run import files_judged
from jfwriter.hdf5.storage import Storage
from jfwriter.journal.interface import Journal
from jfwriter.journal.run_journal import RunJournal
from jfwriter.journal.sync_count import SyncCount
from jfwriter.payload import Codec
from jfwriter.session.ledger import Bits
from jfwriter.session.orders import ClosedFile, DropReason, FinishRun, Outcome, RunReport, WriteImage
from jfwriter.session.plan import N_WRITERS_UNKNOWN, FileFormat, RunPlan
from jfwriter.settings import Settings
from jfwriter.wire.messages import CalibrationMessage

_log = logging.getLogger(__name__)


HOPELESS = frozenset({"file_too_large", "read_only", "root_gone", "no_permission"})
"""Failures after which no open file can be brought to its end."""


class RunWriter:
    """Writes one run. `on_closed` is called for each data file after it stands under its final name.

    What is really in the files is counted here and not taken from the session. Errors carry text only: no
    HDF5 object and no h5py exception.
    """

    def __init__(
        self,
        plan: RunPlan,
        plugins: Sequence[ImagePlugin],
        settings: Settings,
        on_closed: Callable[[ClosedFile], None],
        storage: Storage | None = None,
    ) -> None:
        """`storage` None: that of `settings`, for this run alone."""
        self._plan = plan
        self._storage = storage
        self._plugins = PluginSet(plugins)
        self._settings = settings
        self._on_closed = on_closed
        self._roots: RunRoots | None = None
        self._files: DataFiles | None = None
        self._journal: Journal | None = None
        self.synced = SyncCount()
        """Images that are known to be on the disk."""
        self._master_name = ""
        self._master_directory: RunDirectory | None = None
        self._calibrations = Calibrations()
        self._original_numbers = OriginalNumbers()
        self._n_seen = 0
        """Highest image id that was stored, plus one."""
        self._n_counted = 0
        """Images of a run that writes no file."""
        self._losses = Losses()
        self._failure: StorageError | None = None
        self._is_finished = False
        self._master_bytes: int | None = None
        self._reasons: list[str] = []
        """What keeps the run from being complete."""

    def open(self) -> None:
        """Find or make the directory; see that no file of the run stands there.

        Raises RunRefused naming the file, StorageError where a directory cannot be made.
        """
        if not self._plan.writes_files:
            return
        if not self._plan.only_writer and self._plan.n_writers == 0:
            _log.warning("%s: %s", self._plan.prefix, N_WRITERS_UNKNOWN)
        self._storage = self._storage or _storage(self._settings)
        self._roots = RunRoots.open(self._storage, self._plan)
        first = self._roots.first
        self._journal = RunJournal.open(self._plan, self._settings, first.descriptor, self.synced)
        self._files = self._data_files(first)

    def resume(
        self,
        directory: RunDirectory,
        published: Sequence[FileFacts],
        journal: Journal,
        untold: Sequence[int] = (),
    ) -> None:
        """Instead of `open`: go on with a run of which the files `published` stand in `directory` already,
        and the files `untold`, of which nothing more is known than their indices.

        The directory is the writer's from now on.
        """
        self._roots = RunRoots(None, self._plan, directory)
        self._journal = journal
        self._files = self._data_files(directory)
        for index in untold:
            self._files.leave(index)
        for facts in published:
            self._losses.published.append(self._files.restore(facts))
            if self._plan.write_master:
                for image_id, number in facts.original_numbers:
                    self._original_numbers.add(image_id, number)
            first = facts.file_index * self._plan.images_per_file
            self._n_seen = max([self._n_seen, *(first + last + 1 for _, last in facts.rows)])

    def _data_files(self, directory: RunDirectory) -> DataFiles:
        parts = FileParts(
            self._plan, directory, self._plugins, Scratch(), self._journal, self._original_numbers
        )
        raw_codec = Codec(self._settings.files.compress_raw_images)
        return DataFiles(parts, raw_codec, self._file_closed)

    def write_image(self, order: WriteImage) -> int:
        """Store an image, whose framing was checked, and its quantities; returns the payload bytes stored.

        No reference to the image is kept. Raises PayloadError if this image cannot be stored, StorageError
        if the run cannot go on.
        """
        if self._files is None:
            self._n_counted += 1
            return 0
        while True:
            try:
                return self._store(self._files, order)
            except PayloadError as error:
                self._losses.reject(order.image.image_id, late=error.reason == LATE)
                raise
            except StorageError as error:
                failure = StorageError(error.reason, str(error))
            if not self._go_on_after(failure, order):
                self._losses.failed_with.add(order.image.image_id)
                raise failure

    def write_calibration(self, message: CalibrationMessage) -> None:
        """Keep a copy of the packed images for the master, if this writer makes it."""
        if self._files is not None and self._plan.write_master:
            self._calibrations.add(message)
            if self._journal is not None:
                self._journal.calibration(message)

    def close_file(self, file_index: int) -> None:
        """A data file is full: check, publish and tell of it. Raises StorageError."""
        while self._files is not None and self._files.is_open(file_index):
            try:
                self._files.close(file_index, self._plan.images_per_file)
            except StorageError as error:
                failure = StorageError(error.reason, str(error))
            else:
                return
            if not self._go_on_after(failure):
                raise failure

    def finish(self, order: FinishRun) -> RunReport:
        """Close what is open, write the master, and say what stands there now. The images that `order`
        counts as received are those written and those dropped.

        Never raises StorageError: a run that cannot be finished is abandoned and reported as failed, and so
        is one that has failed before.
        """
        if self._followed is not None:
            self._followed.ends(order.end)
        while self._files is not None and self._failure is None and not self._is_finished:
            try:
                self._finish_files(self._files, order)
                self._look_where_it_is()
            except StorageError as error:
                failure = StorageError(error.reason, str(error))
            else:
                self._is_finished = True
                break
            self._go_on_after(failure)
        if self._failure is not None:
            _log.error("run %s failed: %s", self._plan.prefix, self._failure)
        self.abandon()
        return self._with_manifest(self._report(order))

    def abandon(self) -> None:
        """Let go of everything; published files stay.

        After a failure of the storage, data files that can be closed and published with what they hold are.
        What could not be published keeps its temporary name if it holds images. A second call does nothing.
        """
        if self._roots is None:
            return
        storage_works = self._failure is None
        if storage_works and not self._is_finished:
            self._failure = StorageError("abandoned", "the run was given up before its end")
        if self._files is not None:
            if not storage_works:
                storage_works = self._roots.release_reserve()
                if self._failure is not None and self._failure.reason not in HOPELESS:
                    self._files.close_as_they_are()
            self._losses.abandoned.update(self._files.unpublished())
            for name in self._files.abandon(storage_works=storage_works):
                _log.warning(
                    "%s: what was written of an unfinished file stays in %s", self._plan.prefix, name
                )
        if self._journal is not None:
            self._journal.end(keep=self._leaves_raw_material())
            self._journal = None
        self._roots.close()
        self._roots = None

    def _go_on_after(self, failure: StorageError, order: WriteImage | None = None) -> bool:
        """Go on in the second root directory, if there is one; else the run has failed. `order`: the image
        that could not be written."""
        if order is not None and self._files is not None:
            self._files.forget(order)
        second = None if self._roots is None else self._roots.after(failure)
        if second is None or self._files is None:
            self._failure = failure
            return False
        for image_id in self._files.go_on_in(second):
            self._losses.reject(image_id)
        return True

    @property
    def _followed(self) -> Journal | None:
        """The journal, as long as it is kept: it ends where the run goes on in the second root directory."""
        is_left = self._roots is not None and self._roots.second is not None
        return None if is_left else self._journal

    def _leaves_raw_material(self) -> bool:
        """Whether a recovery could make files that are lacking now."""
        if self._is_finished:
            return False
        return bool(self._losses.abandoned or (self._losses.published and self._plan.write_master))

    def _file_closed(self, file: ClosedFile) -> None:
        self._losses.published.append(file)
        storage = None if self._roots is None else self._roots.storage
        if storage is not None:
            storage.compression.learn(file.n_written * raw_image_bytes(self._plan), file.size_bytes)
        self._on_closed(file)

    def _store(self, files: DataFiles, order: WriteImage) -> int:
        image = order.image
        file = files.for_image(order)
        n_bytes = file.write(order.row, image.channels)
        file.enter(order)
        self._losses.lost.discard(image.image_id)
        self._n_seen = max(self._n_seen, image.image_id + 1)
        if image.original_image_id is not None and self._plan.write_master:
            self._original_numbers.add(image.image_id, image.original_image_id)
        file.append_rows(order.row, self._plugins.rows(image))
        return n_bytes

    def _finish_files(self, files: DataFiles, order: FinishRun) -> None:
        n_images = self._n_images(order)
        if self._plan.is_integrated:
            self._finish_single_file(files, order, n_images)
            return
        files.close_all(n_images)
        if self._plan.format is FileFormat.NXmxLegacy and self._plan.only_writer:
            n_left_out = files.create_missing(n_images)
            if n_left_out:
                self._reasons.append(f"{n_left_out} data files without any image were not made: too many")
        self._look_for_gone()
        if self._plan.write_master and self._plan.format.has_master:
            self._write_master(files, order, n_images)
            self._look_at_master()
        self._look_for_gone()

    def _finish_single_file(self, files: DataFiles, order: FinishRun, n_images: int) -> None:
        if not files.is_open(0):
            files.open_empty(0, with_images=n_images > 0)

        def describe(file: DataFile, filled: FilledRows) -> None:
            content = self._content(files, order, n_images, filled.n_written)
            self._warn(write_master(file.h5, self._plan, content))

        files.close(0, n_images, describe)
        self._look_for_gone()

    def _write_master(self, files: DataFiles, order: FinishRun, n_images: int) -> None:
        """In the first directory if it takes it, else in the second."""
        assert self._roots is not None  # noqa: S101 opened with the files
        content = self._content(files, order, n_images, self._losses.n_kept)
        try:
            self._publish_master(self._roots.first, content)
        except StorageError as error:
            failure = StorageError(error.reason, str(error))
        else:
            return
        second = self._roots.second or self._roots.after(failure)
        if second is None:
            raise failure
        self._publish_master(second, replace(content, data_directory=self._roots.first.absolute))

    def _publish_master(self, directory: RunDirectory, content: MasterContent) -> None:
        content = replace(content, pieces=as_seen_from(content.pieces, directory.absolute))
        self._master_bytes, warnings = publish_master(
            directory, self._plan, content, self._losses.kept, self._followed
        )
        self._master_directory = directory
        self._master_name = directory.relative(self._plan.master_name)
        self._warn(warnings)

    def _look_for_gone(self) -> None:
        """Files that somebody took away or cut off while the run went on: their images count as dropped."""
        assert self._roots is not None  # noqa: S101 opened with the files
        before = len(self._losses.gone)
        self._losses.look_for_gone(self._roots.size_of)
        gone = self._losses.gone
        if len(gone) > before:
            self._reasons.append(
                f"{len(gone)} published files are gone or cut off, {base_name(gone[0])} first"
            )

    def _look_at_master(self) -> None:
        """Does the master stand under its final name? Raises StorageError."""
        assert self._master_directory is not None  # noqa: S101 it was published
        name = self._plan.master_name
        found = self._master_directory.size_of(name)
        if found != self._master_bytes:
            raise StorageError("read_back", f"{name} has {found} bytes, not {self._master_bytes} as written")

    def _look_where_it_is(self) -> None:
        """A directory that is moved during the run takes its files along; their names have been told."""
        if self._roots is not None and self._roots.has_moved():
            self._reasons.append(
                "the directory of the run was moved or replaced: its files are where it is now"
            )

    def _content(self, files: DataFiles, order: FinishRun, n_images: int, n_written: int) -> MasterContent:
        order = self._entered(order)
        missing = order.missing
        judged = files_judged(self._plan, n_images, files.stored_paths, missing)
        outcome, reasons = self._verdict(order)
        return MasterContent(
            n_images=n_images,
            n_written=n_written if judged is None else None,
            files_judged=judged,
            written_at_s=time.time(),
            outcome=outcome,
            reasons=reasons,
            end=order.end,
            missing=missing,
            statuses=self._statuses(order, n_images),
            channels={name: image_format.dtype for name, image_format in files.formats.items()},
            datasets=(*self._plugins.configured(), *promised_checksums(self._plan), *files.datasets.values()),
            stored_paths=files.stored_paths,
            image_groups=files.image_groups,
            calibrations=self._calibrations.messages,
            original_ids=self._original_numbers,
            figures=order.figures,
            pieces=files.left.pieces,
        )

    def _n_images(self, order: FinishRun) -> int:
        return max(order.n_images, self._n_seen)

    def _report(self, order: FinishRun) -> RunReport:
        order = self._entered(order)
        outcome, reasons = self._verdict(order)
        by_status: Mapping[str, int] = {}
        if self._plan.writes_files:
            by_status = self._statuses(order, self._n_images(order)).counts()
            if outcome is Outcome.COMPLETE and n_in_files(by_status) != self._losses.n_kept:
                counted = f"{n_in_files(by_status)} images were written, the files have {self._losses.n_kept}"
                outcome, reasons = Outcome.INCOMPLETE, (counted, *reasons)
        return RunReport(
            plan=self._plan,
            outcome=outcome,
            reasons=(*reasons, *self._notes()),
            by_status=by_status,
            n_images=self._n_images(order),
            n_written=self._n_counted if self._files is None else self._losses.n_kept,
            missing=order.missing,
            files=self._names(),
            written_bytes=sum(file.size_bytes for file in self._losses.kept) + (self._master_bytes or 0),
            dropped=order.dropped,
            problems=dict(self._plugins.problems),
            n_received=order.n_received,
            n_never_came=order.n_never_came,
            n_unexpected=order.n_unexpected,
            n_calibrations_dropped=order.n_calibrations_dropped,
            failure="" if self._failure is None else self._failure.reason,
        )

    def _with_manifest(self, report: RunReport) -> RunReport:
        """Write the manifest if it is wanted; a run whose manifest is missing is not complete."""
        if not self._plan.manifest or self._files is None or self._storage is None:
            return report
        kept = self._losses.kept
        problem = write_manifest(self._storage, report, kept, self._master_bytes, time.time())
        if not problem:
            return replace(report, manifest="/".join((*self._plan.directory, self._plan.manifest_name)))
        _log.error("%s: no manifest: %s", self._plan.prefix, problem)
        outcome = Outcome.INCOMPLETE if report.outcome is Outcome.COMPLETE else report.outcome
        return replace(report, outcome=outcome, reasons=(*report.reasons, f"no manifest: {problem}"))

    def _entered(self, order: FinishRun) -> FinishRun:
        """`order` with all that this writer was given and has not, and with what nobody knows the end of."""
        order = self._losses.enter(order, self._plan.images_per_file)
        if self._files is None:
            return order
        odd = self._statuses(order, self._n_images(order)).unexplained()
        if not odd:
            return order
        # Whatever the sender left out on purpose, nobody has accounted for these.
        order = replace(order, gaps_are_wanted=False)
        return with_missing(order, with_images((*order.missing, *odd), ()))

    def _statuses(self, order: FinishRun, n_images: int) -> ImageStatuses:
        """`order`: the completed one."""
        return ImageStatuses(
            n_images,
            Bits() if self._files is None else self._files.written,
            order,
            self._losses.gone_rows(self._plan.images_per_file),
            only_writer=self._plan.only_writer,
        )

    def _verdict(self, order: FinishRun) -> tuple[Outcome, tuple[str, ...]]:
        """The session's verdict, lowered by what went wrong here. `order`: the completed one."""
        reasons = [*self._reasons, *self._doubts(order)]
        outcome = order.outcome
        if self._failure is not None:
            outcome = Outcome.FAILED
            reasons.insert(0, f"{self._failure.reason}: {self._failure}")
        elif outcome is Outcome.COMPLETE and (reasons or (order.missing and not order.gaps_are_wanted)):
            outcome = Outcome.INCOMPLETE
        return outcome, (*reasons, *order.reasons)

    def _doubts(self, order: FinishRun) -> list[str]:
        """`order`: the completed one."""
        doubts = [
            f"quantity {name!r} was given up after an error: {text}"
            for name, text in self._plugins.failures.items()
        ]
        n_unkept = len(self._losses.lost) + order.dropped.get(DropReason.RUN_FAILED, 0)
        if n_unkept:
            doubts.append(f"{n_unkept} {_images(n_unkept)} came but could not be kept")
        if self._calibrations.n_left_out:
            n_left_out = self._calibrations.n_left_out
            doubts.append(f"{n_left_out} calibration {_images(n_left_out)} left out: too large")
        if self._files is not None:
            doubts += self._files.left.only_in_parts
        if self._files is not None and self._files.n_rows_unfilled:
            n_rows = self._files.n_rows_unfilled
            doubts.append(f"{n_rows} missing {_images(n_rows)} without fill values: too many")
        return doubts

    def _names(self) -> tuple[str, ...]:
        names = sorted(file.filename for file in self._losses.kept)
        return tuple(names) if self._master_bytes is None else (*names, self._master_name)

    def _notes(self) -> list[str]:
        """What a person should know although nothing is missing."""
        spilled = [file for file in self._losses.kept if file.filename.startswith("/")]
        if not spilled:
            return []
        n_images = sum(file.n_written for file in spilled)
        where = f"{len(spilled)} files are in the second root directory"
        return [f"spilled: {n_images} {_images(n_images)} in {where}"]

    def _warn(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            _log.warning("%s: %s", self._plan.prefix, warning)


def _storage(settings: Settings) -> Storage:
    failure = None
    try:
        return Storage(settings.files)
    except OSError as error:
        failure = RunRefused("not_found", f"the root directory cannot be opened: {error.strerror or error}")
    raise failure


def _images(n_images: int) -> str:
    return "image" if n_images == 1 else "images"
