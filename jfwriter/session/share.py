"""Which images of a run are this writer's: several writers share a run by data file.

File k goes to the writer on socket k modulo n (`docs/reference/session.md`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jfwriter.session.ledger import Ids, Ledger, Mask
from jfwriter.session.plan import RunPlan


@dataclass(frozen=True, slots=True)
class Share:
    """This writer's files: every `stride`-th from `first`, and those of which it got images.

    `stride` 1: all of them. `stride` 0: file `first` alone. `first` None: only those with images.
    `is_known` False: guessed from what came, so other files may be this writer's too.
    """

    first: int | None
    stride: int
    is_known: bool = True

    @property
    def is_whole_run(self) -> bool:
        return self.stride == 1

    def judges_files(self, file_indices: Ids, ledger: Ledger) -> Mask:
        with_images = ledger.has_images_in_each(file_indices)
        if self.first is None:
            return with_images
        distance = file_indices - self.first
        own: Mask = (distance if self.stride == 0 else distance % self.stride) == 0
        return with_images | own


_WHOLE_RUN = Share(0, 1)


def share_of(plan: RunPlan, n_writers: int, ledger: Ledger, n_images: int) -> Share:
    """The files that this writer must have images of, for a run of `n_images` images.

    With an unknown number of writers (0) the files that came tell it as far as it can be told: all of
    them and the writer's first one lie a multiple of n apart, so a file that lies a multiple of their
    greatest common distance away is this writer's too, and two neighbours mean that it is the only one.
    """
    socket = plan.start.socket_number
    if plan.only_writer or socket is None:
        return _WHOLE_RUN
    n_files = plan.n_files(n_images)
    files = ledger.files_with_images(n_files)
    if files.size == n_files or (n_files == 1 and socket == 0):
        return _WHOLE_RUN
    if n_writers > socket:
        return Share(socket, n_writers)
    if n_writers == 0 and not np.any(files < socket):
        return Share(socket, int(np.gcd.reduce(files - socket)) if files.size else 0, is_known=False)
    return Share(None, 0, is_known=False)


def judged_images(plan: RunPlan, share: Share, ledger: Ledger, image_ids: Ids) -> Mask:
    """Which of `image_ids` lie in files that this writer answers for."""
    if plan.images_per_file == 0:
        return share.judges_files(np.zeros_like(image_ids), ledger)
    return share.judges_files(image_ids // plan.images_per_file, ledger)
