"""The files of one run, from its plan to its report. Writer thread only.

`open`, then images, calibrations and full files in any order, then `finish` or `abandon`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from jfwriter.errors import PayloadError, RunRefused, StorageError
from jfwriter.hdf5.batch import Stored, write_batch
from jfwriter.hdf5.calibrations import Calibrations
from jfwriter.hdf5.data_file import DataFile, FileParts, FilledRows
from jfwriter.hdf5.data_files import LATE, DataFiles
from jfwriter.hdf5.file_facts import StoredFile
from jfwriter.hdf5.image_dataset import Scratch
from jfwriter.hdf5.manifest import Place, places_of, with_manifest
from jfwriter.hdf5.master_file import write_master
from jfwriter.hdf5.plugin import ImagePlugin
from jfwriter.hdf5.plugin_set import PluginSet
from jfwriter.hdf5.preflight import raw_image_bytes
from jfwriter.hdf5.run_account import RunAccount
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.run_journals import RunJournals
from jfwriter.hdf5.run_master import RunMaster
from jfwriter.hdf5.run_roots import RunRoots
from jfwriter.hdf5.storage import Storage
from jfwriter.journal.interface import Journal
from jfwriter.journal.sync_count import SyncCount
from jfwriter.payload import Codec
from jfwriter.session.orders import ClosedFile, CompareImage, FinishRun, Likeness, RunReport, WriteImage
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
        self.synced = SyncCount()
        """Images that are known to be on the disk."""
        self._journals = RunJournals(plan, settings, self.synced)
        self._calibrations = Calibrations()
        self._account = RunAccount(plan, self._plugins, self._calibrations)
        self._master = RunMaster(plan, self._plugins, self._account, self._calibrations)
        self._is_finished = False
        self._replace_manifest = plan.overwrite
        self._can_be_repeated = False
        """What it writes is made of something that stays: after a failure nothing half is published."""

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
        self._journals.open(self._roots.first)
        self._files = self._account.files = self._data_files(self._roots.first)

    def resume(
        self,
        directory: RunDirectory,
        published: Sequence[StoredFile],
        journal: Journal,
        untold: Sequence[int] = (),
        *,
        second: RunDirectory | None = None,
        replace_manifest: bool = False,
    ) -> None:
        """Instead of `open`: go on with a run of which the files `published` stand in `directory` already,
        and the files `untold`, of which nothing more is known than their indices. `second`: where it had gone
        on, and goes on now. `replace_manifest`: there is one of this run, which is written again.

        The directories are the writer's from now on.
        """
        self._roots = RunRoots(None, self._plan, directory)
        self._roots.second = second
        self._replace_manifest = replace_manifest
        self._can_be_repeated = True
        self._journals.take(journal)
        self._files = self._account.files = self._data_files(second or directory)
        for index in untold:
            self._files.leave(index)
        for stored in sorted(published, key=lambda stored: not stored.is_part):
            facts, where = stored.facts, second if stored.in_second else directory
            assert where is not None  # noqa: S101 it had gone on there
            self._account.losses.published.append(self._files.restore(stored, where))
            if self._plan.write_master:
                for image_id, number in facts.original_numbers:
                    self._master.original_numbers.add(image_id, number)
            first = facts.file_index * self._plan.images_per_file
            self._account.n_seen = max([self._account.n_seen, *(first + last + 1 for _, last in facts.rows)])

    def _data_files(self, directory: RunDirectory) -> DataFiles:
        parts = FileParts(
            self._plan,
            directory,
            self._plugins,
            Scratch(),
            self._journals.current,
            self._master.original_numbers,
            self._storage.direct_io if self._storage is not None and self._plan.direct_io else None,
        )
        raw_codec = Codec(self._settings.files.compress_raw_images)
        return DataFiles(parts, raw_codec, self._file_listener())

    def write_images(self, orders: Iterable[WriteImage]) -> Iterator[tuple[WriteImage, Stored]]:
        """Store images, whose framing was checked, and their quantities; yields what came of each.

        All are asked for at once. No reference to an image is kept. Raises StorageError if the run cannot go
        on: orders that were not yielded are not carried out then, and counted as lost.
        """
        files = self._files
        if files is None:
            for order in orders:
                self._account.n_counted += 1
                yield order, 0
            return
        store, keep = partial(self._store, files), partial(self._keep, files)
        yield from write_batch(orders, files.write_ahead, store, keep, self._go_on_with)

    def write_image(self, order: WriteImage) -> int:
        """`write_images` of one; returns the payload bytes stored. Raises PayloadError."""
        ((_, stored),) = self.write_images((order,))
        if isinstance(stored, PayloadError):
            raise stored
        return stored

    def compare(self, order: CompareImage) -> Likeness:
        """How an image that came again compares with the one that was stored. Raises nothing."""
        return Likeness.UNKNOWN if self._files is None else self._files.compare(order)

    def write_calibration(self, message: CalibrationMessage) -> None:
        """Keep a copy of the packed images for the master, if this writer makes it."""
        if self._files is not None and self._plan.write_master:
            self._calibrations.add(message)
            if self._journals.current is not None:
                self._journals.current.calibration(message)

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
        self._journals.ends(order.end)
        while self._files is not None and self._account.failure is None and not self._is_finished:
            try:
                self._finish_files(self._files, order)
                self._look_where_it_is()
            except StorageError as error:
                failure = StorageError(error.reason, str(error))
            else:
                self._is_finished = True
                break
            self._go_on_after(failure)
        if self._account.failure is not None:
            _log.error("run %s failed: %s", self._plan.prefix, self._account.failure)
        self._close_files()
        account = self._account
        report = account.report(order)
        if self._plan.manifest and self._files is not None:
            report = with_manifest(
                self._places(),
                report,
                account.losses.kept,
                account.master_bytes,
                self._journals.current,
                overwrite=self._replace_manifest,
            )
        self._let_go()
        return report

    def abandon(self) -> None:
        """Let go of everything; published files stay.

        After a failure of the storage, data files that can be closed and published with what they hold are.
        What could not be published keeps its temporary name if it holds images. A second call does nothing.
        """
        self._close_files()
        self._let_go()

    def _close_files(self) -> None:
        if self._roots is None:
            return
        storage_works = self._account.failure is None
        if storage_works and not self._is_finished:
            self._account.failure = StorageError("abandoned", "the run was given up before its end")
        if self._files is not None:
            if not storage_works:
                storage_works = self._roots.release_reserve()
                failure = self._account.failure
                if failure is not None and failure.reason not in HOPELESS and not self._can_be_repeated:
                    self._files.close_as_they_are()
            self._account.losses.abandoned.update(self._files.unpublished())
            for name in self._files.abandon(storage_works=storage_works):
                _log.warning(
                    "%s: what was written of an unfinished file stays in %s", self._plan.prefix, name
                )

    def _let_go(self) -> None:
        """Of the journals, which are in the directories, and of these."""
        self._journals.end(keep=self._leaves_raw_material())
        if self._roots is not None:
            self._roots.close()
            self._roots = None

    def _places(self) -> list[Place]:
        """Where the manifest may stand. A run that is recovered has no root: its directory is where it is."""
        if self._storage is not None:
            return places_of(self._storage, self._plan)
        return [] if self._roots is None else self._roots.places()

    def _go_on_with(self, failure: StorageError, orders: Sequence[WriteImage]) -> None:
        """Go on in the second root directory with `orders`, of which some may be in the files with a part.
        Raises `failure` if the run has failed."""
        for order in orders:
            if self._files is not None:
                self._files.forget(order)
        if not self._go_on_after(failure):
            self._account.losses.failed_with.update(order.image.image_id for order in orders)
            raise failure

    def _go_on_after(self, failure: StorageError) -> bool:
        """Go on in the second root directory, if there is one; else the run has failed."""
        second = None if self._roots is None else self._roots.after(failure)
        if second is None or self._files is None:
            self._account.failure = failure
            return False
        assert self._roots is not None  # noqa: S101 it has given the second
        self._journals.go_on_in(second, self._roots.first, self._account.losses, self._calibrations)
        for image_id in self._files.go_on_in(second, self._journals.current):
            self._account.losses.reject(image_id)
        return True

    def _leaves_raw_material(self) -> bool:
        """Whether a recovery could make files that are lacking now."""
        if self._is_finished:
            return False
        return bool(
            self._account.losses.abandoned or (self._account.losses.published and self._plan.write_master)
        )

    def _file_listener(self) -> Callable[[ClosedFile], None]:
        """Called for each published file. It does not hold the run writer, which holds the files that call
        it: in a circle all of them, and the start message, would stay until the garbage collector comes."""
        published, on_closed = self._account.losses.published, self._on_closed
        storage = None if self._roots is None else self._roots.storage
        image_bytes = 0 if storage is None else raw_image_bytes(self._plan)

        def closed(file: ClosedFile) -> None:
            published.append(file)
            if storage is not None:
                storage.compression.learn(file.n_written * image_bytes, file.size_bytes)
            on_closed(file)

        return closed

    def _store(self, files: DataFiles, order: WriteImage) -> int:
        """The pixels, and the journal: with its entry nothing of the image is lost any more."""
        try:
            file = files.for_image(order)
            n_bytes = file.images.write(order.row, order.image.channels)
        except PayloadError as error:
            self._account.losses.reject(order.image.image_id, late=error.reason == LATE)
            raise
        file.images.enter(order)
        return n_bytes

    def _keep(self, files: DataFiles, order: WriteImage) -> None:
        """What goes beside the pixels, which are in the file."""
        image = order.image
        file = files.for_image(order)
        self._account.losses.lost.discard(image.image_id)
        self._account.n_seen = max(self._account.n_seen, image.image_id + 1)
        original = image.original_image_id
        if original is not None and self._plan.write_master:
            self._master.original_numbers.add(image.image_id, original)
        file.append_rows(order.row, image, self._plugins.rows(image))

    def _finish_files(self, files: DataFiles, order: FinishRun) -> None:
        n_images = self._account.n_images(order)
        if self._plan.is_integrated:
            self._finish_single_file(files, order, n_images)
            return
        files.close_all(n_images)
        if self._plan.format is FileFormat.NXmxLegacy and self._plan.only_writer:
            n_left_out = files.create_missing(n_images)
            doubt = f"{n_left_out} data files without any image were not made: too many"
            if n_left_out and doubt not in self._account.reasons:  # after a failure this is done again
                self._account.reasons.append(doubt)
        self._look_for_gone()
        if self._plan.write_master and self._plan.format.has_master:
            assert self._roots is not None  # noqa: S101 opened with the files
            self._warn(self._master.write(files, order, self._roots, self._journals.current))
            self._master.look()
        self._look_for_gone()

    def _finish_single_file(self, files: DataFiles, order: FinishRun, n_images: int) -> None:
        if not files.is_open(0):
            files.open_empty(0, with_images=n_images > 0)

        def describe(file: DataFile, filled: FilledRows) -> None:
            content = self._master.content(files, order, filled.n_written)
            self._warn(write_master(file.h5, self._plan, content))

        files.close(0, n_images, describe)
        self._look_for_gone()

    def _look_for_gone(self) -> None:
        assert self._roots is not None  # noqa: S101 opened with the files
        self._account.look_for_gone(self._roots.size_of)

    def _look_where_it_is(self) -> None:
        """A directory that is moved during the run takes its files along; their names have been told."""
        if self._roots is not None and self._roots.has_moved():
            self._account.reasons.append(
                "the directory of the run was moved or replaced: its files are where it is now"
            )

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
