"""`jfwriter simulate`: a DCU that sends runs to a writer."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from jfwriter.commands.progress import ProgressBar
from jfwriter.commands.simulate_options import DEFAULT_ADDRESS, make_parser, make_request
from jfwriter.errors import StorageUnavailable
from jfwriter.printable import printable
from jfwriter.reader.frames import FrameFile
from jfwriter.secret_files import curve_secret_of
from jfwriter.simulator import Dcu, SendPlan, SendReport, SimulatedRun, send_run
from jfwriter.simulator.listener import Listener, Said
from jfwriter.simulator.source import StoredSource

_LINGER_S = 60.0


def main(argv: Sequence[str]) -> int:
    """Exit status 0: everything was sent (with --wait: and written). Raises RefuseToStart."""
    arguments = make_parser().parse_intermixed_args(list(argv))
    with ExitStack() as stack:
        notes = None
        if arguments.wait:
            notes = stack.enter_context(Listener.of_notifications(arguments.notify_address))
        run, plan = _prepare(arguments, notes)
        return _send(arguments, run, plan, notes)


def _prepare(arguments: argparse.Namespace, notes: Listener | None) -> tuple[SimulatedRun, SendPlan]:
    """Make the images; a file that they are from is closed again."""
    with ExitStack() as stack:
        frames = mask = source = None
        if arguments.source is not None:
            frames = stack.enter_context(FrameFile(*arguments.source))
        if arguments.mask is not None:
            bad = stack.enter_context(FrameFile(*arguments.mask)).pixels(0)
            # A map of flags becomes "dead" (bit 1); uint32 is taken for a mask with the bits of NXmx.
            mask = (
                bad.astype(np.uint32)
                if bad.dtype == np.uint32
                else (bad != 0).astype(np.uint32) * np.uint32(2)
            )
        request = make_request(arguments, frames, notes.address if notes is not None else None)
        if frames is not None:
            source = StoredSource(frames, request.options.codec, mask)
        return SimulatedRun(request.options, source, ProgressBar("making images")), request.plan


def _send(arguments: argparse.Namespace, run: SimulatedRun, plan: SendPlan, notes: Listener | None) -> int:
    dcu = Dcu(
        arguments.address or [DEFAULT_ADDRESS],
        watermark=arguments.watermark,
        lossy=arguments.lossy,
        start_timeout_s=arguments.start_timeout,
        stall_timeout_s=arguments.stall_timeout,
        curve_secret=curve_secret_of(arguments.curve_secret_key) if arguments.curve_secret_key else "",
    )
    reports: list[SendReport] = []
    answers: list[Said] = []
    began = time.monotonic()
    try:
        for repetition in range(arguments.repeat):
            current = run if arguments.repeat == 1 else _repetition(run, repetition)
            reports.append(send_run(dcu, current, plan, ProgressBar("sending")))
            if notes is not None:
                answers += _wait(notes, dcu.n_sockets, arguments.wait_timeout)
        delivered = dcu.close(_LINGER_S)
    except KeyboardInterrupt:
        # The end message that tells of the cancellation is still on its way.
        dcu.close(linger_s=2.0)
        raise
    except BaseException:
        dcu.abort()
        raise
    _print(arguments, run, reports, answers, time.monotonic() - began)
    if not delivered:
        raise StorageUnavailable(f"the writer did not take everything within {_LINGER_S:g} s")
    if not all(report.end_taken for report in reports):
        raise StorageUnavailable("the writer did not take an end message")
    whole = plan.send_end and not any(report.n_left_out for report in reports)
    if whole and not all(answer.get("ok") is True for answer in answers):
        raise StorageUnavailable("a writer says that its run is not complete")
    return 0


def _repetition(run: SimulatedRun, repetition: int) -> SimulatedRun:
    prefix = run.options.file_prefix
    name = f"{prefix}_{repetition + 1:04d}" if prefix else ""
    return run.renamed(run.options.run_number + repetition, name)


def _wait(notes: Listener, n_writers: int, timeout_s: float) -> list[Said]:
    """One answer from each writer. Raises StorageUnavailable if one stays away."""
    answers: list[Said] = []
    for _ in range(n_writers):
        answer = notes.receive(timeout_s)
        if answer is None:
            raise StorageUnavailable(
                f"{len(answers)} of {n_writers} writers reported the end of the run within {timeout_s:g} s"
            )
        answers.append(answer)
    return answers


def _print(
    arguments: argparse.Namespace,
    run: SimulatedRun,
    reports: list[SendReport],
    answers: list[Said],
    duration_s: float,
) -> None:
    n_images = sum(report.n_images for report in reports)
    n_bytes = sum(report.n_bytes for report in reports)
    n_lost = sum(report.n_lost for report in reports)
    n_left_out = sum(report.n_left_out for report in reports)
    rate_hz, gigabytes_per_s = n_images / max(duration_s, 1e-9), n_bytes / max(duration_s, 1e-9) / 1e9
    if arguments.json:
        result = {
            "runs": len(reports),
            "images": n_images,
            "images_left_out": n_left_out,
            "images_lost": n_lost,
            "bytes": n_bytes,
            "duration_s": duration_s,
            "images_per_s": rate_hz,
            "gigabytes_per_s": gigabytes_per_s,
            "writers": answers,
        }
        print(json.dumps(result, indent=2))
        return
    height, width = run.options.detector.shape
    print(
        f"sent {n_images} images of {width} x {height} {run.options.dtype.name} ({run.options.codec}) "
        f"in {len(reports)} run(s): {n_bytes / 1e6:.1f} MB in {duration_s:.2f} s, "
        f"{rate_hz:.0f} images/s, {gigabytes_per_s:.2f} GB/s"
    )
    if n_left_out:
        print(f"left out {n_left_out} images, as asked")
    if n_lost:
        print(f"lost {n_lost} images that the writer did not take", file=sys.stderr)
    print_answers(answers)


def print_answers(answers: Sequence[Said]) -> None:
    """What writers said of their runs, one line each. The names are from outside."""
    for answer in answers:
        verdict = "complete" if answer.get("ok") is True else "NOT complete"
        print(
            printable(
                f"writer {answer.get('socket_number')}: run {answer.get('run_name')}: "
                f"{answer.get('processed_images')} images written, {verdict}"
            )
        )
