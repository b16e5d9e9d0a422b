"""What the master needs to know of a published data file, as plain data that can be written down."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pydantic
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from jfwriter.compression.filters import filter_for
from jfwriter.hdf5.image_dataset import ImageFormat
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.nexus.fields import AttributeValue
from jfwriter.payload import Codec

Index = Annotated[int, Field(ge=0, lt=1 << 62)]
_STRICT = ConfigDict(extra="ignore")
_KINDS = "biufS"
"""Kinds of NumPy types that per-image datasets have."""


@dataclass(frozen=True, config=_STRICT)
class DatasetFacts:
    """A `StoredDataset`."""

    path: str
    dtype: str
    row_shape: tuple[Index, ...]
    sentinel: Any
    attributes: dict[str, Any]

    @classmethod
    def of(cls, stored: StoredDataset) -> DatasetFacts:
        sentinel = stored.sentinel
        if sentinel is not None:
            sentinel = np.asarray(sentinel, stored.dtype).tolist()
            sentinel = sentinel.decode("latin-1") if isinstance(sentinel, bytes) else sentinel
        attributes = {name: _plain(value) for name, value in stored.attributes.items()}
        return cls(stored.path, stored.dtype.str, stored.row_shape, sentinel, attributes)

    def stored(self) -> StoredDataset:
        """Raises ValueError or TypeError for what is none."""
        dtype = np.dtype(self.dtype)
        if dtype.kind not in _KINDS or not self.path.startswith("/entry/"):
            raise ValueError(f"{self.path!a} of {self.dtype!a} is no per-image dataset")
        sentinel = self.sentinel
        if isinstance(sentinel, str):
            sentinel = sentinel.encode("latin-1")
        np.asarray(0 if sentinel is None else sentinel).astype(dtype)
        attributes = {name: _value(value) for name, value in self.attributes.items()}
        return StoredDataset(self.path, dtype, self.row_shape, sentinel, attributes)


@dataclass(frozen=True, config=_STRICT)
class ChannelFacts:
    """How the images of a channel are stored."""

    name: str
    shape: tuple[Index, Index]
    dtype: str
    codec: Codec

    @classmethod
    def of(cls, name: str, image_format: ImageFormat) -> ChannelFacts:
        return cls(name, image_format.shape, image_format.dtype.str, image_format.codec)

    def format(self) -> ImageFormat:
        """With the filter's default block size. Raises TypeError for an unknown type."""
        dtype = np.dtype(self.dtype)
        return ImageFormat(self.shape, dtype, self.codec, filter_for(self.codec, dtype))


@dataclass(frozen=True, config=_STRICT)
class FileFacts:
    """`rows`: ranges of rows that hold an image, both ends included. `original_numbers`: (image, number)."""

    file_index: Index
    n_rows: Index
    n_written: Index
    size_bytes: Index
    rows: tuple[tuple[Index, Index], ...]
    channels: tuple[ChannelFacts, ...]
    datasets: tuple[DatasetFacts, ...]
    image_groups: tuple[tuple[Index, str], ...] = ()
    original_numbers: tuple[tuple[Index, int], ...] = ()

    def formats(self) -> dict[str, ImageFormat]:
        return {channel.name: channel.format() for channel in self.channels}

    def stored(self) -> tuple[StoredDataset, ...]:
        return tuple(dataset.stored() for dataset in self.datasets)


@dataclass(frozen=True, config=_STRICT)
class StoredFile:
    """A published file of a run, and which. `in_second`: below the second root directory, where the run went
    on; `is_part`: the part of a data file that it could not go on with in the first."""

    facts: FileFacts
    in_second: bool = False
    is_part: bool = False


_FACTS = pydantic.TypeAdapter(FileFacts)


def to_json(facts: FileFacts) -> dict[str, object]:
    """NaN stays NaN, as Python's json writes it."""
    table: dict[str, object] = _FACTS.dump_python(facts)
    return table


def from_json(table: object) -> FileFacts:
    """Raises ValueError for anything else than what `to_json` gave."""
    return _FACTS.validate_python(table)


def _plain(value: AttributeValue) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return {"dtype": value.dtype.str, "value": value.tolist()}
    return value if isinstance(value, str | int | float) else list(value)


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        dtype = np.dtype(str(value.get("dtype")))
        if dtype.kind not in _KINDS:
            raise ValueError(f"{dtype} is no type of an attribute")
        return np.asarray(value.get("value"), dtype)
    if not isinstance(value, str | int | float | list):
        raise TypeError(f"{type(value).__name__} is no attribute")
    return value
