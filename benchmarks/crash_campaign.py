"""Kills the writer again and again while it writes, recovers, and looks whether what was promised is there.

    .venv/bin/python -m benchmarks.crash_campaign --kills 200 --seed 1

The daemon is a process of its own with a simulated detector before it, on loopback. It gets SIGKILL at a
random moment between its start message and a little after its end. Then `jfwriter recover` runs, and of each
run is asked: is every image there that the status had told to be synced; are the recovered images the first
ones that were sent, with the bytes that were sent, each in its row; do h5py, fabio, nxmx and (for some) DIALS
open it? Ends with status 1 where a single answer is no.

With `--spill N` the root of every n-th run is a small file system (a tmpfs, which has to be mounted), with a
second root: most of them go on there before the kill, and both halves are recovered.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import fabio
import h5py
import hdf5plugin
import numpy as np
import nxmx
import zmq

from jfwriter.recovery.place import Options
from jfwriter.recovery.result import RunResult, State
from jfwriter.recovery.search import recover_below
from jfwriter.simulator import RunOptions, SimulatedRun, default_geometry, default_sample, find_detector

LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
DEADLINE_S = 300.0
POLL_S = 0.02
PROCESSES = multiprocessing.get_context("forkserver")
"""Each daemon is forked from a process that has imported everything and done nothing: it starts at once."""
NO_ANALYSIS = """\
[analysis]
image_statistics = "never"
roi = "never"
azint.mode = "never"
spots.mode = "never"
"""


class Broken(Exception):
    """A promise was not kept; `str()` says which."""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One kill, made from a seed and its number."""

    number: int
    layout: str
    n_images: int
    images_per_file: int
    period_s: float
    sync_interval_s: float
    kill_after_s: float
    is_early: bool
    """The time counts from the start message, and not from the first image in a file."""
    remove: bool
    direct_io: bool = False
    """Past the page cache."""
    room_images: int = 0
    """The first root takes about so many images, then the run goes on in a second one; 0: there is none."""

    @classmethod
    def of(cls, seed: int, number: int, spill: int = 0, direct: int = 0) -> Case:
        chosen = random.Random(f"{seed} {number}")
        n_images, period_s = chosen.randint(20, 120), 1 / chosen.uniform(60.0, 240.0)
        return cls(
            number=number,
            layout=LAYOUTS[number % len(LAYOUTS)],
            n_images=n_images,
            images_per_file=chosen.choice((3, 10, 40)),
            period_s=period_s,
            sync_interval_s=chosen.choice((0.02, 0.1, 0.5)),
            kill_after_s=chosen.uniform(0.02, n_images * period_s + 0.15),
            is_early=chosen.random() < 0.1,
            remove=chosen.random() < 0.5,
            direct_io=bool(direct) and number % direct == 0,
            room_images=chosen.randint(8, n_images // 2 + 8) if spill and number % spill == 0 else 0,
        )


class Writer:
    """A daemon below a fresh root, started ahead of its use."""

    def __init__(self, work: Path, case: Case, image_bytes: int) -> None:
        self.root = work / f"root{case.number}"
        self.root.mkdir()
        self.second: Path | None = None
        if case.room_images:
            self.second = work / f"second{case.number}"
            self.second.mkdir()
            self._mount(case.room_images * image_bytes)
        self._log = work / f"writer{case.number}.log"
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 10_000)
        port: int = self.socket.bind_to_random_port("tcp://127.0.0.1")
        settings = work / f"writer{case.number}.toml"
        files = f"[files]\ndirect_io = {str(case.direct_io).lower()}\n"
        if self.second:
            files += f'second_root_dir = "{self.second}"\n'
        journal = f"[journal]\nsync_interval_s = {case.sync_interval_s}\n"
        settings.write_text(f"{NO_ANALYSIS}{files}{journal}[http]\nport = 0\n")
        arguments = ["--config", str(settings), "-R", str(self.root), f"tcp://127.0.0.1:{port}"]
        self._log.touch()
        self.process = PROCESSES.Process(target=_daemon, args=(arguments, str(self._log)))
        self.process.start()

    def wait_until_ready(self) -> str:
        """The address of its status."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            text = self._log.read_text()
            if "INFO    ready" in text:
                return text.partition("HTTP: ")[2].split()[0] + "status"
            if not self.process.is_alive():
                raise Broken(f"the writer did not start: {text}")
            time.sleep(0.01)
        raise Broken("the writer is not ready")

    def kill(self) -> None:
        self.process.kill()  # SIGKILL
        self.process.join()
        self.socket.close()

    @property
    def has_spilled(self) -> bool:
        return "the run goes on in the second root directory" in self._log.read_text()

    def clear(self) -> None:
        if self.second is not None:
            subprocess.run(["umount", "-l", str(self.root)], check=True)
            shutil.rmtree(self.second)
        shutil.rmtree(self.root)

    def _mount(self, n_bytes: int) -> None:
        command = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes},nr_inodes=1000", "tmpfs", str(self.root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"--spill: nothing may be mounted here: {done.stderr.strip()}")


def _daemon(arguments: list[str], log: str) -> None:
    """The whole life of a writer, in a process that has its modules already."""
    from jfwriter.commands.run import main as run

    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.exit(run(arguments))


def killed_in_mid_run(writer: Writer, run: SimulatedRun, case: Case) -> tuple[int, int]:
    """Send, poll, kill; (images sent, images that the last status told to be on the disk)."""
    status_url = writer.wait_until_ready()
    begin = time.monotonic()
    writer.socket.send(run.start())
    n_sent = n_synced = 0
    if not case.is_early:
        writer.socket.send(run.image(0))
        n_sent = 1
        while status(status_url)["nimages"] == 0:
            if time.monotonic() - begin > DEADLINE_S:
                raise Broken("the writer does not write")
        begin = time.monotonic()
    has_ended = False
    polled_at = 0.0
    while (now := time.monotonic() - begin) < case.kill_after_s:
        if now - polled_at >= POLL_S:
            n_synced = max(n_synced, int(status(status_url)["images_synced"]))
            polled_at = now
        elif n_sent < min(case.n_images, int(now / case.period_s)):
            writer.socket.send(run.image(n_sent))
            n_sent += 1
        elif n_sent == case.n_images and not has_ended:
            writer.socket.send(run.end(range(n_sent)))
            has_ended = True
        else:
            time.sleep(0.0005)
    writer.kill()
    return n_sent, n_synced


def status(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as reply:
        table: dict[str, Any] = json.load(reply)
        return table


def check(writer: Writer, run: SimulatedRun, case: Case, results: list[RunResult], n_synced: int) -> int:
    """How many images are in final files. Raises Broken."""
    if any(not result.is_good for result in results):
        raise Broken(f"not recovered: {[(result.line(), result.problems) for result in results]}")
    folders = [root / "campaign" for root in (writer.root, writer.second) if root is not None]
    leftovers = [path.name for each in folders for path in each.glob("*") if path.suffix != ".h5"]
    if case.remove and leftovers:
        raise Broken(f"{leftovers} stay after --remove")
    if writer.second is not None:
        return check_both(folders, run, n_synced)
    folder = folders[0]
    found = stored(folder, case)
    ids = sorted(found)
    if ids != list(range(len(ids))):
        raise Broken(f"images {ids} are there: some before the last are missing")
    if len(ids) < n_synced:
        raise Broken(f"{len(ids)} images are there, {n_synced} were told to be on the disk")
    wrong = [image_id for image_id, chunk in found.items() if chunk != run.payload(image_id)]
    if wrong:
        raise Broken(f"images {wrong} have other bytes than were sent")
    if ids:
        read_by_others(folder, run, ids)
    return len(ids)


def check_both(folders: list[Path], run: SimulatedRun, n_synced: int) -> int:
    """The same of a run with two root directories, as a reader finds it: through its master.

    HDF5 may not have been able to close the file at which the first root was full, nor its journal to take
    its images: what is gone with it must be listed as missing, and never have been called synced.
    """
    masters = [path for folder in folders for path in folder.glob("*_master.h5")]
    if not masters:
        if n_synced or any(path for folder in folders for path in folder.glob("*.h5")):
            raise Broken(f"there is no master, and {n_synced} images were told to be on the disk")
        return 0
    if len(masters) > 1:
        raise Broken("there are two masters")
    with h5py.File(masters[0]) as file:
        data = file["/entry/data"]
        names = ["data"] if "data" in data else sorted(name for name in data if name.startswith("data_"))
        pixels = (pixels for name in names for pixels in data[name])
        is_right = [np.array_equal(each, run.pixels(number)) for number, each in enumerate(pixels)]
        missing = file.get("/entry/instrument/detector/detectorSpecific/missing_images")
        told = set() if missing is None else set(missing[()].tolist())
    wrong = {number for number, right in enumerate(is_right) if not right}
    if wrong - told:
        raise Broken(f"images {sorted(wrong - told)} have other pixels than were sent")
    n_found = len(is_right) - len(wrong)
    if n_found < n_synced:
        raise Broken(f"{n_found} images are there, {n_synced} were told to be on the disk")
    if is_right and is_right[0] and is_right[-1]:
        read_by_others(masters[0].parent, run, list(range(len(is_right))))
    return n_found


def stored(folder: Path, case: Case) -> dict[int, bytes]:
    """image_id -> packed bytes, of all images in files with a final name, but for fill values."""
    found: dict[int, bytes] = {}
    if case.layout == "NXmxIntegrated":
        files = {0: folder / "run_master.h5"}
    else:
        files = {int(path.stem.rpartition("_")[2]) - 1: path for path in folder.glob("run_data_*.h5")}
    for index, path in files.items():
        if not path.exists():
            continue
        with h5py.File(path) as file:
            if "/entry/data/data" not in file:
                continue
            dataset = file["/entry/data/data"]
            for row in range(dataset.shape[0]):
                _, chunk = dataset.id.read_direct_chunk((row, 0, 0))
                found[index * case.images_per_file + row] = chunk
    return found


def read_by_others(folder: Path, run: SimulatedRun, ids: list[int]) -> None:
    """h5py through the master, fabio and nxmx: the first and the last image, and the description."""
    master = folder / "run_master.h5"
    with h5py.File(master) as file:
        n_images = int(file["/entry/instrument/detector/detectorSpecific/nimages"][()])
        if n_images != len(ids):
            raise Broken(f"the master has {n_images} images, the files {len(ids)}")
        entry = nxmx.NXmx(file).entries[0]
        if not entry.instruments[0].detectors[0].modules:
            raise Broken("nxmx finds no module")
    with fabio.open(str(master)) as image:
        if image.nframes != n_images:
            raise Broken(f"fabio finds {image.nframes} images, not {n_images}")
        for number in {0, n_images - 1}:
            if not np.array_equal(image.get_frame(number).data, run.pixels(number)):
                raise Broken(f"fabio reads other pixels of image {number}")


def imported_by_dials(folder: Path, n_images: int) -> None:
    """Raises Broken."""
    environment = {**os.environ, "HDF5_PLUGIN_PATH": hdf5plugin.PLUGINS_PATH}
    command = ["dials.import", "run_master.h5", "output.experiments=imported.expt"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode or not (folder / "imported.expt").exists():
        raise Broken(f"dials.import: {done.stdout[-500:]} {done.stderr[-500:]}")
    (scan,) = json.loads((folder / "imported.expt").read_text())["scan"]
    if scan["image_range"] != [1, n_images]:
        raise Broken(f"dials.import finds images {scan['image_range']}, not 1 to {n_images}")


def main() -> int:
    options = _parser().parse_args()
    PROCESSES.set_forkserver_preload(["jfwriter.daemon.run", "jfwriter.commands.run", "fabio", "nxmx"])
    detector = find_detector("jungfrau-1m")
    base = SimulatedRun(
        RunOptions(detector=detector, geometry=default_geometry(detector), sample=default_sample(detector),
                   n_images=16, n_distinct=16, file_prefix="campaign/run", images_per_file=10)
    )  # fmt: skip
    numbers = range(options.first, options.first + options.kills)
    cases = [Case.of(options.seed, number, options.spill, options.direct) for number in numbers]
    image_bytes = max(len(base.payload(number)) for number in range(16))
    states: collections.Counter[str] = collections.Counter()
    totals: collections.Counter[str] = collections.Counter()
    broken: list[str] = []
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        work = Path(directory)
        ahead = Writer(work, cases[0], image_bytes)
        for case, following in zip(cases, [*cases[1:], None], strict=True):
            writer = ahead
            run = base.lengthened(case.n_images, case.images_per_file).renamed(
                case.number + 1, "campaign/run", case.layout
            )
            try:
                n_sent, n_synced = killed_in_mid_run(writer, run, case)
                if following is not None:
                    ahead = Writer(work, following, image_bytes)
                results = list(recover_below(writer.root, Options(remove=case.remove), writer.second))
                n_images = check(writer, run, case, results, n_synced)
                repeated = list(recover_below(writer.root, Options(), writer.second))
                if any(
                    r.state not in {State.RECOVERED_BEFORE, State.FINISHED, State.EMPTY} for r in repeated
                ):
                    raise Broken("a second recovery finds something to do")
                is_sample = options.dials and case.number % options.dials == 0 and n_images > 0
                is_sample = is_sample and writer.second is None
                if is_sample and case.layout != "NXmxLegacy" and shutil.which("dials.import"):
                    imported_by_dials(writer.root / "campaign", n_images)
                    totals["DIALS"] += 1
            except Broken as error:
                broken.append(f"{case}: {error}")
                if writer.process.is_alive():
                    writer.kill()
                print(f"BROKEN {broken[-1]}", flush=True)
                if following is not None and ahead is writer:
                    ahead = Writer(work, following, image_bytes)
                if writer.second is not None:
                    writer.clear()
                continue
            for result in results:
                totals["recovered"] += result.n_recovered
                totals["published before"] += result.n_published
            state = ",".join(result.state for result in results) or (
                "finished before the kill" if n_images else "not begun"
            )
            states[f"{case.layout} {state}"] += 1
            totals.update(sent=n_sent, synced=n_synced, found=n_images, spilled=writer.has_spilled)
            _tell(case, state, n_sent, n_synced, n_images)
            writer.clear()
    print(json.dumps({"kills": len(cases), "broken": len(broken), **totals, "states": states}, indent=2))
    return 1 if broken else 0


def _tell(case: Case, state: str, n_sent: int, n_synced: int, n_images: int) -> None:
    told: dict[str, Any] = {
        "kill": case.number, "layout": case.layout, "after_s": round(case.kill_after_s, 3), "state": state,
        "sent": n_sent, "synced": n_synced, "found": n_images,
    }  # fmt: skip
    print(json.dumps(told), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    add = parser.add_argument
    add("--kills", type=int, default=200)
    add("--first", type=int, default=0, help="number of the first kill, to go on with a campaign")
    add("--seed", type=int, default=1)
    add("--dials", type=int, default=20, help="every n-th run is imported by DIALS, where it is installed")
    add("--direct", type=int, default=0, help="every n-th run is written past the page cache")
    add("--spill", type=int, default=0,
        help="the root of every n-th run is a small tmpfs, with a second root beside it")  # fmt: skip
    add("--directory", type=Path, help="where to write (default: the system's temporary directory)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
