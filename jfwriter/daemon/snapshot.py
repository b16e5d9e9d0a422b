"""All parts of the daemon, read as one immutable Status. Event loop only."""

from __future__ import annotations

from jfwriter.analysis.figures import FIGURES, WINDOW_IMAGES
from jfwriter.daemon.identity import run_name, run_number
from jfwriter.daemon.leftovers import offer
from jfwriter.daemon.parts import Parts
from jfwriter.daemon.run_in_work import Progress
from jfwriter.daemon.status import Analysis, State, Status
from jfwriter.session.orders import DropReason
from jfwriter.session.plan import N_WRITERS_UNKNOWN, RunPlan
from jfwriter.session.snapshot import SessionSnapshot
from jfwriter.session.snapshot import State as SessionState
from jfwriter.wire.messages import StartMessage

STALL_WARNING_S = 10.0
MAX_SHOWN_PROBLEMS = 5


def status_of(parts: Parts) -> Status:
    """The status now."""
    board, progress = parts.board, parts.writer.progress
    now = board.clock()
    pool = parts.analysis
    n_analysed, n_skipped = (pool.n_analysed, pool.n_skipped) if pool else (0, 0)
    session = parts.session.snapshot()
    state = board.state(session.state)
    start = None if state is State.IDLE else board.start
    n_written = progress.n_written if progress.serial == board.serial else 0
    gaps = board.gaps.of(parts.session)
    return Status(
        state=state,
        version=board.version,
        uptime_s=round(now - board.started_at, 3),
        file_prefix=_prefix(start, board.plan) if start else None,
        run_name=run_name(start) if start else None,
        run_number=run_number(start) if start else None,
        socket_number=start.socket_number if start else None,
        format=board.plan.format.name if start and board.plan else None,
        nimages=n_written,
        images_synced=progress.synced.n_images if progress.serial == board.serial else 0,
        images_expected=(start.number_of_images or None) if start else None,
        images_received=board.run_images_received,
        images_unexpected=session.n_unexpected,
        images_waiting=_waiting(session, n_written),
        images_missing=gaps.n_missing,
        missing=list(gaps.missing),
        images_dropped=dict(session.dropped),
        duplicates=dict(board.run_duplicates),
        performance_MBs=round(board.rates.bytes_per_s / 1e6, 3),
        performance_Hz=round(board.rates.images_per_s, 3),
        queue_bytes=parts.budget.used_bytes,
        byte_budget_bytes=parts.budget.capacity_bytes,
        receiving_paused=parts.puller.paused,
        oldest_image_age_s=round(oldest_age_s(progress, now), 3),
        event_loop_lag_s=round(board.rates.max_lag_s, 4),
        files_closed=board.run_files_closed,
        last_files=list(board.last_files),
        runs_to_recover=len(board.runs_to_recover),
        warnings=_warnings(parts, session, now),
        analysis=_analysis(parts),
        inputs=[source.status() for source in parts.puller.sources],
        republish=parts.republisher.status() if parts.republisher else None,
        announcements=parts.announcer.status() if parts.announcer else None,
        notifications=parts.notifier.status(),
        totals=board.totals(
            progress.total_written, progress.total_bytes, parts.puller.n_pauses, n_analysed, n_skipped
        ),
        last_run=board.last_run,
    )


def _waiting(session: SessionSnapshot, n_written: int) -> int:
    """Images taken of the open run that the writer thread has not done yet."""
    n_skipped = session.dropped.get(DropReason.RUN_FAILED, 0)
    return max(0, session.n_accepted - n_written - n_skipped)


def oldest_age_s(progress: Progress, now: float) -> float:
    """How long the message in work has been here; those in the queue are younger."""
    current = progress.current
    return 0.0 if current is None else max(0.0, now - current[0])


def stalled_s(progress: Progress, now: float) -> float:
    """How long the writer thread has been busy with one message."""
    current = progress.current
    return 0.0 if current is None else max(0.0, now - current[1])


def silence_s(parts: Parts, now: float) -> float:
    """How long an open run has got no message; 0 when no run is open."""
    if parts.session.state is SessionState.IDLE:
        return 0.0
    return now - parts.board.last_message_at


def one_line(status: Status) -> str:
    """For `systemctl status`."""
    if status.run_name is None:
        return f"{status.state}; {status.totals.images_written} images written since start"
    expected = "?" if status.images_expected is None else status.images_expected
    return (
        f"{status.state} run {status.run_name}: {status.nimages} of {expected} images, "
        f"{status.performance_MBs:.0f} MB/s, {status.queue_bytes / 1e6:.0f} MB wait"
    )


def _analysis(parts: Parts) -> Analysis:
    pool, figures = parts.analysis, parts.writer.progress.figures
    run = None if pool is None else pool.run
    recent = dict.fromkeys(FIGURES) if figures is None else figures.recent()
    return Analysis(
        quantities=[] if run is None else run.quantities,
        images_analysed=0 if run is None else run.n_analysed,
        images_skipped=0 if run is None else run.n_skipped,
        images_failed=0 if run is None else run.n_failed,
        images_waiting=0 if pool is None else pool.n_waiting,
        problems=[] if run is None else run.problems,
        averaged_images=0 if figures is None else min(figures.n_images, WINDOW_IMAGES),
        **recent,
    )


def _prefix(start: StartMessage, plan: RunPlan | None) -> str | None:
    """Where a run is written, or where a refused one asked to be."""
    if plan is None:
        return start.file_prefix
    return plan.prefix if plan.writes_files else None


def _warnings(parts: Parts, session: SessionSnapshot, now: float) -> list[str]:
    board = parts.board
    found = []
    if session.failure:
        found.append(f"the run cannot be written, its images are thrown away: {session.failure}")
    silent_s = silence_s(parts, now)
    if silent_s > parts.settings.service.idle_warning_s:
        found.append(f"a run is open and no message came for {silent_s:.0f} s")
    if board.refused_reload:
        found.append("the changed settings are wrong and were not taken; the log says why")
    if board.refused_start:
        found.append(f"a start message was refused: {board.refused_start}")
    plan = board.plan
    if plan is not None and not plan.only_writer and plan.n_writers == 0:
        found.append(N_WRITERS_UNKNOWN)
    if board.every_second_is_missing and session.state is not SessionState.IDLE:
        found.append("every second image is missing: is a second receiver connected to the same socket?")
    found += _storage_warnings(parts, now)
    if parts.puller.paused:
        found.append("receiving is paused: the byte budget is used up, the storage is too slow")
    found += [f"no sender at {source.address}" for source in parts.puller.sources if not source.n_connected]
    if board.run_bad_messages:
        found.append(f"{board.run_bad_messages} messages could not be decoded since the last start")
    found += [f"not plausible: {text}" for text in board.implausible[:MAX_SHOWN_PROBLEMS]]
    found += _analysis_warnings(parts)
    found += _field_warnings(board.start.problems if board.start else (), board.run_ignored_fields)
    return found


def _storage_warnings(parts: Parts, now: float) -> list[str]:
    board, progress = parts.board, parts.writer.progress
    found = [*parts.storage.notices_of(board.serial)]
    if parts.storage.second_problem:
        found.append(parts.storage.second_problem)
    if board.runs_to_recover:
        found.append(offer(board.runs_to_recover))
    stall_s = stalled_s(progress, now)
    if stall_s > STALL_WARNING_S:
        found.append(f"the storage has not answered for {stall_s:.0f} s")
    if progress.synced.problem:
        found.append(f"a crash would lose images of this run: {progress.synced.problem}")
    return found


def _analysis_warnings(parts: Parts) -> list[str]:
    run = None if parts.analysis is None else parts.analysis.run
    if run is None:
        return []
    found = [f"analysis: {problem}" for problem in run.problems[:MAX_SHOWN_PROBLEMS]]
    if run.n_skipped:
        found.append(f"{run.n_skipped} images of the run are written without analysis: it is too slow")
    return found


def _field_warnings(problems: tuple[object, ...], n_ignored: int) -> list[str]:
    found = [f"start message: {problem}" for problem in problems[:MAX_SHOWN_PROBLEMS]]
    if n_ignored > len(found):
        found.append(f"{n_ignored} fields of this run's messages were ignored; the log names them")
    return found
