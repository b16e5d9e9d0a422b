from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jfwriter.errors import RunRefused
from jfwriter.session.plan import FileFormat, RunPlan
from jfwriter.session.planning import PIXEL_TYPES, make_plan
from tests.support import messages


def plan(n_writers: int = 0, files: dict[str, object] | None = None, **fields: Any) -> RunPlan:
    settings = messages.settings(files={"n_writers": n_writers, **(files or {})})
    return make_plan(messages.start(**fields), settings, serial=3, received_at=12.5)


def test_everything_that_the_start_message_says() -> None:
    start = messages.start(
        file_prefix="day1/scan",
        channels=("threshold_1", "threshold_2"),
        max_spot_count=77,
        overwrite=True,
        file_format=2,
    )
    settings = messages.settings(files={"fill_gaps": False, "sync": False, "max_lattices_extra": 2})
    made = make_plan(start, settings, serial=3, received_at=12.5)
    assert made == RunPlan(
        serial=3,
        start=start,
        received_at=12.5,
        format=FileFormat.NXmxVDS,
        directory=("day1",),
        basename="scan",
        images_per_file=4,
        n_images_planned=10,
        shape=(messages.HEIGHT, messages.WIDTH),
        dtype=np.dtype("uint16"),
        channels=("threshold_1", "threshold_2"),
        overwrite=True,
        write_master=True,
        only_writer=True,
        max_spot_count=77,
        max_lattices_extra=2,
        fill_gaps=False,
        sync=False,
    )


def test_a_bare_start_message_takes_the_settings() -> None:
    made = plan(
        files={
            "default_format": "NXmxVDS",
            "default_images_per_file": 500,
            "default_max_spot_count": 99,
            "default_prefix": "dectris/{series_id:04d}",
        },
        file_prefix=None,
        images_per_file=None,
        image_dtype=None,
        number_of_images=None,
    )
    assert made.format is FileFormat.NXmxVDS
    assert (made.prefix, made.images_per_file, made.max_spot_count) == ("dectris/0001", 500, 99)
    assert (made.dtype, made.n_images_planned, made.channels, made.overwrite) == (None, None, (), False)


@pytest.mark.parametrize("prefix", ["", None])
def test_no_prefix_no_files_whatever_the_format(prefix: str | None) -> None:
    for file_format in (None, 1, 3, 4):
        made = plan(file_prefix=prefix, file_format=file_format)
        assert made.format is FileFormat.NoFileWritten
        assert not made.writes_files
        assert not made.write_master
        assert made.images_per_file == 4


@pytest.mark.parametrize("name", PIXEL_TYPES)
def test_pixel_types(name: str) -> None:
    assert plan(image_dtype=name).dtype == np.dtype(name)


@pytest.mark.parametrize(
    ("fields", "reason", "text"),
    [
        ({"file_prefix": "../x"}, "path", "file_prefix"),
        ({"file_prefix": "../x", "file_format": 6}, "path", "file_prefix"),
        ({"file_format": 4}, "format", r"file_format 4 \(CBF\): this writer does not write that format yet"),
        ({"file_format": 5}, "format", r"file_format 5 \(TIFF\)"),
        ({"file_format": 7}, "format", "file_format 7"),
        ({"file_format": -1}, "format", "file_format -1"),
        ({"image_size_x": 0}, "image_size", "image_size_x 0"),
        ({"image_size_y": -5}, "image_size", "image_size_y -5"),
        ({"image_size_x": 2**31}, "image_size", "image_size_x"),
        ({"image_size_x": 10**6, "image_size_y": 10**6}, "image_size", "limits.max_image_pixels"),
        ({"number_of_images": 10**12}, "number_of_images", "number_of_images 1000000000000"),
        ({"number_of_images": -1}, "number_of_images", "number_of_images -1"),
        ({"images_per_file": -1}, "images_per_file", "images_per_file -1"),
        ({"image_dtype": "uint64"}, "image_dtype", "image_dtype 'uint64'"),
        ({"image_dtype": "x" * 10_000}, "image_dtype", "image_dtype"),
        ({"image_dtype": "object"}, "image_dtype", "image_dtype"),
        ({"channels": tuple(map(str, range(17)))}, "channels", "limits.max_channels"),
        ({"channels": ("a", "a")}, "channels", "twice"),
        ({"channels": ("a", "../b")}, "channels", "group name"),
        ({"channels": ("a", "")}, "channels", "group name"),
        ({"channels": ("a\0",)}, "channels", "group name"),
    ],
)
def test_refused(fields: dict[str, Any], reason: str, text: str) -> None:
    with pytest.raises(RunRefused, match=text) as caught:
        plan(**fields)
    assert caught.value.reason == reason
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("sent", "used"), [(0, 1), (-4, 1), (2000, 2000), (10**9, 10_000)])
def test_spot_columns_are_bounded(sent: int, used: int) -> None:
    assert plan(max_spot_count=sent).max_spot_count == used


def test_no_planned_images_means_not_known() -> None:
    assert plan(number_of_images=0).n_images_planned is None


@pytest.mark.parametrize(("sent", "used"), [(0, 0), (1, 1), (10**8, 10**8), (2**60, 0)])
def test_more_per_file_than_there_can_be_is_one_file(sent: int, used: int) -> None:
    assert plan(images_per_file=sent).images_per_file == used


def test_integrated_is_one_file() -> None:
    made = plan(file_format=3)
    assert made.images_per_file == 0
    assert made.data_file_name(0) == made.master_name == "scan1_master.h5"


@pytest.mark.parametrize(
    ("socket_number", "n_writers", "only_writer"),
    [(None, 0, True), (None, 4, True), (0, 0, False), (3, 0, False), (0, 1, True), (0, 4, False)],
)
def test_only_writer(socket_number: int | None, n_writers: int, only_writer: bool) -> None:
    assert plan(n_writers, socket_number=socket_number).only_writer is only_writer


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"write_master_file": True, "socket_number": 3}, True),
        ({"write_master_file": False}, False),
        ({"socket_number": 0}, True),
        ({"socket_number": 1}, False),
        ({"file_format": 0}, False),
        ({"file_format": 0, "write_master_file": True}, False),
        ({"file_format": 3, "write_master_file": False}, True),
    ],
)
def test_who_writes_the_master(fields: dict[str, Any], expected: bool) -> None:
    assert plan(**fields).write_master is expected


@pytest.mark.parametrize(
    ("n_writers", "fields", "accepted"),
    [
        (0, {"socket_number": 0}, True),
        (1, {"socket_number": 0, "write_master_file": False}, True),
        (0, {"socket_number": 0, "write_master_file": False}, False),
        (0, {"socket_number": 1, "write_master_file": True}, False),
        (2, {"socket_number": 0, "write_master_file": True}, False),
    ],
)
def test_several_writers_cannot_share_one_file(
    n_writers: int, fields: dict[str, Any], accepted: bool
) -> None:
    if accepted:
        assert plan(n_writers, file_format=3, **fields).write_master
        return
    with pytest.raises(RunRefused, match="NXmxIntegrated") as caught:
        plan(n_writers, file_format=3, **fields)
    assert caught.value.reason == "format"


def test_an_image_larger_than_a_chunk_may_be_is_refused_at_the_start() -> None:
    wide = messages.settings(limits={"max_image_pixels": 2**40})
    large: dict[str, Any] = {"image_size_x": 2**16, "image_size_y": 2**14, "image_dtype": "uint32"}
    with pytest.raises(
        RunRefused, match=r"image_size_x 65536 x image_size_y 16384 of 4 bytes: .* HDF5"
    ) as caught:
        make_plan(messages.start(**large), wide, 1, 0.0)
    assert caught.value.reason == "image_size"
    assert make_plan(messages.start(**(large | {"image_dtype": "uint16"})), wide, 1, 0.0).dtype == "uint16"
