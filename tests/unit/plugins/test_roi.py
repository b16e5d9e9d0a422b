"""Regions of interest: one group per name, whatever the names are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jfwriter.plugins.roi import LEFT_OUT, RoiPlugin
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import RoiBox, RoiIntegral
from tests.support.messages import image
from tests.unit.plugins.conftest import OneFile

MakePlan = Callable[..., RunPlan]
INT64_MIN = -(2**63)
NAMES = {"max", "sum", "sum_sq", "npixel", "x", "y"}


def test_integrals_and_sentinels(one_file: OneFile, plan: MakePlan) -> None:
    integral = RoiIntegral(sum=-5, sum_square=25, max=3, pixels=121, x=1.5, y=2.5)
    images = {
        0: image(0, roi_integrals={"beam": integral}),
        2: image(2, roi_integrals={"beam": RoiIntegral()}),
    }
    roi = one_file.write(RoiPlugin(plan()), images, 3)["/entry/roi/beam"]
    assert set(roi) == NAMES
    assert roi["sum"][()].tolist() == [-5, 0, 0]
    assert roi["sum_sq"][()].tolist() == [25, 0, 0]
    assert roi["npixel"][()].tolist() == [121, 0, 0]
    assert roi["max"][()].tolist() == [3, INT64_MIN, INT64_MIN]
    np.testing.assert_array_equal(roi["x"][()], np.array([1.5, np.nan, np.nan], "f4"))
    np.testing.assert_array_equal(roi["y"][()], np.array([2.5, np.nan, np.nan], "f4"))
    assert [roi[name].dtype.str for name in ("max", "sum", "sum_sq", "npixel", "x")] == [
        "<i8", "<i8", "<u8", "<u8", "<f4",
    ]  # fmt: skip
    assert roi.attrs["NX_class"] == b"NXcollection"


def test_regions_of_the_start_message_are_promised(one_file: OneFile, plan: MakePlan) -> None:
    plugin = RoiPlugin(plan(rois=(RoiBox("a/b", 0, 1, 0, 1), RoiBox("c", 0, 1, 0, 1))))
    one_file.write(plugin, {}, 2)
    expected = {f"/entry/roi/{link}/{name}" for link in ("a_b", "c") for name in NAMES}
    assert one_file.paths() == expected
    assert {stored.path for stored in plugin.configured()} == expected


def test_hostile_names(one_file: OneFile, plan: MakePlan) -> None:
    names = ["a/b", "a_b", "..", ".", "", "/", "x\0y", "é", "n" * 300]
    images = {0: image(0, roi_integrals={name: RoiIntegral(sum=7) for name in names})}
    file = one_file.write(RoiPlugin(plan()), images, 1)
    assert set(file["/entry/roi"]) == {"a_b", "_", "é"}
    assert file["/entry/roi/a_b/sum"][0] == 7
    assert one_file.problems == {LEFT_OUT: 6}
    assert set(file["/entry"]) == {"roi"}


def test_no_more_than_sixteen_regions(one_file: OneFile, plan: MakePlan) -> None:
    images = {
        row: image(
            row, roi_integrals={f"r{number}": RoiIntegral() for number in range(20 * row, 20 * row + 20)}
        )
        for row in range(4)
    }
    file = one_file.write(RoiPlugin(plan()), images, 4)
    assert len(file["/entry/roi"]) == 16
    assert one_file.problems == {LEFT_OUT: 64}


def test_sums_beyond_the_type(one_file: OneFile, plan: MakePlan) -> None:
    integral = RoiIntegral(sum=2**63, sum_square=-1, max=-(2**63) - 1, pixels=-4, x=1e300)
    roi = one_file.write(RoiPlugin(plan()), {0: image(0, roi_integrals={"beam": integral})}, 1)[
        "/entry/roi/beam"
    ]
    assert [int(roi[name][0]) for name in ("sum", "sum_sq", "max", "npixel")] == [0, 0, INT64_MIN, 0]
    assert sum(one_file.problems.values()) == 5
