"""A sender that is faster than the storage, for a minute: no image lost, memory within the documented sum.

    python -m benchmarks.slow_storage [--seconds 60] [--mb-per-s 60] [--directory DIR]

As root the program makes its own slow storage: an ext4 file system in a file below DIR on a loop device, with
the kernel's throttle on what that device writes (blkio cgroup) and on the dirty pages that it may have (bdi).
`--as-it-is` measures DIR itself. The byte budget is small, so that it fills at once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import _measure, _options
from jfwriter.bench import usage
from jfwriter.bench.bare_loop import Loop
from jfwriter.bench.bound import decide
from jfwriter.bench.stage import Stage
from jfwriter.bench.watch import Watch
from jfwriter.settings import Settings

BUDGET_BYTES = 128 << 20
DIRTY_BYTES = 32 << 20
SETTINGS = f"[memory]\nbyte_budget_bytes = {BUDGET_BYTES}\n"
ROWS_BYTES = 21_000_000
"""Of docs/how-to/size.md, for the open data file; two may be open."""
THROTTLES = (
    Path("/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device"),
    Path("/sys/fs/cgroup/io.max"),
)


@contextmanager
def slow_storage(directory: Path, bytes_per_s: int, size_bytes: int) -> Iterator[Path]:
    """A mounted file system that writes no faster than that. Raises SystemExit where it cannot be made."""
    if os.getuid() != 0:
        raise SystemExit("making a slow storage needs root; name one with --directory and --as-it-is")
    throttle = next((path for path in THROTTLES if path.exists()), None)
    if throttle is None:
        raise SystemExit("no blkio throttle in /sys/fs/cgroup; name a slow storage and --as-it-is")
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jfwriter-", dir=directory)))
        image, mount = work / "image", work / "mount"
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(size_bytes)
        _do("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", str(image))
        loop = _do("losetup", "--find", "--show", "--direct-io=on", str(image)).strip()
        stack.callback(_do, "losetup", "--detach", loop)
        _do("mount", loop, str(mount))
        stack.callback(_do, "umount", str(mount))
        device = Path(f"/sys/block/{Path(loop).name}/dev").read_text().strip()
        bdi = Path(f"/sys/class/bdi/{device}")
        (bdi / "strict_limit").write_text("1")
        (bdi / "max_bytes").write_text(str(DIRTY_BYTES))
        cgroup_v1 = throttle is THROTTLES[0]
        throttle.write_text(f"{device} {bytes_per_s}" if cgroup_v1 else f"{device} wbps={bytes_per_s}")
        stack.callback(throttle.write_text, f"{device} 0" if cgroup_v1 else f"{device} wbps=max")
        yield mount


def _do(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{' '.join(command)}: {result.stderr.strip()}")
    return result.stdout


def measure(place: Path, options: argparse.Namespace) -> str:
    with Stage(place, _options.run_maker(options.size), {"writer": SETTINGS}) as stage:
        writer = stage.writers["writer"]
        began = time.monotonic()
        stage.loop(options.images, Loop(sync=True))
        limit_hz = options.images / (time.monotonic() - began)
        stage.clear(0)
        stage.write("writer", 20, "warm")
        before_bytes = usage.resident_bytes(writer.pid)
        n_images = round(limit_hz * options.seconds)

        def queue_bytes() -> int:
            queued = writer.status()["queue_bytes"]
            assert isinstance(queued, int)
            return queued

        with Watch(writer.pid, queue_bytes, 2 * stage.message_bytes) as watch:
            stage.write("writer", n_images)
        seen, status = watch.result(), writer.status()
    totals = status["totals"]
    assert isinstance(totals, dict)
    watermark_bytes = round(Settings().input.watermark_messages * stage.message_bytes)
    sum_bytes = BUDGET_BYTES + stage.message_bytes + watermark_bytes + 2 * ROWS_BYTES
    grown_bytes = seen.peak_resident_bytes - before_bytes
    queued = max(point.queue_bytes for point in seen.points)
    half = len(seen.points) // 2
    rows = [["", ""]]
    rows += [
        ["bare loop with fsync", f"{limit_hz:.0f} images/s, {limit_hz * stage.message_bytes / 1e6:.0f} MB/s"],
        [
            "jfwriter",
            f"{n_images} images in {seen.duration_s:.1f} s: {n_images / seen.duration_s:.0f} images/s",
        ],
        ["run", f"complete; dropped {totals['images_dropped']}"],
        ["sender had to wait", f"{totals['receiving_pauses']} pauses of receiving"],
        ["queue at most", f"{queued / 1e6:.0f} MB of a budget of {BUDGET_BYTES / 1e6:.0f} MB"],
        ["memory grew by at most", f"{grown_bytes / 1e6:.0f} MB; documented sum {sum_bytes / 1e6:.0f} MB"],
        ["queue in the second half", f"{max(p.queue_bytes for p in seen.points[half:]) / 1e6:.0f} MB"],
        ["bound by", f"{decide(seen).bound}: {decide(seen).reason}"],
    ]
    verdict = "within" if grown_bytes <= sum_bytes else "ABOVE"
    return f"{_measure.table(rows)}\nmemory is {verdict} the documented sum"


def main(arguments: Sequence[str]) -> int:
    parser = _options.parser(__doc__, n_images=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--mb-per-s", type=float, default=60.0, help="of the storage that is made (60)")
    parser.add_argument("--as-it-is", action="store_true", help="DIR is slow already")
    options = parser.parse_args(arguments)
    directory = (options.directory or [Path(tempfile.gettempdir())])[0].resolve()
    with ExitStack() as stack:
        if not options.as_it_is:
            bytes_per_s = round(options.mb_per_s * 1e6)
            room_bytes = round(2 * bytes_per_s * options.seconds) + (2 << 30)
            directory = stack.enter_context(slow_storage(directory, bytes_per_s, room_bytes))
        place = stack.enter_context(_options.work_directory(directory))
        print(measure(place, options))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
