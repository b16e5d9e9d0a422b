"""Images that came and were not kept, entered into the order that ends their run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from jfwriter.hdf5.run_ranges import with_images
from jfwriter.session.image_status import ImageStatus
from jfwriter.session.orders import STATUS_OF, ClosedFile, DropReason, FinishRun, Range
from jfwriter.session.verdict import missing_text


def with_losses(
    order: FinishRun, image_ids: Collection[int], reason: DropReason, n_dropped: int | None = None
) -> FinishRun:
    """`order` with `image_ids` missing and dropped for `reason`; its reasons name all that is missing.

    `n_dropped`: images to count, if not one for each id (one may have come twice).
    """
    n_dropped = len(image_ids) if n_dropped is None else n_dropped
    dropped = dict(order.dropped)
    if n_dropped:
        dropped[reason.value] = dropped.get(reason.value, 0) + n_dropped
    order.marks.set(image_ids, STATUS_OF[reason])
    return with_missing(replace(order, dropped=dropped), with_images(order.missing, image_ids))


def with_missing(order: FinishRun, missing: tuple[Range, ...]) -> FinishRun:
    """`order` with all that is missing, which includes what it knew before."""
    if missing == order.missing:
        return order
    said, now = missing_text(order.missing), missing_text(missing)
    reasons = (
        tuple(now if reason == said else reason for reason in order.reasons)
        if said in order.reasons
        else (now, *order.reasons)
    )
    return replace(order, missing=missing, reasons=reasons)


@dataclass(slots=True)
class Losses:
    """What one run writer was given and does not have in a file."""

    lost: set[int] = field(default_factory=set)
    """Images that could not be stored and have not come again."""
    late: set[int] = field(default_factory=set)
    """Those of them whose data file was closed already."""
    n_rejected: int = 0
    """How often an image could not be stored although the run goes on."""
    failed_with: set[int] = field(default_factory=set)
    """The image at which the run failed, and those that were to be stored together with it."""
    abandoned: set[int] = field(default_factory=set)
    """Images in files that were not published."""
    published: list[ClosedFile] = field(default_factory=list)
    gone: list[ClosedFile] = field(default_factory=list)
    """Published files that somebody took away."""

    def reject(self, image_id: int, *, late: bool = False) -> None:
        """An image cannot be stored; it may come again. `late`: its data file is closed."""
        self.lost.add(image_id)
        if late:
            self.late.add(image_id)
        self.n_rejected += 1

    def look_for_gone(self, size_of: Callable[[ClosedFile], int | None]) -> None:
        """`size_of` tells the size in bytes of a file, None if it is not there.

        A file may have grown since (somebody added to it), but one that is smaller has lost something.
        """
        self.gone = [file for file in self.published if (size_of(file) or 0) < file.size_bytes]

    @property
    def kept(self) -> list[ClosedFile]:
        """Published files that stand there."""
        gone = {file.filename for file in self.gone}
        return [file for file in self.published if file.filename not in gone]

    @property
    def n_kept(self) -> int:
        """Images in files that stand there."""
        return sum(file.n_written for file in self.kept)

    @property
    def n_gone(self) -> int:
        """Images in files that were taken away."""
        return sum(file.n_written for file in self.gone)

    def enter(self, order: FinishRun, images_per_file: int) -> FinishRun:
        """`order` with all of it."""
        order = with_losses(order, self.lost, DropReason.WRITE_FAILED, self.n_rejected)
        order.marks.set(self.late & self.lost, ImageStatus.LATE)
        order = with_losses(order, self.abandoned | self.failed_with, DropReason.RUN_FAILED)
        order = with_losses(order, (), DropReason.FILE_GONE, self.n_gone)
        return with_missing(order, with_images((*order.missing, *self.gone_rows(images_per_file)), ()))

    def gone_rows(self, images_per_file: int) -> tuple[Range, ...]:
        """All rows of the files that were taken away."""
        firsts = [(file.file_index * images_per_file, file.n_rows) for file in self.gone]
        return tuple((first, first + n_rows - 1) for first, n_rows in firsts)


def base_name(file: ClosedFile) -> str:
    return file.filename.rpartition("/")[2]
