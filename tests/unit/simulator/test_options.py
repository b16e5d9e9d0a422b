import dataclasses
import math

import numpy as np
import pytest

from jfwriter.errors import UsageError
from jfwriter.simulator.options import Experiment, Flavour, Sample, Scan, automatic_n_distinct
from jfwriter.wire.messages import UnitCell
from tests.support.simulated import small_options


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dtype", np.dtype("i8")),
        ("dtype", np.dtype("f8")),
        ("n_images", -1),
        ("n_distinct", -1),
        ("file_format", "HDF4"),
        ("n_channels", 0),
        ("n_channels", 17),
    ],
)
def test_impossible_options_are_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match="expected"):
        dataclasses.replace(small_options(), **{field: value})


def test_a_cell_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="unit cell"):
        Sample(unit_cell=UnitCell(1, 1, 1, 10, 10, 170), space_group_number=1)


def test_distinct_images_fit_memory_and_patience() -> None:
    assert automatic_n_distinct(1000, 1 << 10) == 16
    assert automatic_n_distinct(1000, 18_000_000) == 4
    assert automatic_n_distinct(3, 1 << 10) == 3
    assert small_options(n_images=100, n_distinct=0).n_different == 100
    assert small_options(n_images=10, n_distinct=16).n_different == 10


def test_angles() -> None:
    scan = Scan(start_deg=10, increment_deg=0.5)
    assert scan.angle_rad(4) == pytest.approx(math.radians(12))
    assert Scan(experiment=Experiment.STILL).increment_rad == 0


def test_names() -> None:
    assert small_options(n_channels=2).channels == ("default", "channel_2")
    assert small_options(flavour=Flavour.STREAM2, n_channels=2).channels == ("threshold_1", "threshold_2")
    assert small_options(run_name="x").unique_id == "x"
    assert small_options(run_number=4, file_prefix="a/b").unique_id == "4:a/b"
