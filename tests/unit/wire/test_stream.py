"""The decoder of a stream gives what the general one gives: message or error, whatever comes after what."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import cbor2
import numpy as np
import pytest

from jfwriter.errors import ProtocolError
from jfwriter.payload import Codec
from jfwriter.settings import LimitSettings
from jfwriter.simulator import SimulatedRun
from jfwriter.simulator.options import Flavour
from jfwriter.wire import aliases, image
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import ImageMessage
from jfwriter.wire.plain_fields import MAX_BYTES, MAX_CHANNELS, MAX_REGIONS, PLACES
from jfwriter.wire.plain_image import PlainImage
from jfwriter.wire.stream import PATIENCE, SELDOM
from tests.support.plain_dcu import image as packed_image
from tests.support.plain_images import (
    LIMITS,
    N_BINS,
    REGIONS,
    Both,
    Fields,
    Raw,
    assert_same_image,
    counts,
    encoded,
    head,
    item,
    kinds_after,
    learned,
    pairs,
    pixels,
    plain_fields,
    plain_message,
    singles,
    spot,
    sums,
    view,
    without,
)
from tests.support.simulated import small_options
from tests.support.wire_fields import message, raw_image, tag


class TestSimulatedRuns:
    @pytest.mark.parametrize("flavour", Flavour)
    @pytest.mark.parametrize("codec", Codec)
    def test_images_behind_the_first_are_plain(self, flavour: Flavour, codec: Codec) -> None:
        run = SimulatedRun(small_options(flavour=flavour, codec=codec, n_images=3, n_distinct=3))
        both = Both()
        start = run.start()
        both.learn(run.image(0))
        assert both.is_plain(run.image(1))
        for other in (start, *run.calibration(), run.end(range(3))):
            assert not both.is_plain(other)
        assert both.is_plain(run.image(2))

    @pytest.mark.parametrize("dtype", ["int16", "uint32", "int8", "float32"])
    def test_images_of_several_channels_are_plain(self, dtype: str) -> None:
        run = SimulatedRun(small_options(dtype, n_channels=3, n_images=2, n_distinct=2))
        both = Both()
        both.learn(run.image(0))
        got = both.read(run.image(1))
        assert type(got) is PlainImage
        assert len(got.channels) == 3

    def test_images_with_reflections_take_the_general_way(self) -> None:
        run = SimulatedRun(small_options(with_reflections=True, n_images=2, n_distinct=2))
        assert run.image(0).count(b"reflections")
        assert kinds_after([run.image(0), run.image(1), run.image(1)]) == [False] * 3


class TestTheMessage:
    def test_every_field_is_a_property_or_an_attribute_that_is_set(self) -> None:
        """Or one that plain images never have, which is read from the class."""
        got = learned().read(plain_message(6))
        names = {field.name for field in dataclasses.fields(ImageMessage)}
        assert names >= {*image.FIELDS, *image.LISTS} - {"data"}
        absent = set()
        for name in names:
            if isinstance(getattr(PlainImage, name, None), property):
                assert name not in vars(got)
            elif name not in vars(got):
                absent.add(name)
        assert absent == {"indexing_lattice_extra", "indexing_unit_cell", "reflections", "problems"}
        assert all(getattr(got, name) is not None for name in names - absent)

    def test_a_message_of_the_essential_fields_alone(self) -> None:
        both = Both()
        data = cbor2.dumps({"type": "image", "series_id": 1, "image_id": 0, "data": plain_fields()["data"]})
        both.learn(data)
        got = both.read(data)
        assert (got.spots, got.bravais_lattice, got.start_time, got.roi_integrals) == (None, None, None, {})

    def test_whole_is_the_general_message_with_the_channels_of_this_one(self) -> None:
        data = plain_message(6, data={name: raw_image(pixels(1), 69) for name in ("low", "high")})
        both = learned()
        got = both.read(data)
        fewer = got.with_channels({"high": got.channels["high"]})
        for plain in (got, fewer):
            whole = plain.whole()
            assert type(whole) is ImageMessage
            assert_same_image(whole, dataclasses.replace(decode(view(data), LIMITS), channels=plain.channels))
        assert list(fewer.whole().channels) == ["high"]

    def test_with_channels_changes_the_channels_alone(self) -> None:
        got = learned().read(plain_message(6))
        other = got.with_channels({})
        assert type(other) is PlainImage
        assert other.channels == {}
        assert list(got.channels) == ["default"]
        general = dataclasses.replace(decode(view(plain_message(6)), LIMITS), channels={})
        assert_same_image(other, general)

    def test_general_messages_are_whole_themselves(self) -> None:
        general = decode(view(plain_message()), LIMITS)
        assert general.whole() is general
        assert_same_image(general.with_channels({}), dataclasses.replace(general, channels={}))

    def test_a_message_outlives_those_behind_it(self) -> None:
        both = learned()
        kept = [both.read(plain_message(i, spots=[spot(j) for j in range(i)])) for i in range(5)]
        for i, got in enumerate(kept):
            data = plain_message(i, spots=[spot(j) for j in range(i)])
            assert_same_image(got, decode(view(data), LIMITS))

    @pytest.mark.parametrize("codec", ["bslz4", "bszstd", "bszstd_rle", "bszstd_rlehuf", "lz4"])
    def test_every_codec(self, codec: str) -> None:
        content = packed_image(pixels(3), codec.partition("_")[0])
        content.value[1].value.value[0] = codec
        assert learned().is_plain(plain_message(data={"default": content}))

    def test_every_type_of_pixels(self) -> None:
        types = {64: 1, 65: 2, 66: 4, 68: 1, 69: 2, 70: 4, 72: 1, 73: 2, 74: 4, 77: 2, 78: 4, 81: 4, 85: 4}
        both = learned()
        for number in range(60, 92):
            size = types.get(number, 8)
            data = plain_message(data={"default": tag(40, [[5, 8], tag(number, bytes(40 * size))])})
            if number in range(64, 88):
                assert both.is_plain(data) == (number in types), number
            else:
                assert not both.is_plain(data), number


CHANGES: dict[str, tuple[Any, Any]] = {
    "series_unique_id": ("run 1", "run 2"),
    "series_date": (tag(0, "2026-03-04T05:06:07Z"), tag(0, "2026-03-04T05:06:08Z")),
    "user_data": ({"note": 1}, {"note": 2}),
    "user_data text": ("beamtime", "beamtimf"),
    "user_data JSON": ('{"a": 1}', '{"a": 2}'),
    "roi_integrals": ({"a": sums()}, {"b": sums()}),
    "roi_integrals longer": ({"a": sums()}, {"ab": sums()}),
    "roi_integrals more": ({"a": sums()}, {"a": sums(), "b": sums()}),
    "roi_integrals fewer": ({"a": sums(), "b": sums()}, {"a": sums()}),
    "roi_integrals order": ({"a": sums(), "b": sums()}, {"b": sums(), "a": sums()}),
    "roi_integrals none": ({"a": sums()}, {}),
}


class TestLearning:
    @pytest.mark.parametrize("name", CHANGES)
    def test_anew_when_what_is_constant_changes(self, name: str) -> None:
        field = name.partition(" ")[0]
        one, other = (plain_message(**{field: value}) for value in CHANGES[name])
        assert kinds_after([one, one, other, other, one, one, other, other]) == [False, True] * 4

    @pytest.mark.parametrize("name", ["series_unique_id", "series_date", "user_data", "roi_integrals"])
    def test_what_is_constant_may_be_absent(self, name: str) -> None:
        full = plain_message()
        lacking = encoded(without(plain_fields(), name))
        both = learned()
        assert kinds_after([lacking, plain_message(**{name: None}), full], both) == [True] * 3
        both = Both()
        both.learn(lacking)
        assert kinds_after([full, full, lacking], both) == [False, True, True]

    @pytest.mark.parametrize("name", ["series_unique_id", "series_date", "user_data"])
    def test_a_constant_that_another_ends_with_is_another(self, name: str) -> None:
        value = plain_fields()[name]
        longer = "run 1 and more" if name == "series_unique_id" else tag(0, "2026-03-04T05:06:07.5Z")
        longer = {**value, "more": 1} if name == "user_data" else longer
        assert kinds_after([plain_message(**{name: longer})], learned()) == [False]

    def test_anew_for_other_limits(self) -> None:
        both = learned()
        others = LimitSettings(max_image_pixels=39)
        equal = LimitSettings()
        for limits, wanted in (
            (others, ProtocolError),
            (LIMITS, PlainImage),
            (equal, ImageMessage),
            (equal, PlainImage),
            (others, ProtocolError),
            (LIMITS, ImageMessage),
            (LIMITS, PlainImage),
        ):
            assert type(both.read(plain_message(), limits)) is wanted

    def test_limits_on_pixels_hold_for_each_limits(self) -> None:
        wide, narrow = LimitSettings(), LimitSettings(max_image_pixels=40)
        large = {"data": {"default": raw_image(np.zeros((7, 6), "<u2"), 69)}}
        both = Both(wide)
        both.learn(plain_message(**large))
        assert type(both.read(plain_message(), narrow)) is ImageMessage
        assert type(both.read(plain_message(), narrow)) is PlainImage
        assert type(both.read(plain_message(**large), narrow)) is ProtocolError

    def test_nothing_from_a_message_with_problems(self) -> None:
        wrong = plain_message(mosaicity="wrong")
        assert kinds_after([wrong, plain_message(), plain_message(), wrong, plain_message()]) == [
            False,
            False,
            True,
            False,
            False,
        ]

    def test_nothing_from_other_messages(self) -> None:
        both = learned()
        for kind in ("start", "end", "calibration", "metadata"):
            both.read(cbor2.dumps(message(kind)))
            both.read(cbor2.dumps({"type": kind}))
        both.read(b"")
        both.read(cbor2.dumps({"type": "of the future"}))
        assert both.is_plain(plain_message(9))

    def test_gives_up_when_images_are_never_plain(self) -> None:
        both = learned()
        never = plain_message(indexing_unit_cell=[1, 2, 3, 90, 90, 90])
        assert kinds_after([never] * (PATIENCE + 1), both) == [False] * (PATIENCE + 1)
        wanted = [False] * (SELDOM - PATIENCE - 1)
        assert kinds_after([plain_message()] * len(wanted), both) == wanted
        assert both.is_plain(plain_message(1))

    def test_patience_begins_anew_with_a_plain_image(self) -> None:
        both = learned()
        never = plain_message(indexing_unit_cell=[1, 2, 3, 90, 90, 90])
        kinds_after([never] * (PATIENCE - 1), both)
        both.learn(plain_message())
        kinds_after([never] * (PATIENCE - 1), both)
        both.learn(plain_message())

    @pytest.mark.parametrize("name", [*image.FIELDS, *image.LISTS, *aliases.IMAGE, aliases.LATTICE_TYPE])
    def test_free_form_data_that_holds_fields_is_never_plain(self, name: str) -> None:
        lacking = without(plain_fields(), name, aliases.IMAGE.get(name, name))
        for value in ({name: 1}, {name: None}, f'{{"{name}": 1}}'):
            assert kinds_after([encoded({**lacking, "user_data": value})] * 3) == [False] * 3

    def test_free_form_data_of_many_forms_is_plain(self) -> None:
        for value in (
            [1, 2.5, None, True],
            "text",
            '{"a": [1]}',
            5,
            {1: 2},
            {"spot": 1},
            b"bytes",
            -1.5,
            cbor2.undefined,
            {"": {}},
            tag(2, b"\1" * 9),
            "\N{BLUE HEART}",
            Raw(b"\x62\xff\xfe"),
        ):
            both = Both()
            both.learn(plain_message(user_data=value))

    @pytest.mark.parametrize(
        "value",
        [
            Raw(b"\x9f\x01\xff"),
            Raw(b"\xbf\xff"),
            Raw(b"\x7f\x61a\xff"),
            "a" * 1025,
            [0] * 1024,
            pairs([("a", Raw(b"\x82\x01\x9f\xff"))]),
        ],
    )
    def test_free_form_data_of_open_or_great_length_is_not(self, value: object) -> None:
        assert kinds_after([plain_message(user_data=value)] * 2) == [False] * 2


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "fits", "exceeds"),
        [
            (
                {"max_spots": 3},
                {"spots": [spot(j) for j in range(3)]},
                {"spots": [spot(j) for j in range(4)]},
            ),
            ({"max_azint_bins": N_BINS}, {}, {"az_int_profile": singles(*range(N_BINS + 1))}),
            ({"max_azint_bins": N_BINS}, {}, {"az_int_profile_std": singles(*range(N_BINS + 1))}),
            ({"max_azint_bins": N_BINS}, {}, {"az_int_profile_count": counts(*range(N_BINS + 1))}),
            (
                {"max_channels": 2},
                {"data": {n: raw_image(pixels(), 69) for n in "ab"}},
                {"data": {n: raw_image(pixels(), 69) for n in "abc"}},
            ),
            ({"max_image_pixels": 40}, {}, {"data": {"default": raw_image(np.zeros((41, 1), "<u2"), 69)}}),
            ({"max_message_bytes": len(plain_message())}, {}, {"bravais_lattice": "tPx"}),
        ],
        ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
    )
    def test_a_message_over_a_limit(self, limits: dict[str, int], fits: Fields, exceeds: Fields) -> None:
        both = Both(LimitSettings(**limits))
        both.learn(plain_message(**fits))
        assert not both.is_plain(plain_message(**(fits | exceeds)))
        assert kinds_after([plain_message(**fits)] * 2, both)[1]

    @pytest.mark.parametrize(
        ("limits", "is_plain"),
        [
            ({"max_nesting": 8}, True),
            ({"max_nesting": 7}, False),
            ({"max_nesting": 4}, False),
            ({"max_metadata_bytes": MAX_BYTES}, True),
            ({"max_metadata_bytes": MAX_BYTES - 1}, False),
            ({"max_metadata_bytes": 1500}, False),
            ({"max_metadata_bytes": 400}, False),
            ({"max_rois": len(REGIONS)}, True),
            ({"max_rois": len(REGIONS) - 1}, False),
        ],
    )
    def test_limits_that_plain_images_must_not_touch(self, limits: dict[str, int], is_plain: bool) -> None:
        chosen = LimitSettings(**limits)
        packed = {"default": packed_image(pixels(), "bslz4")}
        assert kinds_after([plain_message(data=packed)] * 2, Both(chosen)) == [False, is_plain]

    def test_free_form_data_nested_too_deep(self) -> None:
        deep: object = 1
        for _ in range(9):
            deep = [deep]
        for nesting in range(8, 13):
            Both(LimitSettings(max_nesting=nesting)).read(plain_message(user_data=deep))
            both = Both(LimitSettings(max_nesting=nesting))
            assert kinds_after([plain_message(user_data=deep)] * 2, both)[1] == (nesting >= 10)

    def test_a_message_of_many_bytes_beside_its_pixels(self) -> None:
        room = MAX_BYTES - len(plain_message()) + pixels().nbytes - 10
        both = learned()
        for n_bins, is_plain in ((room // 4, True), (room // 4 + 20, False)):
            profile = singles(*np.zeros(n_bins))
            assert both.is_plain(plain_message(az_int_profile=profile)) == is_plain

    def test_many_channels_and_regions(self) -> None:
        for n in (1, MAX_CHANNELS, MAX_CHANNELS + 1):
            data = {f"channel {i}": raw_image(pixels(i), 69) for i in range(n)}
            assert kinds_after([plain_message(data=data)] * 2)[1] == (n <= MAX_CHANNELS)
        for n in (0, 1, MAX_REGIONS, MAX_REGIONS + 1):
            regions = {f"region {i}": sums(i) for i in range(n)}
            assert kinds_after([plain_message(roi_integrals=regions)] * 2)[1] == (n <= MAX_REGIONS)

    def test_long_names(self) -> None:
        for n in (0, 64, 65):
            name = "n" * n
            for changes in ({"data": {name: raw_image(pixels(), 69)}}, {"roi_integrals": {name: sums()}}):
                assert kinds_after([plain_message(**changes)] * 2)[1] == (n <= 64)


def renamed(field: str, key: object) -> bytes:
    return encoded({key if name == field else name: value for name, value in plain_fields().items()})


def extended(*entries: tuple[object, object]) -> bytes:
    return pairs([*plain_fields().items(), *entries])


class TestKeys:
    @pytest.mark.parametrize("name", PLACES)
    def test_a_key_that_comes_twice(self, name: str) -> None:
        both = learned()
        for value in (plain_fields()[name], None):
            got = both.read(extended((name, value)))
            assert (type(got), got.reason) == (ProtocolError, "duplicate_key")

    @pytest.mark.parametrize("name", PLACES)
    def test_a_field_that_is_absent_or_null(self, name: str) -> None:
        both = learned()
        is_essential = name in {"type", "series_id", "image_id", "data"}
        for data in (
            encoded(without(plain_fields(), name)),
            plain_message(**{name: None}),
            plain_message(**{name: cbor2.undefined}),
        ):
            assert type(both.read(data)) is (ProtocolError if is_essential else PlainImage)

    @pytest.mark.parametrize("alias", aliases.IMAGE)
    def test_other_spellings(self, alias: str) -> None:
        name = aliases.IMAGE[alias]
        both = learned()
        assert both.is_plain(renamed(name, alias))
        assert getattr(both.read(renamed(name, alias)), name) == plain_fields()[name]
        lacking = list(without(plain_fields(), name).items())
        for one, other in ((1, 2), (None, 2), (1, None), (None, None)):
            assert not both.is_plain(pairs([*lacking, (alias, one), (name, other)]))
            assert not both.is_plain(pairs([*lacking, (name, one), (alias, other)]))
            both.learn(plain_message())

    @pytest.mark.parametrize(
        "entry",
        [
            ("of the future", 1),
            ("of the future", None),
            ("", 1),
            (5, 1),
            (0, None),
            (65535, 1),
            ("indexing_unit_cell", None),
            ("indexing_lattice_extra", None),
            ("reflections", None),
            ("reflections", []),
            ("lattice_type", None),
            ("lattice_type", {"centering": "P", "system": "cubic"}),
            ("series_i", 1),
            ("series_idx", 1),
            ("Type", 1),
            ("image_id\0", 1),
            ("images", 1),
        ],
        ids=repr,
    )
    def test_other_keys_take_the_general_way(self, entry: tuple[object, object]) -> None:
        assert not learned().is_plain(extended(entry))

    @pytest.mark.parametrize(
        "key", [b"bytes", -1, 65536, 1.5, None, [1], True, Raw(b"\x62\xff\xfe")], ids=repr
    )
    def test_keys_that_are_no_names(self, key: object) -> None:
        assert not learned().is_plain(extended((Raw(item(key)), 1)))

    def test_keys_in_any_order_and_of_any_head(self) -> None:
        both = learned()
        entries = list(plain_fields().items())
        assert both.is_plain(pairs(entries[::-1]))
        assert both.is_plain(pairs(entries))
        rng = np.random.default_rng(1)
        assert both.is_plain(pairs([entries[i] for i in rng.permutation(len(entries))]))
        long_heads = [(Raw(b"\x79" + struct.pack(">H", len(k)) + k.encode()), v) for k, v in entries]
        assert both.is_plain(pairs(long_heads))

    def test_the_prefix_of_cbor(self) -> None:
        both = learned()
        assert both.is_plain(b"\xd9\xd9\xf7" + plain_message())
        assert not both.is_plain(b"\xd9\xd9\xf7\xd9\xd9\xf7" + plain_message())
        assert not both.is_plain(b"\xd9\xd9\xf6" + plain_message())
        assert not both.is_plain(b"\xd9\xd9\xf7")

    def test_maps_of_open_length(self) -> None:
        both = learned()
        entries = b"".join(item(part) for entry in plain_fields().items() for part in entry)
        assert not both.is_plain(b"\xbf" + entries + b"\xff")
        for name in ("data", "roi_integrals"):
            inner = b"".join(item(part) for entry in plain_fields()[name].items() for part in entry)
            assert not both.is_plain(plain_message(**{name: Raw(b"\xbf" + inner + b"\xff")}))
        assert not both.is_plain(plain_message(spots=Raw(b"\x9f" + item(spot()) + b"\xff")))

    def test_bytes_behind_the_end(self) -> None:
        both = learned()
        for more in (b"\0", b"\xf6", plain_message(), b"\xff"):
            assert both.read(plain_message() + more).reason == "trailing_bytes"

    def test_counts_of_entries_that_are_lies(self) -> None:
        both = learned()
        body = plain_message()[2:]
        n = len(plain_fields())
        assert head(5, n) + body == plain_message()
        for count in (n - 1, n + 1, 0, 200, 2**16, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1):
            assert not both.is_plain(head(5, count) + body)

    def test_truncation_at_every_byte(self) -> None:
        """All of them lie outside of the pixels but for some in their midst."""
        for data in (plain_message(), encoded(dict(reversed(plain_fields().items())))):
            both = Both()
            both.learn(data)
            for n in range(len(data)):
                got = both.read(data[:n])
                assert type(got) is ProtocolError, n
            assert both.is_plain(data)
