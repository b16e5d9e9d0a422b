from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.nexus import fields
from tests.support.dump import type_name


def stored_type(item: h5py.Dataset) -> str:
    return type_name(item.id.get_type())


def attribute_type(item: h5py.Group, name: str) -> str:
    return type_name(h5py.h5a.open(item.id, name.encode()).get_type())


@pytest.mark.parametrize(
    ("text", "type_", "stored"),
    [
        ("", "str1", b""),
        ("m", "str2", b"m"),
        ("mm", "str3", b"mm"),
        ("Å", "str3 utf8", "Å".encode()),
        ("a\0b", "str7", rb"a\x00b"),
        ("a\ud800b", "str9", rb"a\ud800b"),
    ],
)
def test_text_is_fixed_null_terminated_ascii_with_room_for_the_nul(
    file: h5py.File, text: str, type_: str, stored: bytes
) -> None:
    fields.text(file, "name", text)
    fields.attribute(file, "name", text)
    assert stored_type(file["name"]) == attribute_type(file, "name") == type_
    assert file["name"].shape == h5py.h5a.open(file.id, b"name").shape == ()
    assert file["name"][()] == stored
    assert file.attrs["name"] in {stored, stored.decode()}


@given(st.text(max_size=40))
def test_any_text_can_be_written_and_comes_back(text: str) -> None:
    with h5py.File("text.h5", "w", driver="core", backing_store=False) as file:
        fields.text(file, "text", text)
        assert file["text"][()] == fields.text_bytes(text)
        if "\0" not in text and text.isprintable():
            assert file["text"][()].decode() == text


def test_text_array_has_the_length_of_its_longest_member(file: h5py.File) -> None:
    fields.text_array(file, "names", ["gain_a.bin", "b"])
    fields.text_array(file, "empty", [])
    fields.text_array(file, "greek", ["α", "b"])
    assert stored_type(file["names"]) == "str11"
    assert stored_type(file["greek"]) == "str3 utf8"
    assert list(file["names"]) == [b"gain_a.bin", b"b"]
    assert list(file["greek"]) == ["α".encode(), b"b"]
    assert file["empty"].shape == (0,)


def test_scalars_are_0d_little_endian_with_the_unit_beside(file: h5py.File) -> None:
    fields.scalar(file, "distance", 0.12, "f8", "m")
    fields.scalar(file, "flag", True, "u1")
    fields.scalar(file, "big_endian", np.dtype(">i4").type(-7), ">i4")
    assert file["distance"].shape == ()
    assert file["distance"][()] == 0.12
    assert attribute_type(file["distance"], "units") == "str2"
    assert stored_type(file["flag"]) == "u1"
    assert file["flag"][()] == 1
    assert file["big_endian"].dtype == np.dtype("<i4")
    assert file["big_endian"][()] == -7


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (2**31, "i4"),
        (-1, "u4"),
        (2**64, "u8"),
        (1.5, "i4"),
        (float("inf"), "i8"),
        (float("nan"), "i8"),
        (1e39, "f4"),
        (10**400, "f8"),
    ],
)
def test_a_number_that_does_not_fit_is_never_changed_silently(
    file: h5py.File, value: float, dtype: str, warnings: list[str]
) -> None:
    with pytest.raises(OverflowError):
        fields.scalar(file, "value", value, dtype)
    fields.optional(file, "value", value, dtype, warnings=warnings)
    assert "value" not in file
    assert len(warnings) == 1
    assert "/value" in warnings[0]


def test_optional_writes_what_is_there(file: h5py.File, warnings: list[str]) -> None:
    fields.optional(file, "absent", None, "i4", warnings=warnings)
    fields.optional(file, "count", 3.0, "i4", warnings=warnings)
    assert list(file) == ["count"]
    assert file["count"][()] == 3
    assert warnings == []


def test_arrays_keep_shape_and_lose_byte_order(file: h5py.File) -> None:
    values = np.arange(6, dtype=">u2").reshape(2, 3)
    fields.array(file, "array", values, values.dtype)
    fields.array(file, "transposed", values.T, "f4", "deg")
    fields.array(file, "nothing", [], "i8")
    assert file["array"].dtype == np.dtype("<u2")
    np.testing.assert_array_equal(file["array"], values)
    np.testing.assert_array_equal(file["transposed"], values.T)
    assert file["array"].chunks is None
    assert file["nothing"].shape == (0,)


def test_a_float_nan_stays_nan_and_a_uint64_keeps_its_last_bit(file: h5py.File) -> None:
    fields.scalar(file, "nan", float("nan"), "f4")
    fields.scalar(file, "inf", float("inf"), "f4")
    fields.array(file, "large", [1e39, 1.0], "f4")
    assert file["large"][()].tolist() == [np.inf, 1.0]
    fields.scalar(file, "pulse", 2**64 - 1, "u8")
    assert np.isnan(file["nan"][()])
    assert int(file["pulse"][()]) == 2**64 - 1


@pytest.mark.parametrize(
    ("value", "type_", "shape"),
    [
        (True, "u1", ()),
        (3, "i4", ()),
        (2.5, "f8", ()),
        ((1.0, 2.0, 3.0), "f8", (3,)),
        (np.uint64(2**64 - 1), "u8", ()),
        (np.zeros(2, "f4"), "f4", (2,)),
    ],
)
def test_attributes(
    file: h5py.File, value: fields.AttributeValue, type_: str, shape: tuple[int, ...]
) -> None:
    fields.attribute(file, "a", value)
    assert attribute_type(file, "a") == type_
    assert h5py.h5a.open(file.id, b"a").shape == shape
    np.testing.assert_array_equal(file.attrs["a"], value)


def test_an_attribute_replaces_an_older_one(file: h5py.File) -> None:
    fields.attributes(file, a=1, b="x")
    fields.attribute(file, "a", "now text")
    assert attribute_type(file, "a") == "str9"
    assert sorted(file.attrs) == ["a", "b"]


def test_a_group_is_made_once_with_its_class(file: h5py.File) -> None:
    made = fields.group(file, "entry", "NXentry")
    again = fields.group(file, "entry", "NXentry")
    assert made == again
    assert attribute_type(made, "NX_class") == "str8"
    assert not made.id.get_create_plist().get_link_creation_order() & h5py.h5p.CRT_ORDER_TRACKED


def test_groups_are_not_creation_ordered_even_if_h5py_is_told_so(file: h5py.File) -> None:
    config = h5py.get_config()
    before = config.track_order
    config.track_order = True
    try:
        made = fields.collection(file, "entry")
    finally:
        config.track_order = before
    assert not made.id.get_create_plist().get_link_creation_order() & h5py.h5p.CRT_ORDER_TRACKED


def test_links(file: h5py.File) -> None:
    entry = fields.collection(file, "entry")
    fields.scalar(entry, "a", 1, "i4")
    fields.hard_link(entry, "b", entry["a"])
    fields.soft_link(entry, "c", "/entry/a")
    fields.external_link(entry, "d", "100%b.h5", "/entry/data/data")
    assert entry["b"] == entry["a"]
    assert entry["c"][()] == 1
    link = entry.get("d", getlink=True)
    assert (link.filename, link.path) == ("100%b.h5", "/entry/data/data")


def test_a_name_that_is_not_ascii_is_marked_as_utf8(file: h5py.File) -> None:
    fields.scalar(file, "größe", 1, "i4")
    assert list(file) == ["größe"]
    assert file.id.links.get_info("größe".encode()).cset == h5py.h5t.CSET_UTF8


def test_equal_content_gives_equal_files() -> None:
    def image() -> bytes:
        with h5py.File("x.h5", "w", driver="core", backing_store=False, libver=("earliest", "v108")) as made:
            fields.scalar(fields.collection(made, "entry"), "a", 1.5, "f8", "m")
            made.flush()
            return bytes(made.id.get_file_image())

    assert image() == image()


def test_types_are_kept_and_told_apart(file: h5py.File) -> None:
    """More sizes than are kept, with numbers in between; each dataset has its own."""
    assert fields.file_type("f4") is fields.file_type(np.dtype("<f4"))
    for n in range(2 * fields.N_KEPT):
        fields.text(file, f"text{n}", n * "x")
        fields.array(file, f"array{n}", np.arange(n), f"u{1 << n % 4}")
    for n in range(2 * fields.N_KEPT):
        assert stored_type(file[f"text{n}"]) == f"str{n + 1}"
        assert file[f"text{n}"][()] == n * b"x"
        assert stored_type(file[f"array{n}"]) == f"u{1 << n % 4}"
        np.testing.assert_array_equal(file[f"array{n}"][()], np.arange(n, dtype=f"u{1 << n % 4}"))


@pytest.mark.parametrize("name", ["plain", "Größe"])
def test_a_group_is_found_again_and_never_takes_the_place_of_a_dataset(file: h5py.File, name: str) -> None:
    made = fields.collection(file, name)
    assert fields.group(file, name, "NXdata") == made
    assert made.attrs["NX_class"] == b"NXcollection"
    coding = h5py.h5t.CSET_ASCII if name.isascii() else h5py.h5t.CSET_UTF8
    assert file.id.links.get_info(name.encode()).cset == coding
    fields.scalar(made, name, 1, "i4")
    with pytest.raises(ValueError, match="exists"):
        fields.collection(made, name)
