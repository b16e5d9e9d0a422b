from __future__ import annotations

import h5py
import numpy as np

from jfwriter.nexus.calibration import calibration
from jfwriter.payload import Codec
from tests.support import messages, payloads


def test_images_of_any_shape_and_type(file: h5py.File, warnings: list[str]) -> None:
    images = {
        "pedestal_g0": np.full((24, 40), 1234, "<u2"),
        "pedestal/g1": np.full((512, 8), 1.5, "<f4"),
        "mask": np.full((8, 8), -1, ">i4"),
    }
    codecs = {"pedestal_g0": Codec.BSLZ4, "pedestal/g1": Codec.NONE, "mask": Codec.LZ4}
    data = {name: payloads.packed(image, codecs[name]) for name, image in images.items()}
    calibration(file, [messages.calibration(data=data)], warnings)
    group = file["calibration"]
    assert group.attrs["NX_class"] == b"NXcollection"
    for name, image in images.items():
        stored = group[name.replace("/", "_")]
        assert stored.chunks == image.shape
        assert stored.dtype == image.dtype.newbyteorder("<")
        assert stored.id.get_create_plist().get_filter(0)[0] == 32008
        np.testing.assert_array_equal(stored, image)
    assert warnings == []


def test_the_first_of_a_name_stays_and_bad_ones_cost_themselves(file: h5py.File, warnings: list[str]) -> None:
    first = messages.calibration(
        data={"a": payloads.packed(np.ones((8, 8), "u2")), "..": payloads.broken((8, 8))}
    )
    second = messages.calibration(
        data={"a": payloads.packed(np.zeros((8, 8), "u2")), "b": payloads.broken((8, 8))}
    )
    calibration(file, [first, second], warnings)
    assert list(file["calibration"]) == ["a"]
    assert file["calibration/a"][0, 0] == 1
    assert len(warnings) == 3


def test_no_group_without_images(file: h5py.File, warnings: list[str]) -> None:
    calibration(file, [], warnings)
    assert list(file) == []
