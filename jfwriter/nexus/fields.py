"""The one way to write a value, with its unit, into a NeXus file.

Strings are fixed-length, null-terminated and ASCII, numbers are little-endian, scalars are 0-d, booleans
are u1. These forms are the only ones that every reader takes (docs/reference/layout.md, "Strings and
scalars"). The writer thread owns every object that comes in here.

Types, dataspaces and property lists belong to no file and are kept: a data file has 80 datasets, and making
such objects anew for each costs more than HDF5 takes to write it. Nobody may change them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

HDF5Object: TypeAlias = h5py.Group | h5py.Dataset
Identifier: TypeAlias = h5py.h5g.GroupID | h5py.h5d.DatasetID
Number: TypeAlias = bool | int | float | np.generic
AttributeValue: TypeAlias = str | Number | Sequence[float] | npt.NDArray[np.generic]

N_KEPT = 128
"""Types and dataspaces that are kept, of each kind."""


def text_bytes(value: str) -> bytes:
    """Encode as ASCII where possible, else UTF-8; NUL and lone surrogates are escaped with a backslash."""
    return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace")


@lru_cache(maxsize=N_KEPT)
def text_type(size_bytes: int, *, ascii_only: bool = True) -> h5py.h5t.TypeStringID:
    """Fixed-length null-terminated string type; `size_bytes` includes the terminating NUL. Kept."""
    type_id = h5py.h5t.C_S1.copy()
    type_id.set_size(size_bytes)
    type_id.set_strpad(h5py.h5t.STR_NULLTERM)
    if not ascii_only:
        type_id.set_cset(h5py.h5t.CSET_UTF8)
    return type_id


def file_type(dtype: npt.DTypeLike) -> h5py.h5t.TypeID:
    """HDF5 type under which values of `dtype` are stored. Kept.

    `S<n>` becomes a null-terminated ASCII string of n bytes in all (n - 1 characters), bool becomes u1,
    numbers become little-endian.
    """
    numpy_type = np.dtype(dtype)
    if numpy_type.kind == "S":
        return text_type(numpy_type.itemsize)
    return memory_type(_numeric(numpy_type))


def text(group: h5py.Group, name: str, value: str) -> None:
    """Write a scalar string dataset."""
    type_id, buffer = _text(value)
    dataset = new_dataset(group, name, type_id, ())
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, buffer, mtype=type_id)


def text_array(group: h5py.Group, name: str, values: Sequence[str]) -> None:
    """Write a one-dimensional dataset of strings, all as long as the longest."""
    encoded = [text_bytes(value) for value in values]
    size_bytes = max(map(len, encoded), default=0) + 1
    type_id = text_type(size_bytes, ascii_only=all(map(bytes.isascii, encoded)))
    dataset = new_dataset(group, name, type_id, (len(encoded),))
    if encoded:
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, _text_buffer(encoded, size_bytes), mtype=type_id)


def scalar(
    group: h5py.Group, name: str, value: Number, dtype: npt.DTypeLike, units: str | None = None
) -> None:
    """Write a 0-d number. Raises OverflowError when it does not fit `dtype`."""
    numeric = _numeric(dtype)
    with np.errstate(over="ignore"):
        stored = np.asarray(_integral(value, numeric), dtype=numeric)
    if numeric.kind == "f" and np.isinf(stored) and not np.isinf(np.float64(value)):
        raise OverflowError(f"{value!r} is beyond {numeric.name}")
    _store(group, name, stored, units)


def optional(
    group: h5py.Group,
    name: str,
    value: Number | None,
    dtype: npt.DTypeLike,
    units: str | None = None,
    *,
    warnings: list[str],
) -> None:
    """Write a 0-d number if there is one; one that does not fit `dtype` is left out, said in `warnings`."""
    if value is None:
        return
    try:
        scalar(group, name, value, dtype, units)
    except OverflowError:
        warnings.append(f"{group.name}/{name}: {value!r} does not fit {np.dtype(dtype).name}; it is left out")


def array(
    group: h5py.Group,
    name: str,
    values: npt.ArrayLike,
    dtype: npt.DTypeLike,
    units: str | None = None,
) -> None:
    """Write an array of numbers (any dimensions, 0-d is a scalar), contiguous and without filter.

    What is too large for a smaller float type becomes infinite.
    """
    with np.errstate(over="ignore"):
        data = np.ascontiguousarray(values, dtype=_numeric(dtype)).reshape(np.shape(values))
    _store(group, name, data, units)


def fill(dataset: h5py.h5d.DatasetID, data: npt.NDArray[np.generic]) -> None:
    """Write all of a dataset."""
    if data.size:
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, data, mtype=memory_type(data.dtype))


def new_dataset(
    group: h5py.Group,
    name: str,
    type_id: h5py.h5t.TypeID,
    shape: tuple[int, ...],
    creation: h5py.h5p.PropDCID | None = None,
) -> h5py.h5d.DatasetID:
    """Create an empty dataset of fixed shape. Raises ValueError when the name is taken.

    `creation`: of `new_creation`, None for a contiguous dataset.
    """
    if creation is None:
        creation = contiguous()
    return h5py.h5d.create(group.id, name.encode(), type_id, space(shape), creation, links(name))


def new_creation() -> h5py.h5p.PropDCID:
    """Properties for `new_dataset`, to be filled in."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_obj_track_times(False)  # equal content gives equal files
    return creation


def attribute(target: HDF5Object, name: str, value: AttributeValue) -> None:
    """Write an attribute, replacing an older one.

    A str becomes a fixed string, a bool u1, an int i4, a float f8, a sequence an f8 vector; NumPy scalars
    and arrays keep their type.
    """
    _attribute(target.id, name, value)


def attributes(target: HDF5Object, **values: AttributeValue) -> None:
    """Write several attributes."""
    for name, value in values.items():
        _attribute(target.id, name, value)


def new_attributes(target: Identifier, values: Mapping[str, AttributeValue]) -> None:
    """Write the attributes of an object that has been made just now and has none of these."""
    for name, value in values.items():
        _new_attribute(target, name.encode(), value)


def units(target: HDF5Object, unit: str) -> None:
    """Say the unit of a dataset that already exists."""
    _attribute(target.id, "units", unit)


def group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """The group `name` below `parent`, made with its NeXus class if it is not there yet."""
    key = name.encode()
    if key in parent.id:
        existing = h5py.h5o.open(parent.id, key)
        if isinstance(existing, h5py.h5g.GroupID):
            return h5py.Group(existing)
    made = h5py.h5g.create(parent.id, key, links(name), _group_creation())
    _new_attribute(made, b"NX_class", nx_class)
    return h5py.Group(made)


def collection(parent: h5py.Group, name: str) -> h5py.Group:
    """The NXcollection `name` below `parent`, made if it is not there yet."""
    return group(parent, name, "NXcollection")


def hard_link(parent: h5py.Group, name: str, target: HDF5Object) -> None:
    """Give an object of the same file a second name."""
    parent[name] = target


def soft_link(parent: h5py.Group, name: str, path: str) -> None:
    """Point to a path of the same file."""
    parent[name] = h5py.SoftLink(path)


def external_link(parent: h5py.Group, name: str, file_name: str, path: str) -> None:
    """Point to a path of a file in the same directory; `file_name` is a base name, taken literally."""
    parent.id.links.create_external(name.encode(), file_name.encode(), path.encode())


def _attribute(target: Identifier, name: str, value: AttributeValue) -> None:
    key = name.encode()
    if h5py.h5a.exists(target, key):
        h5py.h5a.delete(target, key)
    _new_attribute(target, key, value)


def _new_attribute(target: Identifier, key: bytes, value: AttributeValue) -> None:
    parts = attribute_parts(value)
    h5py.h5a.create(target, key, parts.type_id, parts.extent).write(parts.data, mtype=parts.memory_type)


class AttributeParts(NamedTuple):
    """What HDF5 has to be given to write an attribute."""

    type_id: h5py.h5t.TypeID
    extent: h5py.h5s.SpaceID
    memory_type: h5py.h5t.TypeID
    data: npt.NDArray[np.generic]


def attribute_parts(value: AttributeValue) -> AttributeParts:
    """Of an attribute as `attribute` writes it."""
    if isinstance(value, str):
        type_id, buffer = _text(value)
        return AttributeParts(type_id, space(()), type_id, buffer)
    data = _attribute_array(value)
    return AttributeParts(file_type(data.dtype), space(data.shape), memory_type(data.dtype), data)


def _store(group: h5py.Group, name: str, data: npt.NDArray[np.generic], units: str | None) -> None:
    """`data` is contiguous, of the type in which it is stored."""
    dataset = new_dataset(group, name, memory_type(data.dtype), data.shape)
    fill(dataset, data)
    if units is not None:
        _new_attribute(dataset, b"units", units)


def _text(value: str) -> tuple[h5py.h5t.TypeStringID, npt.NDArray[np.bytes_]]:
    encoded = text_bytes(value)
    size_bytes = len(encoded) + 1
    return text_type(size_bytes, ascii_only=encoded.isascii()), _text_buffer(encoded, size_bytes)


def _attribute_array(value: Number | Sequence[float] | npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    if isinstance(value, (bool, np.bool_)):
        return np.asarray(value, dtype="u1")
    if isinstance(value, (np.ndarray, np.generic)):
        return np.ascontiguousarray(value).reshape(np.shape(value))
    return np.asarray(value, dtype="<i4" if isinstance(value, int) else "<f8")


@lru_cache(maxsize=N_KEPT)
def space(shape: tuple[int, ...]) -> h5py.h5s.SpaceID:
    """All of an array of this shape. Kept."""
    return h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)


@lru_cache(maxsize=N_KEPT)
def memory_type(dtype: np.dtype[np.generic]) -> h5py.h5t.TypeID:
    """Of values in memory, as h5py takes them by itself. Kept."""
    return h5py.h5t.py_create(dtype)


@cache
def contiguous() -> h5py.h5p.PropDCID:
    return new_creation()


@cache
def _group_creation() -> h5py.h5p.PropGCID:
    # Without order of creation: such a group is stored in a form that XDS (neggia) cannot walk through.
    creation = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    creation.set_obj_track_times(False)
    return creation


def links(name: str) -> h5py.h5p.PropLCID | None:
    """Properties of the link to an object of this name. Kept."""
    return None if name.isascii() else _utf8_links()


@cache
def _utf8_links() -> h5py.h5p.PropLCID:
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_char_encoding(h5py.h5t.CSET_UTF8)
    return links


def _text_buffer(encoded: bytes | Sequence[bytes], size_bytes: int) -> npt.NDArray[np.bytes_]:
    return np.asarray(encoded, dtype=f"S{size_bytes}")


def _numeric(dtype: npt.DTypeLike) -> np.dtype[np.generic]:
    numpy_type = np.dtype(dtype)
    return np.dtype("u1") if numpy_type.kind == "b" else numpy_type.newbyteorder("<")


def _integral(value: Number, dtype: npt.DTypeLike) -> Number:
    """A float for an integer field is stored only when it is exact (NumPy alone would cut it off)."""
    if np.dtype(dtype).kind in "iu" and isinstance(value, (float, np.floating)):
        if not np.isfinite(value) or value != int(value):
            raise OverflowError(f"{value!r} is not an integer")
        return int(value)
    return value
