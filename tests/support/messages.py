"""Decoded messages as the wire hands them over, small and raw, for tests below the sockets."""

from __future__ import annotations

from typing import Any

import numpy as np

from jfwriter.payload import Codec, Payload
from jfwriter.settings import Settings, parse
from jfwriter.wire.messages import CalibrationMessage, EndMessage, ImageMessage, StartMessage

HEIGHT, WIDTH = 3, 4


def settings(**sections: dict[str, object]) -> Settings:
    return parse(dict(sections), "test")


def start(series_id: int = 1, **fields: Any) -> StartMessage:
    """A run of ten uint16 images in files of four."""
    values: dict[str, Any] = {
        "series_unique_id": f"run {series_id}",
        "number_of_images": 10,
        "image_size_x": WIDTH,
        "image_size_y": HEIGHT,
        "image_dtype": "uint16",
        "file_prefix": f"scan{series_id}",
        "images_per_file": 4,
    }
    return StartMessage(series_id=series_id, **(values | fields))


def pixels(
    dtype: str = "<u2", shape: tuple[int, int] = (HEIGHT, WIDTH), n_bytes: int | None = None
) -> Payload:
    kind = np.dtype(dtype)
    size = shape[0] * shape[1] * kind.itemsize if n_bytes is None else n_bytes
    return Payload(memoryview(bytes(size)), Codec.NONE, kind, shape)


def image(image_id: int, series_id: int = 1, **fields: Any) -> ImageMessage:
    values: dict[str, Any] = {"series_unique_id": f"run {series_id}", "channels": {"default": pixels()}}
    return ImageMessage(series_id=series_id, image_id=image_id, **(values | fields))


def end(series_id: int = 1, max_image_number: int | None = 10, **fields: Any) -> EndMessage:
    values: dict[str, Any] = {"series_unique_id": f"run {series_id}"}
    return EndMessage(series_id=series_id, max_image_number=max_image_number, **(values | fields))


def calibration(series_id: int = 1, **fields: Any) -> CalibrationMessage:
    values: dict[str, Any] = {
        "series_unique_id": f"run {series_id}",
        "data": {"pedestal_g0": pixels("<f4")},
    }
    return CalibrationMessage(series_id=series_id, **(values | fields))
