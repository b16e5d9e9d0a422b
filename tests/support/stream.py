"""Encoded messages of small runs, made by hand: for tests that need a stream and not its content."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.plain_dcu import encode, image

WIDTH, HEIGHT = 16, 8


def pixels(image_id: int, width: int = WIDTH, height: int = HEIGHT) -> Any:
    """uint16 [height, width] that tells its number."""
    return np.arange(width * height, dtype=np.uint16).reshape(height, width) + np.uint16(image_id)


def start(
    series_id: int = 1, n_images: int = 10, *, user_data: dict[str, Any] | None = None, **fields: Any
) -> bytes:
    """A run of uint16 images, 4 in a file, prefix `run<series>`."""
    user = {"file_prefix": f"run{series_id}", "images_per_file": 4, **(user_data or {})}
    message = {
        "type": "start",
        "series_id": series_id,
        "series_unique_id": f"series {series_id}",
        "number_of_images": n_images,
        "image_size_x": WIDTH,
        "image_size_y": HEIGHT,
        "image_dtype": "uint16",
        "user_data": user,
    }
    return encode({**message, **fields})


def image_message(image_id: int, series_id: int = 1, **fields: Any) -> bytes:
    message = {
        "type": "image",
        "series_id": series_id,
        "series_unique_id": f"series {series_id}",
        "image_id": image_id,
        "data": {"default": image(pixels(image_id), "bslz4")},
    }
    return encode({**message, **fields})


def end(series_id: int = 1, n_images: int = 10, **fields: Any) -> bytes:
    message = {
        "type": "end",
        "series_id": series_id,
        "series_unique_id": f"series {series_id}",
        "max_image_number": n_images,
    }
    return encode({**message, **fields})


def run(series_id: int = 1, n_images: int = 10, **options: Any) -> list[bytes]:
    """A whole run in order."""
    return [
        start(series_id, n_images, **options),
        *(image_message(i, series_id) for i in range(n_images)),
        end(series_id, n_images),
    ]


def raw_run(series_id: int, n_images: int) -> list[bytes]:
    """A whole run of noise that no filter makes smaller, in one file."""
    noise = np.random.default_rng(series_id)
    images = noise.integers(0, 1 << 16, (n_images, HEIGHT, WIDTH), np.uint16)
    return [
        start(series_id, n_images, user_data={"images_per_file": 0}),
        *(
            image_message(i, series_id, data={"default": image(pixels_of_image, None)})
            for i, pixels_of_image in enumerate(images)
        ),
        end(series_id, n_images),
    ]
