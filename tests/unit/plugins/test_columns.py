"""Column plugins: each field of the image message in its dataset; hostile values become sentinels."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jfwriter.plugins import plugins_for
from jfwriter.plugins.columns import BLOCK_ROWS
from jfwriter.plugins.detector import detector
from jfwriter.plugins.image_statistics import image_statistics
from jfwriter.plugins.mx import mx
from jfwriter.plugins.profiling import profiling
from jfwriter.plugins.xfel import xfel
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import Rational, UnitCell
from tests.support.messages import image
from tests.unit.plugins.conftest import OneFile

MakePlan = Callable[..., RunPlan]
INT64_MIN = -(2**63)
HUGE = 10**30


def test_only_the_image_number_is_always_there(one_file: OneFile, plan: MakePlan) -> None:
    for plugin in plugins_for(plan()):
        one_file.write(plugin, {0: image(0)})
    assert one_file.paths() == {"/entry/detector/number"}


def test_number_is_the_test_for_a_gap(one_file: OneFile, plan: MakePlan) -> None:
    file = one_file.write(detector(plan()), {0: image(4), 3: image(7, original_image_id=107)})
    assert file["/entry/detector/number"][()].tolist() == [4, -1, -1, 107]


@pytest.mark.parametrize(
    ("make", "path", "dtype", "sentinel", "field", "hostile"),
    [
        (mx, "MX/strongPixels", "u4", 0, "strong_pixel_count", [-1, 2**32, HUGE, 1.5]),
        (mx, "MX/peakCountUnfiltered", "u4", 0, "spot_count", [-1, 2**32]),
        (mx, "MX/imageIndexed", "u1", 0, "indexing_result", [256, -1]),
        (mx, "MX/niggliClass", "u1", 0, "niggli_class", [256]),
        (mx, "MX/indexingLatticeCount", "u4", 0, "indexing_lattice_count", [-5]),
        (mx, "MX/integratedReflections", "u4", 0, "integrated_reflections", [-5]),
        (image_statistics, "image/max_value", "i8", INT64_MIN, "max_viable_pixel_value", [2**63, -(2**64)]),
        (image_statistics, "image/pixel_sum", "i8", INT64_MIN, "pixel_sum", [HUGE]),
        (image_statistics, "image/error_pixels", "i8", -1, "error_pixel_count", [HUGE]),
        (detector, "detector/det_info", "u4", 0, "jf_info", [2**32, -1]),
        (detector, "detector/storage_cell_image", "u1", 255, "storage_cell", [256, -1]),
        (detector, "detector/rcv_delay", "i8", -1, "receiver_aq_dev_delay", [2**63]),
        (detector, "detector/packets_expected", "u8", 0, "packets_expected", [-1, 2**64]),
        (xfel, "xfel/pulseID", "u8", 0, "xfel_pulse_id", [-1, 2**64]),
        (xfel, "xfel/eventCode", "u8", 0, "xfel_event_code", ["x"]),
    ],
)
def test_integers(one_file: OneFile, plan: MakePlan, *, make: Callable[[RunPlan], Any], path: str,
                  dtype: str, sentinel: int, field: str, hostile: list[Any]) -> None:  # fmt: skip
    images = {0: image(0, **{field: 1})}
    images |= {row + 1: image(row + 1, **{field: value}) for row, value in enumerate(hostile)}
    n_rows = len(images) + 1
    dataset = one_file.write(make(plan()), images, n_rows)[f"/entry/{path}"]
    assert dataset.dtype == np.dtype(dtype)
    assert dataset[()].tolist() == [1] + [sentinel] * (n_rows - 1)
    assert one_file.problems == {f"/entry/{path}": len(hostile)}


@pytest.mark.parametrize(
    ("make", "path", "units", "field"),
    [
        (mx, "MX/profileRadius", "Angstrom^-1", "profile_radius"),
        (mx, "MX/mosaicity", "deg", "mosaicity"),
        (mx, "MX/bFactor", "Angstrom^2", "b_factor"),
        (mx, "MX/resolutionEstimate", "Angstrom", "resolution_estimate"),
        (mx, "MX/bkgEstimate", "photons", "bkg_estimate"),
        (mx, "MX/imageScaleCC", None, "image_scale_cc"),
        (profiling, "profiling/azIntTime", "s", "azint_time"),
        (detector, "detector/data_collection_efficiency_image", None, "data_collection_efficiency"),
    ],
)
def test_floats(one_file: OneFile, plan: MakePlan, *, make: Callable[[RunPlan], Any], path: str,
                units: str | None, field: str) -> None:  # fmt: skip
    values = [0.5, 1e300, float("inf"), "x"]
    images = {row: image(row, **{field: value}) for row, value in enumerate(values)}
    dataset = one_file.write(make(plan()), images, 5)[f"/entry/{path}"]
    np.testing.assert_array_equal(dataset[()], np.array([0.5] + [np.nan] * 4, "f4"))
    assert dataset.attrs.get("units", b"").decode() == (units or "")
    assert one_file.problems == {f"/entry/{path}": 3}


def test_blocks_of_values_hold_what_single_values_would(one_file: OneFile, plan: MakePlan) -> None:
    """More rows than wait at a time, in any order, with holes, and with values that do not fit among them."""
    rng = np.random.default_rng(3)
    n_rows = 3 * BLOCK_ROWS + 7
    counts: list[Any] = [int(x) for x in rng.integers(0, 2**32, n_rows)]
    angles: list[Any] = rng.normal(size=n_rows).tolist()
    indexed: list[Any] = (rng.random(n_rows) > 0.5).tolist()
    for row in (5, BLOCK_ROWS + 1, n_rows - 1):
        counts[row], angles[row] = [2**32, "x", None][row % 3], [np.inf, np.nan, None][row % 3]
    images = {
        int(row): image(
            int(row), strong_pixel_count=counts[row], mosaicity=angles[row], indexing_result=indexed[row]
        )
        for row in [*range(2 * BLOCK_ROWS), *rng.permutation(np.arange(2 * BLOCK_ROWS, n_rows))]
    }
    file = one_file.write(mx(plan()), images, n_rows)
    fits = [type(x) is int and x < 2**32 for x in counts]
    expected = [x if fit else 0 for x, fit in zip(counts, fits, strict=True)]
    assert file["/entry/MX/strongPixels"][()].tolist() == expected
    stored = [x if isinstance(x, float) and np.isfinite(x) else np.nan for x in angles]
    np.testing.assert_array_equal(file["/entry/MX/mosaicity"][()], np.array(stored, "f4"))
    assert file["/entry/MX/imageIndexed"][()].tolist() == [int(x) for x in indexed]
    n_unfit = sum(x is not None and not fit for x, fit in zip(counts, fits, strict=True))
    n_infinite = sum(x is not None and np.isinf(x) for x in angles)
    assert one_file.problems == {
        path: n for path, n in (("/entry/MX/strongPixels", n_unfit), ("/entry/MX/mosaicity", n_infinite)) if n
    }


def test_no_array_of_a_message_waits(one_file: OneFile, plan: MakePlan) -> None:
    """It may be a view into the received bytes, which are given back when the image is written."""
    plugin = mx(plan())
    rows = plugin.open_file(one_file.file.require_group("entry"), 4)
    lattice = np.arange(9.0)
    seen = weakref.ref(lattice)
    rows.append(0, plugin.row(image(0, indexing_lattice=lattice, spot_count=3), None))
    del lattice
    assert seen() is None
    rows.finish(1)
    np.testing.assert_array_equal(one_file.file["/entry/MX/latticeIndexed"][0], np.arange(9.0))


def test_lattices(one_file: OneFile, plan: MakePlan) -> None:
    nine = np.arange(9.0)
    images = {
        0: image(0, indexing_lattice=nine, indexing_lattice_extra=np.array([nine, -nine])),
        1: image(1, indexing_lattice=np.arange(8.0), indexing_lattice_extra=np.ones((6, 9))),
        2: image(2, indexing_lattice_extra=np.ones((2, 8)), indexing_unit_cell=UnitCell(1, 2, 3, 90, 91, 92)),
    }
    file = one_file.write(mx(plan()), images, 4)
    np.testing.assert_array_equal(file["/entry/MX/latticeIndexed"][()], [nine, *[[np.nan] * 9] * 3])
    extra = file["/entry/MX/latticeIndexedExtra"]
    assert extra.shape == (4, 4, 9)
    np.testing.assert_array_equal(extra[0, :2], [nine, -nine])
    np.testing.assert_array_equal(extra[1], np.ones((4, 9)))
    assert np.isnan(extra[0, 2:]).all()
    assert np.isnan(extra[2:]).all()
    np.testing.assert_array_equal(file["/entry/MX/unitCellIndexed"][2], [1, 2, 3, 90, 91, 92])
    assert one_file.problems == {"/entry/MX/latticeIndexed": 1, "/entry/MX/latticeIndexedExtra": 2}


def test_bravais_lattice_is_two_letters(one_file: OneFile, plan: MakePlan) -> None:
    images = {0: image(0, bravais_lattice="tP"), 1: image(1, bravais_lattice="cubic"), 2: image(2)}
    dataset = one_file.write(mx(plan()), images, 3)["/entry/MX/bravaisLattice"]
    assert dataset[()].tolist() == [b"tP", b"", b""]
    assert dataset.dtype == np.dtype("S3")


def test_times_are_ticks_of_the_first_denominator(one_file: OneFile, plan: MakePlan) -> None:
    images = {
        0: image(0, start_time=Rational(1500, 1000), real_time=Rational(1, 3)),
        1: image(1, start_time=Rational(2_500_600, 1_000_000)),
        2: image(2, start_time=Rational(2**64, 1000), real_time=Rational(-1, 3)),
        3: image(3, start_time=Rational(2**64 - 1, 1000)),
    }
    file = one_file.write(detector(plan()), images, 5)
    stamps = file["/entry/detector/timestamp"]
    assert stamps[()].tolist() == [1500, 2501, 0, 2**64 - 1, 0]
    assert stamps.attrs["denominator"] == 1000
    assert stamps.attrs["denominator"].dtype == np.uint64
    assert file["/entry/detector/exptime"][()].tolist() == [1, 0, 0, 0, 0]
    assert file["/entry/detector/exptime"].attrs["denominator"] == 3
    assert one_file.problems == {"/entry/detector/timestamp": 1, "/entry/detector/exptime": 1}
    (stamp,) = [item for item in one_file.stored if item.path.endswith("timestamp")]
    assert stamp.attributes == {"denominator": 1000}


def test_the_denominator_is_that_of_the_run_in_every_file(one_file: OneFile, plan: MakePlan) -> None:
    plugin = detector(plan())
    one_file.write(plugin, {0: image(0, start_time=Rational(1, 1000))})
    del one_file.file["entry"]
    file = one_file.write(plugin, {0: image(4, start_time=Rational(1, 10))})
    assert file["/entry/detector/timestamp"][0] == 100
    assert file["/entry/detector/timestamp"].attrs["denominator"] == 1000


def test_efficiency_from_packets(one_file: OneFile, plan: MakePlan) -> None:
    images = {
        0: image(0, packets_expected=8, packets_received=6),
        1: image(1, packets_expected=0, packets_received=6),
        2: image(2, packets_expected=8),
        3: image(3, packets_expected=HUGE, packets_received=-1),
    }
    file = one_file.write(detector(plan()), images)
    stored = file["/entry/detector/data_collection_efficiency_image"][()]
    np.testing.assert_array_equal(stored, np.array([0.75, np.nan, np.nan, np.nan], "f4"))


def test_indexing_datasets_are_promised_by_the_algorithm(plan: MakePlan) -> None:
    promised = {stored.path for stored in mx(plan(indexing_algorithm="FFT")).configured()}
    assert promised == {"/entry/MX/imageIndexed", "/entry/MX/latticeIndexed"}
    assert mx(plan(indexing_algorithm="None")).configured() == ()


def test_the_single_file_has_another_place_for_the_detector(one_file: OneFile, plan: MakePlan) -> None:
    file = one_file.write(detector(plan(file_format=3)), {1: image(1)})
    group = file["/entry/instrument/detector/detectorSpecific"]
    assert group["number"][()].tolist() == [-1, 1, -1, -1]
    classes = [group.attrs["NX_class"], group.parent.attrs["NX_class"], group.parent.parent.attrs["NX_class"]]
    assert classes == [b"NXcollection", b"NXdetector", b"NXinstrument"]
    assert group["number"].chunks == (4,)
