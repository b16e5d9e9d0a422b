from __future__ import annotations

import math

import numpy as np
import pytest

from jfwriter.errors import ProtocolError
from jfwriter.payload import Codec
from tests.support.wire_fields import MASK, assert_same, payload, raw_image, tag


def test_an_end_of_plain_stream_v2(read):
    got = read("end", series_unique_id="abc")
    assert (got.series_id, got.series_unique_id, got.max_image_number, got.cancelled) == (
        17,
        "abc",
        None,
        None,
    )


def test_no_image_is_not_absent(read):
    assert read("end", max_image_number=0).max_image_number == 0


def test_profiles_may_hold_nan(read):
    got = read("end", az_int_result={"dataset": tag(85, np.array([1, np.nan], "<f4").tobytes())})
    assert_same(got.az_int_result, {"dataset": np.array([1.0, math.nan])})


@pytest.mark.parametrize("name", ["az_int_result", "adu_histogram"])
def test_maps_that_are_none(read, name):
    for sent in (5, [1], {"a": "x"}, {"a": [-1, "x"]}, {str(i): [1] for i in range(257)}):
        got = read("end", **{name: sent})
        assert getattr(got, name) == {}
        assert got.problems[0].field.startswith(name)


@pytest.mark.parametrize(("number", "dtype"), [(86, "<f8"), (85, "<f4"), (69, "<u2"), (71, "<u8")])
def test_calibration_images_of_any_type(read, number, dtype):
    image = MASK.astype(dtype)
    assert_same(
        read("calibration", data={"pedestal_g0": raw_image(image, number)}).data,
        {"pedestal_g0": payload(image)},
    )


def test_packed_calibration_images(read):
    packed = tag(40, [[4, 6], tag(69, tag(56500, ["bszstd", 2, b"a" * 100]))])
    image = read("calibration", data={"pedestal_g0": packed}).data["pedestal_g0"]
    assert (image.codec, bytes(image.data)) == (Codec.BSZSTD, b"a" * 100)


def test_a_wrong_calibration_image_costs_that_image(read):
    got = read("calibration", data={"a": raw_image(MASK, 70), "b": 5, "c": None})
    assert list(got.data) == ["a"]
    assert [problem.field for problem in got.problems] == ["data.b", "data.c"]


@pytest.mark.parametrize("data", [None, 5, [1], {str(i): 0 for i in range(257)}])
def test_calibration_without_a_map_is_refused(read, data):
    with pytest.raises(ProtocolError, match="calibration message: field 'data'"):
        read("calibration", data=data)


def test_metadata_without_anything(read):
    assert read("metadata", images=[{"image_id": 5}]).series_id is None
    assert read("metadata", series_id=5).series_id == 5


def test_a_large_batch_of_metadata_is_not_decoded(read):
    spots = [{"x": 1.5, "y": 2.5}] * 1000
    assert read("metadata", images=[{"image_id": i, "spots": spots} for i in range(300)]).problems == ()
