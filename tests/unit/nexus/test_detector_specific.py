from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.nexus.detector_specific import ImageCounts, detector_specific
from jfwriter.nexus.stored_images import StoredImages
from jfwriter.payload import Codec, Payload
from jfwriter.software import Software
from jfwriter.wire.messages import EndMessage, Rational
from tests.support import messages, payloads
from tests.support.dump import type_name

SHAPE = (24, 40)
SOFTWARE = Software("jfwriter", "1.2.3", "0123abc", "2026-01-01T00:00:00Z")


def written(
    file: h5py.File,
    warnings: list[str] | None = None,
    *,
    end: EndMessage | None = None,
    missing: tuple[tuple[int, int], ...] = (),
    channels: tuple[str, ...] = (),
    **fields: Any,
) -> h5py.Group:
    found: list[str] = []
    group = detector_specific(
        file,
        messages.start(image_size_x=SHAPE[1], image_size_y=SHAPE[0], **fields),
        end,
        counts=ImageCounts(10, 7, missing),
        images=StoredImages(SHAPE, np.dtype("i2"), channels),
        software=SOFTWARE,
        warnings=found if warnings is None else warnings,
    )
    assert found == []
    return group


@pytest.mark.parametrize(
    ("name", "fields", "value", "type_", "units"),
    [
        ("nimages", {}, 10, "i8", None),
        ("ntrigger", {}, 1, "i8", None),
        ("nimages_written", {}, 7, "i8", None),
        ("x_pixels_in_detector", {}, 40, "u4", None),
        ("y_pixels_in_detector", {}, 24, "u4", None),
        ("storage_cell_number", {"storage_cell_number": 15}, 15, "u4", None),
        ("storage_cell_delay", {"storage_cell_delay": Rational(10001, 2)}, 5000.5, "f8", b"ns"),
        ("summation_mode", {}, 0, "u1", None),
        ("summation_mode", {"summation": 1}, 0, "u1", None),
        ("summation_mode", {"summation": 2}, 1, "u1", None),
        ("detect_ice_rings", {"detect_ice_rings": True}, 1, "u1", None),
        ("data_reduction_factor_serialmx", {"data_reduction_factor_serialmx": 0.5}, 0.5, "f8", None),
        ("jfjoch_release", {"jfjoch_release": "1.0.0-rc.1"}, b"1.0.0-rc.1", "str11", None),
        ("jfjoch_writer_release", {}, b"jfwriter 1.2.3", "str15", None),
        ("software_git_commit", {}, b"0123abc", "str8", None),
        ("software_git_date", {}, b"2026-01-01T00:00:00Z", "str21", None),
    ],
)
def test_every_field_of_the_start_with_its_type(
    file: h5py.File, *, name: str, fields: dict[str, Any], value: Any, type_: str, units: bytes | None
) -> None:
    dataset = written(file, **fields)[name]
    assert dataset[()] == value
    assert dataset.shape == ()
    assert type_name(dataset.id.get_type()) == type_
    assert dataset.attrs.get("units") == units


def test_fields_of_the_end(file: h5py.File) -> None:
    end = messages.end(images_collected=9, data_collection_efficiency=0.9, max_receiver_delay=2**64 - 1)
    group = written(file, end=end)
    assert group["nimages_collected"][()] == 9
    assert group["data_collection_efficiency"][()] == 0.9
    assert int(group["max_receiver_delay"][()]) == 2**64 - 1


def test_what_was_not_sent_is_absent(file: h5py.File) -> None:
    assert sorted(written(file)) == [
        "jfjoch_writer_release", "nimages", "nimages_written", "ntrigger", "pixel_mask",
        "software_git_commit", "software_git_date", "summation_mode",
        "x_pixels_in_detector", "y_pixels_in_detector",
    ]  # fmt: skip


def test_readers_that_demand_a_known_eiger_are_not_addressed(file: h5py.File) -> None:
    assert "eiger_fw_version" not in written(file)


def test_missing_images_are_listed_one_by_one(file: h5py.File) -> None:
    assert written(file, missing=((0, 0), (4, 6), (9, 9)))["missing_images"][()].tolist() == [0, 4, 5, 6, 9]
    assert file["detectorSpecific/missing_images"].dtype == np.dtype("<i8")


def test_millions_of_missing_images(file: h5py.File) -> None:
    n = (5 << 20) + 3
    stored = written(file, missing=((2, n + 1),))["missing_images"]
    np.testing.assert_array_equal(stored, np.arange(2, n + 2))


def test_gain_files(file: h5py.File) -> None:
    assert list(written(file, gain_file_names=("a.bin", "bb.bin"))["gain_file_names"]) == [
        b"a.bin",
        b"bb.bin",
    ]


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("dtype", ["<u4", ">u4", "<i4", "u1"])
def test_the_mask_is_contiguous_uint32_whatever_was_sent(file: h5py.File, codec: Codec, dtype: str) -> None:
    mask = np.zeros(SHAPE, dtype)
    mask[1, 2] = mask[3, 4] = 5
    group = written(file, pixel_mask={"default": payloads.packed(mask, codec)})
    stored = group["pixel_mask"]
    assert stored == file["pixel_mask"]
    assert stored.dtype == np.dtype("<u4")
    assert stored.chunks is None
    assert stored.id.get_offset() is not None
    np.testing.assert_array_equal(stored, mask)


def test_all_bits_of_the_mask_are_kept(file: h5py.File) -> None:
    mask = np.full(SHAPE, 1 << 31 | 1 << 8, "u4")
    np.testing.assert_array_equal(written(file, pixel_mask={"x": payloads.packed(mask)})["pixel_mask"], mask)


def test_the_mask_of_the_first_channel(file: h5py.File) -> None:
    sent = {name: payloads.packed(np.full(SHAPE, i, "u4")) for i, name in enumerate(("a", "b"))}
    assert written(file, pixel_mask=sent, channels=("b", "a"))["pixel_mask"][0, 0] == 1


@pytest.mark.parametrize(
    "payload",
    [None, payloads.broken(SHAPE), payloads.packed(np.ones((3, 4), "u4"))],
    ids=["none", "broken", "shape"],
)
def test_without_a_usable_mask_zeros_stand_on_the_disk(
    file: h5py.File, warnings: list[str], payload: Payload | None
) -> None:
    sent = {} if payload is None else {"default": payload}
    stored = written(file, warnings, pixel_mask=sent)["pixel_mask"]
    assert stored.shape == SHAPE
    assert stored.id.get_offset() is not None  # a mask that was never allocated ends XDS
    assert not stored[()].any()
    assert len(warnings) == (0 if payload is None else 2)


def test_adu_histograms(file: h5py.File, warnings: list[str]) -> None:
    histograms = {
        "module/0": np.array([1, 2**64 - 1], "u8"),
        "bin_width": np.array([1], "u8"),
        "..": np.array([1], "u8"),
    }
    end = messages.end(adu_histogram=histograms, adu_histogram_bin_width=32)
    group = written(file, warnings, end=end)["adu_histogram"]
    assert sorted(group) == ["bin_width", "module_0"]
    assert group["bin_width"][()] == 32
    assert group["bin_width"].dtype == np.dtype("<u4")
    np.testing.assert_array_equal(group["module_0"], np.array([1, 2**64 - 1], "u8"))
    assert group.attrs["NX_class"] == b"NXcollection"
    assert len(warnings) == 2
