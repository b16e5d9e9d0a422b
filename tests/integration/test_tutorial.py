"""The tutorial works as it is written: its simulator line, and every piece of Python in it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from tests.support.daemon import RunningDaemon

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
SIMULATE = re.search(r"^    jfwriter (simulate .*)$", TUTORIAL, re.MULTILINE)
PROGRAMS = re.findall(r"^```python\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)


def free_address() -> str:
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        return f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tutorial's reader stands after the run; images are sent as fast as they can be."""
    assert SIMULATE is not None
    place = tmp_path_factory.mktemp("tutorial")
    (place / "runs").mkdir()
    address = free_address()
    words = shlex.split(SIMULATE[1].replace("--rate 50 ", ""))
    with RunningDaemon(place / "runs", address):
        done = subprocess.run(
            [sys.executable, "-m", "jfwriter", *words, address],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert "199 images written, NOT complete" in done.stdout, done.stdout + done.stderr
    return place


def run(program: str, place: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=place, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_programs_in_it() -> None:
    assert len(PROGRAMS) == 3


def test_the_first_look_prints_what_the_tutorial_says(place: Path) -> None:
    output = run(PROGRAMS[0], place)
    assert output.splitlines()[0] in TUTORIAL
    assert output.splitlines()[2] in TUTORIAL


@pytest.mark.parametrize("program", PROGRAMS[1:])
def test_the_other_programs_run(place: Path, program: str) -> None:
    assert run(program, place)
