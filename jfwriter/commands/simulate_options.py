"""The options of `jfwriter simulate` and what they make."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jfwriter.errors import UsageError
from jfwriter.payload import Codec
from jfwriter.simulator import (
    DETECTORS,
    Experiment,
    Flavour,
    RunOptions,
    Scan,
    SendPlan,
    default_geometry,
    default_sample,
    find_detector,
)
from jfwriter.simulator.detector import DetectorModel
from jfwriter.simulator.geometry import Geometry
from jfwriter.simulator.options import FILE_FORMATS, PIXEL_TYPES, automatic_n_distinct
from jfwriter.simulator.source import StoredFrames

DEFAULT_ADDRESS = "tcp://127.0.0.1:5400"
DEFAULT_DETECTOR = "jungfrau-1m"


@dataclass(frozen=True, slots=True)
class Request:
    """What to send and how."""

    options: RunOptions
    plan: SendPlan


def make_parser() -> argparse.ArgumentParser:
    """The options of `jfwriter simulate`; `docs/reference/simulator.md` lists them."""
    parser = argparse.ArgumentParser(
        prog="jfwriter simulate",
        description="Send runs to a writer, as the computer of a detector (DCU) does.",
        epilog="Long options may be written with - or _. "
        "Give several ADDRESSes to share the run out between as many writers by file number.",
        allow_abbrev=False,
    )
    parser.add_argument("address", nargs="*", metavar="ADDRESS",
        help=f"where to bind a PUSH socket for a writer (default: {DEFAULT_ADDRESS})")  # fmt: skip
    _add_run_options(parser.add_argument_group("the run").add_argument)
    _add_image_options(parser.add_argument_group("the images").add_argument)
    _add_file_options(parser.add_argument_group("what the writer is asked for").add_argument)
    _add_sending_options(parser.add_argument_group("the sending").add_argument)
    parser.add_argument("--json", action="store_true", help="print the result for a program")
    return parser


_Add = Callable[..., object]


def _add_run_options(add: _Add) -> None:
    add("-n", "--images", type=_count, default=100, metavar="N", help="images of the run (default: 100)")
    add("--flavour", type=Flavour, choices=list(Flavour), default=Flavour.JUNGFRAUJOCH,
        help="all fields of Jungfraujoch, or plain DECTRIS Stream V2 (default: jungfraujoch)")  # fmt: skip
    add("--rotation", type=float, default=0.2, metavar="DEG", help="rotation per image (default: 0.2)")
    add("--start-angle", type=float, default=0.0, metavar="DEG", help="rotation at the start (default: 0)")
    add("--still", action="store_true", help="no rotation; another crystal on each image")
    add("--grid", type=positive, metavar="N_FAST", help="grid scan with rows of so many images")
    add("--wavelength", type=_above_zero, default=1.0, metavar="ANGSTROM", help="wavelength (default: 1)")
    add(
        "--distance-mm", type=_above_zero, metavar="MM", help="detector distance (default: 2.2 Å at the edge)"
    )
    add("--beam-center", type=_pair, metavar="X,Y", help="beam position in pixels (default: near the middle)")
    add("--frame-time", type=_above_zero, default=0.002, metavar="S", help="frame time in s (default: 0.002)")
    add("--channels", type=positive, default=1, metavar="N", help="image channels (default: 1)")
    add("--calibration", action=argparse.BooleanOptionalAction, default=True,
        help="send pedestal images after the start (default: yes; never with stream2)")  # fmt: skip
    add("--reflections", action="store_true", help="send integrated reflections with each image")


def _add_image_options(add: _Add) -> None:
    add("--detector", "--size", dest="detector", metavar="NAME|WxH",
        help=f"{', '.join(DETECTORS)}, or a size in pixels (default: {DEFAULT_DETECTOR})")  # fmt: skip
    add("--dtype", choices=PIXEL_TYPES, help="pixel type (default: that of the detector)")
    add("--compression", type=Codec, choices=list(Codec),
        help="how images are packed (default: bslz4; with --from as in the file)")  # fmt: skip
    add("--spots", action=argparse.BooleanOptionalAction, default=True, help="Bragg spots (default: yes)")
    add("--seed", type=_count, default=0, metavar="N", help="another seed, other images (default: 0)")
    add("--distinct", type=_count, metavar="N",
        help="images made before sending, sent in turn; 0: all differ (default: 4 to 16)")  # fmt: skip
    add("--from", dest="source", type=_dataset, metavar="FILE:/PATH",
        help="take the images from an HDF5 data set [n, y, x]")  # fmt: skip
    add("--mask", type=_dataset, metavar="FILE:/PATH", help="pixel mask [y, x] for --from, not 0 is bad")


def _add_file_options(add: _Add) -> None:
    add("--prefix", default="run", metavar="PREFIX", help='file prefix (default: run); "": no files')
    add("--format", choices=FILE_FORMATS, help="layout of the files (default: the writer's setting)")
    add("--images-per-file", type=_count, default=1000, metavar="N",
        help="images per data file, 0: all in one (default: 1000)")  # fmt: skip
    add("--overwrite", action="store_true", help="ask the writer to replace existing files")
    add("--run-name", metavar="NAME", help="name of the run (default: NUMBER:PREFIX)")
    add("--run-number", type=_count, default=1, metavar="N", help="number of the (first) run (default: 1)")


def _add_sending_options(add: _Add) -> None:
    add("--rate", type=_above_zero, metavar="HZ", help="images per second (default: as fast as possible)")
    add("--order", choices=("ascending", "shuffled"), default="ascending", help="order of the images")
    add("--drop", type=_ranges, default=frozenset(), metavar="IDS",
        help="images that are not sent, e.g. 3,10-19")  # fmt: skip
    add("--no-end", action="store_true", help="send no end message")
    add("--repeat", type=positive, default=1, metavar="N",
        help="runs one after another; the number is appended to the prefix (default: 1)")  # fmt: skip
    add("--lossy", action="store_true",
        help="drop images that a slow writer does not take, as detectors do (default: wait)")  # fmt: skip
    add("--watermark", type=positive, default=100, metavar="N", help="send watermark (default: 100)")
    add("--curve-secret-key", metavar="FILE",
        help="serve only writers that know its public key (`jfwriter keys curve FILE`)")  # fmt: skip
    add("--start-timeout", type=_above_zero, default=5.0, metavar="S",
        help="how long to wait for a writer to take start and end (default: 5)")  # fmt: skip
    add("--stall-timeout", type=_above_zero, default=60.0, metavar="S",
        help="how long to wait for a writer to take an image (default: 60)")  # fmt: skip
    add("--wait", action="store_true", help="wait until each writer says that the run is written")
    add("--wait-timeout", type=_above_zero, default=60.0, metavar="S", help="but so long (default: 60)")
    add("--notify-address", default="tcp://127.0.0.1:*", metavar="ADDRESS",
        help="where writers say so (default: a free port of 127.0.0.1)")  # fmt: skip


def make_request(
    arguments: argparse.Namespace, frames: StoredFrames | None, notification_address: str | None
) -> Request:
    """What the parsed options mean. Raises UsageError for values that do not go together."""
    detector = _detector(arguments, frames)
    geometry = _geometry(arguments, detector)
    dtype = np.dtype(arguments.dtype or detector.dtype) if frames is None else frames.dtype
    if frames is not None and arguments.dtype not in {None, dtype.name}:
        raise UsageError(f"--dtype {arguments.dtype}: the images of --from are {dtype.name}")
    if arguments.mask is not None and frames is None:
        raise UsageError("--mask goes with --from: synthetic images have a mask of their own")
    n_distinct = arguments.distinct
    if n_distinct is None:
        n_distinct = automatic_n_distinct(arguments.images, detector.width * detector.height)
    if frames is not None:
        n_distinct = min(n_distinct or arguments.images, frames.n_frames)
    codec = arguments.compression or (frames.codec if frames is not None else None) or Codec.BSLZ4
    options = RunOptions(
        detector=detector,
        geometry=geometry,
        sample=default_sample(detector, spots=arguments.spots and frames is None),
        scan=_scan(arguments),
        dtype=dtype,
        codec=codec,
        flavour=arguments.flavour,
        n_channels=arguments.channels,
        n_images=arguments.images,
        n_distinct=n_distinct,
        seed=arguments.seed,
        frame_time_s=arguments.frame_time,
        count_time_s=arguments.frame_time * 0.99,
        with_calibration=arguments.calibration,
        with_reflections=arguments.reflections,
        file_prefix=arguments.prefix,
        file_format=arguments.format,
        images_per_file=arguments.images_per_file,
        overwrite=arguments.overwrite or None,
        run_name=arguments.run_name,
        run_number=arguments.run_number,
        notification_address=notification_address,
    )
    plan = SendPlan(
        rate_hz=arguments.rate or 0.0,
        shuffle_seed=arguments.seed if arguments.order == "shuffled" else None,
        leave_out=arguments.drop,
        send_end=not arguments.no_end,
    )
    return Request(options, plan)


def _detector(arguments: argparse.Namespace, frames: StoredFrames | None) -> DetectorModel:
    if frames is None:
        return find_detector(arguments.detector or DEFAULT_DETECTOR)
    height, width = frames.shape
    detector = find_detector(f"{width}x{height}")
    if arguments.detector is not None and find_detector(arguments.detector).shape != frames.shape:
        raise UsageError(f"--detector {arguments.detector}: the images of --from are {width}x{height}")
    return dataclasses.replace(detector, description="images from a file (simulated detector)")


def _geometry(arguments: argparse.Namespace, detector: DetectorModel) -> Geometry:
    distance_m = None if arguments.distance_mm is None else arguments.distance_mm * 1e-3
    geometry = default_geometry(detector, arguments.wavelength, distance_m)
    if arguments.beam_center is None:
        return geometry
    x, y = arguments.beam_center
    return dataclasses.replace(geometry, beam_x_pxl=x, beam_y_pxl=y)


def _scan(arguments: argparse.Namespace) -> Scan:
    if arguments.still and arguments.grid:
        raise UsageError("--still and --grid: a run is one of them")
    if arguments.grid:
        return Scan(experiment=Experiment.GRID, n_fast=arguments.grid)
    kind = Experiment.STILL if arguments.still else Experiment.ROTATION
    return Scan(experiment=kind, start_deg=arguments.start_angle, increment_deg=arguments.rotation)


def _dataset(text: str) -> tuple[Path, str]:
    file, colon, path = text.rpartition(":")
    if not colon or not file or not path.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected FILE:/PATH, e.g. images.h5:/entry/data/data")
    return Path(file), path


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least 0")
    return int(text)


def positive(text: str) -> int:
    """An option that is a whole number above 0."""
    if (number := _count(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least 1")
    return number


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return number


def _pair(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected X,Y in pixels") from None
    return x, y


def _ranges(text: str) -> frozenset[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        numbers.update(range(_count(first), _count(last if dash else first) + 1))
    return frozenset(numbers)
