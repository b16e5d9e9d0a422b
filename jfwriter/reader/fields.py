"""Values out of HDF5 files that nobody vouches for: each function says None instead of raising."""

from __future__ import annotations

import math
from typing import TypeAlias

import h5py
import numpy as np
import numpy.typing as npt

TROUBLE = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, MemoryError)
"""What h5py raises for damaged, odd or missing content."""

Node: TypeAlias = h5py.Group | h5py.Dataset

_MAX_LINKS = 8


def short(error: BaseException) -> str:
    """The text of an h5py error without its quotes, at most 200 characters."""
    return str(error).strip("'\"")[:200] or type(error).__name__


def find(root: h5py.Group, path: str, depth: int = 0) -> Node | None:
    """The object at an absolute path, without following links into other files."""
    node: Node = root
    parts = [part for part in path.split("/") if part]
    for i, part in enumerate(parts):
        if not isinstance(node, h5py.Group):
            return None
        try:
            link = node.get(part, getlink=True)
            if isinstance(link, h5py.SoftLink):
                if depth >= _MAX_LINKS:
                    return None
                target = link.path if link.path.startswith("/") else f"{node.name}/{link.path}"
                return find(root, "/".join([target, *parts[i + 1 :]]), depth + 1)
            if not isinstance(link, h5py.HardLink):
                return None
            node = node[part]
        except TROUBLE:
            return None
    return node


def dataset_at(root: h5py.Group, path: str) -> h5py.Dataset | None:
    """The data set at `path`, None if there is none."""
    node = find(root, path)
    return node if isinstance(node, h5py.Dataset) else None


def text_of(root: h5py.Group, path: str) -> str | None:
    """A scalar text."""
    dataset = dataset_at(root, path)
    try:
        value = None if dataset is None or dataset.shape not in {(), (1,)} else dataset[()]
        if isinstance(value, np.ndarray):
            value = value[0]
    except TROUBLE:
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def float_of(root: h5py.Group, path: str) -> float | None:
    """A finite scalar number."""
    dataset = dataset_at(root, path)
    try:
        if dataset is None or dataset.size != 1 or dataset.dtype.kind not in "iuf":
            return None
        value = float(np.asarray(dataset[()]).reshape(()))
    except TROUBLE:
        return None
    return value if math.isfinite(value) else None


def integer_of(root: h5py.Group, path: str) -> int | None:
    """A scalar integer."""
    dataset = dataset_at(root, path)
    if dataset is None or dataset.dtype.kind not in "iu":
        return None
    try:
        return int(np.asarray(dataset[()]).reshape(()))
    except TROUBLE:
        return None


def vector_of(root: h5py.Group, path: str, n_max: int) -> npt.NDArray[np.generic] | None:
    """A one-dimensional array of numbers with at most `n_max` elements."""
    dataset = dataset_at(root, path)
    if dataset is None or dataset.ndim != 1 or dataset.dtype.kind not in "iuf" or dataset.size > n_max:
        return None
    try:
        return np.asarray(dataset[()])
    except TROUBLE:
        return None


def attribute_of(dataset: h5py.Dataset, name: str) -> int | None:
    """An integer attribute."""
    try:
        value = dataset.attrs.get(name)
        return None if value is None else int(np.asarray(value).reshape(()))
    except TROUBLE:
        return None
