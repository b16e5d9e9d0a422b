"""How images are stored: channels, codecs, what arrives packed in another way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.payload import Codec, Payload
from jfwriter.session.orders import Outcome
from jfwriter.wire.messages import ImageMessage
from tests.support import messages
from tests.support.offline import write
from tests.support.payloads import packed

HEIGHT, WIDTH = 30, 50
LAYOUTS = {"legacy": 1, "vds": 2, "integrated": 3}
DTYPES = ["i1", "i2", "i4", "u1", "u2", "u4", "f4"]


def frame(i: int, dtype: str = "u2") -> np.ndarray[Any, Any]:
    return (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 97 + i).astype(dtype)


def fill_value(dtype: str) -> float:
    if dtype == "f4":
        return float("nan")
    return int(np.iinfo(dtype).min if dtype.startswith("i") else np.iinfo(dtype).max)


def start(file_format: int, **fields: Any) -> Any:
    values = {
        "image_size_x": WIDTH,
        "image_size_y": HEIGHT,
        "file_format": file_format,
        "number_of_images": 6,
    }
    return messages.start(**(values | fields))


def image(i: int, **channels: Payload) -> ImageMessage:
    return messages.image(i, channels=channels)


def stacks(root: Path, path: str = "/entry/data/data") -> Iterator[h5py.Dataset]:
    """The dataset in each file that holds pixels, in order."""
    files = sorted(root.glob("*_data_*.h5")) or sorted(root.glob("*_master.h5"))
    for name in files:
        with h5py.File(name) as file:
            yield file[path]


@pytest.mark.parametrize("file_format", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("codec", list(Codec))
def test_chunks_are_the_bytes_that_came(tmp_path: Path, codec: Codec, file_format: int) -> None:
    payloads = [packed(frame(i), codec) for i in range(6)]
    sent = [image(i, default=payload) for i, payload in enumerate(payloads) if i != 2]
    written = write(tmp_path, [start(file_format), *sent, messages.end(max_image_number=6)])
    assert written.report.missing == ((2, 2),)
    chunks: list[bytes] = []
    pixels: list[Any] = []
    for dataset in stacks(tmp_path):
        chunks += [bytes(dataset.id.read_direct_chunk((row, 0, 0))[1]) for row in range(len(dataset))]
        pixels += list(dataset[()])
        assert dataset.id.get_create_plist().get_nfilters() == (codec is not Codec.NONE)
    for i in range(6):
        if i == 2:
            assert (pixels[i] == 65535).all()
        else:
            assert chunks[i] == payloads[i].data
            np.testing.assert_array_equal(pixels[i], frame(i))


@pytest.mark.parametrize("dtype", DTYPES)
def test_pixel_types_and_their_fill_values(tmp_path: Path, dtype: str) -> None:
    names = {"i": "int", "u": "uint", "f": "float"}
    name = f"{names[dtype[0]]}{8 * int(dtype[1])}"
    sent = [image(i, default=packed(frame(i, dtype))) for i in (0, 1, 3, 5)]
    write(tmp_path, [start(2, image_dtype=name), *sent, messages.end(max_image_number=6)])
    with h5py.File(tmp_path / "scan1_master.h5") as master:
        data = master["/entry/data/data"]
        assert data.dtype == np.dtype(dtype)
        for i in range(6):
            wanted = (
                frame(i, dtype) if i in {0, 1, 3, 5} else np.full((HEIGHT, WIDTH), fill_value(dtype), dtype)
            )
            np.testing.assert_array_equal(data[i], wanted)


@pytest.mark.parametrize("file_format", LAYOUTS.values(), ids=LAYOUTS)
def test_big_endian_pixels_are_stored_little_endian(tmp_path: Path, file_format: int) -> None:
    raw = [frame(i).astype(">u2") for i in range(6)]
    sent = [
        image(i, default=Payload(memoryview(pixels.tobytes()), Codec.NONE, pixels.dtype, pixels.shape))
        for i, pixels in enumerate(raw)
    ]
    write(tmp_path, [start(file_format), *sent, messages.end(max_image_number=6)])
    np.testing.assert_array_equal(np.concatenate([data[()] for data in stacks(tmp_path)]), raw)


@pytest.mark.parametrize("file_format", LAYOUTS.values(), ids=LAYOUTS)
def test_an_image_in_another_codec_is_packed_anew(tmp_path: Path, file_format: int) -> None:
    codecs = [Codec.BSLZ4, Codec.NONE, Codec.LZ4, Codec.BSZSTD, Codec.BSLZ4, Codec.NONE]
    sent = [image(i, default=packed(frame(i), codec)) for i, codec in enumerate(codecs)]
    written = write(
        tmp_path, [start(file_format, images_per_file=0), *sent, messages.end(max_image_number=6)]
    )
    assert written.report.outcome is Outcome.COMPLETE
    (data,) = [dataset[()] for dataset in stacks(tmp_path)]
    np.testing.assert_array_equal(data, [frame(i) for i in range(6)])


@pytest.mark.parametrize("file_format", LAYOUTS.values(), ids=LAYOUTS)
def test_several_channels(tmp_path: Path, file_format: int) -> None:
    names = ("threshold_1", "threshold_2")
    sent = []
    for i in (0, 1, 2, 4, 5):
        low, high = packed(frame(i)), packed(frame(i + 100))
        order = (
            {"threshold_2": high, "threshold_1": low} if i % 2 else {"threshold_1": low, "threshold_2": high}
        )
        sent.append(image(i, **order))
    write(tmp_path, [start(file_format, channels=names), *sent, messages.end(max_image_number=6)])
    gap = np.full((HEIGHT, WIDTH), 65535)
    expected = {
        "/entry/data/data": [frame(i) if i != 3 else gap for i in range(6)],
        "/entry/channels/threshold_2/data": [frame(i + 100) if i != 3 else gap for i in range(6)],
    }
    for path, wanted in expected.items():
        np.testing.assert_array_equal(np.concatenate([data[()] for data in stacks(tmp_path, path)]), wanted)
        if file_format == LAYOUTS["vds"]:
            with h5py.File(tmp_path / "scan1_master.h5") as master:
                np.testing.assert_array_equal(master[path][()], wanted)


def test_the_first_image_names_the_channels_where_the_start_does_not(tmp_path: Path) -> None:
    sent = [
        image(0, low=packed(frame(0)), high=packed(frame(9))),
        image(1, low=packed(frame(1))),
        image(2, high=packed(frame(8)), low=packed(frame(2))),
    ]
    written = write(tmp_path, [start(2), *sent, messages.end(max_image_number=3)])
    assert written.discarded == {"wrong_channel": 1}
    with h5py.File(tmp_path / "scan1_master.h5") as master:
        np.testing.assert_array_equal(master["/entry/data/data"][2], frame(2))
        np.testing.assert_array_equal(master["/entry/channels/high/data"][2], frame(8))


def test_percent_signs_and_other_odd_names(tmp_path: Path) -> None:
    prefix = "50% off/a%b %d"
    sent = [image(i, default=packed(frame(i))) for i in range(6)]
    write(tmp_path, [start(2, file_prefix=prefix), *sent, messages.end(max_image_number=6)])
    with h5py.File(tmp_path / "50% off" / "a%b %d_master.h5") as master:
        np.testing.assert_array_equal(master["/entry/data/data"][()], [frame(i) for i in range(6)])
