"""Filters and their options are those that the readers of the layout expect."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from jfwriter.compression import compress
from jfwriter.compression.filters import Filter, filter_for, filter_of
from jfwriter.payload import Codec
from tests.support.chunks import payload

IMAGE = np.zeros((40, 50), "<u2")


@pytest.mark.parametrize(
    ("codec", "block_elements", "expected"),
    [
        (Codec.BSLZ4, 4096, Filter(32008, (4096, 2))),
        (Codec.BSLZ4, 64, Filter(32008, (64, 2))),
        (Codec.BSZSTD, 4096, Filter(32008, (4096, 3, 3))),
        (Codec.LZ4, 512, Filter(32004, (1024,))),
        (Codec.NONE, 0, None),
    ],
)
def test_filter_of_a_payload_has_its_own_block_size(
    codec: Codec, block_elements: int, expected: Filter | None
) -> None:
    assert filter_of(payload(compress(IMAGE, codec, block_elements), codec, IMAGE)) == expected


@pytest.mark.parametrize(
    ("codec", "stored"),
    [
        (Codec.BSLZ4, (2, 0, 2)),
        (Codec.BSZSTD, (2, 0, 3, 3)),
        (Codec.LZ4, (0,)),
    ],
)
def test_stored_options(codec: Codec, stored: tuple[int, ...]) -> None:
    """bitshuffle puts its version and the element size first: five values for LZ4, six for Zstandard."""
    filter_ = filter_for(codec, IMAGE.dtype)
    assert filter_ is not None
    with h5py.File("memory.h5", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset(
            "data",
            data=IMAGE,
            chunks=IMAGE.shape,
            compression=filter_.filter_id,
            compression_opts=filter_.options,
        )
        filter_id, _, options, _ = dataset.id.get_create_plist().get_filter(0)
    assert filter_id == filter_.filter_id
    assert tuple(options)[-len(stored) :] == stored
    assert len(options) == {Codec.BSLZ4: 5, Codec.BSZSTD: 6, Codec.LZ4: 1}[codec]
