"""Checksums stored with the images, against zlib over the chunks that h5py hands out."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.compression import checksum
from jfwriter.validation.run import Options, check_run
from jfwriter.validation.target import find_runs
from tests.domain.runs import DETECTOR
from tests.support import messages
from tests.support.offline import write
from tests.support.payloads import packed

N_IMAGES, GAP = 10, 6
DATA = "/entry/data/data"


def made(root: Path, file_format: int, codec: str = "packed", **start: Any) -> None:
    rng = np.random.default_rng(1)
    stream: list[Any] = [messages.start(file_format=file_format, **start)]
    for i in range(N_IMAGES):
        pixels = rng.integers(0, 99, (messages.HEIGHT, messages.WIDTH), "u2")
        payload = packed(pixels) if codec == "packed" else messages.pixels()
        if i != GAP:
            names = start.get("channels", ("default",))
            stream.append(messages.image(i, channels=dict.fromkeys(names, payload)))
    stream.append(messages.end())
    write(root, stream, files={"checksum": "crc32", "compress_raw_images": "bslz4"})


def crc_of_chunks(images: h5py.Dataset) -> list[int]:
    return [zlib.crc32(images.id.read_direct_chunk((i, 0, 0))[1]) for i in range(len(images))]


@pytest.mark.parametrize("codec", ["packed", "packed here"])
@pytest.mark.parametrize("file_format", [0, 1, 2, 3])
def test_the_checksum_is_that_of_the_stored_bytes(tmp_path: Path, file_format: int, codec: str) -> None:
    made(tmp_path, file_format, codec)
    integrated = file_format == 3
    files = sorted(tmp_path.glob("scan1_master.h5" if integrated else "scan1_data_*.h5"))
    found: list[int] = []
    for path in files:
        with h5py.File(path) as file:
            stored = file[f"{DETECTOR}/crc32" if integrated else "/entry/detector/crc32"]
            assert stored[()].tolist() == crc_of_chunks(file[DATA])
            assert stored.attrs["algorithm"].startswith(b"CRC-32")
            found += stored[()].tolist()
    assert len(found) == N_IMAGES
    if file_format == 2:
        with h5py.File(tmp_path / "scan1_master.h5") as file:
            assert file[f"{DETECTOR}/crc32"][()].tolist() == found


def test_each_channel_has_its_own(tmp_path: Path) -> None:
    made(tmp_path, 2, channels=("low", "high"))
    with h5py.File(tmp_path / "scan1_data_000001.h5") as file:
        assert file["/entry/channels/high/crc32"][()].tolist() == crc_of_chunks(
            file["/entry/channels/high/data"]
        )
    with h5py.File(tmp_path / "scan1_master.h5") as file:
        assert file["/entry/channels/high/crc32"].shape == (N_IMAGES,)
    report = check_run(find_runs(tmp_path)[0], Options(deep=True))
    assert report.n_checksums == 2 * N_IMAGES


@pytest.mark.parametrize("file_format", [1, 2, 3])
def test_bytes_that_changed_on_the_disk_are_found(tmp_path: Path, file_format: int) -> None:
    made(tmp_path, file_format)
    target = find_runs(tmp_path / "scan1")[0]
    before = check_run(target, Options(deep=True))
    assert before.n_checksums == N_IMAGES
    assert not [found for found in before.problems if found.check == "checksum"]
    path = tmp_path / ("scan1_master.h5" if file_format == 3 else "scan1_data_000002.h5")
    row = 5 if file_format == 3 else 1
    with h5py.File(path, "r+") as file:
        chunk = bytearray(file[DATA].id.read_direct_chunk((row, 0, 0))[1])
        chunk[-1] ^= 1
        file[DATA].id.write_direct_chunk((row, 0, 0), bytes(chunk))
    (found,) = [
        found for found in check_run(target, Options(deep=True)).problems if found.check == "checksum"
    ]
    assert (found.file, found.image) == (path.name, 5)
    assert "crc32 of its chunk is " in found.text


def test_none_is_stored_unless_wanted(tmp_path: Path) -> None:
    write(tmp_path, [messages.start(file_format=1), messages.image(0), messages.end()])
    with h5py.File(tmp_path / "scan1_data_000001.h5") as file:
        assert "crc32" not in file["/entry/detector"]


def test_crc32_is_zlibs() -> None:
    for n_bytes in (0, 1, 7, 4096, 100_001):
        data = np.random.default_rng(n_bytes).bytes(n_bytes)
        assert checksum.crc32(data) == checksum.crc32(memoryview(data)) == zlib.crc32(data)
