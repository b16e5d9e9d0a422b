"""Pixels that are not packed have no framing of their own: their number alone can be wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from jfwriter.journal.records import Kind
from tests.domain.test_recovery_hostile import Records, change, file_journal
from tests.support import stream
from tests.support.crashed import crash, recover_one
from tests.support.plain_dcu import image as packed

HEAD, CHUNK = struct.Struct("<QQQI"), struct.Struct("<QQQQ")


@pytest.mark.parametrize("difference", [-2, 2, -1, 1 << 63])
def test_a_false_number_of_bytes_costs_that_image(tmp_path: Path, difference: int) -> None:
    sent = [stream.start(n_images=3)]
    sent += [stream.image_message(i, data={"default": packed(stream.pixels(i), None)}) for i in range(3)]
    top = crash(
        tmp_path / "living", tmp_path / "crashed", sent, files={"sync": True, "compress_raw_images": "none"}
    )

    def edit(found: Records) -> Records:
        edited = list(found)
        second = [number for number, (kind, _) in enumerate(found) if kind == Kind.IMAGE][1]
        body = found[second][1]
        place, n_bytes, *cut = CHUNK.unpack_from(body, HEAD.size)
        chunk = CHUNK.pack(place, n_bytes + difference, *cut)
        edited[second] = (Kind.IMAGE, body[: HEAD.size] + chunk + body[HEAD.size + CHUNK.size :])
        return edited

    change(file_journal(top), edit)
    result = recover_one(top)
    assert (result.n_recovered, result.missing) == (2, ((1, 1),))
    with h5py.File(top / "run1_data_000001.h5") as file:
        images = file["/entry/data/data"]
        for i in (0, 2):
            np.testing.assert_array_equal(images[i], stream.pixels(i))
        assert images.id.get_chunk_info_by_coord((1, 0, 0)).size in {None, stream.pixels(1).nbytes}
