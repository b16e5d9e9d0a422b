"""The verdict and the status of each image, as somebody at a notebook asks for them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from jfwriter.reader.images import RunImages
from jfwriter.reader.outcome import read_outcome
from jfwriter.reader.summary import summarize
from tests.domain.runs import DETECTOR, Scenario, run

WITH_GAPS = Scenario("with gaps", 10, (0, 1, 1, 3, 4, 5, 7, 8, 9), outcome="incomplete")


@pytest.mark.parametrize("layout", ["NXmxLegacy", "NXmxVDS", "NXmxIntegrated"])
def test_what_became_of_each_image(tmp_path: Path, layout: str) -> None:
    master = run(WITH_GAPS, layout, tmp_path).master
    with RunImages(master) as images:
        outcome = images.outcome
    assert outcome.outcome == "incomplete"
    assert outcome.reasons[0] == "2 images missing: 2, 6"
    assert outcome.images("never_came").tolist() == [2, 6]
    assert outcome.images("duplicate").tolist() == [1]
    assert outcome.counts() == {"written": 7, "never_came": 2, "duplicate": 1}
    found = summarize(master)
    assert (found.outcome, found.by_status) == ("incomplete", outcome.counts())


def test_a_file_that_says_nothing_or_nonsense(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        assert read_outcome(file).counts() == {}
        file[f"{DETECTOR}/image_status"] = np.array([0, 9, 9], "u1")
        assert read_outcome(file).counts() == {"status 9": 2, "status 0": 1}
        file[f"{DETECTOR}/image_status"].attrs["flag_values"] = "x"
        file[f"{DETECTOR}/image_status"].attrs["flag_meanings"] = 3
        file[f"{DETECTOR}/outcome"] = np.zeros(3)
        file[f"{DETECTOR}/outcome_reasons"] = 7
        found = read_outcome(file)
        assert (found.outcome, found.reasons, found.name(0)) == (None, (), "status 0")
        del file[f"{DETECTOR}/image_status"]
        file[f"{DETECTOR}/image_status"] = np.zeros((2, 2))
        assert read_outcome(file).statuses.size == 0
