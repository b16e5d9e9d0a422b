"""`jfwriter plot`: a picture of an image, with what was found in it, for a person to judge."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jfwriter.errors import UsageError
from jfwriter.printable import printable

if TYPE_CHECKING:
    from jfwriter.reader.picture import Picture

RINGS_ANGSTROM = (20.0, 10.0, 5.0, 3.5, 2.5, 2.0, 1.5, 1.2, 1.0)
RING_GRID = 512
"""Resolution rings are drawn from a grid of about so many points a side."""


def main(argv: Sequence[str]) -> int:
    """Raises RefuseToStart; argparse raises SystemExit."""
    options = make_parser().parse_args(list(argv))
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UsageError("matplotlib is not installed: pip install 'jfwriter[plot]'") from error
    mpl.use("Agg")
    from jfwriter.reader.picture import read_picture

    picture = read_picture(options.file, options.image, follow=options.follow)
    output = options.output or Path(f"{options.file.stem}_{options.image:06d}.png")
    _draw(picture, output, options)
    print(printable(f"{output}: {picture.title}: {len(picture.spot_x)} spots"))
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jfwriter plot",
        description="Draw an image of a finished run with its spots (circles; blue on ice rings), resolution "
        "rings, regions of interest and masked pixels. Needs matplotlib: pip install 'jfwriter[plot]'.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="master or data file")
    add("--image", type=_number, required=True, metavar="N",
        help="number of the image in the run, in a data file its row; from 0")  # fmt: skip
    add("--follow", action="store_true",
        help="read data files outside the directory of the master, too (default: refused)")  # fmt: skip
    add("-o", "--output", type=Path, metavar="PNG",
        help="picture to write (default: FILE_NNNNNN.png where you are)")  # fmt: skip
    add("--scale", choices=("log", "linear"), default="log", help="of the colours (default: log)")
    add("--percentile", type=float, default=99.9, metavar="P",
        help="this share of the valid pixels, in %%, is within the colours (default: 99.9)")  # fmt: skip
    add("--region", type=_region, metavar="X0,X1,Y0,Y1", help="part of the image, in pixels (default: all)")
    return parser


def _draw(picture: Picture, output: Path, options: argparse.Namespace) -> None:
    import matplotlib.pyplot as plt
    import numpy as np

    height, width = picture.pixels.shape
    x0, x1, y0, y1 = options.region or (0, width, 0, height)
    aspect = max(0.2, (y1 - y0) / max(x1 - x0, 1))
    figure, axes = plt.subplots(figsize=(12, min(24.0, 11 * aspect + 1)), layout="constrained")
    counts = np.ma.masked_array(picture.pixels, picture.masked)
    colours = plt.get_cmap("gray_r").with_extremes(bad="#e8c9a0")
    drawn = axes.imshow(
        counts, cmap=colours, norm=_norm(counts.compressed(), options), interpolation="nearest"
    )
    figure.colorbar(drawn, ax=axes, label="counts", shrink=0.8)
    _rings(axes, picture)
    for number, (name, inside) in enumerate(picture.regions.items()):
        colour = plt.get_cmap("tab10")(number % 10)
        if inside.any():
            axes.contour(inside, levels=[0.5], colors=[colour], linewidths=1)
            y, x = np.argwhere(inside)[0]
            axes.annotate(name, (x, y), color=colour, fontsize=8, va="bottom", annotation_clip=True)
    for ice, edge in ((False, "red"), (True, "blue")):
        chosen = picture.ice_ring == ice
        axes.scatter(
            picture.spot_x[chosen], picture.spot_y[chosen], s=60, facecolors="none", edgecolors=edge,
            linewidths=0.8,
        )  # fmt: skip
    axes.set(xlim=(x0 - 0.5, x1 - 0.5), ylim=(y1 - 0.5, y0 - 0.5), xlabel="x / pixel", ylabel="y / pixel")
    # "$" in a name would begin a formula.
    axes.set_title(printable(f"{picture.title}: {len(picture.spot_x)} spots"), parse_math=False)
    try:
        figure.savefig(output, dpi=120)
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        plt.close(figure)


def _norm(values: Any, options: argparse.Namespace) -> Any:
    """Colours from the least valid value to the percentile."""
    import numpy as np
    from matplotlib.colors import Normalize, SymLogNorm

    low, high = (0.0, 1.0) if not values.size else np.percentile(values, [0.1, options.percentile])
    high = max(high, low + 1)
    if options.scale == "linear":
        return Normalize(low, high)
    return SymLogNorm(linthresh=1.0, vmin=low, vmax=high)


def _rings(axes: Any, picture: Picture) -> None:
    """Lines of equal resolution, also on a turned detector."""
    import numpy as np

    geometry = picture.geometry
    if geometry is None:
        return
    height, width = geometry.shape
    step = max(1, max(height, width) // RING_GRID)
    with np.errstate(divide="ignore"):
        d = 2 * np.pi / geometry.q()[::step, ::step]
    levels = sorted(ring for ring in RINGS_ANGSTROM if d.min() < ring < d.max())
    if levels:
        y, x = np.arange(0, height, step), np.arange(0, width, step)
        lines = axes.contour(
            x, y, np.minimum(d, 1e3), levels=levels, colors="green", linewidths=0.6, alpha=0.7
        )
        axes.clabel(lines, fmt="%g Å", fontsize=8)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 0")
    return int(text)


def _region(text: str) -> tuple[int, int, int, int]:
    match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", text)
    if match is None or int(match[1]) >= int(match[2]) or int(match[3]) >= int(match[4]):
        raise argparse.ArgumentTypeError(f"{text!r}: expected X0,X1,Y0,Y1 with X0 < X1 and Y0 < Y1")
    x0, x1, y0, y1 = (int(part) for part in match.groups())
    return x0, x1, y0, y1
