"""What a run held, its start message too, is let go of when it is over, not at some later collection."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.plugins import plugins_for
from jfwriter.session.orders import ClosedFile
from jfwriter.session.plan import RunPlan
from tests.support import messages, stream
from tests.support.rig import Rig


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("file_format", ["NXmxLegacy", "NXmxVDS", "NXmxIntegrated"])
@pytest.mark.parametrize("files", [{}, {"checksum": "crc32", "manifest": True}])
async def test_a_run_that_is_over_is_not_kept(
    tmp_path: Path, file_format: str, files: dict[str, object]
) -> None:
    writers: list[weakref.ref[RunWriter]] = []
    settings = messages.settings(files={"root_dir": str(tmp_path), **files})

    def make_files(plan: RunPlan, on_closed: Callable[[ClosedFile], None]) -> RunWriter:
        writer = RunWriter(plan, plugins_for(plan), settings, on_closed)
        writers.append(weakref.ref(writer))
        return writer

    rig = Rig(settings, make_files)
    try:
        for series_id in (1, 2):
            rig.feed(*stream.run(series_id, user_data={"file_format": file_format}))
            await rig.settled()
            assert rig.board.last_run is not None
            assert rig.board.last_run.outcome == "complete"
        assert [writer() for writer in writers] == [None, None]
    finally:
        await rig.close()
