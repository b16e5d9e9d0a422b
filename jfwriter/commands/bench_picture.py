"""Rate and queue over time of the long runs of `jfwriter bench`, as a picture."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jfwriter.errors import UsageError

if TYPE_CHECKING:
    from jfwriter.bench.measure import BenchResult, LongRun

_SUFFIXES = (".png", ".pdf", ".svg")
_COLOURS = {"computing": "tab:blue", "writing": "tab:orange", "syncing": "tab:red", "waiting": "lightgray"}


def check_plot(output: Path) -> None:
    """Raises UsageError if the picture could not be drawn."""
    if output.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"--plot {output}: expected a name that ends with {', '.join(_SUFFIXES)}")
    if not output.absolute().parent.is_dir():
        raise UsageError(f"--plot {output}: there is no directory {output.absolute().parent}")
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise UsageError("matplotlib is not installed: pip install 'jfwriter[plot]'") from error
    mpl.use("Agg")


def draw(result: BenchResult, output: Path) -> None:
    """Raises UsageError if the file cannot be written."""
    import matplotlib.pyplot as plt

    figure, (rates, queue, shares) = plt.subplots(
        3, 1, figsize=(9, 8), layout="constrained", height_ratios=(4, 2, 1)
    )
    for (name, run), colour in zip(result.long_runs.items(), ("gray", "tab:blue"), strict=False):
        _rate(rates, name, run, colour)
        if name != next(iter(result.long_runs)):
            times = [point.at_s for point in run.seen.points]
            queue.fill_between(times, [point.queue_bytes / 1e6 for point in run.seen.points], color=colour)
            _shares(shares, run)
    rates.set(ylabel="written / GB/s", ylim=(0, None), xlim=(0, None))
    per_image = result.message_bytes / 1e9
    images = rates.secondary_yaxis("right", functions=(lambda y: y / per_image, lambda y: y * per_image))
    images.set_ylabel("images/s")
    rates.margins(y=0.1)
    rates.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, fontsize=9, frameon=False)
    found = result.finding
    rates.set_title(
        f"{result.place.directory} ({result.place.file_system}), {result.size} images"
        + ("" if found is None else f": bound by {found.bound}")
    )
    queue.set(ylabel="waiting / MB", xlabel="time / s", ylim=(0, None), xlim=rates.get_xlim())
    try:
        figure.savefig(output, dpi=120)
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror or error}") from error
    finally:
        plt.close(figure)


def _rate(axes: Any, name: str, run: LongRun, colour: str) -> None:
    """Slopes between the points, and the mean to the finished files as a line."""
    points = run.seen.points
    times, rates = [], []
    for before, after in itertools.pairwise(points):
        times.append((before.at_s + after.at_s) / 2)
        rates.append((after.written_bytes - before.written_bytes) / (after.at_s - before.at_s) / 1e9)
    mean = run.n_bytes / run.duration_s / 1e9
    axes.plot(times, rates, color=colour, lw=1.2, label=name)
    axes.axhline(mean, color=colour, ls="--", lw=1, label=f"{name}: {mean:.2f} GB/s to finished files")


def _shares(axes: Any, run: LongRun) -> None:
    """How the writing thread spent its time: one bar."""
    left = 0.0
    for name, colour in _COLOURS.items():
        share = run.seen.writer[name]
        axes.barh(0, share, left=left, color=colour, label=f"{name} {share:.0%}")
        left += share
    axes.set(xlim=(0, 1), yticks=[], xlabel="share of the writing thread's time")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.5), ncols=4, fontsize=9, frameon=False)
