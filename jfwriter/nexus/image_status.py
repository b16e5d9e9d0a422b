"""What became of each image, and the verdict on the run, in `detectorSpecific`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import h5py
import numpy as np
import numpy.typing as npt

from jfwriter.nexus import fields

CHUNK_ROWS = 1 << 16
_BLOCK = 1 << 20
_DEFLATE_LEVEL = 1
MAX_REASONS = 100

Block = Callable[[int, int], npt.NDArray[np.uint8]]


def image_status(detector: h5py.Group, n_images: int, block: Block, numbers: Mapping[str, int]) -> None:
    """`detectorSpecific/image_status` u1 [n_images]; in a long run chunked and deflated: stretches are alike.

    `block(start, stop)` gives the values of the images start ... stop - 1, `numbers` name -> value. The
    attributes `flag_values` and `flag_meanings` name them (CF Conventions 1.11, section 3.5).
    """
    group = fields.collection(detector, "detectorSpecific")
    creation = None
    if n_images > CHUNK_ROWS:
        creation = fields.new_creation()
        creation.set_chunk((CHUNK_ROWS,))
        creation.set_deflate(_DEFLATE_LEVEL)
    stored = fields.new_dataset(group, "image_status", fields.file_type("u1"), (n_images,), creation)
    dataset = h5py.Dataset(stored)
    for start in range(0, n_images, _BLOCK):
        stop = min(start + _BLOCK, n_images)
        dataset[start:stop] = block(start, stop)
    fields.attribute(dataset, "flag_values", np.array(list(numbers.values()), "u1"))
    fields.attribute(dataset, "flag_meanings", " ".join(numbers))


def verdict(detector: h5py.Group, outcome: str, reasons: Sequence[str]) -> None:
    """`detectorSpecific/outcome` and `outcome_reasons`: as known when the master was written."""
    group = fields.collection(detector, "detectorSpecific")
    fields.text(group, "outcome", str(outcome))
    if reasons:
        fields.text_array(group, "outcome_reasons", reasons[:MAX_REASONS])
