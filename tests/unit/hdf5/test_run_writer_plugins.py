"""A plugin that raises is switched off; the images go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jfwriter.errors import StorageError
from jfwriter.hdf5.plugin import FileRows, Pixels, StoredDataset
from jfwriter.session.orders import Outcome
from jfwriter.wire.messages import ImageMessage
from tests.support.writer_run import Run, pixels

MakeRun = Callable[..., Run]


class Plugin:
    """Raises where it is told to."""

    name = "quantity"

    def __init__(
        self, raises_in: str = "", *, needs_pixels: bool = False, error: Exception | None = None
    ) -> None:
        self.raises_in = raises_in
        self.needs_pixels = needs_pixels
        self.takes_cells = False
        self.error = error or ZeroDivisionError("quantity")
        self.seen: list[Any] = []
        self.n_rows: list[int] = []
        self.problems = {"/entry/quantity": 2}
        self.image_groups: dict[int, str] = {}

    def _maybe(self, where: str) -> None:
        if where == self.raises_in:
            raise self.error

    def row(self, image: ImageMessage, pixels: Pixels | None) -> object:
        self._maybe("row")
        self.seen.append(None if pixels is None else pixels.copy())
        return image.image_id

    def open_file(self, *_: object) -> FileRows:
        self._maybe("open_file")
        return self

    def configured(self) -> tuple[StoredDataset, ...]:
        self._maybe("configured")
        return ()

    def append(self, *_: object) -> None:
        self._maybe("append")

    def finish(self, n_rows: int) -> tuple[StoredDataset, ...]:
        self.n_rows.append(n_rows)
        self._maybe("finish")
        return ()


@pytest.mark.parametrize("where", ["row", "open_file", "configured", "append", "finish"])
def test_a_plugin_that_raises_is_switched_off_and_the_images_go_on(
    make_run: MakeRun, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Plugin(where)
    with caplog.at_level(logging.ERROR):
        run = make_run(plugins=(plugin,), file_format=2)
        run.write(0, 1, 2, 3)
        run.writer.close_file(0)
        run.write(4)
        report = run.finish(5)
    assert report.n_written == 5
    assert report.outcome is Outcome.INCOMPLETE
    assert "'quantity' was given up after an error: ZeroDivisionError: quantity" in report.reasons[0]
    assert "quantity" in caplog.text
    assert len(plugin.seen) == {"row": 0, "open_file": 0, "append": 1}.get(where, 5)


def test_a_plugin_that_worked_changes_nothing_of_the_outcome(make_run: MakeRun) -> None:
    plugin = Plugin()
    run = make_run(plugins=(plugin,), file_format=2)
    run.write(0, 4)
    report = run.finish(5, missing=((1, 3),), gaps_are_wanted=True)
    assert report.outcome is Outcome.COMPLETE
    assert plugin.n_rows == [4, 1]
    assert plugin.seen == [None, None]
    assert report.problems == {"/entry/quantity": 4}


def test_a_plugin_that_needs_pixels_gets_them(make_run: MakeRun) -> None:
    plugin = Plugin(needs_pixels=True)
    run = make_run(plugins=(plugin,), file_format=2)
    run.write(0, 1)
    np.testing.assert_array_equal(plugin.seen, [pixels(0), pixels(1)])


def test_a_storage_error_of_a_plugin_fails_the_run(make_run: MakeRun) -> None:
    run = make_run(plugins=(Plugin("append", error=StorageError("no_space", "full")),), file_format=2)
    with pytest.raises(StorageError):
        run.write(0)
    report = run.finish(1)
    assert report.outcome is Outcome.FAILED
    assert report.missing == ((0, 0),)
