"""Announcements: the fields of the interface, nothing that is null, valid JSON whatever the sender wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
import zmq

from jfwriter.daemon.announce import MAX_USER_DATA_BYTES, Announcer, file_announcement, run_announcement
from jfwriter.daemon.jsontext import dumps
from jfwriter.daemon.results import in_one_line, result_of_refusal, result_of_report
from jfwriter.daemon.sockets import Context, bound_socket
from jfwriter.session.snapshot import Refusal
from tests.support import messages
from tests.support.told import FILE, FULL, plan, report


def announced(**fields: Any) -> dict[str, Any]:
    data = json.loads(dumps(file_announcement(plan(**fields), FILE)))
    assert isinstance(data, dict)
    return data


def test_all_fields() -> None:
    assert announced(**FULL) == {
        "filename": "scan1_data_000002.h5",
        "nimages": 4,
        "file_number": 1,
        "sample_name": "lysozyme",
        "run_name": "run 7",
        "run_number": 7,
        "experiment_group": "p12345",
        "user_data": {"a": [1, 2.5, None]},
        "beam_x_pxl": 100.5,
        "beam_y_pxl": 200.25,
        "detector_distance_m": 0.15,
        "detector_width_pxl": messages.WIDTH,
        "detector_height_pxl": messages.HEIGHT,
        "image_time_s": 0.001,
        "incident_energy_eV": 12400.0,
        "pixel_size_m": 75e-6,
        "saturation": 32766,
        "underload": -32768,
        "space_group_number": 96,
        "unit_cell": {"a": 78.0, "b": 78.0, "c": 37.0, "alpha": 90.0, "beta": 90.0, "gamma": 90.0},
    }


def test_what_is_not_known_is_absent() -> None:
    assert announced() == {
        "filename": "scan1_data_000002.h5",
        "nimages": 4,
        "file_number": 1,
        "run_name": "run 1",
        "run_number": 1,
        "detector_width_pxl": messages.WIDTH,
        "detector_height_pxl": messages.HEIGHT,
    }


@pytest.mark.parametrize(
    ("user", "embedded"),
    [
        ('{"a": {"b": [1]}}', {"a": {"b": [1]}}),
        ('"text"', "text"),
        ("plain text", "plain text"),
        ('{"broken', '{"broken'),
        ('{"x": NaN}', '{"x": NaN}'),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ('"escaped \\ud800"', "escaped \ufffd"),
        ({"nan": float("nan")}, {"nan": None}),
        (0, 0),
        (False, False),
        ("", ""),
    ],
)
def test_user_data(user: object, embedded: object) -> None:
    assert announced(user=user)["user_data"] == embedded


def test_user_data_is_absent_when_null_or_huge() -> None:
    assert "user_data" not in announced(user=None)
    assert "user_data" not in announced(user="null")
    assert "user_data" not in announced(user="x" * (MAX_USER_DATA_BYTES + 1))


def test_the_end_of_a_run() -> None:
    told = report()
    result = result_of_report(told, 1.0)
    data = json.loads(dumps(run_announcement(result, told.plan.start, told.missing, told.files)))
    assert data == {
        "event": "run_finalized",
        "outcome": "incomplete",
        "reasons": ["2 images missing: 5-6"],
        "run_name": "run 1",
        "run_number": 1,
        "socket_number": 2,
        "file_prefix": "scan1",
        "format": "NXmxLegacy",
        "images_expected": 10,
        "nimages": 10,
        "images_written": 8,
        "images_received": 0,
        "images_missing": 2,
        "images_never_came": 0,
        "images_unexpected": 0,
        "missing": [[5, 6]],
        "images_dropped": {"duplicate": 1},
        "files": ["scan1_data_000001.h5", "scan1_master.h5"],
    }


def test_a_result_holds_the_first_of_many_ranges_and_files() -> None:
    many = report(
        missing=tuple((2 * i, 2 * i) for i in range(5000)), files=tuple(f"f{i}" for i in range(5000))
    )
    result = result_of_report(many, 1.0)
    assert (len(result.missing), result.images_missing, len(result.files)) == (100, 5000, 1000)


def test_a_refused_run_has_a_result_too() -> None:
    result = result_of_refusal(Refusal(messages.start(), 5.0, "path", "file_prefix '../x' leads out"))
    assert (result.outcome, result.finished_at, result.files) == ("failed", 5.0, [])
    assert "refused: file_prefix '../x' leads out" in in_one_line(result)


@pytest.mark.parametrize("announce_run_end", [True, False])
async def test_what_a_subscriber_gets(context: Context, *, announce_run_end: bool) -> None:
    socket = bound_socket(context, zmq.PUB, "tcp://127.0.0.1:*", watermark_messages=10, use="test")
    announcer = Announcer(socket, announce_run_end=announce_run_end)
    with context.socket(zmq.SUB) as subscriber:
        subscriber.linger = 0
        subscriber.subscribe(b"")
        subscriber.connect(announcer.endpoint)
        while not subscriber.poll(10):
            announcer.file_closed(plan(), FILE)
        told = report()
        announcer.run_finished(result_of_report(told, 1.0), told.plan.start, told.missing, told.files)
        announcer.file_closed(plan(run_name="last"), FILE)
        received = []
        while not received or received[-1]["run_name"] != "last":
            received.append(json.loads(subscriber.recv()))
    announcer.close()
    assert [message.get("event") for message in received[-2:]] == [
        "run_finalized" if announce_run_end else None,
        None,
    ]
    assert announcer.status().sent >= len(received)
