from __future__ import annotations

from typing import Any

import h5py
import nxmx
import pytest

from jfwriter.nexus.entry import definition, entry, run_times, source
from jfwriter.wire.messages import EndMessage
from tests.support import messages

RECEIVED_AT_S = 1.7e9
RECEIVED = "2023-11-14T22:13:20Z"


def times(
    file: h5py.File,
    warnings: list[str],
    end: EndMessage | None = None,
    *,
    cut_short: bool = False,
    **fields: Any,
) -> dict[str, str]:
    group = entry(file)
    start = messages.start(**fields)
    run_times(
        group, start, end, received_at_s=RECEIVED_AT_S, n_images=100, cut_short=cut_short, warnings=warnings
    )
    return {name: dataset[()].decode() for name, dataset in group.items()}


def test_entry_is_the_default_with_its_class(file: h5py.File) -> None:
    group = entry(file)
    assert dict(group.attrs.items()) == {
        "NX_class": b"NXentry",
        "default": b"data",
        "version": b"1.0",
    }
    definition(group)
    assert group["definition"][()] == b"NXmx"
    assert group["definition"].shape == ()


def test_the_times_of_a_run_that_ended(file: h5py.File, warnings: list[str]) -> None:
    end = messages.end(end_date="2026-03-04T12:40:00+01:00")
    assert times(file, warnings, end, arm_date="2026-03-04T12:34:56.5+01:00") == {
        "start_time": "2026-03-04T11:34:56.500000Z",
        "end_time": "2026-03-04T11:40:00Z",
        "end_time_estimated": "2026-03-04T11:40:00Z",
    }
    assert warnings == []
    definition(file["entry"])
    read = nxmx.NXmx(file).entries[0]
    assert read.start_time.isoformat() == "2026-03-04T11:34:56.500000+00:00"
    assert read.end_time is not None


def test_no_end_time_where_nobody_observed_it(file: h5py.File, warnings: list[str]) -> None:
    assert times(file, warnings, arm_date="2026-03-04T12:00:00Z", frame_time=0.5) == {
        "start_time": "2026-03-04T12:00:00Z",
        "end_time_estimated": "2026-03-04T12:00:50Z",
    }


def test_no_end_time_of_a_run_that_was_cut_short(file: h5py.File, warnings: list[str]) -> None:
    end = messages.end(end_date="2026-03-04T12:40:00Z")
    written = times(file, warnings, end, cut_short=True)
    assert "end_time" not in written
    assert written["end_time_estimated"] == "2026-03-04T12:40:00Z"


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01T00:00:00Z", ""])
def test_bad_dates_fall_back_on_the_time_of_receipt(file: h5py.File, warnings: list[str], date: str) -> None:
    written = times(file, warnings, messages.end(end_date=date), arm_date=date)
    assert written == {"start_time": RECEIVED, "end_time_estimated": RECEIVED}
    assert len(warnings) == 1


def test_without_any_date_there_is_no_complaint(file: h5py.File, warnings: list[str]) -> None:
    assert times(file, warnings)["start_time"] == RECEIVED
    assert warnings == []


@pytest.mark.parametrize("frame_time", [1e300, -1e300, 0.0])
def test_absurd_frame_times_do_not_matter(file: h5py.File, warnings: list[str], frame_time: float) -> None:
    assert times(file, warnings, frame_time=frame_time)["end_time_estimated"] == RECEIVED


def test_source(file: h5py.File, warnings: list[str]) -> None:
    start = messages.start(source_name="SLS", source_type="Synchrotron X-ray Source", ring_current=0.4)
    source(file, start, warnings)
    group = file["source"]
    assert group.attrs["NX_class"] == b"NXsource"
    assert group["name"][()] == b"SLS"
    assert group["type"][()] == b"Synchrotron X-ray Source"
    assert group["current"][()] == 0.4
    assert group["current"].attrs["units"] == b"A"
    assert warnings == []


def test_an_unnamed_source_is_unknown(file: h5py.File, warnings: list[str]) -> None:
    source(file, messages.start(), warnings)
    assert {name: item[()] for name, item in file["source"].items()} == {"name": b"unknown"}
    assert len(warnings) == 1
