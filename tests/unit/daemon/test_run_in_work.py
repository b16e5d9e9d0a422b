"""A run on the writer thread, with real files: what is told of images that were to be stored together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jfwriter.analysis.figures import RunFigures
from jfwriter.daemon.run_in_work import Progress, RunInWork
from jfwriter.daemon.writer_events import ImageLost, ImageSkipped, RunFailed, RunFinished, WriterEvent
from jfwriter.errors import PayloadError, StorageError
from jfwriter.hdf5.plugin_set import FilePlugins
from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.plugins import plugins_for
from jfwriter.session.orders import ClosedFile, FinishRun, Outcome, WriteImage
from jfwriter.session.plan import RunPlan
from jfwriter.session.planning import make_plan
from jfwriter.settings import Settings
from tests.support import messages
from tests.support.fake_files import Disk
from tests.support.payloads import packed

SHAPE = (messages.HEIGHT, messages.WIDTH)


class Run:
    def __init__(self, make_files: Any, plan: RunPlan) -> None:
        self.events: list[WriterEvent] = []
        self.progress = Progress()
        self.plan = plan
        figures = RunFigures(min_spots_for_hit=1)
        self.work = RunInWork(plan, make_files, self.events.append, self.progress, figures=figures)
        self.work.open()

    def orders(self, n_images: int) -> list[WriteImage]:
        channels = {"default": packed(np.zeros(SHAPE, "u2"))}
        images = [messages.image(i, channels=channels, saturated_pixel_count=1) for i in range(n_images)]
        return [WriteImage(*self.plan.place(image.image_id), image) for image in images]


@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_run_that_fails_loses_all_that_were_to_be_stored_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """The pixels of all five are in the file, but nothing more of the images from `at` on."""
    settings = Settings.model_validate({"files": {"root_dir": str(tmp_path), "sync": False}})
    plan = make_plan(messages.start(number_of_images=5, images_per_file=5), settings, 1, 0.0)

    def make_files(plan: RunPlan, on_closed: Callable[[ClosedFile], None]) -> RunWriter:
        return RunWriter(plan, plugins_for(plan), settings, on_closed)

    real = FilePlugins.append

    def append(self: FilePlugins, index: int, image: Any, rows: Any) -> None:
        if index == at:
            raise StorageError("io_error", "a block of rows cannot be written")
        real(self, index, image, rows)

    monkeypatch.setattr(FilePlugins, "append", append)
    run = Run(make_files, plan)
    run.work.write(run.orders(5))
    assert [type(event) for event in run.events if not hasattr(event, "file")] == [
        RunFailed,
        *[ImageSkipped] * (5 - at),
    ]
    assert run.progress.n_written == at
    run.work.finish(FinishRun(n_images=5, missing=(), end=None, outcome=Outcome.COMPLETE))
    finished = run.events[-1]
    assert isinstance(finished, RunFinished)
    report = finished.report
    assert (report.outcome, report.n_written) == (Outcome.FAILED, at)
    assert report.dropped == {"run_failed": 5 - at}
    assert report.missing == ((at, 4),)


def test_each_image_is_a_sign_of_life() -> None:
    """Images on a slow disk are no stall, however many are stored together."""
    disk = Disk()
    run = Run(disk.make_files, make_plan(messages.start(), messages.settings(), 1, 0.0))
    seen: list[float] = []

    class Slow:
        def write_images(self, orders: Iterable[WriteImage]) -> Iterator[tuple[WriteImage, int]]:
            for order in orders:
                assert run.progress.current is not None
                seen.append(run.progress.current[1])
                run.progress.current = (0.0, 0.0)
                yield order, 1

    run.work._files = Slow()  # type: ignore[assignment]
    run.progress.current = (0.0, 0.0)
    run.work.write(run.orders(3))
    assert len(seen) == 3
    assert min(seen) > 0


def test_only_images_that_were_stored_count_in_the_figures() -> None:
    disk = Disk()
    run = Run(disk.make_files, make_plan(messages.start(), messages.settings(), 1, 0.0))

    class Picky:
        def write_images(self, orders: Iterable[WriteImage]) -> Iterator[tuple[WriteImage, Any]]:
            for order in list(orders):
                lost = order.image.image_id in {1, 4}
                yield order, PayloadError("wrong_shape", "of another run") if lost else 1

    run.work._files = Picky()  # type: ignore[assignment]
    run.work.write(run.orders(5))
    assert run.work._figures.n_images == run.progress.n_written == 3
    assert [type(event) for event in run.events] == [ImageLost] * 2
