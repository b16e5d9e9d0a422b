"""What a foreign value becomes in a dataset of a given type; a value that does not fit never wraps around."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


class Unfit(Exception):
    """The value cannot be stored as it is; `kept` is what is stored instead (None: the sentinel)."""

    def __init__(self, kept: object = None) -> None:
        super().__init__("value does not fit its dataset")
        self.kept = kept


Convert = Callable[[object], object]
"""Gives the value to store. Raises Unfit."""

_LARGEST = {char: float(np.finfo(char).max) for char in "fd"}
_INTEGER_LIMITS = {char: (int(np.iinfo(char).min), int(np.iinfo(char).max)) for char in "bBhHiIlLqQ"}


def integer(dtype: npt.DTypeLike) -> Callable[[object], int]:
    """For integers and booleans within the range of `dtype`."""
    limits = np.iinfo(np.dtype(dtype))
    low, high = int(limits.min), int(limits.max)
    index = operator.index

    def convert(value: object) -> int:
        try:
            number = index(value)  # type: ignore[arg-type]
        except TypeError:
            raise Unfit from None
        if low <= number <= high:
            return number
        raise Unfit

    return convert


def floating(dtype: npt.DTypeLike) -> Callable[[object], float]:
    """For numbers within the range of `dtype`; NaN is a value, infinity is not."""
    high = float(np.finfo(np.dtype(dtype)).max)

    def convert(value: object) -> float:
        if isinstance(value, (str, bytes)):
            raise Unfit
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, ArithmeticError):
            raise Unfit from None
        if -high <= number <= high or math.isnan(number):
            return number
        raise Unfit

    return convert


def plain_block(values: Sequence[object], dtype: np.dtype[np.generic]) -> Array | None:
    """`values` as an array of `dtype`, if `integer` or `floating` would take each of them as it is.

    None: somebody has to look at each value (some are absent, of other types, NaN or out of range).
    """
    kinds = set(map(type, values))
    if dtype.kind == "f":
        if kinds != {float}:
            return None
        numbers = np.array(values, np.float64)
        return numbers.astype(dtype) if (np.abs(numbers) <= _LARGEST[dtype.char]).all() else None
    if not kinds <= {int, bool}:
        return None
    integers = cast("Sequence[int]", values)
    low, high = _INTEGER_LIMITS[dtype.char]
    return np.array(integers, dtype) if low <= min(integers) and max(integers) <= high else None


def fitting_block(values: Array, dtype: np.dtype[np.generic]) -> Array | None:
    """`values` as `dtype` if the dataset can hold each of them; None: somebody has to look at each value."""
    if values.dtype == dtype:
        return values
    if values.dtype.kind != dtype.kind and not (values.dtype.kind == "i" and dtype.kind == "u"):
        return None
    if dtype.kind == "f":
        return values.astype(dtype) if (np.abs(values) <= _LARGEST[dtype.char]).all() else None
    if dtype.kind == "S":
        fits = (np.char.str_len(cast("npt.NDArray[np.bytes_]", values)) < dtype.itemsize).all()
        return values.astype(dtype) if fits else None
    low, high = _INTEGER_LIMITS[dtype.char]
    integers = cast("npt.NDArray[np.int64]", values)
    lowest, highest = np.minimum.reduce(integers, None), np.maximum.reduce(integers, None)
    return values.astype(dtype) if low <= int(lowest) and int(highest) <= high else None


def ascii_text(size_bytes: int) -> Convert:
    """For ASCII text that leaves room for the terminating NUL in `size_bytes`."""

    def convert(value: object) -> bytes:
        if not isinstance(value, str) or not value.isascii() or len(value) >= size_bytes or "\0" in value:
            raise Unfit
        return value.encode()

    return convert


def vector(dtype: npt.DTypeLike, length: int) -> Convert:
    """For arrays of `length` numbers."""
    stored = np.dtype(dtype)

    def convert(value: object) -> Array:
        array = _as_array(value)
        if array.shape != (length,):
            raise Unfit
        return _whole(array, stored)

    return convert


def rows_of(dtype: npt.DTypeLike, n_rows: int, length: int) -> Convert:
    """For up to `n_rows` rows of `length` numbers: missing rows are NaN, rows too many are cut off."""
    stored = np.dtype(dtype)

    def convert(value: object) -> Array:
        array = _as_array(value)
        if array.ndim != 2 or array.shape[1] != length:
            raise Unfit
        padded = np.full((n_rows, length), np.nan, stored)
        kept = array[:n_rows]
        padded[: len(kept)] = _whole(kept, stored)
        if len(array) > n_rows:
            raise Unfit(padded)
        return padded

    return convert


def fitted(array: Array, dtype: np.dtype[np.generic], sentinel: object) -> tuple[Array, int]:
    """`array` as `dtype`, and how many elements did not fit and became `sentinel`.

    Does not copy an array that has the type already.
    """
    if array.dtype == dtype:
        return array, 0
    if array.dtype.kind not in "biuf":
        return np.full(array.shape, sentinel, dtype), array.size
    if dtype.kind == "f":
        return _as_float(array, dtype, sentinel)
    return _as_integer(array, dtype, sentinel)


def without_infinite(array: Array, sentinel: object) -> tuple[Array, int]:
    """An array of floats without infinite elements, and how many became `sentinel`. Copies only for these."""
    infinite = np.isinf(array)
    n_infinite = int(np.count_nonzero(infinite))
    if not n_infinite:
        return array, 0
    return np.where(infinite, np.asarray(sentinel, array.dtype), array), n_infinite


def _as_float(array: Array, dtype: np.dtype[np.generic], sentinel: object) -> tuple[Array, int]:
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    infinite = np.isinf(result)
    n_bad = int(np.count_nonzero(infinite))
    if n_bad:
        result[infinite] = sentinel
    return result, n_bad


def _as_integer(array: Array, dtype: np.dtype[np.generic], sentinel: object) -> tuple[Array, int]:
    low, high = _INTEGER_LIMITS[dtype.char]
    if array.dtype.kind in "iu" and array.size and low <= array.min() and array.max() <= high:
        return array.astype(dtype), 0
    with np.errstate(invalid="ignore"):
        if array.dtype.kind == "f":
            bad = ~((array >= low) & (array < float(high) + 1) & (array == np.trunc(array)))  # type: ignore[operator]
        elif array.dtype.kind == "b":
            return array.astype(dtype), 0
        else:
            bad = (array < low) | (array > high)  # type: ignore[operator]
        n_bad = int(np.count_nonzero(bad))
        if not n_bad:
            return array.astype(dtype), 0
        return np.where(bad, np.asarray(sentinel, dtype), array.astype(dtype)), n_bad


def _as_array(value: object) -> Array:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:  # lists of lists of different lengths
        raise Unfit from error


def _whole(array: Array, dtype: np.dtype[np.generic]) -> Array:
    result, n_bad = fitted(array, dtype, np.nan)
    if n_bad:
        raise Unfit(result)
    return result
