"""Instructions that one image costs, without clock, sockets and noise, against those that are on record.

    python -m benchmarks.cost             # count and print
    python -m benchmarks.cost --check     # compare with cost.json; exit status 1 above the tolerance
    python -m benchmarks.cost --record    # write cost.json

A fixed run of small images with 30 spots, a profile, regions and all other quantities is fed through
decoding, session and run writer under valgrind. Counted are the instructions in user space of `N_COUNTED`
images after `N_BEFORE`; the kernel's work, such as copying pixels, is not among them. See README.md here.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks._replay import Replay
from jfwriter.bench.stream import SIZES, MessageRing, run_options
from jfwriter.simulator import SimulatedRun

RECORD = Path(__file__).with_name("cost.json")
N_BEFORE, N_COUNTED = 128, 384
"""All in one data file; what happens once for each block of rows happens often enough."""
TOLERANCE = 0.03
"""Share that counts as more. Repeats differ by at most 0.0014, see README.md here."""
PACKAGES = ("numpy", "h5py", "hdf5plugin", "numba", "llvmlite", "cbor2", "pydantic")


def prepare(path: Path) -> None:
    """The messages of the run into a file: making them is not counted, and too slow under valgrind."""
    size = SIZES["module"]
    run = SimulatedRun(run_options(size, n_distinct=2, n_images=2)).lengthened(N_BEFORE + N_COUNTED, 2000)
    end = run.end(range(N_BEFORE + N_COUNTED))
    path.write_bytes(pickle.dumps((run.start(), MessageRing(run, 2), end)))


def replay(path: Path, *, counted: bool) -> None:
    """Runs under valgrind if `counted`."""
    start, ring, end = pickle.loads(path.read_bytes())
    with tempfile.TemporaryDirectory() as root:
        messages = Replay(Path(root))
        messages.feed(start)
        messages.feed_all(ring.message(image_id) for image_id in range(N_BEFORE))
        messages.write_waiting()
        if counted:
            gc.collect()
            subprocess.run(["callgrind_control", "-i", "on", str(os.getpid())], check=True)
        messages.feed_all(ring.message(image_id) for image_id in range(N_BEFORE, N_BEFORE + N_COUNTED))
        messages.write_waiting()
        if counted:
            subprocess.run(["callgrind_control", "-i", "off", str(os.getpid())], check=True)
        messages.feed(end)
        report = messages.report
        if report is None or report.outcome != "complete":
            raise RuntimeError(f"the replayed run is not complete: {report}")


def environment() -> dict[str, str]:
    """The same code on every processor and in every run: no hash seed, no instructions newer than SSE2 in
    compiled kernels, one thread. A cache of its own for the kernels that come of it."""
    return os.environ | {
        "PYTHONHASHSEED": "0",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(Path(tempfile.gettempdir()) / f"jfwriter-cost-{os.getuid()}"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def per_image() -> float:
    """Instructions. Raises SystemExit if valgrind cannot count them."""
    if shutil.which("callgrind_control") is None:
        raise SystemExit("valgrind is needed: apt-get install valgrind")
    count = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"]
    steady = ["setarch", platform.machine(), "--addr-no-randomize"] if shutil.which("setarch") else []
    with tempfile.TemporaryDirectory() as work:
        messages = Path(work) / "messages"
        prepare(messages)
        command = [sys.executable, "-m", "benchmarks.cost", "--replay", str(messages)]
        # First without valgrind: compiles the kernels into their cache.
        subprocess.run(command, env=environment(), check=True)
        command = [*steady, *count, *command, "--counted"]
        result = subprocess.run(command, env=environment(), check=False, capture_output=True, text=True)
    found = re.search(r"Collected\s*:\s*(\d+)", result.stderr)
    if result.returncode or found is None or found[1] == "0":
        raise SystemExit(f"valgrind failed:\n{result.stdout[-1000:]}\n{result.stderr[-2000:]}")
    return int(found[1]) / N_COUNTED


def versions() -> dict[str, str]:
    """What the figure depends on besides this repository."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "libc": " ".join(platform.libc_ver())} | found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="exit status 1 if more than the record allows")
    parser.add_argument("--record", action="store_true", help="write the record")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="count N times, print each")
    parser.add_argument("--replay", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--counted", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.replay is not None:
        replay(options.replay, counted=options.counted)
        return 0
    found = [per_image() for _ in range(options.repeat)]
    for number in found:
        print(f"{number:,.0f} instructions per image")
    if options.record:
        record = {"instructions_per_image": round(min(found)), "versions": versions()}
        RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return compare(min(found), json.loads(RECORD.read_text("utf-8"))) if options.check else 0


def compare(found: float, record: Mapping[str, object]) -> int:
    """Exit status 1 for more than the tolerance above the record; less is told and is good."""
    recorded = record["instructions_per_image"]
    assert isinstance(recorded, int)
    change = found / recorded - 1
    print(f"on record: {recorded:,}; change {change:+.1%}, tolerance {TOLERANCE:.0%}")
    then, now = record["versions"], versions()
    assert isinstance(then, dict)
    differing = [f"{name} {then.get(name)} -> {now[name]}" for name in now if then.get(name) != now[name]]
    if differing:
        print(f"recorded with other versions, so part of the change may be theirs: {', '.join(differing)}")
    if change > TOLERANCE:
        print("An image costs more than it did. Find out why, or record it with --record and say why.")
        return 1
    if change < -TOLERANCE:
        print("An image costs less than it did: record it with --record.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
