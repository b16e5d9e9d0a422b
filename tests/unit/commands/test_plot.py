"""`jfwriter plot` draws, says what it drew, and refuses what it cannot."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from jfwriter.cli import main
from tests.support.plain_runs import plain_run

IMAGES = np.random.default_rng(1).poisson(5.0, (2, 40, 50)).astype(np.int16)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def master(tmp_path: Path) -> Path:
    path = plain_run(tmp_path, "NXmxIntegrated", IMAGES, 0)
    with h5py.File(path, "r+") as file:
        file["/entry/MX/peakXPosRaw"] = np.full((2, 4), 20, "f4")
        file["/entry/MX/peakYPosRaw"] = np.full((2, 4), 10, "f4")
        roi_map = np.zeros((40, 50), np.uint16)
        roi_map[5:9, 5:9] = 1
        file["/entry/roi_defs/roi_map"] = roi_map
        file["/entry/roi_defs/beam/bit_index"] = np.uint16(0)
        for name, value in (("x_pixel_size", 1e-3), ("y_pixel_size", 1e-3), ("beam_center_x", 25.0),
                            ("beam_center_y", 20.0)):  # fmt: skip
            file[f"/entry/instrument/detector/{name}"] = value
    return path


@pytest.mark.parametrize("options", [(), ("--scale=linear", "--percentile=99"), ("--region=10,30,0,20",)])
def test_a_picture(
    master: Path, tmp_path: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "a.png"
    assert main(["plot", str(master), "--image", "1", "--output", str(output), *options]) == 0
    assert output.read_bytes().startswith(PNG)
    assert capsys.readouterr().out == f"{output}: run_master.h5, image 1: 2 spots\n"


def test_the_picture_has_a_name_of_its_own(
    master: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plot", str(master), "--image=0"]) == 0
    assert (tmp_path / "run_master_000000.png").read_bytes().startswith(PNG)


def test_an_image_without_a_single_valid_pixel(tmp_path: Path) -> None:
    path = plain_run(tmp_path, "NXmxIntegrated", np.full((1, 40, 50), -32768, np.int16), 0)
    assert main(["plot", str(path), "--image=0", "-o", str(tmp_path / "a.png")]) == 0


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--image", "9"], 74, "image 9: the run has 2 images"),
        (["--image", "x"], 2, "expected a whole number"),
        (["--image", "0", "--region", "5,5,0,1"], 2, "expected X0,X1,Y0,Y1"),
        ([], 2, "--image"),
        (["--image", "0", "-o", "/nowhere/a.png"], 2, "cannot be written"),
    ],
)
def test_refusals(
    master: Path, options: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", str(master), *options]) == code
    assert text in capsys.readouterr().err


def test_without_matplotlib(
    master: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real_import = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["plot", str(master), "--image", "0"]) == 2
    assert "pip install 'jfwriter[plot]'" in capsys.readouterr().err
