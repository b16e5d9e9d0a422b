"""`jfwriter simulate` and `jfwriter demo` as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from jfwriter.bench import with_parent
from jfwriter.bench.writer_process import WriterProcess
from jfwriter.errors import EndpointError
from jfwriter.reader.images import RunImages
from jfwriter.reader.summary import summarize
from tests.support.daemon import DEADLINE_S, RunningDaemon, wait_for

COMMAND = [sys.executable, "-m", "jfwriter"]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=2 * DEADLINE_S)
    return process.returncode, out, err


def address(folder: Path, name: str = "dcu") -> str:
    return f"ipc://{folder}/{name}"


def mentioned_in_processes(text: str) -> list[str]:
    """Command lines of living processes that name `text`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


def test_without_a_writer_it_says_so(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "simulate", address(tmp_path), "--size=64x48", "--start-timeout=0.1")
    assert code == 74
    assert out == ""
    assert "no writer at" in err
    assert "jfwriter run" in err


def test_a_run_is_written(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with RunningDaemon(root, address(tmp_path)):
        code, out, err = run(
            tmp_path, "simulate", address(tmp_path), "--size=100x80", "--images=30", "--images_per_file=12",
            "--format=NXmxVDS", "--prefix=a/b", "--order=shuffled", "--wait", "--json", "--dtype=uint16",
        )  # fmt: skip
        assert (code, err) == (0, "")
        result = json.loads(out)
        assert (result["images"], result["images_lost"]) == (30, 0)
        assert result["writers"][0]["ok"] is True
        assert result["writers"][0]["processed_images"] == 30
    found = summarize(root / "a/b_master.h5")
    assert found.problems == ()
    assert (found.format, found.n_written, found.dtype) == ("NXmxVDS", 30, "uint16")


def test_images_of_a_file_are_written_as_they_are_stored(tmp_path: Path) -> None:
    images = np.random.default_rng(0).poisson(4, (4, 50, 70)).astype(np.int32)
    with h5py.File(tmp_path / "source.h5", "x") as file:
        file.create_dataset("a/b", data=images, chunks=(1, 50, 70), **hdf5plugin.Bitshuffle(cname="lz4"))
        file["bad"] = np.eye(50, 70, dtype=np.uint8)
    root = tmp_path / "root"
    root.mkdir()
    with RunningDaemon(root, address(tmp_path)):
        code, out, _ = run(
            tmp_path, "simulate", "--from", "source.h5:/a/b", "--mask", "source.h5:/bad", address(tmp_path),
            "--images=9", "--repeat=2", "--wait", "--drop=5,7-8", "--flavour=stream2",
        )  # fmt: skip
    assert code == 0
    assert "left out 6 images" in out
    assert "NOT complete" in out
    for name in ("run_0001", "run_0002"):
        with RunImages(root / f"{name}_master.h5") as written:
            for number in (0, 3, 6):
                np.testing.assert_array_equal(written.image(number), images[number % 4])
        with h5py.File(root / f"{name}_data_000001.h5") as data, h5py.File(tmp_path / "source.h5") as source:
            chunks = (file[path].id.read_direct_chunk((2, 0, 0)) for file, path in
                      ((data, "/entry/data/data"), (source, "a/b")))  # fmt: skip
            assert next(chunks) == next(chunks)


def test_the_demo_runs_to_a_good_end(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "demo", "--size=300x200", "--images=25", "--images-per-file=10", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["ok"] is True
    assert result["writer_exit_status"] == 0
    assert Path(result["directory"]).parent == tmp_path
    assert [one["format"] for one in result["runs"]] == ["NXmxLegacy", "NXmxVDS", "NXmxIntegrated"]
    for one in result["runs"]:
        assert one["outcome"] == "complete"
        assert one["failures"] == []
        assert one["summary"]["n_written"] == 25
        assert one["n_compared"] == 12
    assert mentioned_in_processes(str(tmp_path)) == []


def test_the_demo_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "demo_vds_master.h5").touch()
    code, out, err = run(tmp_path, "demo", str(tmp_path), "--size=64x48", "--images=5", "--format=NXmxVDS")
    assert code == 1
    assert "PROBLEM" in out
    assert "exists" in out
    assert "Something is wrong" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    process = start(
        tmp_path, "demo", str(tmp_path), "--size=300x200", "--images=500000", "--format=NXmxLegacy"
    )
    try:
        wait_for(lambda: any(tmp_path.glob("demo_legacy_data_*.h5")) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in {130, 128 + number}, (out, err)
    assert mentioned_in_processes(str(tmp_path)) == []


KEEPS_A_WRITER = """
import sys, time
from pathlib import Path
from jfwriter.bench import with_parent
from jfwriter.bench.writer_process import WriterProcess
with WriterProcess(Path(sys.argv[1]), "tcp://127.0.0.1:9", Path(sys.argv[1])) as writer:
    writer.wait_ready()
    print(writer.pid, flush=True)
    time.sleep(3600)
"""


def test_a_killed_demo_leaves_no_writer(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", KEEPS_A_WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
    finally:
        parent.kill()
        parent.communicate()
    wait_for(lambda: mentioned_in_processes(str(tmp_path)) == [])
    assert "ended with exit status 0" in (tmp_path / "writer.log").read_text()


def test_a_writer_whose_parent_is_gone_already_is_not_begun(tmp_path: Path) -> None:
    made = tmp_path / "made"
    wanted = [sys.executable, "-c", f"open({str(made)!r}, 'x')"]
    for parent, is_made in ((os.getpid() + 1, False), (os.getpid(), True)):
        subprocess.run(with_parent.command(parent, wanted), check=True, timeout=DEADLINE_S)
        assert made.exists() is is_made


def test_a_writer_that_cannot_start_is_told_with_its_log(tmp_path: Path) -> None:
    root = tmp_path / "absent"
    with WriterProcess(root, "tcp://127.0.0.1:9", tmp_path) as writer:
        with pytest.raises(EndpointError, match="absent"):
            writer.wait_ready()
        with pytest.raises(EndpointError, match="does not answer"):
            writer.status()
    assert writer.stop() not in {None, 0}


def test_signal_handlers_are_given_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    tmp_path.joinpath("root").mkdir()
    with WriterProcess(tmp_path / "root", "tcp://127.0.0.1:9", tmp_path) as writer:
        assert signal.getsignal(signal.SIGTERM) is not before
        writer.wait_ready()
        assert writer.status()["state"] == "idle"
        pid = writer.pid
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
