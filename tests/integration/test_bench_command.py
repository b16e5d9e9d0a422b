"""`jfwriter bench` as a user starts it: figures, verdict, picture, and nothing left behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from jfwriter import cli
from jfwriter.commands.bench import make_parser
from tests.integration.test_simulator_command import mentioned_in_processes, run, start
from tests.support.daemon import DEADLINE_S, wait_for

SHORT = ("--size=module", "--images=30", "--time=0", "--long-run=0.3")


def test_it_measures_and_leaves_nothing(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    picture = tmp_path / "rate.png"
    code, out, err = run(tmp_path, "bench", f"-d{storage}", *SHORT, "--json", f"--plot={picture}")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert set(result["standings"]) == {
        "receive only", "limit", "limit, fsync", "jfwriter", "jfwriter, fsync"
    }  # fmt: skip
    for name, standing in result["standings"].items():
        assert standing["images_per_s"]["low"] > 0
        assert (standing["ratio"] is None) == (not name.startswith("jfwriter"))
    assert result["place"]["directory"] == str(storage)
    assert result["n_images"] == 30
    assert result["finding"]["bound"] in {"receiving", "cpu", "storage", "sync"}
    long_run = result["long_runs"]["jfwriter, fsync"]
    assert long_run["seen"]["points"][-1]["written_bytes"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list(storage.iterdir()) == []
    assert mentioned_in_processes(str(storage)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_one_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "bench", f"--directory={tmp_path}", "--size=module", "--images=50")
    try:
        wait_for(lambda: any(tmp_path.glob("*/plain/root/*.h5*")) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in {130, 128 + number}, (out, err)
    assert (out, err) == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert mentioned_in_processes(str(tmp_path)) == []


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["-d", "/nowhere"], 74, "/nowhere: cannot be written to: No such file"),
        (["--size=16M", "--images=9999999999"], 74, "are needed; make room"),
        (["--plot=a.txt"], 2, "--plot a.txt: expected a name that ends with .png"),
        (["--plot=/nowhere/a.png"], 2, "there is no directory /nowhere"),
        (["--images=0"], 2, "expected a whole number from 1"),
        (["--time=-1"], 2, "expected seconds from 0 to 3600"),
    ],
)
def test_refusals(options: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", *options]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_the_sizes_are_those_of_the_measurement() -> None:
    from jfwriter.bench.stream import SIZES

    actions = {action.dest: action for action in make_parser()._actions}
    assert list(actions["size"].choices or ()) == list(SIZES)
