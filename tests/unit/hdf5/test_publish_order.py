"""In which order a run is brought to the disk, as the kernel sees it, and who wins a race for its names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jfwriter.session.orders import Outcome
from tests.support.writer_run import Run

SCRIPT = """
import sys
from pathlib import Path
from tests.support.writer_run import Run
run = Run(Path(sys.argv[1]), files={"sync": True})
run.write(0)
run.finish(1)
"""
CALL = re.compile(r"(fsync|fdatasync|rename\w*|link\w*)\((.*)\) += 0")


def test_file_then_name_then_directory(tmp_path: Path) -> None:
    """fsync of the file, rename, fsync of the directory; data files before the master."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace")
    root = tmp_path / "root"
    root.mkdir()
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat"
    command = [strace, "-f", "-y", "-s", "400", "-e", calls, "-o", str(trace), sys.executable, "-c", SCRIPT]
    done = subprocess.run([*command, str(root)], cwd=Path(__file__).parents[3], check=False)
    if done.returncode and "ptrace" in trace.read_text():
        pytest.skip("nobody may be traced here")
    assert done.returncode == 0
    seen = [
        match for match in map(CALL.search, trace.read_text().splitlines()) if match and "root" in match[2]
    ]
    steps = []
    for match in seen:
        if match[1].startswith(("rename", "link")):
            steps.append("rename " + re.findall(r'"([^"]*\.h5)"', match[2])[-1])
        else:
            path = re.findall(r"<([^>]*)>", match[2])[0]
            steps.append("sync " + re.sub(r"\.[0-9a-f]{16}\.tmp$", "", path.removeprefix(f"{root}")))
    assert steps == [
        "sync /scan1_data_000001.h5", "rename scan1_data_000001.h5", "sync ",
        "sync /scan1_master.h5", "rename scan1_master.h5", "sync ",
    ]  # fmt: skip


def test_two_writers_with_the_same_names(tmp_path: Path) -> None:
    """Both begin before either has published: one is complete, the other fails, and no byte is exchanged."""
    one, other = Run(tmp_path), Run(tmp_path)
    one.write(0, 1)
    other.write(0)
    reports = {}
    barrier = threading.Barrier(2)

    def finish(run: Run, n_images: int) -> None:
        barrier.wait()
        reports[n_images] = run.finish(n_images)

    threads = [
        threading.Thread(target=finish, args=(one, 2)),
        threading.Thread(target=finish, args=(other, 1)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [n_images for n_images, report in reports.items() if report.outcome is Outcome.COMPLETE]
    loser = reports[3 - winner]
    assert loser.outcome is Outcome.FAILED
    assert loser.reasons[0].startswith("exists: ")
    assert loser.files == ()
    finals = {path.name: path.stat().st_size for path in tmp_path.glob("*.h5")}
    assert sum(finals.values()) == reports[winner].written_bytes
    assert finals.keys() == set(reports[winner].files)
