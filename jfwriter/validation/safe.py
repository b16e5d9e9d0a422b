"""Reading HDF5 files that nobody vouches for: small things only, and none through a filter that may break.

A bitshuffle chunk of 12 bytes ends the process that unpacks it. So arrays are read only where they are stored
plainly or by HDF5's own filters, never through virtual datasets and never out of raw external files.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.reader.nodes import TROUBLE, dataset_at

SAFE_FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})
MAX_BYTES = 1 << 30

Vector = npt.NDArray[Any]


def is_plain(dataset: h5py.Dataset) -> bool:
    """May its values be read?"""
    creation = dataset.id.get_create_plist()
    if creation.get_layout() == h5py.h5d.VIRTUAL or creation.get_external_count():
        return False
    filters = {creation.get_filter(i)[0] for i in range(creation.get_nfilters())}
    return filters <= SAFE_FILTERS and dataset.size * dataset.dtype.itemsize <= MAX_BYTES


def numbers_at(root: h5py.Group, path: str) -> Vector | None:
    """An array of numbers of any shape; None if there is none that may be read."""
    dataset = dataset_at(root, path)
    try:
        if dataset is None or dataset.dtype.kind not in "iuf" or not is_plain(dataset):
            return None
        return np.asarray(dataset[()])
    except TROUBLE:
        return None


def number_at(root: h5py.Group, path: str) -> float | None:
    """A scalar number, also one that is not finite."""
    values = numbers_at(root, path)
    return None if values is None or values.size != 1 else float(values.reshape(())[()])


def integer_at(root: h5py.Group, path: str) -> int | None:
    values = numbers_at(root, path)
    if values is None or values.size != 1 or values.dtype.kind not in "iu":
        return None
    return int(values.reshape(())[()])


def text_at(root: h5py.Group, path: str) -> str | None:
    """A scalar text of any HDF5 form."""
    dataset = dataset_at(root, path)
    try:
        if dataset is None or dataset.size != 1 or not is_plain(dataset):
            return None
        return as_text(np.asarray(dataset[()]).reshape(()).item())
    except TROUBLE:
        return None


def texts_at(root: h5py.Group, path: str) -> list[str]:
    """A vector of texts; empty if there is none."""
    dataset = dataset_at(root, path)
    try:
        if dataset is None or dataset.ndim != 1 or dataset.size > 1000 or not is_plain(dataset):
            return []
        return [text for value in dataset[()] if (text := as_text(value)) is not None]
    except TROUBLE:
        return []


def attribute_text(node: h5py.Group | h5py.Dataset, name: str) -> str | None:
    try:
        value = node.attrs.get(name)
        return as_text(value.reshape(()).item() if isinstance(value, np.ndarray) else value)
    except TROUBLE:
        return None


def as_text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, str) else None
