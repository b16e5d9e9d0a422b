"""Whatever a start or end message says, the master is written and its frame stands unharmed."""

from __future__ import annotations

import string
from typing import Any

import h5py
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jfwriter.hdf5.master_file import MasterContent, write_master
from jfwriter.payload import Codec, Payload
from jfwriter.session.orders import Outcome
from jfwriter.session.plan import FileFormat
from jfwriter.wire.messages import (
    CalibrationMessage,
    EndMessage,
    GoniometerAxis,
    GridScan,
    Rational,
    RoiAzimuthal,
    RoiBox,
    RoiCircle,
    UnitCell,
)
from tests.support.hand_made_run import SHAPE, SOFTWARE, run_plan, start_message

N_IMAGES = 3

FLOATS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1e308, -1e308])
INTS = st.none() | st.sampled_from([0, 1, -1, 2**31, 2**63 - 1, 2**64 - 1, -(2**63)]) | st.integers(0, 300)
TEXTS = (
    st.none()
    | st.text(max_size=20)
    | st.sampled_from(["", "\0", "\ud800", "x" * 70_000, "2026-03-04T12:00:00Z"])
)
NAMES = st.sampled_from(
    ["", ".", "..", "a/b", "a_b", "/entry/data", "../..", "data", "omega", "omega_end", "grid_x", "x" * 300,
     "\n", "\0", "\ud800", "größe", "NX_class", "roi_map", "bin_width", "%b", *string.ascii_lowercase[:4]]
)  # fmt: skip
BOOLS = st.none() | st.booleans()
VECTORS = st.none() | st.tuples(*[FLOATS.map(lambda value: value or 0.0)] * 3)
ARRAYS = st.none() | st.lists(st.floats(width=32), max_size=12).map(lambda values: np.array(values, "f8"))
LATTICES = st.none() | st.just(np.full(9, 1e308))


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    dtype = np.dtype(draw(st.sampled_from(["<u4", ">i2", "<f4", "<f8", "u1", "<i8"])))
    shape = draw(st.sampled_from([SHAPE, (1, 1), (40, 24), (3, 0)]))
    codec = draw(st.sampled_from(list(Codec)))
    right = shape[0] * shape[1] * dtype.itemsize
    size = draw(st.sampled_from([right, right - 1, 0, 12, 13, 64]))
    return Payload(memoryview(bytes(max(0, size))), codec, dtype, shape)


IMAGES = st.dictionaries(NAMES, payloads(), max_size=3)
ROIS = st.one_of(
    st.builds(RoiBox, NAMES, *[st.integers(-(2**40), 2**40)] * 4),
    st.builds(RoiCircle, NAMES, *[FLOATS.map(lambda value: value or 0.0)] * 3),
    st.builds(RoiAzimuthal, NAMES, *[FLOATS.map(lambda value: value or 0.0)] * 2, FLOATS, FLOATS),
)
NUMBERS = FLOATS.map(lambda value: value or 0.0)

START = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ["beam_center_x", "beam_center_y", "detector_distance", "poni_rot1", "poni_rot2", "poni_rot3",
             "incident_wavelength", "incident_wavelength_spread", "frame_time", "count_time", "pixel_size_x",
             "pixel_size_y", "sensor_thickness", "ring_current", "sample_temperature", "total_flux",
             "attenuator_transmission", "jungfrau_conversion_factor", "data_reduction_factor_serialmx"],
            FLOATS,
        ),
        **dict.fromkeys(
            ["saturation_value", "error_value", "bit_depth_readout", "summation", "storage_cell_number",
             "az_int_bin_number", "az_int_q_bin_count", "az_int_phi_bin_count", "space_group_number"],
            INTS,
        ),
        **dict.fromkeys(
            ["arm_date", "sensor_material", "detector_description", "detector_serial_number", "source_name",
             "source_type", "instrument_name", "sample_name", "jfjoch_release", "indexing_algorithm"],
            TEXTS,
        ),
        **dict.fromkeys(["flatfield_enabled", "pixel_mask_enabled", "detect_ice_rings"], BOOLS),
        **dict.fromkeys(["pixel_mask", "flatfield"], IMAGES),
        **dict.fromkeys(["az_int_map", "roi_map"], st.none() | payloads()),
        **dict.fromkeys(["az_int_bin_to_q", "az_int_bin_to_phi"], ARRAYS),
        "countrate_correction_lookup_table": ARRAYS,
        "storage_cell_delay": st.none() | st.builds(Rational, st.integers(0, 2**64), st.integers(1, 2**64)),
        "threshold_energy": st.dictionaries(NAMES, NUMBERS, max_size=3),
        "goniometer": st.dictionaries(
            NAMES, st.builds(GoniometerAxis, NUMBERS, NUMBERS, VECTORS, VECTORS), max_size=4
        ),
        "grid_scan": st.none()
        | st.builds(
            GridScan,
            n_fast=st.sampled_from([0, 1, 2, 2**63]),
            step_x_axis=NUMBERS,
            step_y_axis=NUMBERS,
            snake=st.booleans(),
            vertical=st.booleans(),
        ),
        "rois": st.lists(ROIS, max_size=18).map(tuple),
        "unit_cell": st.none() | st.builds(UnitCell, *[NUMBERS] * 6),
        "gain_file_names": st.lists(st.text(max_size=5), max_size=3).map(tuple),
        "user": st.dictionaries(st.just("hdf5"), st.dictionaries(NAMES, INTS | TEXTS | FLOATS, max_size=5)),
    },
)  # fmt: skip
END = st.none() | st.builds(
    EndMessage,
    series_id=st.just(1),
    end_date=TEXTS,
    images_collected=INTS,
    data_collection_efficiency=FLOATS,
    max_receiver_delay=INTS,
    az_int_result=st.dictionaries(NAMES, ARRAYS.filter(lambda array: array is not None), max_size=3),
    adu_histogram=st.dictionaries(NAMES, st.just(np.arange(3, dtype="u8")), max_size=3),
    adu_histogram_bin_width=INTS,
    bkg_estimate=FLOATS,
    indexing_rate=FLOATS,
    rotation_lattice=LATTICES,
    rotation_lattice_niggli_class=INTS,
    cancelled=BOOLS,
)
FRAME = {
    "data", "definition", "end_time", "end_time_estimated", "instrument", "sample", "source", "start_time",
    "MX", "azint", "roi_defs", "user",
}  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(START, END, IMAGES, st.sampled_from([FileFormat.NXmxLegacy, FileFormat.NXmxVDS]))
def test_any_message(
    fields: dict[str, Any], end: EndMessage | None, calibration: dict[str, Payload], file_format: FileFormat
) -> None:
    plan = run_plan(start_message(N_IMAGES, **fields), file_format, 2)
    content = MasterContent(
        n_images=N_IMAGES,
        n_written=2,
        written_at_s=1.7e9,
        outcome=Outcome.INCOMPLETE,
        end=end,
        missing=((1, 1),),
        calibrations=(CalibrationMessage(series_id=1, data=calibration),),
    )
    with h5py.File("master.h5", "w", driver="core", backing_store=False, libver=("earliest", "v110")) as file:
        warnings = write_master(file, plan, content, software=SOFTWARE)
        assert all(isinstance(warning, str) and len(warning) < 1000 for warning in warnings)
        assert list(file) == ["entry"]
        assert set(file["entry"]) <= FRAME
        detector = file["entry/instrument/detector"]
        assert detector["pixel_mask"].shape == SHAPE
        assert detector["detectorSpecific/nimages"][()] == N_IMAGES
        assert sorted(file["entry/data"]) in (["data"], ["data_000001", "data_000002"])
        for axis in ("omega", "grid_x"):
            values = file.get(f"entry/sample/transformations/{axis}")
            assert values is None or (values.shape == (N_IMAGES,) and np.isfinite(values[()]).all())
