"""Values out of HDF5 files that nobody vouches for: each function says None instead of raising."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.reader import guard
from jfwriter.reader.nodes import TROUBLE, dataset_at

Vector = npt.NDArray[Any]


def short(error: BaseException) -> str:
    """The text of an h5py error without its quotes, at most 200 characters."""
    return str(error).strip("'\"")[:200] or type(error).__name__


def numbers_of(root: h5py.Group, path: str) -> Vector | None:
    """An array of numbers of any shape."""
    dataset = dataset_at(root, path)
    try:
        if dataset is None or dataset.dtype.kind not in "iuf":
            return None
        return np.asarray(_read(dataset))
    except TROUBLE:
        return None


def vector_of(root: h5py.Group, path: str, n_max: int) -> Vector | None:
    """A one-dimensional array of numbers with at most `n_max` elements."""
    dataset = dataset_at(root, path)
    if dataset is None or dataset.ndim != 1 or dataset.size > n_max:
        return None
    return numbers_of(root, path)


def number_of(root: h5py.Group, path: str) -> float | None:
    """A scalar number, also one that is not finite."""
    values = _single(root, path)
    return None if values is None else float(values.reshape(()))


def float_of(root: h5py.Group, path: str) -> float | None:
    """A finite scalar number."""
    value = number_of(root, path)
    return value if value is not None and math.isfinite(value) else None


def integer_of(root: h5py.Group, path: str) -> int | None:
    """A scalar integer."""
    values = _single(root, path)
    return None if values is None or values.dtype.kind not in "iu" else int(values.reshape(()))


def text_of(root: h5py.Group, path: str) -> str | None:
    """A scalar text of any HDF5 form."""
    dataset = dataset_at(root, path)
    try:
        if dataset is None or dataset.size != 1:
            return None
        return _text(np.asarray(_read(dataset)).reshape(()).item())
    except TROUBLE:
        return None


def texts_of(root: h5py.Group, path: str, n_max: int) -> tuple[str, ...]:
    """A vector of at most `n_max` texts; empty if there is none."""
    dataset = dataset_at(root, path)
    try:
        if dataset is None or dataset.ndim != 1 or dataset.size > n_max:
            return ()
        values = np.asarray(_read(dataset)).tolist()
    except TROUBLE:
        return ()
    return tuple(text for value in values if (text := _text(value)) is not None)


def attribute_of(dataset: h5py.Dataset, name: str) -> int | None:
    """An integer attribute."""
    try:
        value = dataset.attrs.get(name)
        return None if value is None else int(np.asarray(value).reshape(()))
    except TROUBLE:
        return None


def attribute_text(node: h5py.Group | h5py.Dataset, name: str) -> str | None:
    """A text attribute of any HDF5 form."""
    try:
        return _text(np.asarray(node.attrs.get(name)).reshape(()).item())
    except TROUBLE:
        return None


def _single(root: h5py.Group, path: str) -> Vector | None:
    dataset = dataset_at(root, path)
    return numbers_of(root, path) if dataset is not None and dataset.size == 1 else None


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, str) else None


def _read(dataset: h5py.Dataset) -> object:
    guard.check_values(dataset)
    return dataset[()]
