"""Which unfinished runs are offered for recovery."""

from __future__ import annotations

import shutil
from pathlib import Path

from jfwriter.recovery.search import waiting
from tests.domain.runs import frames
from tests.support import full_run
from tests.support.offline import OfflineDaemon


def test_only_those_that_no_writer_holds(tmp_path: Path) -> None:
    living, crashed = tmp_path / "living", tmp_path / "crashed"
    living.mkdir()
    daemon = OfflineDaemon(living, files={"sync": True})
    daemon.take(
        [
            full_run.start(
                frames(2), prefix="sub/run", file_format="NXmxVDS", images_per_file=2, json_user_data=False
            )
        ]
    )
    assert daemon.writer is not None
    shutil.copytree(living, crashed)
    assert waiting([living]) == []
    (offered,) = waiting([crashed])
    assert offered.startswith("sub/run.")
    daemon.writer.abandon()
