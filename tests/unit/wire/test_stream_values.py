"""Values of each kind in an image of a stream: what is plain, and that nothing else is taken for it."""

from __future__ import annotations

import math
from typing import Any

import cbor2
import numpy as np
import pytest

from jfwriter.errors import ProtocolError
from jfwriter.settings import LimitSettings
from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_fields import PLACES, WORD_BYTES, Kind
from jfwriter.wire.plain_image import PlainImage
from tests.support.plain_images import (
    Both,
    Raw,
    counts,
    double,
    half,
    head,
    item,
    kinds_after,
    learned,
    of_kind,
    pairs,
    pixels,
    plain_fields,
    plain_message,
    single,
    singles,
    spot,
    sums,
    without,
)
from tests.support.wire_fields import raw_image, tag

INTEGERS, FLOATS = of_kind(Kind.INTEGER), of_kind(Kind.FLOAT)


def after(name: str, value: object, both: Both | None = None) -> Any:
    return (both or learned()).read(plain_message(**{name: value}))


class TestNumbers:
    @pytest.mark.parametrize("name", INTEGERS)
    def test_integers_at_their_bounds_and_beyond(self, name: str) -> None:
        both = learned()
        place = PLACES[name]
        is_plain = {}
        for value in (
            0,
            1,
            23,
            24,
            255,
            256,
            65535,
            65536,
            2**32 - 1,
            2**32,
            2**53 + 1,
            2**63 - 2,
            2**63 - 1,
            2**63,
            2**64 - 1,
            2**64,
            -1,
            -24,
            -25,
            -(2**32),
            -(2**63) + 1,
            -(2**63),
            -(2**63) - 1,
            -(2**64),
        ):
            is_plain[value] = type(after(name, value, both)) is PlainImage
            assert is_plain[value] == (
                max(place.lowest, -(2**63) + 1) <= value <= min(place.highest, 2**63 - 2)
            ), value
            both.read(plain_message())
            both.read(plain_message())
        assert any(is_plain.values())
        assert not all(is_plain.values())

    @pytest.mark.parametrize(
        "name", ["series_id", "spot_count", "pixel_sum", "xfel_pulse_id", "niggli_class"]
    )
    @pytest.mark.parametrize(
        "value",
        [
            1.0,
            1.5,
            math.nan,
            math.inf,
            -0.0,
            True,
            False,
            "1",
            b"1",
            [1],
            {},
            tag(2, b"\1"),
            tag(3, b"\1"),
            tag(1, 5),
            tag(30, 5),
            tag(30, [1, 2]),
            Raw(b"\x18\x05"),
            Raw(b"\x1b" + bytes(7) + b"\5"),
            Raw(b"\xf8\x20"),
            Raw(b"\xe0"),
        ],
        ids=repr,
    )
    def test_what_else_may_stand_for_an_integer(self, name: str, value: object) -> None:
        got = after(name, value)
        is_integer = isinstance(value, Raw) and value[0] < 0x20
        assert (type(got) is PlainImage) == is_integer

    @pytest.mark.parametrize("name", FLOATS)
    def test_floats(self, name: str) -> None:
        both = learned()
        for value in (0.0, -0.0, 1e-320, 1e300, -1e300, 5e-324, 1.5, math.nan, -math.nan):
            assert type(after(name, value, both)) is PlainImage
        for value in (math.inf, -math.inf, 1, 0, 2**53 + 1, 2**63, True, "a", [1.5], tag(1, 1.5)):
            assert type(after(name, value, both)) is ImageMessage
            both.learn(plain_message())

    @pytest.mark.parametrize(
        "raw",
        [
            *(half(bits) for bits in (0, 0x8000, 1, 0x3FF, 0x8001, 0x3C00, 0x7BFF, 0xFBFF)),
            *(single(bits) for bits in (0, 1 << 31, 1, 0x7F7FFFFF, 0x3DCCCCCD, 0x807FFFFF)),
            *(double(bits) for bits in (0, 1 << 63, 1, (0x7FF << 52) - 1)),
        ],
        ids=bytes.hex,
    )
    def test_floats_of_each_width(self, raw: Raw) -> None:
        assert type(after("mosaicity", raw)) is PlainImage

    @pytest.mark.parametrize(
        "raw",
        [
            half(0x7E00),
            half(0x7C01),
            half(0xFE00),
            single(0x7FC00000),
            single(0x7F800001),
            single(0xFFC00000),
            double(0x7FF8 << 48),
            double((0x7FF << 52) + 1),
        ],
        ids=bytes.hex,
    )
    def test_every_nan_is_no_value(self, raw: Raw) -> None:
        got = after("mosaicity", raw)
        assert type(got) is PlainImage
        assert got.mosaicity is None

    @pytest.mark.parametrize(
        "raw",
        [
            half(0x7C00),
            half(0xFC00),
            single(0x7F800000),
            single(0xFF800000),
            double(0x7FF << 52),
            double(0xFFF << 52),
        ],
        ids=bytes.hex,
    )
    def test_infinities_are_told(self, raw: Raw) -> None:
        got = after("mosaicity", raw)
        assert type(got) is ImageMessage
        assert [problem.field for problem in got.problems] == ["mosaicity"]

    @pytest.mark.parametrize("value", [True, False])
    def test_booleans(self, value: bool) -> None:
        got = after("indexing_result", value)
        assert type(got) is PlainImage
        assert got.indexing_result is value

    @pytest.mark.parametrize(
        "value", [0, 1, 0.0, "true", [], Raw(b"\xf8\xff"), Raw(b"\xe0"), Raw(b"\xf3")], ids=repr
    )
    def test_what_is_no_boolean(self, value: object) -> None:
        assert type(after("indexing_result", value)) is ImageMessage

    @pytest.mark.parametrize("name", of_kind(Kind.RATIONAL))
    def test_rationals(self, name: str) -> None:
        both = learned()
        for value in (
            [0, 1],
            [2**63 - 2, 2**63 - 2],
            tag(30, [1, 2]),
            Raw(b"\xd8\x1e" + item([5, 7])),
            Raw(b"\x98\x02\x01\x02"),
            Raw(b"\xd9\x00\x1e" + item([5, 7])),
        ):
            assert type(after(name, value, both)) is PlainImage, value
        for value in (
            [1, 0],
            tag(30, [1, 0]),
            [-1, 1],
            [1, -1],
            [1],
            [1, 2, 3],
            [],
            5,
            1.5,
            [1.0, 2],
            [1, 2.0],
            [None, 1],
            [1, None],
            "1/2",
            [2**63 - 1, 1],
            [1, 2**64 - 1],
            [2**64, 1],
            tag(30, 5),
            tag(30, tag(30, [1, 2])),
            tag(1, [1, 2]),
            tag(0, [1, 2]),
            tag(4, [1, 2]),
            [True, 1],
            Raw(b"\x9f\x01\x02\xff"),
            {1: 2},
            tag(30, [tag(30, 1), 2]),
        ):
            assert type(after(name, value, both)) is not PlainImage, value
            both.read(plain_message())
            both.read(plain_message())
            assert both.is_plain(plain_message())


class TestWords:
    @pytest.mark.parametrize("n", range(WORD_BYTES + 2))
    def test_of_each_length(self, n: int) -> None:
        for word in ("\x7f" * n, "a" * n, "\x01" * n):
            got = after("bravais_lattice", word)
            assert got.bravais_lattice == word
            assert (type(got) is PlainImage) == (n <= WORD_BYTES)

    @pytest.mark.parametrize(
        "value",
        [
            "\0",
            "a\0",
            "\0a",
            "é",
            "tPé",
            "\x80",
            Raw(b"\x61\xff"),
            Raw(b"\x62\xc3\x28"),
            b"tP",
            5,
            ["tP"],
            tag(0, 5),
            Raw(b"\x7f\x62tP\xff"),
            tag(0, "tP"),
            True,
            1.5,
        ],
        ids=repr,
    )
    def test_others_take_the_general_way(self, value: object) -> None:
        assert type(after("bravais_lattice", value)) is ImageMessage

    def test_a_long_head(self) -> None:
        assert after("bravais_lattice", Raw(b"\x7a\0\0\0\2tP")).bravais_lattice == "tP"


class TestArrays:
    def test_lattices(self) -> None:
        both = learned()
        for numbers in ([0.1] * 9, [-0.0] * 9, [3.4e38, -3.4e38, 1e-45, *[0.0] * 6]):
            assert type(after("indexing_lattice", singles(*numbers), both)) is PlainImage
        for bad in (math.nan, math.inf, -math.inf):
            for at in (0, 8):
                numbers = [1.0] * 9
                numbers[at] = bad
                assert type(after("indexing_lattice", singles(*numbers), both)) is ImageMessage
                both.learn(plain_message())

    @pytest.mark.parametrize(
        "value",
        [
            singles(*range(8)),
            singles(*range(10)),
            singles(),
            tag(85, b"a" * 35),
            tag(81, bytes(36)),
            tag(86, bytes(72)),
            tag(70, bytes(36)),
            [1.0] * 9,
            [[1, 2, 3]] * 3,
            tag(40, [[3, 3], singles(*range(9))]),
            tag(85, "a" * 36),
            tag(85, tag(56500, ["bslz4", 4, bytes(36)])),
            "text",
            5,
            Raw(b"\xd9\x00\x55" + item(bytes(36))),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_lattices_of_other_forms_take_the_general_way(self, value: object) -> None:
        assert type(after("indexing_lattice", value)) is ImageMessage

    @pytest.mark.parametrize("name", ["az_int_profile", "az_int_profile_std"])
    def test_profiles(self, name: str) -> None:
        both = learned()
        for value in (
            singles(),
            singles(math.nan, math.inf, -0.0),
            singles(*range(100)),
            tag(85, b"\1\0\x80\x7f"),
        ):
            assert type(after(name, value, both)) is PlainImage

    def test_counts_of_profiles(self) -> None:
        both = learned()
        for value in (counts(), counts(0, 2**32 - 1), counts(*range(100))):
            assert type(after("az_int_profile_count", value, both)) is PlainImage

    @pytest.mark.parametrize("name", ["az_int_profile", "az_int_profile_std", "az_int_profile_count"])
    def test_profiles_of_other_forms_take_the_general_way(self, name: str) -> None:
        both = learned()
        usual = 70 if name.endswith("count") else 85
        for number in {*range(60, 92)} - {usual}:
            assert type(after(name, tag(number, bytes(16)), both)) is not PlainImage, number
            kinds_after([plain_message()] * 2, both)
        for value in (
            tag(usual, bytes(15)),
            tag(usual, b"\1"),
            tag(usual, "a" * 16),
            [1, 2],
            [1.5, math.nan],
            [],
            tag(40, [[2, 2], tag(usual, bytes(16))]),
            tag(usual, tag(56500, ["lz4", 4, bytes(16)])),
            Raw(b"\xd8" + bytes([usual]) + b"\x5f\x44abcd\xff"),
            5,
            "text",
            {},
        ):
            assert type(after(name, value, both)) is not PlainImage, value
            kinds_after([plain_message()] * 2, both)
            assert both.is_plain(plain_message())


class TestPixels:
    @pytest.mark.parametrize(
        "content",
        [
            tag(40, [[5, 8, 1], tag(69, bytes(80))]),
            tag(40, [[1, 5, 8], tag(69, bytes(80))]),
            tag(40, [[40], tag(69, bytes(80))]),
            tag(40, [[0, 8], tag(69, bytes(80))]),
            tag(40, [[-5, -8], tag(69, bytes(80))]),
            tag(40, [[5.0, 8], tag(69, bytes(80))]),
            tag(40, [[2**32, 1], tag(69, bytes(80))]),
            tag(40, [tag(68, b"\5\10"), tag(69, bytes(80))]),
            tag(40, [[5, 8], tag(69, bytes(80)), 1]),
            tag(40, [[5, 8]]),
            tag(40, [[5, 8], tag(69, b"")]),
            tag(69, bytes(80)),
            tag(40, [[5, 8], [1] * 40]),
            tag(40, [[5, 8], tag(69, "a" * 80)]),
            tag(40, [[5, 8], tag(71, bytes(320))]),
            tag(40, [[5, 8], tag(76, bytes(80))]),
            tag(40, [[5, 8], tag(86, bytes(320))]),
            tag(1040, [[5, 8], tag(69, bytes(80))]),
            tag(40, [[5, 8], tag(69, tag(56500, ["gzip", 2, bytes(80)]))]),
            tag(40, [[5, 8], tag(69, tag(56500, ["", 2, bytes(80)]))]),
            tag(40, [[5, 8], tag(69, tag(56500, ["bslz4", 4, bytes(80)]))]),
            tag(40, [[5, 8], tag(69, tag(56500, ["bslz4", 2.0, bytes(80)]))]),
            tag(40, [[5, 8], tag(69, tag(56500, ["bslz4", -2, bytes(80)]))]),
            tag(40, [[5, 8], tag(69, tag(56500, ["bslz4", 2]))]),
            tag(40, [[5, 8], tag(69, tag(56500, ["bslz4", 2, bytes(80), 1]))]),
            tag(40, [[5, 8], tag(69, tag(56501, ["bslz4", 2, bytes(80)]))]),
            tag(40, [[5, 8], tag(69, tag(56500, [b"bslz4", 2, bytes(80)]))]),
            tag(40, [[5, 8], tag(69, tag(56500, ["bslz4", 2, b""]))]),
            tag(40, [[5, 8], tag(69, tag(30, bytes(80)))]),
            tag(40, [[5, 8], tag(69, tag(1, bytes(80)))]),
            tag(30, raw_image(pixels(), 69)),
            Raw(b"\xd8\x28\x82\x82\5\x08\xd8\x45\x5f" + item(bytes(80)) + b"\xff"),
            5,
            "text",
            [],
        ],
        ids=lambda value: repr(value)[:60],
    )
    def test_of_other_forms_take_the_general_way(self, content: Any) -> None:
        data = pairs([("default", content)])
        assert type(after("data", data)) is not PlainImage
        assert type(after("data", content)) is not PlainImage

    def test_of_lz4_with_any_element_size(self) -> None:
        both = learned()
        for size in (0, 2, 4, 2**40):
            content = tag(40, [[5, 8], tag(69, tag(56500, ["lz4", size, bytes(80)]))])
            assert type(after("data", {"default": content}, both)) is PlainImage

    def test_of_names_that_are_wrong(self) -> None:
        content = item(raw_image(pixels(), 69))
        for name in (Raw(b"\x61\xff"), "a\0", 5, b"a", None, ["a"]):
            data = Raw(b"\xa1" + item(name) + content)
            assert type(after("data", data)) is not PlainImage
        assert type(after("data", Raw(b"\xa1" + item("Größe") + content))) is PlainImage

    def test_of_no_channel_or_twice_the_same(self) -> None:
        content = raw_image(pixels(), 69)
        assert type(after("data", {})) is ProtocolError
        assert after("data", pairs([("a", content), ("a", content)])).reason == "duplicate_key"
        assert type(after("data", pairs([("a", content), ("a\0", content)]))) is ProtocolError

    def test_more_forms_than_are_kept(self) -> None:
        both = learned()
        for n in range(80):
            got = both.read(plain_message(data={f"channel {n}": raw_image(np.zeros((1, n + 1), "<u2"), 69)}))
            assert type(got) is PlainImage


class TestRegions:
    @pytest.mark.parametrize("total", [0, 1, -1, 3, 10**9, 2**53, -(2**53)])
    def test_sums(self, total: int) -> None:
        values = {**plain_fields()["roi_integrals"], "beam": sums(total, x_weighted=2**53, y_weighted=-7)}
        got = after("roi_integrals", values)
        assert type(got) is PlainImage
        assert (got.roi_integrals["beam"].x is None) == (total == 0)

    @pytest.mark.parametrize("name", ["sum", "sum_square", "max", "pixels", "x_weighted", "y_weighted"])
    def test_sums_at_their_bounds(self, name: str) -> None:
        both = learned()
        exact = {"sum", "x_weighted", "y_weighted"}
        for value in (
            0,
            1,
            -1,
            2**53,
            2**53 + 1,
            -(2**53),
            -(2**53) - 1,
            2**63 - 2,
            2**63 - 1,
            2**63,
            2**64 - 1,
            2**64,
            -(2**63) + 1,
            -(2**63),
            -(2**64),
        ):
            regions = {**plain_fields()["roi_integrals"], "ring/1": sums(8, **{name: value})}
            highest = 2**53 if name in exact else 2**63 - 2
            lowest = 0 if name in {"sum_square", "pixels"} else -highest - (name == "max")
            got = after("roi_integrals", regions, both)
            assert (type(got) is PlainImage) == (lowest <= value <= highest), value
            kinds_after([plain_message()] * 2, both)

    @pytest.mark.parametrize(
        "change",
        [
            lambda s: without(s, "max"),
            lambda s: without(s, "x_weighted"),
            lambda s: {**s, "x": 1.5},
            lambda s: {**s, "other": 1},
            lambda s: {**without(s, "x_weighted", "y_weighted"), "x": 1.5, "y": 2.5},
            lambda s: {**s, "sum": 1.0},
            lambda s: {**s, "sum": None},
            lambda s: {**s, "max": cbor2.undefined},
            lambda s: {**s, "pixels": True},
            lambda s: {**s, "x_weighted": 1.5},
            lambda s: {},
            lambda s: [],
            lambda s: None,
            lambda s: 5,
            lambda s: pairs([*s.items(), ("sum", 1)]),
            lambda s: pairs([*list(s.items())[:5], ("sum", 1)]),
            lambda s: pairs([*list(s.items())[:5], ("summ", 1)]),
            lambda s: pairs([*list(s.items())[:5], (5, 1)]),
        ],
    )
    def test_sums_of_other_forms_take_the_general_way(self, change: Any) -> None:
        regions = {**plain_fields()["roi_integrals"], "ring/1": change(sums())}
        assert (
            type(
                after(
                    "roi_integrals",
                    pairs(
                        [
                            *(
                                (k, pairs(list(v.items())) if isinstance(v, dict) else v)
                                for k, v in regions.items()
                            )
                        ]
                    ),
                )
            )
            is not PlainImage
        )

    def test_sums_in_another_order(self) -> None:
        values = {
            name: dict(reversed(entries.items())) for name, entries in plain_fields()["roi_integrals"].items()
        }
        assert type(after("roi_integrals", values)) is PlainImage

    @pytest.mark.parametrize(
        "value", [[], 5, "text", {5: {}}, {"beam": 5, "ring/1": 5, "Größe": 5}], ids=repr
    )
    def test_what_are_no_regions(self, value: object) -> None:
        assert type(after("roi_integrals", value)) is not PlainImage

    def test_names_that_come_twice_or_are_wrong(self) -> None:
        for names in (
            ("a", "a"),
            ("a\0", "b"),
            (Raw(b"\x61\xff"), "b"),
            (Raw(b"\x61\xff"), Raw(b"\x61\xfe")),
        ):
            data = plain_message(roi_integrals=pairs([(name, sums()) for name in names]))
            both = Both()
            for _ in range(3):
                both.read(data)


class TestSpots:
    @pytest.mark.parametrize(
        "spots",
        [
            [],
            Raw(b"\x98\0"),
            [spot()],
            [{"x": 1.5, "y": 2.5}],
            [without(spot(), "I")] * 3,
            [spot(), without(spot(), "I", "h")],
            [{**without(spot(), "I"), "intensity": 5.0}],
            [{**without(spot(), "dist_ewald"), "dist_ewald_sphere": 0.5}] * 2,
            [spot(x=1, y=-2, I=2**53 - 1)],
            [spot(ice_ring=1, indexed=0)],
            [spot(other=1, note=None)],
            [spot(h=None, maxc=None)],
            [spot(x=math.nan, I=math.nan, dist_ewald=math.inf)],
            [spot(l=cbor2.undefined)],
            [spot(x=half(0x3C00), y=single(0x3F800000))],
            [spot(h=-(2**31), k=2**31 - 1, maxc=2**52)],
        ],
        ids=lambda value: repr(value)[:50],
    )
    def test_usual_ones(self, spots: Any) -> None:
        if not isinstance(spots, Raw):
            spots = Raw(head(4, len(spots)) + b"".join(pairs(list(row.items())) for row in spots))
        assert type(after("spots", spots)) is PlainImage

    @pytest.mark.parametrize(
        "spots",
        [
            [without(spot(), "x")],
            [spot(), without(spot(), "x")],
            [spot(), without(spot(), "y")],
            [spot(x=None)],
            [{}],
            [spot(), {}],
            [{**spot(), "intensity": 5.0}],
            [spot(), {**without(spot(), "I"), "intensity": 5.0}],
            [spot(h=2**31)],
            [spot(h=1.5)],
            [spot(x=1e300)],
            [spot(I=True)],
            [spot(x="1")],
            [spot(x=[1])],
            [spot(ice_ring=256)],
            [spot(maxc=math.nan)],
            [spot(maxc=2**53)],
            [5],
            [[1, 2]],
            [spot(), None],
            {"x": singles(1, 2), "y": singles(3, 4)},
            {},
            5,
            "text",
            tag(30, [spot()]),
            [spot(**{"n" * 24: 1})],
            [spot(note="text")],
            [spot(x=tag(1, 1.5))],
        ],
        ids=lambda value: repr(value)[:50],
    )
    def test_others_take_the_general_way(self, spots: object) -> None:
        both = learned()
        assert type(after("spots", spots, both)) is ImageMessage

    def test_a_column_that_comes_twice_in_a_row(self) -> None:
        for key in ("x", "I", "other"):
            row = pairs([*spot(other=1).items(), (key, 1.5)])
            assert (type(after("spots", Raw(b"\x81" + row))) is PlainImage) == (key == "other")

    def test_a_row_of_many_entries(self) -> None:
        for n in (23, 24):
            row = spot(**{f"n{i}": i for i in range(n - len(spot()))})
            assert (type(after("spots", [row])) is PlainImage) == (n < 24)

    def test_more_than_the_kernel_reads(self) -> None:
        both = Both(LimitSettings(max_spots=20_000))
        both.learn(plain_message())
        for n, is_plain in ((9000, True), (16385, False)):
            got = both.read(plain_message(spots=[{"x": 1, "y": 2}] * n))
            assert (type(got) is PlainImage) == is_plain
            assert len(got.spots.x) == n

    def test_truth_of_spots_that_lack_some_columns(self) -> None:
        got = after("spots", [spot(), {"x": 5, "y": 6}])
        assert type(got) is PlainImage
        assert got.spots.lattice.tolist() == [0, -1]
        assert got.spots.h.tolist() == [1, 0]
        np.testing.assert_array_equal(got.spots.intensity, np.array([30, np.nan], "f4"))
        assert after("spots", [{"x": 5, "y": 6}]).spots.lattice is None
