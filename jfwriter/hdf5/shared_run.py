"""What one of several writers can say of the whole run in its master: its own part, and which it is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from jfwriter.session.orders import Range
from jfwriter.session.plan import RunPlan


def files_judged(
    plan: RunPlan, n_images: int, files: Iterable[int], missing: Iterable[Range]
) -> npt.NDArray[np.int64] | None:
    """Numbers, as in their names, of the data files of which this writer knows what is missing; None: all.

    int64 [f]. They are those that are its own by their number, `files` (indices) that it wrote, and those in
    which images of `missing` lie.
    """
    n_files = plan.n_files(n_images)
    if plan.only_writer or n_files == 0:
        return None
    is_judged = np.zeros(n_files, np.bool_)
    socket, n_writers = plan.start.socket_number, plan.n_writers
    if socket is not None and socket < n_files:
        is_judged[socket :: n_writers if n_writers > socket else n_files] = True
    is_judged[[index for index in files if index < n_files]] = True
    for first, last in missing:
        is_judged[plan.place(first)[0] : plan.place(last)[0] + 1] = True
    return None if is_judged.all() else np.flatnonzero(is_judged).astype(np.int64) + 1
