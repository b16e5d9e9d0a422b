"""What became of a run on its writer: counts, losses, doubts, and the verdict and report that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from jfwriter.errors import StorageError
from jfwriter.hdf5.calibrations import Calibrations
from jfwriter.hdf5.data_files import DataFiles
from jfwriter.hdf5.image_statuses import ImageStatuses, n_in_files
from jfwriter.hdf5.losses import Losses, base_name, with_missing
from jfwriter.hdf5.plugin_set import PluginSet
from jfwriter.hdf5.run_ranges import with_images
from jfwriter.session.ledger import Bits
from jfwriter.session.orders import ClosedFile, DropReason, FinishRun, Outcome, RunReport
from jfwriter.session.plan import RunPlan


class RunAccount:
    """The books of one run. Writer thread only; the run writer enters what happens.

    What is really in the files is counted here and not taken from the session.
    """

    def __init__(self, plan: RunPlan, plugins: PluginSet, calibrations: Calibrations) -> None:
        self._plan = plan
        self._plugins = plugins
        self._calibrations = calibrations
        self.files: DataFiles | None = None
        """None: the run writes no file."""
        self.losses = Losses()
        self.failure: StorageError | None = None
        """Why the run cannot go on."""
        self.reasons: list[str] = []
        """What keeps the run from being complete."""
        self.n_seen = 0
        """Highest image id that was stored, plus one."""
        self.n_counted = 0
        """Images of a run that writes no file."""
        self.master_name = ""
        """Of the published master, relative to the root."""
        self.master_bytes: int | None = None
        """None: there is no master."""

    def n_images(self, order: FinishRun) -> int:
        return max(order.n_images, self.n_seen)

    def entered(self, order: FinishRun) -> FinishRun:
        """`order` with all that this writer was given and has not, and with what nobody knows the end of."""
        order = self.losses.enter(order, self._plan.images_per_file)
        if self.files is None:
            return order
        odd = self.statuses(order, self.n_images(order)).unexplained()
        if not odd:
            return order
        # Whatever the sender left out on purpose, nobody has accounted for these.
        order = replace(order, gaps_are_wanted=False)
        return with_missing(order, with_images((*order.missing, *odd), ()))

    def statuses(self, order: FinishRun, n_images: int) -> ImageStatuses:
        """`order`: the completed one."""
        return ImageStatuses(
            n_images,
            Bits() if self.files is None else self.files.written,
            order,
            self.losses.gone_rows(self._plan.images_per_file),
            only_writer=self._plan.only_writer,
        )

    def verdict(self, order: FinishRun) -> tuple[Outcome, tuple[str, ...]]:
        """The session's verdict, lowered by what went wrong here. `order`: the completed one."""
        reasons = [*self.reasons, *self._doubts(order)]
        outcome = order.outcome
        if self.failure is not None:
            outcome = Outcome.FAILED
            reasons.insert(0, f"{self.failure.reason}: {self.failure}")
        elif outcome is Outcome.COMPLETE and (reasons or (order.missing and not order.gaps_are_wanted)):
            outcome = Outcome.INCOMPLETE
        return outcome, (*reasons, *order.reasons)

    def report(self, order: FinishRun) -> RunReport:
        order = self.entered(order)
        outcome, reasons = self.verdict(order)
        by_status: Mapping[str, int] = {}
        if self._plan.writes_files:
            by_status = self.statuses(order, self.n_images(order)).counts()
            if outcome is Outcome.COMPLETE and n_in_files(by_status) != self.losses.n_kept:
                counted = f"{n_in_files(by_status)} images were written, the files have {self.losses.n_kept}"
                outcome, reasons = Outcome.INCOMPLETE, (counted, *reasons)
        return RunReport(
            plan=self._plan,
            outcome=outcome,
            reasons=(*reasons, *self._notes()),
            by_status=by_status,
            n_images=self.n_images(order),
            n_written=self.n_counted if self.files is None else self.losses.n_kept,
            missing=order.missing,
            files=self._names(),
            written_bytes=sum(file.size_bytes for file in self.losses.kept) + (self.master_bytes or 0),
            dropped=order.dropped,
            problems=dict(self._plugins.problems),
            n_received=order.n_received,
            n_never_came=order.n_never_came,
            n_unexpected=order.n_unexpected,
            n_calibrations_dropped=order.n_calibrations_dropped,
            failure="" if self.failure is None else self.failure.reason,
        )

    def look_for_gone(self, size_of: Callable[[ClosedFile], int | None]) -> None:
        """Files that somebody took away or cut off while the run went on: their images count as dropped."""
        before = len(self.losses.gone)
        self.losses.look_for_gone(size_of)
        gone = self.losses.gone
        if len(gone) > before:
            self.reasons.append(
                f"{len(gone)} published files are gone or cut off, {base_name(gone[0])} first"
            )

    def _doubts(self, order: FinishRun) -> list[str]:
        """`order`: the completed one."""
        doubts = [
            f"quantity {name!r} was given up after an error: {text}"
            for name, text in self._plugins.failures.items()
        ]
        n_unkept = len(self.losses.lost) + order.dropped.get(DropReason.RUN_FAILED, 0)
        if n_unkept:
            doubts.append(f"{n_unkept} {_images(n_unkept)} came but could not be kept")
        if self._calibrations.n_left_out:
            n_left_out = self._calibrations.n_left_out
            doubts.append(f"{n_left_out} calibration {_images(n_left_out)} left out: too large")
        if self.files is not None:
            doubts += self.files.left.only_in_parts
        if self.files is not None and self.files.n_rows_unfilled:
            n_rows = self.files.n_rows_unfilled
            doubts.append(f"{n_rows} missing {_images(n_rows)} without fill values: too many")
        return doubts

    def _names(self) -> tuple[str, ...]:
        names = sorted(file.filename for file in self.losses.kept)
        return tuple(names) if self.master_bytes is None else (*names, self.master_name)

    def _notes(self) -> list[str]:
        """What a person should know although nothing is missing."""
        spilled = [file for file in self.losses.kept if file.filename.startswith("/")]
        if not spilled:
            return []
        n_images = sum(file.n_written for file in spilled)
        where = f"{len(spilled)} files are in the second root directory"
        return [f"spilled: {n_images} {_images(n_images)} in {where}"]


def _images(n_images: int) -> str:
    return "image" if n_images == 1 else "images"
