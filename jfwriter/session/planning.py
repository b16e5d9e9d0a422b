"""From a start message and the settings to the plan of a run, or a refusal before anything is created."""

from __future__ import annotations

import numpy as np

from jfwriter.errors import RunRefused
from jfwriter.session.naming import default_prefix
from jfwriter.session.paths import split_prefix
from jfwriter.session.plan import FileFormat, RunPlan
from jfwriter.settings import LimitSettings, Settings
from jfwriter.wire.messages import StartMessage

PIXEL_TYPES: dict[str, np.dtype[np.generic]] = {
    name: np.dtype(name) for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32")
}
"""Pixel types that the file layout knows, by the name that `image_dtype` uses."""

MAX_CHUNK_BYTES = 2**32 - 1
MAX_IMAGE_SIZE = 2**31 - 1
"""The module's `data_size` is a 4-byte integer (`docs/reference/layout.md`)."""


def make_plan(start: StartMessage, settings: Settings, serial: int, received_at: float) -> RunPlan:
    """Decide what is written for `start`. `received_at`: Unix time in s; `serial`: number of the run here.

    Raises RunRefused naming the field; reasons: "path", "format", "image_size", "image_dtype", "channels",
    "number_of_images", "images_per_file".
    """
    limits = settings.limits
    prefix = start.file_prefix
    if prefix is None:
        prefix = default_prefix(settings.files.default_prefix, start, received_at)
    place = split_prefix(prefix)
    directory, basename = place or ((), "")
    only_writer = start.socket_number is None or settings.files.n_writers == 1
    format_ = FileFormat.NoFileWritten if place is None else _format(start, settings)
    if format_ is FileFormat.NXmxIntegrated:
        _check_integrated(start, settings, only_writer)
    shape, dtype = _shape(start, limits), _dtype(start)
    _check_chunk(start, shape, dtype)
    return RunPlan(
        serial=serial,
        start=start,
        received_at=received_at,
        format=format_,
        directory=directory,
        basename=basename,
        images_per_file=_images_per_file(start, settings, format_),
        n_images_planned=_n_images_planned(start, limits),
        shape=shape,
        dtype=dtype,
        channels=_channels(start, limits),
        overwrite=bool(start.overwrite),
        write_master=format_.has_master and (_writes_master(start) or format_ is FileFormat.NXmxIntegrated),
        only_writer=only_writer,
        n_writers=settings.files.n_writers,
        max_spot_count=_max_spot_count(start, settings),
        max_lattices_extra=settings.files.max_lattices_extra,
        fill_gaps=settings.files.fill_gaps,
        sync=settings.files.sync,
        direct_io=settings.files.direct_io,
        checksums=settings.files.checksum == "crc32",
        manifest=settings.files.manifest and format_ is not FileFormat.NoFileWritten,
    )


def usable_channel(name: str) -> bool:
    """Whether a channel may be called so: its name becomes the name of an HDF5 group."""
    return name not in {"", "."} and "/" not in name and name.isprintable() and len(name) <= 128


def _format(start: StartMessage, settings: Settings) -> FileFormat:
    if start.file_format is None:
        return FileFormat[settings.files.default_format]
    try:
        format_ = FileFormat(start.file_format)  # type: ignore[arg-type]  # or ValueError
    except ValueError:
        asked = f"{start.file_format:.40}" if isinstance(start.file_format, str) else start.file_format
        raise RunRefused(
            "format", f"file_format {asked!a} is not known; expected 0 to 6 or the format's name"
        ) from None
    if format_ in {FileFormat.CBF, FileFormat.TIFF}:
        raise RunRefused(
            "format",
            f"file_format {format_.value} ({format_.name}): this writer does not write that format yet; "
            "choose NXmxLegacy, NXmxVDS, NXmxIntegrated or NXmxOnlyData",
        )
    return format_


def _check_integrated(start: StartMessage, settings: Settings, only_writer: bool) -> None:
    """The integrated layout is one file: refused where another writer has, or must have, its name."""
    others = settings.files.n_writers > 1 or bool(start.socket_number)
    if not only_writer and (others or start.write_master_file is False):
        raise RunRefused(
            "format",
            "file_format 3 (NXmxIntegrated) is a single file and several writers cannot share it "
            f"(socket_number {start.socket_number}); choose NXmxVDS, or send to one writer "
            "and set files.n_writers = 1",
        )


def _writes_master(start: StartMessage) -> bool:
    if start.write_master_file is None:
        return not start.socket_number
    return start.write_master_file


def _images_per_file(start: StartMessage, settings: Settings, format_: FileFormat) -> int:
    n_images = start.images_per_file
    if n_images is None:
        n_images = settings.files.default_images_per_file
    if n_images < 0:
        raise RunRefused("images_per_file", f"images_per_file {n_images}: expected 0 (one file) or more")
    if format_ is FileFormat.NXmxIntegrated or n_images > settings.limits.max_images:
        return 0
    return n_images


def _n_images_planned(start: StartMessage, limits: LimitSettings) -> int | None:
    n_images = start.number_of_images
    if not n_images:
        return None
    if not 0 < n_images <= limits.max_images:
        raise RunRefused(
            "number_of_images",
            f"number_of_images {n_images}: expected at most {limits.max_images} (limits.max_images)",
        )
    return n_images


def _shape(start: StartMessage, limits: LimitSettings) -> tuple[int, int]:
    for field, size in (("image_size_x", start.image_size_x), ("image_size_y", start.image_size_y)):
        if not 1 <= size <= MAX_IMAGE_SIZE:
            raise RunRefused("image_size", f"{field} {size}: expected 1 to {MAX_IMAGE_SIZE} pixels")
    if start.image_size_x * start.image_size_y > limits.max_image_pixels:
        raise RunRefused(
            "image_size",
            f"image_size_x {start.image_size_x} x image_size_y {start.image_size_y}: "
            f"expected at most {limits.max_image_pixels} pixels (limits.max_image_pixels)",
        )
    return start.image_size_y, start.image_size_x


def _dtype(start: StartMessage) -> np.dtype[np.generic] | None:
    if start.image_dtype is None:
        return None
    dtype = PIXEL_TYPES.get(start.image_dtype)
    if dtype is None:
        raise RunRefused(
            "image_dtype",
            f"image_dtype {start.image_dtype[:40]!r}: expected one of {', '.join(PIXEL_TYPES)}",
        )
    return dtype


def _check_chunk(start: StartMessage, shape: tuple[int, int], dtype: np.dtype[np.generic] | None) -> None:
    """An image is one chunk, and HDF5 keeps the size of a chunk in 32 bits."""
    item_bytes = 1 if dtype is None else dtype.itemsize
    if shape[0] * shape[1] * item_bytes > MAX_CHUNK_BYTES:
        raise RunRefused(
            "image_size",
            f"image_size_x {start.image_size_x} x image_size_y {start.image_size_y} of {item_bytes} bytes: "
            f"expected at most {MAX_CHUNK_BYTES} bytes in an image, the largest chunk of HDF5",
        )


def _channels(start: StartMessage, limits: LimitSettings) -> tuple[str, ...]:
    names = start.channels
    if len(names) > limits.max_channels:
        raise RunRefused(
            "channels",
            f"channels names {len(names)}; expected at most {limits.max_channels} (limits.max_channels)",
        )
    if len(set(names)) != len(names):
        raise RunRefused("channels", "channels names one channel twice")
    for name in names:
        if not usable_channel(name):
            raise RunRefused("channels", f"channels holds {name[:40]!a}: not usable as a group name")
    return names


def _max_spot_count(start: StartMessage, settings: Settings) -> int:
    n_spots = start.max_spot_count
    if n_spots is None:
        return settings.files.default_max_spot_count
    return min(max(n_spots, 1), settings.limits.max_spots)
