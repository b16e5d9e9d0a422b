"""How image data sets are stored."""

from __future__ import annotations

import h5py

from jfwriter.compression.filters import BITSHUFFLE, LZ4
from jfwriter.payload import Codec

_BLOCK_CODECS = {2: Codec.BSLZ4, 3: Codec.BSZSTD}
"""Fifth option of filter 32008: which compression the bit-shuffled blocks have."""


def stored_codec(dataset: h5py.Dataset) -> Codec | None:
    """Codec of a data set whose chunks are whole images [1, y, x] behind one known filter or none."""
    if dataset.ndim != 3 or dataset.chunks != (1, *dataset.shape[-2:]):
        return None
    properties = dataset.id.get_create_plist()
    n_filters = properties.get_nfilters()
    if n_filters == 0:
        return Codec.NONE
    if n_filters > 1:
        return None
    number, _flags, options, _name = properties.get_filter(0)
    if number == LZ4:
        return Codec.LZ4
    if number == BITSHUFFLE and len(options) >= 5:
        return _BLOCK_CODECS.get(options[4])
    return None
