"""Every field of every message, sent by plain cbor2, lands in its attribute; a wrong one does no harm."""

from __future__ import annotations

import dataclasses
import json

import cbor2
import pytest

from jfwriter.errors import ProtocolError
from jfwriter.settings import LimitSettings
from jfwriter.wire import end, image, start
from jfwriter.wire.decode import decode
from jfwriter.wire.messages import (
    CalibrationMessage,
    EndMessage,
    ImageMessage,
    MetadataMessage,
    StartMessage,
    UnknownMessage,
)
from jfwriter.wire.start import REQUESTS
from tests.support.hostile import WRONG, outcome
from tests.support.wire_fields import ESSENTIAL, MESSAGES, assert_same, message, smallest

LIMITS = LimitSettings()
CLASSES = {
    "start": StartMessage,
    "image": ImageMessage,
    "end": EndMessage,
    "calibration": CalibrationMessage,
    "metadata": MetadataMessage,
}
EACH_FIELD = [(kind, name) for kind, fields in MESSAGES.items() for name in fields]
EACH_OPTIONAL = [(kind, name) for kind, name in EACH_FIELD if name not in ESSENTIAL[kind]]
DERIVED = {"detector_distance", "incident_energy", "incident_wavelength"}


def send(fields: dict[str, object]):
    return decode(cbor2.dumps(fields), LIMITS)


@pytest.mark.parametrize("kind", CLASSES)
def test_no_attribute_is_without_an_example(kind):
    attributes = {field.name for field in dataclasses.fields(CLASSES[kind]) if field.compare} - {"problems"}
    assert {example.attribute for example in MESSAGES[kind].values()} == attributes


@pytest.mark.parametrize(
    ("kind", "table"),
    [("start", start.FIELDS), ("image", {**image.FIELDS, **image.LISTS}), ("end", end.END_FIELDS)],
)
def test_no_converter_is_without_an_example(kind, table):
    assert set(table) == set(MESSAGES[kind]) - {"user_data"}


@pytest.mark.parametrize("kind", CLASSES)
def test_all_fields_at_once(kind):
    got = send(message(kind))
    assert type(got) is CLASSES[kind]
    assert got.problems == ()
    for name, example in MESSAGES[kind].items():
        assert_same(getattr(got, example.attribute), example.value, name)


@pytest.mark.parametrize(("kind", "name"), EACH_OPTIONAL)
def test_one_field_alone(kind, name):
    sent, attribute, value = MESSAGES[kind][name]
    got = send({**smallest(kind), name: sent})
    assert got.problems == ()
    assert_same(getattr(got, attribute), value, name)
    untouched = send(smallest(kind))
    for field in dataclasses.fields(got):
        if field.compare and field.name != attribute and field.name not in DERIVED:
            assert_same(getattr(got, field.name), getattr(untouched, field.name), field.name)


@pytest.mark.parametrize(("kind", "name"), [item for item in EACH_FIELD if item[1] != "user_data"])
def test_a_field_inside_user_data(kind, name):
    sent, attribute, value = MESSAGES[kind][name]
    fields = {**smallest(kind), "user_data": {name: sent}}
    fields.pop(name, None)
    assert_same(getattr(send(fields), attribute), value, name)


def in_json(kind: str, name: str) -> str | None:
    """`user_data` as text with this field in it, where JSON can say it."""
    try:
        return json.dumps({name: MESSAGES[kind][name].sent}, allow_nan=False)
    except (TypeError, ValueError):
        return None


@pytest.mark.parametrize(
    ("kind", "name"), [item for item in EACH_OPTIONAL if item[1] != "user_data" and in_json(*item)]
)
def test_a_field_inside_json_text(kind, name):
    _, attribute, value = MESSAGES[kind][name]
    assert_same(getattr(send({**smallest(kind), "user_data": in_json(kind, name)}), attribute), value, name)


@pytest.mark.parametrize(("kind", "name"), [item for item in EACH_FIELD if item[1] != "user_data"])
def test_the_top_level_wins_over_user_data(kind, name):
    sent, attribute, value = MESSAGES[kind][name]
    got = send({**smallest(kind), name: sent, "user_data": {name: "not this"}})
    assert got.problems == ()
    assert_same(getattr(got, attribute), value, name)


@pytest.mark.parametrize("nothing", [None, cbor2.undefined])
@pytest.mark.parametrize(("kind", "name"), EACH_OPTIONAL)
def test_null_and_undefined_are_absent(kind, name, nothing):
    got = send({**smallest(kind), name: nothing})
    assert_same(got, send(smallest(kind)), kind)
    sent, attribute, value = MESSAGES[kind][name]
    if name != "user_data":
        below = send({**smallest(kind), name: nothing, "user_data": {name: sent}})
        assert_same(getattr(below, attribute), value, name)


@pytest.mark.parametrize(("kind", "name"), EACH_FIELD)
def test_a_wrong_value_never_loses_a_message_or_another_field(kind, name):
    whole = send(message(kind))
    attribute = MESSAGES[kind][name].attribute
    for what, value in WRONG:
        got = outcome(cbor2.dumps({**message(kind), name: value}), LIMITS)
        if isinstance(got, ProtocolError):
            assert name in ESSENTIAL[kind] or name in REQUESTS, what
            assert got.reason == "bad_field"
            assert repr(name)[:-1] in str(got), what
            continue
        listed = {problem.field.split(".")[0].split("[")[0] for problem in got.problems}
        if name not in {"image_size_x", "image_size_y"}:  # those of the masks' too
            assert listed <= {name}, what
            for field in dataclasses.fields(whole):
                if field.compare and field.name not in {
                    attribute,
                    "problems",
                    "user",
                    "user_data_text",
                    "channels",
                }:
                    assert_same(
                        getattr(got, field.name), getattr(whole, field.name), f"{field.name} after {what}"
                    )


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in CLASSES for name in sorted(ESSENTIAL[kind])]
)
def test_an_absent_essential_field_is_named(kind, name):
    fields = smallest(kind)
    del fields[name]
    with pytest.raises(
        ProtocolError, match=f"^{kind} message: field '{name}': expected .*, got nothing$"
    ) as caught:
        send(fields)
    assert caught.value.reason == "bad_field"


def test_a_wrong_essential_field_says_what_came():
    with pytest.raises(
        ProtocolError, match=r"^image message: field 'image_id': expected an integer, got text 'x'$"
    ):
        send({**smallest("image"), "image_id": "x"})


def test_a_problem_says_what_came():
    got = send({**smallest("start"), "beam_center_x": "x" * 1000})
    (problem,) = got.problems
    assert (problem.field, problem.expected) == ("beam_center_x", "a number")
    assert str(problem) == (
        "field 'beam_center_x': expected a number, got text "
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...; the field is ignored"
    )


def test_integers_and_floats_stand_for_each_other_where_exact():
    got = send({**smallest("start"), "number_of_images": 100.0, "beam_center_x": 7, "series_id": 3.0})
    assert (got.number_of_images, got.beam_center_x, got.series_id) == (100, 7.0, 3)
    assert type(got.number_of_images) is int
    assert type(got.beam_center_x) is float
    got = send({**smallest("start"), "number_of_images": 100.5, "beam_center_x": 2**53 + 1})
    assert [problem.field for problem in got.problems] == ["number_of_images", "beam_center_x"]


def test_nan_in_a_result_means_none():
    got = send({**smallest("image"), "bkg_estimate": float("nan"), "indexing_lattice": [float("nan")] * 9})
    assert (got.bkg_estimate, got.indexing_lattice, got.problems) == (None, None, ())


def test_unknown_types_and_keys():
    assert send({"type": "heartbeat", "x": 1}) == UnknownMessage(type="heartbeat")
    assert_same(send({**smallest("end"), "new": {"a": [1]}, 5: "x"}), send(smallest("end")))


def test_key_order_is_free():
    backwards = dict(reversed(message("image").items()))
    assert_same(send(backwards), send(message("image")))


def test_message_size_limit():
    limits = LimitSettings(max_message_bytes=100)
    with pytest.raises(ProtocolError, match="max_message_bytes") as caught:
        decode(cbor2.dumps(message("image")), limits)
    assert caught.value.reason == "over_limit"
