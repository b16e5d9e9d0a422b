"""What is particular to image messages: payloads, spots, reflections, regions, other spellings."""

from __future__ import annotations

import math

import cbor2
import numpy as np
import pytest

from jfwriter.errors import ProtocolError
from jfwriter.payload import Codec
from jfwriter.settings import LimitSettings
from jfwriter.wire.collect import Problems
from jfwriter.wire.decode import decode
from jfwriter.wire.item import Table
from jfwriter.wire.messages import RoiIntegral
from jfwriter.wire.spots import read_spots
from tests.support.wire_fields import LATTICE, SPOT_COLUMNS, SPOTS, assert_same, smallest, tag

PACKED = bytes(range(256)) * 4


def image(number: int, content: object, shape: object = (4, 6)) -> cbor2.CBORTag:
    return tag(40, [list(shape), tag(number, content)])


TYPES = [
    (64, "|u1"), (68, "|u1"), (72, "|i1"), (69, "<u2"), (70, "<u4"), (77, "<i2"), (78, "<i4"), (85, "<f4"),
    (65, ">u2"), (66, ">u4"), (73, ">i2"), (74, ">i4"), (81, ">f4"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "dtype"), TYPES)
def test_pixel_types_and_byte_orders(read, number, dtype):
    pixels = np.arange(24, dtype=dtype).reshape(4, 6)
    payload = read("image", data={"default": image(number, pixels.tobytes())}).channels["default"]
    assert (payload.codec, payload.shape, payload.dtype) == (Codec.NONE, (4, 6), np.dtype(dtype))
    np.testing.assert_array_equal(np.frombuffer(payload.data, payload.dtype).reshape(payload.shape), pixels)


@pytest.mark.parametrize(
    ("algorithm", "modifier", "codec"),
    [
        ("bslz4", 2, Codec.BSLZ4),
        ("bszstd", 2, Codec.BSZSTD),
        ("bszstd_rle", 2, Codec.BSZSTD),
        ("bszstd_rlehuf", 2, Codec.BSZSTD),
        ("lz4", 0, Codec.LZ4),
        ("lz4", 2, Codec.LZ4),
    ],
)
def test_packed_pixels_stay_packed(read, algorithm, modifier, codec):
    packed = tag(56500, [algorithm, modifier, PACKED])
    payload = read("image", data={"default": image(77, packed)}).channels["default"]
    assert (payload.codec, payload.dtype, payload.shape) == (codec, np.dtype("<i2"), (4, 6))
    assert bytes(payload.data) == PACKED


def test_pixels_are_read_only_views_into_the_message(limits):
    received = bytearray(cbor2.dumps({**smallest("image"), "data": {"default": image(77, PACKED)}}))
    payload = decode(memoryview(received), limits).channels["default"]
    assert payload.data.readonly
    assert np.shares_memory(np.frombuffer(payload.data, np.uint8), np.frombuffer(received, np.uint8))


def test_channels_keep_the_order_of_the_sender(read):
    names = ["threshold_2", "threshold_1", "difference"]
    got = read("image", data={name: image(77, PACKED) for name in names})
    assert list(got.channels) == names


def test_a_single_image_is_the_default_channel(read):
    assert list(read("image", data=image(77, PACKED)).channels) == ["default"]


def test_leading_dimensions_of_one_are_dropped(read):
    assert read("image", data={"default": image(77, PACKED, (1, 1, 4, 6))}).channels["default"].shape == (
        4,
        6,
    )


def test_dimensions_may_be_a_typed_array(read):
    data = {"default": tag(40, [tag(69, b"\4\0\6\0"), tag(77, PACKED)])}
    assert read("image", data=data).channels["default"].shape == (4, 6)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "a map of images"),
        ({"a": None}, "field 'data.a': expected an image"),
        ({"a": tag(77, PACKED)}, "expected an image (tag 40 around a typed array), got tag 77"),
        ({"a": image(71, PACKED)}, "got uint64"),
        ({"a": image(86, PACKED)}, "got float64"),
        ({"a": image(77, PACKED, (2, 2, 6))}, "two dimensions"),
        ({"a": image(77, tag(56500, ["lzf", 2, PACKED]))}, "compression bslz4, bszstd"),
        ({"a": image(77, tag(56500, ["bslz4", 4, PACKED]))}, "element size 2 in tag 56500, got integer 4"),
        ({"a": image(77, PACKED, (1 << 20, 1 << 20))}, "1 to 268435456 pixels"),
        ({str(i): image(77, PACKED) for i in range(17)}, "at most 16 channels"),
        ({"a\0b": image(77, PACKED)}, "text without NUL"),
    ],
)
def test_an_image_that_is_none_is_refused_with_its_place(read, data, words):
    with pytest.raises(ProtocolError) as caught:
        read("image", data=data)
    assert caught.value.reason == "bad_field"
    assert words in str(caught.value)


def columns_of(rows):
    names = {name for row in rows for name in row}
    return {name: [row.get(name) for row in rows] for name in names}


def test_spots_as_columns(read):
    assert_same(read("image", spots=columns_of(SPOTS)).spots, SPOT_COLUMNS)


def test_spots_as_columns_of_typed_arrays(read):
    got = read(
        "image",
        spots={
            "x": tag(85, np.array([1.5, 3], "<f4").tobytes()),
            "y": tag(82, np.array([2.5, 4.25], ">f8").tobytes()),
            "I": [30, 7],
            "ice_ring": tag(64, b"\0\1"),
            "h": tag(73, np.array([1, -1], ">i2").tobytes()),
        },
    )
    assert got.problems == ()
    np.testing.assert_array_equal(got.spots.y, np.array([2.5, 4.25], "f4"))
    np.testing.assert_array_equal(got.spots.ice_ring, np.array([0, 1], "u1"))
    np.testing.assert_array_equal(got.spots.h, np.array([1, -1], "i4"))


def test_spots_under_other_spellings(read):
    rows = [{"x": 1, "y": 2, "intensity": 3, "dist_ewald_sphere": 0.5}]
    got = read("image", spots=rows)
    assert (got.spots.intensity.tolist(), got.spots.dist_ewald.tolist()) == ([3], [0.5])
    both = read("image", spots=[{"x": 1, "y": 2, "I": 5, "intensity": 3}])
    assert both.spots.intensity.tolist() == [5]


def test_no_spots_is_not_absent(read):
    got = read("image", spots=[])
    assert (len(got.spots.x), len(got.spots.y), len(got.spots.intensity), got.spots.h) == (0, 0, 0, None)
    assert (got.spots.x.dtype, got.problems) == (np.float32, ())


def test_a_spot_without_position_makes_the_spots_wrong(read):
    for rows in ([{"x": 1, "y": 2}, {"x": 1}], [{"x": 1, "y": None}], [{"I": 5}], [{"x": "a", "y": 1}]):
        got = read("image", spots=rows)
        assert got.spots is None
        assert got.problems[-1].field == "spots"


def test_a_wrong_column_costs_that_column(read):
    rows = [{"x": 1, "y": 2, "I": 3, "h": 0.5, "maxc": "many", "k": 1}]
    got = read("image", spots=rows)
    assert [problem.field for problem in got.problems] == ["spots.maxc[0]", "spots.h"]
    assert (got.spots.h, got.spots.maxc) == (None, None)
    assert (got.spots.k.tolist(), got.spots.intensity.tolist()) == ([1], [3])


def test_columns_of_different_length_are_wrong(read):
    got = read("image", spots={"x": [1, 2], "y": [1]})
    assert got.spots is None
    assert got.problems[0].got == "lengths [1, 2]"


def test_nan_and_missing_intensity(read):
    got = read("image", spots=[{"x": 1, "y": 2, "I": math.nan}, {"x": math.nan, "y": 2}])
    assert np.isnan(got.spots.intensity).all()
    assert np.isnan(got.spots.x[1])
    assert got.problems == ()


SIGNALLING = [
    (81, bytes.fromhex("7f800001")),
    (82, bytes.fromhex("7ff0000000000001")),
    (80, bytes.fromhex("7c01")),
]


@pytest.mark.parametrize(("number", "nan"), SIGNALLING)
def test_signalling_nan_is_like_any_nan(read, number, nan):
    array = tag(number, nan * 2)
    for name in ("x", "I", "h", "maxc", "ice_ring"):
        got = read("image", spots={"x": [1, 2], "y": [1, 2], name: array})
        assert [problem.field for problem in got.problems] == (
            [] if name in {"x", "I"} else [f"spots.{name}"]
        )
    reflections = {"rlp": array, "h": [1, 1], "k": [1, 1], "l": [1, 1]}
    assert np.isnan(read("image", reflections=reflections).reflections["lp"]).all()
    rows = b"\x81\xa2\x61x" + bytes((0xF9 + number - 80,)) + nan + b"\x61y\x01"
    assert np.isnan(read_spots(Table(memoryview(rows)), LimitSettings(), Problems()).x).all()
    got = read("image", az_int_profile=array, az_int_profile_count=array)
    assert np.isnan(got.az_int_profile).all()


@pytest.mark.parametrize("n", [30, 20_000])
def test_of_too_many_spots_the_strongest_are_kept_in_order(n):
    limits = LimitSettings(max_spots=3)
    strength = {4: 100.0, 7: 50.0, 20: 75.0, 21: math.nan}
    rows = [{"x": i, "y": 0, "I": strength.get(i, 1.0), "h": i} for i in range(n)]
    got = decode(cbor2.dumps({**smallest("image"), "spots": rows}), limits)
    assert got.spots.x.tolist() == [4, 7, 20]
    assert got.spots.h.tolist() == [4, 7, 20]
    assert [problem.field for problem in got.problems] == ["spots"]


def test_reflections_with_rlp(read):
    rows = [
        {"h": 1, "k": 2, "l": 3, "rlp": 4.0},
        {"h": 1, "k": 2, "l": 3, "rlp": 0.0},
        {"h": 1, "k": 2, "l": 3},
    ]
    got = read("image", reflections=rows).reflections
    assert list(got) == ["h", "k", "l", "lp"]
    np.testing.assert_array_equal(got["lp"], np.array([0.25, np.nan, np.nan], "f4"))
    assert got["lp"].dtype == np.float32


def test_lp_wins_over_rlp(read):
    assert read("image", reflections=[{"lp": 3.0, "rlp": 4.0}]).reflections["lp"].tolist() == [3.0]


def test_no_reflections(read):
    assert read("image", reflections=[]).reflections is None
    assert read("image", reflections={}).reflections is None


def test_indices_come_in_each_reflection_or_not_at_all(read):
    got = read("image", reflections=[{"h": 1, "k": 2, "l": 3}, {"h": 1, "k": 2}])
    assert got.reflections is None
    assert got.problems[0].field == "reflections"
    assert list(read("image", reflections=[{"I": 1.0}]).reflections) == ["I"]


def test_centres_of_regions(read):
    sums = {
        "weighted": {"sum": 4, "x_weighted": 6, "y_weighted": 2},
        "direct": {"sum": 4, "x_weighted": 6, "y_weighted": 2, "x": 9.0, "y": 8.0},
        "nothing": {"sum": 0, "x_weighted": 6, "y_weighted": 2},
        "nan": {"sum": 4, "x": math.nan, "y": math.nan},
    }
    got = read("image", roi_integrals=sums).roi_integrals
    assert got["weighted"] == RoiIntegral(sum=4, x=1.5, y=0.5)
    assert got["direct"] == RoiIntegral(sum=4, x=9.0, y=8.0)
    assert got["nothing"] == RoiIntegral(sum=0)
    assert got["nan"] == RoiIntegral(sum=4)


def test_a_wrong_region_costs_that_region(read):
    got = read("image", roi_integrals={"a": {"sum": 1}, "b": {"sum": "x"}, "c": 5})
    assert list(got.roi_integrals) == ["a"]
    assert [problem.field for problem in got.problems] == ["roi_integrals.b.sum", "roi_integrals.c"]


def test_other_spellings_of_counts(read):
    got = read("image", saturated_pixels=5, error_pixels=6)
    assert (got.saturated_pixel_count, got.error_pixel_count) == (5, 6)
    assert read("image", saturated_pixels=5, saturated_pixel_count=7).saturated_pixel_count == 7


@pytest.mark.parametrize(
    ("system", "letter"), [("tetragonal", "t"), ("Cubic", "c"), ("m", "m"), ("rhombohedral", "h")]
)
def test_lattice_type(read, system, letter):
    got = read("image", lattice_type={"centering": "P", "system": system, "niggli_class": 21})
    assert (got.bravais_lattice, got.niggli_class) == (f"{letter}P", 21)
    both = read(
        "image", lattice_type={"centering": "P", "system": system}, bravais_lattice="oF", niggli_class=3
    )
    assert (both.bravais_lattice, both.niggli_class) == ("oF", 3)


@pytest.mark.parametrize("wrong", [5, "tP", [], {"system": 5}])
def test_lattice_type_of_another_form(read, wrong):
    assert read("image", lattice_type=wrong).bravais_lattice is None


def test_lattices_in_their_forms(read):
    wanted = np.array([LATTICE, LATTICE])
    for sent in (
        [LATTICE, LATTICE],
        LATTICE * 2,
        tag(86, wanted.tobytes()),
        tag(40, [[2, 9], tag(86, wanted.tobytes())]),
    ):
        np.testing.assert_array_equal(
            read("image", indexing_lattice_extra=sent).indexing_lattice_extra, wanted
        )
    for sent in ([], [[math.nan] * 9]):
        assert read("image", indexing_lattice_extra=sent).indexing_lattice_extra is None
    rows = tag(40, [[3, 3], tag(86, np.array(LATTICE).tobytes())])
    np.testing.assert_array_equal(read("image", indexing_lattice=rows).indexing_lattice, np.array(LATTICE))


@pytest.mark.parametrize(
    ("sent", "value"),
    [([5, 2], 2.5), (3, 3.0), (0.25, 0.25), (tag(30, [1, 4]), 0.25), ([2**64 - 1, 1], float(2**64 - 1))],
)
def test_rational_times(read, sent, value):
    assert float(read("image", start_time=sent).start_time) == value


@pytest.mark.parametrize("sent", [[1, 0], [-1, 2], [1], [1.5, 2], -1, math.nan, "1/2", [1, 2, 3]])
def test_times_that_are_none(read, sent):
    got = read("image", start_time=sent)
    assert got.start_time is None
    assert got.problems[0].field == "start_time"


def test_the_image_appendix_is_plain_data(read):
    appendix = {"a": b"bytes", "b": math.nan, "c": tag(70, b"abcd"), 5: 2**64 - 1, "d": [1, "x", True, None]}
    got = read("image", user_data=appendix)
    assert got.user_data == {"a": None, "b": None, "c": None, "5": 2**64 - 1, "d": [1, "x", True, None]}
    assert read("image", user_data='{"sample": [1]}').user_data == {"sample": [1]}
    assert read("image", user_data="position 5").user_data == "position 5"


def test_counts_of_profiles(read):
    for sent in (
        [1, 2.0],
        tag(81, np.array([1, 2], ">f4").tobytes()),
        tag(73, np.array([1, 2], ">i2").tobytes()),
    ):
        got = read("image", az_int_profile_count=sent)
        assert_same(got.az_int_profile_count, np.array([1, 2], "u8"))
    for sent in ([-1], [1.5], [math.nan], tag(79, np.array([-(2**63)], "<i8").tobytes()), ["a"]):
        assert read("image", az_int_profile_count=sent).problems[0].field.startswith("az_int_profile_count")
