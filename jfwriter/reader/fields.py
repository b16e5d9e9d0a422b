"""Values out of HDF5 files that nobody vouches for: each function says None instead of raising."""

from __future__ import annotations

import math

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.reader import guard
from jfwriter.reader.nodes import TROUBLE, dataset_at


def short(error: BaseException) -> str:
    """The text of an h5py error without its quotes, at most 200 characters."""
    return str(error).strip("'\"")[:200] or type(error).__name__


def text_of(root: h5py.Group, path: str) -> str | None:
    """A scalar text."""
    dataset = dataset_at(root, path)
    try:
        value = None if dataset is None or dataset.shape not in {(), (1,)} else _read(dataset)
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
        value = float(np.asarray(_read(dataset)).reshape(()))
    except TROUBLE:
        return None
    return value if math.isfinite(value) else None


def integer_of(root: h5py.Group, path: str) -> int | None:
    """A scalar integer."""
    dataset = dataset_at(root, path)
    if dataset is None or dataset.size != 1 or dataset.dtype.kind not in "iu":
        return None
    try:
        return int(np.asarray(_read(dataset)).reshape(()))
    except TROUBLE:
        return None


def vector_of(root: h5py.Group, path: str, n_max: int) -> npt.NDArray[np.generic] | None:
    """A one-dimensional array of numbers with at most `n_max` elements."""
    dataset = dataset_at(root, path)
    if dataset is None or dataset.ndim != 1 or dataset.dtype.kind not in "iuf" or dataset.size > n_max:
        return None
    try:
        return np.asarray(_read(dataset))
    except TROUBLE:
        return None


def attribute_of(dataset: h5py.Dataset, name: str) -> int | None:
    """An integer attribute."""
    try:
        value = dataset.attrs.get(name)
        return None if value is None else int(np.asarray(value).reshape(()))
    except TROUBLE:
        return None


def _read(dataset: h5py.Dataset) -> object:
    guard.check(dataset)
    return dataset[()]
