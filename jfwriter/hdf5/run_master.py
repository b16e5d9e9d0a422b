"""The master of a run: what it says, where it goes, and whether it stands there. Writer thread only."""

from __future__ import annotations

import time
from dataclasses import replace

from jfwriter.errors import StorageError
from jfwriter.hdf5.calibrations import Calibrations
from jfwriter.hdf5.checksums import promised_checksums
from jfwriter.hdf5.data_files import DataFiles
from jfwriter.hdf5.master_file import MasterContent
from jfwriter.hdf5.original_numbers import OriginalNumbers
from jfwriter.hdf5.pieces import as_seen_from
from jfwriter.hdf5.plugin_set import PluginSet
from jfwriter.hdf5.publish_master import publish_master
from jfwriter.hdf5.run_account import RunAccount
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.run_roots import RunRoots
from jfwriter.hdf5.shared_run import files_judged
from jfwriter.journal.interface import Journal
from jfwriter.session.orders import FinishRun
from jfwriter.session.plan import RunPlan


class RunMaster:
    """Collects for the master while the run goes on, and writes it at the end."""

    def __init__(
        self, plan: RunPlan, plugins: PluginSet, account: RunAccount, calibrations: Calibrations
    ) -> None:
        self._plan = plan
        self._plugins = plugins
        self._account = account
        self._calibrations = calibrations
        self._directory: RunDirectory | None = None
        """Where it was published."""
        self.original_numbers = OriginalNumbers()

    def content(self, files: DataFiles, order: FinishRun, n_written: int) -> MasterContent:
        """What the master says; `n_written`: images in the files that it stands for."""
        account = self._account
        order = account.entered(order)
        n_images = account.n_images(order)
        judged = files_judged(self._plan, n_images, files.stored_paths, order.missing)
        outcome, reasons = account.verdict(order)
        return MasterContent(
            n_images=n_images,
            n_written=n_written if judged is None else None,
            files_judged=judged,
            written_at_s=time.time(),
            outcome=outcome,
            reasons=reasons,
            end=order.end,
            missing=order.missing,
            statuses=account.statuses(order, n_images),
            channels={name: image_format.dtype for name, image_format in files.formats.items()},
            datasets=(*self._plugins.configured(), *promised_checksums(self._plan), *files.datasets.values()),
            stored_paths=files.stored_paths,
            image_groups=files.image_groups,
            calibrations=self._calibrations.messages,
            original_ids=self.original_numbers,
            figures=order.figures,
            pieces=files.left.pieces,
        )

    def write(
        self, files: DataFiles, order: FinishRun, roots: RunRoots, journal: Journal | None
    ) -> list[str]:
        """Publish it in the first directory if that takes it, else in the second; says what was left out.

        `journal`: as long as the run is followed. Raises StorageError.
        """
        content = self.content(files, order, self._account.losses.n_kept)
        try:
            return self._publish(roots.first, content, journal)
        except StorageError as error:
            failure = StorageError(error.reason, str(error))
        if roots.second is None:
            raise failure
        return self._publish(roots.second, replace(content, data_directory=roots.first.absolute), journal)

    def _publish(self, directory: RunDirectory, content: MasterContent, journal: Journal | None) -> list[str]:
        account = self._account
        content = replace(content, pieces=as_seen_from(content.pieces, directory.absolute))
        size_bytes, warnings = publish_master(directory, self._plan, content, account.losses.kept, journal)
        account.master_bytes = size_bytes
        account.master_name = directory.relative(self._plan.master_name)
        self._directory = directory
        return warnings

    def look(self) -> None:
        """Does the published master stand there whole? Raises StorageError."""
        assert self._directory is not None  # noqa: S101 it was published
        name, expected = self._plan.master_name, self._account.master_bytes
        found = self._directory.size_of(name)
        if found != expected:
            raise StorageError("read_back", f"{name} has {found} bytes, not {expected} as written")
