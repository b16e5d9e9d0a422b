"""Every object of an HDF5 file as one line of text: for golden files and for rules about all of them.

What changes with the versions of programs or with the clock is shown as "*", and numbers are shown to 12
digits: the last ones depend on the processor.

    /entry/instrument/detector/distance  f8 ()  contiguous  [m]
    /entry/data  NXdata  signal=str5 'data'
    /entry/data/data_000001  -> run_data_000001.h5:/entry/data/data
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

CSETS = {h5py.h5t.CSET_ASCII: "", h5py.h5t.CSET_UTF8: " utf8"}
PADDINGS = {h5py.h5t.STR_NULLTERM: "", h5py.h5t.STR_NULLPAD: " nullpad", h5py.h5t.STR_SPACEPAD: " spacepad"}
LAYOUTS = {h5py.h5d.COMPACT: "compact", h5py.h5d.CONTIGUOUS: "contiguous", h5py.h5d.VIRTUAL: "virtual"}

VOLATILE_ATTRIBUTES = {"HDF5_Version", "creator_version", "file_time"}
VOLATILE_TEXTS = {"jfjoch_writer_release", "software_git_commit", "software_git_date"}
BITSHUFFLE = 32008

Object = h5py.Group | h5py.Dataset


def dump(path: Path) -> str:
    """The file as text, in the order of the names; links are named, not followed."""
    with h5py.File(path, "r") as file:
        return "\n".join(_lines(file, "/", {})) + "\n"


def objects(file: h5py.File) -> Iterator[tuple[str, Object]]:
    """(path, object) of the root and of everything below it, external links not followed."""
    seen: dict[object, str] = {}
    yield "/", file
    yield from _below(file, "", seen)


def type_name(type_id: h5py.h5t.TypeID) -> str:
    """`f8`, `u4`, `str12` (bytes with the NUL; other padding or character set named), `>i2`, ..."""
    if isinstance(type_id, h5py.h5t.TypeStringID):
        size = "vlen" if type_id.is_variable_str() else str(type_id.get_size())
        return f"str{size}{PADDINGS[type_id.get_strpad()]}{CSETS[type_id.get_cset()]}"
    dtype = np.dtype(type_id.dtype)
    return dtype.newbyteorder("=").str[1:] if dtype.isnative else dtype.str


def _below(group: h5py.Group, prefix: str, seen: dict[object, str]) -> Iterator[tuple[str, Object]]:
    for name in sorted(group):
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        if seen.setdefault(h5py.h5o.get_info(item.id).addr, f"{prefix}/{name}") != f"{prefix}/{name}":
            continue
        yield f"{prefix}/{name}", item
        if isinstance(item, h5py.Group):
            yield from _below(item, f"{prefix}/{name}", seen)


def _lines(item: Object, path: str, seen: dict[object, str]) -> Iterator[str]:
    first = seen.setdefault(h5py.h5o.get_info(item.id).addr, path)
    if first != path:
        yield f"{path}  = {first}"
        return
    if isinstance(item, h5py.Dataset):
        yield _line(path, _dataset(item), _attributes(item, skip="units"))
        return
    yield _line(path, _text(item.attrs.get("NX_class", b"-")), _attributes(item, skip="NX_class"))
    for name in sorted(item):
        below = f"{path.rstrip('/')}/{name}"
        link = item.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            yield f"{below}  -> {link.filename}:{link.path}"
        elif isinstance(link, h5py.SoftLink):
            yield f"{below}  -> {link.path}"
        else:
            yield from _lines(item[name], below, seen)


def _line(*parts: str) -> str:
    return "  ".join(part for part in parts if part)


def _dataset(dataset: h5py.Dataset) -> str:
    growing = "" if dataset.maxshape == dataset.shape else f" max {dataset.maxshape}"
    units = dataset.attrs.get("units")
    unit = "" if units is None else f"[{_text(units)}]"
    shape = str(dataset.shape).replace(" ", "")
    kind = "str*" if dataset.name.rsplit("/", 1)[-1] in VOLATILE_TEXTS else type_name(dataset.id.get_type())
    return _line(f"{kind} {shape}{growing}", _storage(dataset), unit)


def _storage(dataset: h5py.Dataset) -> str:
    creation = dataset.id.get_create_plist()
    layout = creation.get_layout()
    if layout != h5py.h5d.CHUNKED:
        sources = f" {creation.get_virtual_count()} files" if layout == h5py.h5d.VIRTUAL else ""
        return LAYOUTS[layout] + sources
    filters = [creation.get_filter(i) for i in range(creation.get_nfilters())]
    names = "".join(f" filter {code} {_options(code, options)}" for code, _, options, _ in filters)
    return f"chunks {str(dataset.chunks).replace(' ', '')}{names}"


def _options(code: int, options: tuple[int, ...]) -> str:
    """The first two options of bitshuffle are the version of the filter."""
    shown = ["*", "*", *options[2:]] if code == BITSHUFFLE else list(options)
    return f"({','.join(map(str, shown))})"


def _attributes(item: Object, skip: str) -> str:
    shown = []
    for name in sorted(item.attrs):
        if name in VOLATILE_ATTRIBUTES:
            shown.append(f"{name}=*")
        elif name != skip:
            attribute = h5py.h5a.open(item.id, name.encode())
            shape = "" if attribute.shape == () else str(attribute.shape).replace(" ", "")
            shown.append(f"{name}={type_name(attribute.get_type())}{shape} {_value(item.attrs[name])}")
    return ", ".join(shown)


def _value(value: object) -> str:
    if isinstance(value, (bytes, str)):
        return repr(_text(value))
    array = np.asarray(value)
    if array.dtype.kind == "f":
        array = np.array([float(f"{v:.12g}") for v in array.flat]).reshape(array.shape)
    return str(array.tolist()).replace(" ", "")


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
