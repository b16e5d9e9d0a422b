from __future__ import annotations

import h5py
import numpy as np

from jfwriter.nexus.roi import definitions, roi_names
from jfwriter.wire.messages import Roi, RoiAzimuthal, RoiBox, RoiCircle
from tests.support import messages, payloads
from tests.support.dump import type_name

SHAPE = (24, 40)


def box(name: str) -> RoiBox:
    return RoiBox(name, 1, 2, 3, 4)


def test_definitions_of_each_kind(file: h5py.File, warnings: list[str]) -> None:
    rois: tuple[Roi, ...] = (
        RoiBox("beam", 10, 20, 30, 40),
        RoiCircle("a/b", 100.5, 50.5, 7.0),
        RoiAzimuthal("ring", 1.0, 2.0),
        RoiAzimuthal("sector", 1.0, 2.0, 350.0, 10.0),
    )
    definitions(file, messages.start(rois=rois), SHAPE, warnings)
    group = file["roi_defs"]
    assert {
        name: {
            key: (type_name(item.id.get_type()), item[()].item() if item.dtype.kind != "S" else item[()])
            for key, item in roi.items()
        }
        for name, roi in group.items()
    } == {
        "beam": {
            "bit_index": ("u2", 0), "type": ("str4", b"box"), "min_x_pxl": ("i4", 10),
            "max_x_pxl": ("i4", 20), "min_y_pxl": ("i4", 30), "max_y_pxl": ("i4", 40),
        },
        "a_b": {
            "bit_index": ("u2", 1), "type": ("str7", b"circle"), "center_x_pxl": ("f4", 100.5),
            "center_y_pxl": ("f4", 50.5), "radius_pxl": ("f4", 7),
        },
        "ring": {
            "bit_index": ("u2", 2), "type": ("str5", b"azim"), "q_min_recipA": ("f4", 1),
            "q_max_recipA": ("f4", 2),
        },
        "sector": {
            "bit_index": ("u2", 3), "type": ("str5", b"azim"), "q_min_recipA": ("f4", 1),
            "q_max_recipA": ("f4", 2),
            "phi_min_deg": ("f4", 350), "phi_max_deg": ("f4", 10),
        },
    }  # fmt: skip
    assert {roi.attrs["NX_class"] for roi in group.values()} == {b"NXcollection"}
    assert warnings == []


def test_names_that_cannot_stand_leave_the_bits_of_the_others_alone(
    file: h5py.File, warnings: list[str]
) -> None:
    names = ["..", "a/b", "a_b", "", "roi_map", "größe", "a/b", "z"]
    definitions(file, messages.start(rois=tuple(map(box, names))), SHAPE, warnings)
    bits = {name: roi["bit_index"][()] for name, roi in file["roi_defs"].items()}
    assert bits == {"a_b": 1, "größe": 5, "z": 7}
    assert list(file) == ["roi_defs"]
    assert len(warnings) == 5


def test_sixteen_regions_at_most(file: h5py.File, warnings: list[str]) -> None:
    rois = tuple(box(f"r{i}") for i in range(17))
    assert list(roi_names(rois, warnings)) == [f"r{i}" for i in range(16)]
    assert len(warnings) == 1
    definitions(file, messages.start(rois=rois), SHAPE, warnings)
    assert len(file["roi_defs"]) == 16


def test_bounds_beyond_int32_cost_only_themselves(file: h5py.File, warnings: list[str]) -> None:
    definitions(file, messages.start(rois=(RoiBox("a", -(2**40), 2, 3, 4),)), SHAPE, warnings)
    assert "min_x_pxl" not in file["roi_defs/a"]
    assert "max_x_pxl" in file["roi_defs/a"]
    assert len(warnings) == 1


def test_map(file: h5py.File, warnings: list[str]) -> None:
    pixels = np.full(SHAPE, 5, "<u2")
    definitions(file, messages.start(roi_map=payloads.packed(pixels)), SHAPE, warnings)
    assert file["roi_defs/roi_map"].dtype == np.dtype("<u2")
    np.testing.assert_array_equal(file["roi_defs/roi_map"], pixels)


def test_nothing_without_regions(file: h5py.File, warnings: list[str]) -> None:
    definitions(file, messages.start(), SHAPE, warnings)
    assert list(file) == []
