"""What a preparation computed, for the next one that would compute the same.

Most runs of a beamline have geometry, mask and settings of the run before. A product is kept under a key of
the function that made it and of all its inputs; whoever calls with others gets what is computed anew.
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import ParamSpec, TypeVar, cast

import numpy as np

from jfwriter.analysis.input_key import input_key
from jfwriter.kernels.pixel_classes import Array

MAX_BYTES = 1 << 30
"""Of the arrays that are kept between runs; a preparation that made more leaves nothing behind."""

_ABSENT = object()
_numbers = itertools.count()
_P = ParamSpec("_P")
_T = TypeVar("_T")


class KeptProducts:
    """Those of the latest preparation. Any thread; several may prepare at a time: each sees those that were
    kept when it began, and the last to end leaves its own."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._products: Mapping[bytes, object] = {}

    @property
    def n_bytes(self) -> int:
        """Of all arrays that are kept."""
        with self._lock:
            products = self._products
        return n_bytes_of(tuple(products.values()))

    def begin(self) -> Products:
        """For one preparation."""
        with self._lock:
            return Products(self._products, self._replace)

    def _replace(self, products: Mapping[bytes, object]) -> None:
        fits = n_bytes_of(tuple(products.values())) <= self._max_bytes
        with self._lock:
            self._products = products if fits else {}


@dataclasses.dataclass(frozen=True, slots=True)
class _Compared:
    array: Array
    number: int


class Products:
    """Of one preparation; one thread at a time."""

    def __init__(
        self, known: Mapping[bytes, object], replace: Callable[[Mapping[bytes, object]], None]
    ) -> None:
        self._known = known
        self._replace = replace
        self._taken: dict[bytes, object] = {}
        self._names: dict[int, tuple[Array, bytes]] = {}

    def product(self, make: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """`make(*args)`, computed now or before. Nobody may change it: its arrays are read-only.

        `make` is a function or class of a module, its result depends on its inputs alone, and consists of
        arrays of its own (no view into a message), numbers, texts, tuples and objects of them. Raises what
        `make` raises, and TypeError for inputs of which no key can be made.
        """
        if kwargs:
            raise TypeError(f"{sorted(kwargs)}: expected inputs by their place")
        key = input_key(make, args, self._name_of)
        found = self._taken.get(key, self._known.get(key, _ABSENT))
        if found is _ABSENT:
            found = make(*args, **kwargs)
            for array in arrays_of(found):
                array.flags.writeable = False
        self._taken[key] = found
        for number, array in enumerate(arrays_of(found)):
            self._names.setdefault(id(array), (array, b"%s/%d" % (key, number)))
        return cast("_T", found)

    def compared(self, what: str, array: Array) -> Array:
        """`array`, or the one that is kept as `what` if it has the same bytes; C-contiguous, read-only, and
        known from then on by a number. For large inputs: comparing takes an eighth of the time of hashing.
        """
        key = b"compared " + what.encode()
        found = self._known.get(key)
        if not (isinstance(found, _Compared) and _is_same(found.array, array)):
            found = _Compared(array, next(_numbers))
            array.flags.writeable = False
        self._taken[key] = found
        self._names[id(found.array)] = (found.array, b"%s %d" % (key, found.number))
        return found.array

    def keep(self) -> None:
        """The preparation is over: the next one finds what this one took, and nothing else."""
        taken, self._taken, self._known, self._names = self._taken, {}, {}, {}
        self._replace(taken)

    def _name_of(self, array: Array) -> bytes | None:
        """Hashing a map takes longer than anything else that a repeated preparation does."""
        held, name = self._names.get(id(array), (None, None))
        return name if held is array else None


def arrays_of(value: object) -> Iterator[Array]:
    """All arrays in a product, in the order of its fields and elements. Raises TypeError for what does not
    belong in a product."""
    match value:
        case np.ndarray():
            yield value
        case None | bool() | int() | float() | str() | np.dtype():
            return
        case tuple():
            for element in value:
                yield from arrays_of(element)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for field in dataclasses.fields(value):
                yield from arrays_of(getattr(value, field.name))
        case _ if hasattr(value, "__dict__"):
            for element in vars(value).values():
                yield from arrays_of(element)
        case _:
            raise TypeError(
                f"{type(value).__name__}: expected arrays, numbers, texts, tuples and objects of them"
            )


def _is_same(left: Array, right: Array) -> bool:
    same_form = (left.dtype, left.shape) == (right.dtype, right.shape)
    return same_form and np.array_equal(left.view(np.uint8), right.view(np.uint8))


def n_bytes_of(value: object) -> int:
    """Of all different arrays in a product."""
    return sum({id(array): array.nbytes for array in arrays_of(value)}.values())
