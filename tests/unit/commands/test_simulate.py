"""Options of `jfwriter simulate` and what they mean."""

from __future__ import annotations

import argparse
import dataclasses
import io
from pathlib import Path

import h5py
import numpy as np
import pytest

from jfwriter.cli import main, one_spelling
from jfwriter.commands.progress import ProgressBar
from jfwriter.commands.simulate_options import Request, make_parser, make_request
from jfwriter.errors import UsageError
from jfwriter.payload import Codec
from jfwriter.simulator import Experiment, Flavour, RunOptions


def parse(*arguments: str) -> argparse.Namespace:
    return make_parser().parse_intermixed_args(one_spelling(arguments))


def request(*arguments: str) -> Request:
    return make_request(parse(*arguments), None, None)


def options(*arguments: str) -> RunOptions:
    return request(*arguments).options


@dataclasses.dataclass
class Frames:
    n_frames: int = 7
    shape: tuple[int, int] = (20, 30)
    dtype: np.dtype = dataclasses.field(default_factory=lambda: np.dtype(np.uint8))
    codec: Codec | None = Codec.LZ4

    def pixels(self, number: int) -> np.ndarray:
        raise NotImplementedError

    def chunk(self, number: int) -> bytes:
        raise NotImplementedError


def test_the_default_run() -> None:
    found = options()
    assert (found.detector.name, found.dtype, found.codec) == ("jungfrau-1m", np.int16, Codec.BSLZ4)
    assert (found.n_images, found.n_distinct, found.images_per_file) == (100, 16, 1000)
    assert (found.flavour, found.scan.experiment) == (Flavour.JUNGFRAUJOCH, Experiment.ROTATION)
    assert (found.file_prefix, found.file_format, found.overwrite) == ("run", None, None)
    plan = request().plan
    assert (plan.rate_hz, plan.shuffle_seed, plan.send_end) == (0, None, True)


def test_every_option_has_its_place() -> None:
    found = options(
        "--detector", "eiger2-4m", "--dtype", "int32", "--compression", "bszstd", "--images", "8", "--seed=3",
        "--distinct", "0", "--flavour", "stream2", "--channels", "2", "--rotation", "-0.5",
        "--start_angle", "30", "--wavelength", "0.9", "--distance-mm", "150", "--beam-center=10,20.5",
        "--frame-time", "0.5", "--no-calibration", "--reflections", "--no-spots", "--prefix", "a/b",
        "--format", "NXmxIntegrated", "--images-per-file", "0", "--overwrite",
        "--run-name", "x", "--run-number", "9",
    )  # fmt: skip
    assert (found.detector.name, found.dtype, found.codec) == ("eiger2-4m", np.int32, Codec.BSZSTD)
    assert (found.n_images, found.seed, found.n_different, found.n_channels) == (8, 3, 8, 2)
    assert (found.scan.increment_deg, found.scan.start_deg) == (-0.5, 30)
    geometry = found.geometry
    assert (geometry.wavelength_angstrom, geometry.distance_m) == (0.9, 0.15)
    assert (geometry.beam_x_pxl, geometry.beam_y_pxl) == (10, 20.5)
    assert (found.frame_time_s, found.with_calibration, found.with_reflections) == (0.5, False, True)
    assert (found.sample.spots, found.file_prefix, found.file_format) == (False, "a/b", "NXmxIntegrated")
    assert (found.images_per_file, found.overwrite, found.unique_id, found.run_number) == (0, True, "x", 9)


def test_how_it_is_sent() -> None:
    plan = request("--rate", "50", "--order=shuffled", "--seed=4", "--drop=1,5-7", "--no-end").plan
    assert (plan.rate_hz, plan.shuffle_seed, plan.send_end) == (50, 4, False)
    assert plan.leave_out == {1, 5, 6, 7}
    assert sorted(plan.order(9)) == [0, 2, 3, 4, 8]


def test_experiments() -> None:
    assert options("--still").scan.experiment is Experiment.STILL
    grid = options("--grid", "12").scan
    assert (grid.experiment, grid.n_fast) == (Experiment.GRID, 12)


def test_addresses_may_stand_anywhere() -> None:
    assert parse("tcp://*:1", "--images", "3", "ipc:///x").address == ["tcp://*:1", "ipc:///x"]


def test_images_of_a_file_say_what_they_are() -> None:
    frames = Frames()
    found = make_request(parse("--from", "x.h5:/a/b", "--images=50"), frames, "tcp://here:1").options
    assert (found.detector.shape, found.dtype, found.codec) == ((20, 30), np.uint8, Codec.LZ4)
    assert (found.n_distinct, found.sample.spots) == (7, False)
    assert found.notification_address == "tcp://here:1"
    assert make_request(parse("--compression=bslz4"), frames, None).options.codec is Codec.BSLZ4
    assert make_request(parse(), Frames(codec=None), None).options.codec is Codec.BSLZ4
    assert make_request(parse("--distinct=2"), frames, None).options.n_distinct == 2
    for wrong in ("--dtype=int8", "--size=30x21"):
        with pytest.raises(UsageError, match="--from"):
            make_request(parse(wrong), frames, None)
    with pytest.raises(UsageError, match="float64"):
        make_request(parse(), Frames(dtype=np.dtype("f8")), None)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--size=0x4"], 2, "image size 0x4"),
        (["--detector=eiger9"], 2, "jungfrau-4m"),
        (["--from=nothing.h5"], 2, "FILE:/PATH"),
        (["--from=nothing.h5:/x"], 74, "nothing.h5"),
        (["--mask=nothing.h5:/x"], 74, "nothing.h5"),
        (["--from={file}:/vector"], 2, "expected images"),
        (["--from={file}:/absent"], 2, "no such data set"),
        (["--mask={file}:/image"], 2, "--mask goes with --from"),
        (["--from={file}:/image", "--mask={file}:/other"], 2, "pixel mask of shape"),
        (["--still", "--grid=3"], 2, "--still and --grid"),
        (["--images=-1"], 2, "whole number"),
        (["--images=x"], 2, "whole number"),
        (["--rate=0"], 2, "above 0"),
        (["--rate=nan"], 2, "above 0"),
        (["--drop=1-"], 2, "whole number"),
        (["--beam-center=1"], 2, "X,Y"),
        (["--dtype=int64"], 2, "invalid choice"),
        (["nonsense", "--size=20x20", "--images=1"], 74, "nonsense"),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, complaint: str
) -> None:
    file = tmp_path / "x.h5"
    with h5py.File(file, "x") as made:
        made["vector"] = np.arange(3)
        made["image"] = np.zeros((20, 30), np.uint8)
        made["other"] = np.zeros((20, 31), np.uint8)
    assert main(["simulate", *(argument.format(file=file) for argument in arguments)]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert complaint in printed.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_drawn_on_terminals_alone() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        bar = ProgressBar("sending", stream)
        for done in (0, 5, 10):
            bar(done, 10)
        bar(0, 0)
    assert pipe.getvalue() == ""
    drawn = terminal.getvalue()
    assert drawn.count("\r") == 3
    assert drawn.endswith(f"[{'#' * 30}] 10/10 \n")
    assert f"[{'#' * 15}{'.' * 15}] 5/10" in drawn
