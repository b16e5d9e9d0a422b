"""Spots: CXI peak arrays, the strongest when there are too many, and never a negative count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.plugins.spots import N_PEAKS, TOO_MANY, SpotsPlugin, strongest
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import Spots
from tests.support.messages import image
from tests.unit.plugins.conftest import OneFile

MakePlan = Callable[..., RunPlan]
ALWAYS = {"nPeaks", "peakXPosRaw", "peakYPosRaw", "peakTotalIntensity", "peakIceRingRes"}


def spots(n: int, **columns: Any) -> Spots:
    values: dict[str, Any] = {
        "x": np.arange(n, dtype="f4"),
        "y": np.arange(n, dtype="f4") + 100,
        "intensity": np.arange(n, dtype="f4") + 1,
    }
    return Spots(**(values | columns))


def test_spots_of_an_image_and_padding(one_file: OneFile, plan: MakePlan) -> None:
    columns = {"h": np.array([1, -2], "i4"), "dist_ewald": np.array([0.5, np.nan], "f4"),
               "lattice": np.array([0, 1], "i4"), "indexed": np.array([1, 0], "u1")}  # fmt: skip
    plugin = SpotsPlugin(plan(max_spot_count=3))
    file = one_file.write(plugin, {2: image(2, spots=spots(2, **columns)), 0: image(0, spots=spots(0))}, 4)
    mx = file["/entry/MX"]
    assert mx["nPeaks"][()].tolist() == [0, 0, 2, 0]
    assert mx["nPeaks"].dtype == np.dtype("u4")
    assert mx["peakXPosRaw"][()].tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert mx["peakYPosRaw"][2].tolist() == [100, 101, 0]
    assert mx["peakTotalIntensity"][2].tolist() == [1, 2, 0]
    assert mx["peakIceRingRes"][2].tolist() == [0, 0, 0]
    assert mx["peakH"][2].tolist() == [1, -2, 0]
    np.testing.assert_array_equal(mx["peakDistEwaldSphere"][2], np.array([0.5, np.nan, np.nan], "f4"))
    assert mx["peakLattice"][()].tolist()[2:] == [[0, 1, -1], [-1, -1, -1]]
    assert mx["peakIndexed"][2].tolist() == [1, 0, 0]
    assert "peakK" not in mx
    assert mx["peakXPosRaw"].attrs["units"] == b"pixel"
    assert mx["peakTotalIntensity"].attrs["units"] == b"photons"
    assert mx["peakDistEwaldSphere"].attrs["units"] == b"Angstrom^-1"
    assert one_file.problems == {}


def test_the_strongest_stay_in_the_order_of_the_sender(one_file: OneFile, plan: MakePlan) -> None:
    intensity = np.array([5, np.nan, 9, 1, 7], "f4")
    plugin = SpotsPlugin(plan(max_spot_count=3))
    file = one_file.write(plugin, {0: image(0, spots=spots(5, intensity=intensity))}, 1)
    assert file["/entry/MX/nPeaks"][()].tolist() == [3]
    assert file["/entry/MX/peakXPosRaw"][0].tolist() == [0, 2, 4]
    assert file["/entry/MX/peakTotalIntensity"][0].tolist() == [5, 9, 7]
    assert one_file.problems == {TOO_MANY: 1}


def test_nan_counts_as_least() -> None:
    chosen = strongest(np.array([np.nan, -5.0, np.nan, 2.0], "f4"), 3)
    assert chosen is not None
    assert chosen.tolist() == [0, 1, 3]


@given(
    values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30, unique=True),
    n_max=st.integers(1, 30),
)
def test_strongest_is_the_top_of_a_sort(values: list[float], n_max: int) -> None:
    chosen = strongest(np.array(values, "f4"), n_max)
    if len(values) <= n_max:
        assert chosen is None
    else:
        assert chosen is not None
        assert sorted(values[i] for i in chosen) == sorted(values)[-n_max:]
        assert list(chosen) == sorted(chosen)


def test_a_column_of_another_length_or_range_is_no_reason_to_stop(one_file: OneFile, plan: MakePlan) -> None:
    bad = spots(2, y=np.zeros(3, "f4"), h=np.array([2**40, 3], "i8"))
    file = one_file.write(SpotsPlugin(plan(max_spot_count=3)), {0: image(0, spots=bad)}, 1)
    assert file["/entry/MX/peakH"][0].tolist() == [0, 3, 0]
    assert file["/entry/MX/peakYPosRaw"][0].tolist() == [0, 0, 0]
    assert one_file.problems == {"/entry/MX/peakYPosRaw": 1, "/entry/MX/peakH": 1}


def test_without_a_usable_intensity_the_first_spots_stay(one_file: OneFile, plan: MakePlan) -> None:
    bad = spots(5, intensity=np.zeros(3, "f4"))
    file = one_file.write(SpotsPlugin(plan(max_spot_count=3)), {0: image(0, spots=bad)}, 1)
    assert file["/entry/MX/peakXPosRaw"][0].tolist() == [0, 1, 2]
    assert file["/entry/MX/nPeaks"][0] == 3


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ({}, set()),
        ({"max_spot_count": 10}, ALWAYS),
        (
            {"max_spot_count": 10, "indexing_algorithm": "FFT"},
            ALWAYS | {"peakH", "peakK", "peakL", "peakDistEwaldSphere", "peakIndexed", "peakLattice"},
        ),
    ],
)  # fmt: skip
def test_what_the_start_message_promises_is_in_every_file(
    one_file: OneFile, plan: MakePlan, start: dict[str, Any], expected: set[str]
) -> None:
    plugin = SpotsPlugin(plan(**start))
    one_file.write(plugin, {0: image(0)}, 2)
    paths = {f"/entry/MX/{name}" for name in expected}
    assert one_file.paths() == paths
    assert {stored.path for stored in plugin.configured()} == paths
    assert {stored.path for stored in one_file.stored} == paths


def test_a_run_without_configured_spots_takes_the_default_width(one_file: OneFile, plan: MakePlan) -> None:
    one_file.write(SpotsPlugin(plan()), {0: image(0, spots=spots(2))}, 1)
    assert one_file.file["/entry/MX/peakXPosRaw"].shape == (1, 250)
    assert one_file.file[N_PEAKS][0] == 2
