"""Plans, reports and statuses of made-up runs, for tests of what the daemon tells about itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jfwriter.daemon.results import result_of_report
from jfwriter.daemon.status import (
    Analysis,
    Announcements,
    Input,
    Notifications,
    Republishing,
    State,
    Status,
    Totals,
)
from jfwriter.session.orders import ClosedFile, Outcome, RunReport
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from jfwriter.wire.messages import UnitCell
from tests.support import messages

FILE = ClosedFile("scan1_data_000002.h5", 1, n_rows=4, n_written=3, size_bytes=1234)

FULL: dict[str, Any] = {
    "sample_name": "lysozyme",
    "run_name": "run 7",
    "run_number": 7,
    "experiment_group": "p12345",
    "user": {"a": [1, 2.5, None]},
    "beam_center_x": 100.5,
    "beam_center_y": 200.25,
    "detector_distance": 0.15,
    "frame_time": 0.001,
    "incident_energy": 12400.0,
    "pixel_size_x": 75e-6,
    "saturation_value": 32766,
    "error_value": -32768,
    "space_group_number": 96,
    "unit_cell": UnitCell(78.0, 78.0, 37.0, 90.0, 90.0, 90.0),
}


def plan(**fields: Any) -> RunPlan:
    return make_plan(messages.start(**fields), messages.settings(), 1, 0.0)


def report(**changes: Any) -> RunReport:
    whole = RunReport(
        plan=plan(socket_number=2),
        outcome=Outcome.INCOMPLETE,
        reasons=("2 images missing: 5-6",),
        n_images=10,
        n_written=8,
        missing=((5, 6),),
        files=("scan1_data_000001.h5", "scan1_master.h5"),
        written_bytes=99,
        dropped={"duplicate": 1},
    )
    return replace(whole, **changes)


RESULT = result_of_report(
    RunReport(
        make_plan(messages.start(socket_number=1), messages.settings(), 1, 0.0),
        Outcome.CANCELLED,
        ("cancelled on request",),
        n_images=10,
        n_written=7,
        missing=((3, 5),),
        files=("scan1_data_000001.h5",),
        dropped={"duplicate": 2},
    ),
    1e9,
)
TOTALS = Totals(
    messages={"start": 1},
    bad_messages={"not_a_map": 3},
    ignored_fields=4,
    images_received=10,
    images_written=7,
    images_dropped={"duplicate": 2},
    messages_dropped={"duplicate": 2, "no_run": 1},
    written_bytes=700,
    images_analysed=6,
    analysis_skipped=1,
    files_closed=1,
    runs={"complete": 1},
    runs_refused={"path": 1},
    runs_failed={"no_space": 1},
    images_unexpected=1,
    quantities_left_out=2,
    receiving_pauses=0,
    http_refused={"token": 1},
)
NO_ANALYSIS = Analysis(
    quantities=[],
    images_analysed=0,
    images_skipped=0,
    images_failed=0,
    images_waiting=0,
    problems=[],
    averaged_images=0,
    spots=None,
    hit_rate=None,
    indexing_rate=None,
    background_estimate=None,
    saturated_pixels=None,
    error_pixels=None,
    roi_beam_pixels=None,
    roi_beam_sum=None,
)
ANALYSIS = Analysis(
    quantities=["spots"],
    images_analysed=6,
    images_skipped=1,
    images_failed=0,
    images_waiting=2,
    problems=["azint is not computed: </script>"],
    averaged_images=7,
    spots=12.5,
    hit_rate=0.5,
    indexing_rate=0.25,
    background_estimate=1.5,
    saturated_pixels=2.0,
    error_pixels=3.0,
    roi_beam_pixels=400.0,
    roi_beam_sum=5000.0,
)
IDLE = Status(
    state=State.IDLE,
    version="1.2.3",
    uptime_s=1.5,
    file_prefix=None,
    run_name=None,
    run_number=None,
    socket_number=None,
    format=None,
    nimages=0,
    images_synced=0,
    images_expected=None,
    images_received=0,
    images_unexpected=0,
    images_waiting=0,
    images_missing=0,
    missing=[],
    images_dropped={},
    duplicates={},
    performance_MBs=0.0,
    performance_Hz=0.0,
    queue_bytes=0,
    byte_budget_bytes=1 << 30,
    receiving_paused=False,
    oldest_image_age_s=0.0,
    event_loop_lag_s=0.0,
    files_closed=0,
    last_files=[],
    runs_to_recover=0,
    warnings=[],
    analysis=NO_ANALYSIS,
    inputs=[
        Input(
            "tcp://dcu:5400", connected=False, multipart_messages=0, broken_connections=0, failed_handshakes=0
        )
    ],
    republish=None,
    announcements=None,
    notifications=Notifications(0, 0),
    totals=TOTALS,
    last_run=None,
)
WRITING = Status(
    state=State.WRITING,
    version="1.2.3",
    uptime_s=1.5,
    file_prefix="a/<b>&\ud800",
    run_name="</script><script>alert(1)</script>",
    run_number=2**64 - 1,
    socket_number=0,
    format="NXmxVDS",
    nimages=7,
    images_synced=5,
    images_expected=10,
    images_received=9,
    images_unexpected=1,
    images_waiting=2,
    images_missing=2,
    missing=[(3, 4)],
    images_dropped={"duplicate": 2},
    duplicates={"differs": 1, "same": 1},
    performance_MBs=12.5,
    performance_Hz=1000.0,
    queue_bytes=5,
    byte_budget_bytes=1 << 30,
    receiving_paused=True,
    oldest_image_age_s=0.5,
    event_loop_lag_s=0.001,
    files_closed=1,
    last_files=["a/b_data_000001.h5"],
    runs_to_recover=1,
    warnings=["no message for 75 s"],
    analysis=ANALYSIS,
    inputs=[
        Input(
            "tcp://dcu:5400", connected=True, multipart_messages=1, broken_connections=2, failed_handshakes=3
        )
    ],
    republish=Republishing("tcp://0.0.0.0:5500", 9, 1, 0, 4),
    announcements=Announcements("tcp://0.0.0.0:5600", 1, 5),
    notifications=Notifications(1, 1),
    totals=TOTALS,
    last_run=RESULT,
)
