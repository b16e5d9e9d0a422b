"""The verdict on a run and what became of each image, as the master has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.reader.contents import DETECTOR_SPECIFIC, MAX_IMAGES
from jfwriter.reader.fields import text_of, texts_of, vector_of
from jfwriter.reader.nodes import TROUBLE, dataset_at

MAX_REASONS = 1000
_NO_STATUSES = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """`outcome` is complete, incomplete or cancelled, None if the file does not say.

    `statuses` uint8 [n_images] has a number for each image, `names` says what the numbers mean; both are
    empty where the file has none.
    """

    outcome: str | None = None
    reasons: tuple[str, ...] = ()
    statuses: npt.NDArray[np.uint8] = field(default_factory=lambda: _NO_STATUSES)
    names: Mapping[int, str] = field(default_factory=dict)

    def counts(self) -> Mapping[str, int]:
        """Images by the name of their status, most images first."""
        numbers, n_each = np.unique(self.statuses, return_counts=True)
        order = np.argsort(-n_each, kind="stable")
        return {self.name(int(numbers[i])): int(n_each[i]) for i in order}

    def images(self, name: str) -> npt.NDArray[np.int64]:
        """Numbers of the images of this status, e.g. "never_came"."""
        wanted = [number for number, known in self.names.items() if known == name]
        return np.flatnonzero(np.isin(self.statuses, wanted))

    def name(self, number: int) -> str:
        return self.names.get(number, f"status {number}")


def read_outcome(file: h5py.File) -> RunOutcome:
    """What an open master (or the one file of an integrated run) says; never raises for what it holds."""
    reasons = texts_of(file, f"{DETECTOR_SPECIFIC}/outcome_reasons", MAX_REASONS)
    statuses, names = _statuses(file)
    return RunOutcome(text_of(file, f"{DETECTOR_SPECIFIC}/outcome"), reasons, statuses, names)


def _statuses(file: h5py.File) -> tuple[npt.NDArray[np.uint8], Mapping[int, str]]:
    path = f"{DETECTOR_SPECIFIC}/image_status"
    dataset = dataset_at(file, path)
    values = vector_of(file, path, MAX_IMAGES)
    if dataset is None or values is None or values.dtype != np.uint8:
        return _NO_STATUSES, {}
    try:
        numbers = np.asarray(dataset.attrs["flag_values"]).tolist()
        meanings = dataset.attrs["flag_meanings"]
        text = meanings.decode("utf-8", "replace") if isinstance(meanings, bytes) else str(meanings)
        names = dict(zip(map(int, numbers), text.split(), strict=False))
    except TROUBLE:
        names = {}
    return values.astype(np.uint8), names
