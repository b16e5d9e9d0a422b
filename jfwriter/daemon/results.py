"""How a run ended, in the words of status, announcements and logs."""

from __future__ import annotations

from jfwriter.daemon.identity import run_name, run_number
from jfwriter.daemon.status import LastRun
from jfwriter.session.orders import Outcome, RunReport
from jfwriter.session.snapshot import Refusal

MAX_SHOWN_RANGES = 100
MAX_SHOWN_FILES = 1000
MAX_SHOWN_QUANTITIES = 100


def result_of_report(report: RunReport, finished_at: float) -> LastRun:
    """`finished_at`: Unix time in s."""
    start = report.plan.start
    return LastRun(
        outcome=str(report.outcome),
        reasons=list(report.reasons),
        file_prefix=report.plan.prefix if report.plan.writes_files else None,
        run_name=run_name(start),
        run_number=run_number(start),
        socket_number=start.socket_number,
        format=report.plan.format.name,
        images_expected=report.plan.n_images_planned,
        nimages=report.n_images,
        images_received=report.n_received,
        images_written=report.n_written,
        images_missing=sum(last - first + 1 for first, last in report.missing),
        missing=list(report.missing[:MAX_SHOWN_RANGES]),
        images_by_status=dict(report.by_status),
        images_never_came=report.n_never_came,
        images_unexpected=report.n_unexpected,
        images_dropped=dict(report.dropped),
        calibrations_dropped=report.n_calibrations_dropped,
        quantities_left_out=dict(sorted(report.problems.items())[:MAX_SHOWN_QUANTITIES]),
        files=list(report.files[:MAX_SHOWN_FILES]),
        written_bytes=report.written_bytes,
        finished_at=finished_at,
    )


def result_of_refusal(refusal: Refusal) -> LastRun:
    """A run that was refused at its start: nothing was created."""
    start = refusal.start
    return LastRun(
        outcome=str(Outcome.FAILED),
        reasons=[f"refused: {refusal.text}"],
        file_prefix=None,
        run_name=run_name(start),
        run_number=run_number(start),
        socket_number=start.socket_number,
        format="NoFileWritten",
        images_expected=start.number_of_images,
        nimages=0,
        images_received=0,
        images_written=0,
        images_missing=0,
        missing=[],
        images_by_status={},
        images_never_came=start.number_of_images or 0,
        images_unexpected=0,
        images_dropped={},
        calibrations_dropped=0,
        quantities_left_out={},
        files=[],
        written_bytes=0,
        finished_at=refusal.received_at,
    )


def in_one_line(result: LastRun) -> str:
    """For the log and the service manager."""
    text = (
        f"run {result.run_name!r} ({result.run_number}) {result.outcome}: "
        f"{result.images_written} of {result.nimages} images, {len(result.files)} files"
    )
    return f"{text}; {'; '.join(result.reasons)}" if result.reasons else text
