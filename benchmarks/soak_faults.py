"""Half an hour of everything going wrong: does each run end as documented, does the daemon stay as it was?

    python -m benchmarks.soak_faults [--minutes 30] [--seed 1] [--rate 60] [--directory DIR]

One daemon with all its sockets on a small file system of its own (a tmpfs where mounting is allowed).
Chance, from a seed, chooses run after run: sound ones, and such whose sender is killed, sends garbage,
duplicates, gaps, wrong images, no end, or a prefix that is refused; cancelled ones; and a disk that fills, is
read-only, or loses a file. Meanwhile consumers of the republished messages come, read slowly, stop and go,
and HTTP is asked all the time. Each run knows how it must end; the files are read back with h5py. Exit code 1
if anything was not as documented or the daemon grew.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._fault_checks import problems
from benchmarks._fault_readers import Readers
from benchmarks._fault_runs import Stage, play, warm
from benchmarks._fault_stage import Disk, Messages, Sender, disk
from benchmarks.soak import Footprint, free_port

DEADLINE_S = 300.0
"""Also for a first start, which compiles the kernels."""
DISK_BYTES = 24 << 20
WARM_SHARE = 0.2
"""Of the time: until then caches and pools may fill."""
MAX_GROWTH_BYTES = 24 << 20


class Daemon:
    """`jfwriter run` with republishing, announcements and HTTP; its log stands beside the root."""

    def __init__(self, root: Path, address: str) -> None:
        self.ports = {name: free_port() for name in ("http", "republish", "announce")}
        self._log = (root.parent / "daemon.log").open("wb")
        config = root.parent / "soak.toml"
        config.write_text("[memory]\nbyte_budget_bytes = 67_108_864\n[announce]\nannounce_run_end = true\n")
        ports = [
            "-H",
            str(self.ports["http"]),
            "-r",
            str(self.ports["republish"]),
            "-f",
            str(self.ports["announce"]),
        ]
        command = ["run", "-R", str(root), *ports, "--config", str(config), address]
        self.process = subprocess.Popen([sys.executable, "-m", "jfwriter", *command], stderr=self._log)
        self.wait_until(bool)

    def status(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.ports['http']}/status", timeout=10
            ) as answer:
                status: dict[str, Any] = json.load(answer)
        except OSError:
            return {}
        return status

    def wait_until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_S
        while not condition(status := self.status()):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise TimeoutError(f"the daemon did not get there within {DEADLINE_S} s: {status}")
            time.sleep(0.01)
        return status

    def cancel(self) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['http']}/cancel", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DEADLINE_S)
        self._log.close()
        return code


class Soak:
    """Plays runs until the time is up, and keeps the figures."""

    def __init__(self, stage: Stage, daemon: Daemon, readers: Readers) -> None:
        self._stage, self._daemon, self.readers = stage, daemon, readers
        self.played: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.n_images = 0
        self.n_bad = 0
        self.footprints: list[tuple[float, Footprint]] = []

    def one(self, number: int) -> int:
        """Play one run, judge it, and take its files away; the images that were sent at least."""
        name, run, expected = play(self._stage, number)
        last = self._result(run)
        self.played[name] += 1
        self.n_bad += expected.n_bad
        self.n_images += run.n_images
        for text in problems(self._stage.disk.root, run, expected, last):
            self.wrong.append(f"run {number} ({name}, {run.layout}): {text}")
            print(f"  {self.wrong[-1]}", flush=True)
        shutil.rmtree(self._stage.disk.root / f"run_{number}", ignore_errors=True)
        return run.n_images

    def _result(self, run: Messages) -> dict[str, Any]:
        """What was announced of the run, once the daemon is idle again."""
        result: dict[str, Any] = {}

        def has_ended(status: dict[str, Any]) -> bool:
            result.update(self.readers.pop(run.number) or {})
            return bool(result) and status.get("state") == "idle"

        self._daemon.wait_until(has_ended)
        return result

    def sample(self, now: float) -> None:
        self.footprints.append((now, Footprint.of(self._daemon.process.pid)))


def soak(directory: Path, *, minutes: float, seed: int, rate: float) -> int:
    """Returns the exit code."""
    warm()
    chance = random.Random(seed)
    sender = Sender()
    with disk(directory, DISK_BYTES) as place:
        daemon = Daemon(place.root, sender.address)
        readers = Readers(daemon.ports, seed)
        work = Soak(Stage(chance, sender, daemon, place), daemon, readers)
        readers.start()
        try:
            _play(work, minutes * 60, rate)
            readers.stop()
            totals = daemon.status()["totals"]
            time.sleep(2)
            work.sample(minutes * 60)
        finally:
            readers.stop()
            code = daemon.stop()
            sender.close()
        log = (place.root.parent / "daemon.log").read_text()
        return _summary(work, place, totals, code=code, log=log, seconds=minutes * 60)


def _play(work: Soak, seconds: float, rate: float) -> None:
    began = time.monotonic()
    number, sampled, allowed = 0, -10.0, 0.0
    while (now := time.monotonic() - began) < seconds:
        if now - sampled >= 10:
            work.sample(now)
            sampled = now
        if now < allowed:
            time.sleep(min(allowed - now, 1.0))
            continue
        number += 1
        allowed = max(allowed, now - 5) + work.one(number) / rate


def _summary(work: Soak, place: Disk, totals: dict[str, Any], *, code: int, log: str, seconds: float) -> int:
    wrong = list(work.wrong)
    warm_ = [f for t, f in work.footprints if t >= WARM_SHARE * seconds] or [work.footprints[-1][1]]
    first, last = warm_[0], warm_[-1]
    n_bad = sum(totals["bad_messages"].values())
    if n_bad != work.n_bad:
        wrong.append(f"{n_bad} bad messages counted, {work.n_bad} sent")
    if "Traceback" in log:
        wrong.append("a traceback stands in the log")
    if code != 0:
        wrong.append(f"exit code {code}")
    if last.rss_bytes - first.rss_bytes > MAX_GROWTH_BYTES:
        wrong.append("the memory has grown")
    if last.n_threads > first.n_threads or last.n_descriptors > first.n_descriptors + 8:
        wrong.append("threads or descriptors have become more")
    peak = max(f.rss_bytes for f in warm_)
    print(f"{work.played.total()} runs, {work.n_images} images, {seconds / 60:.1f} min; disk: {place.is_own}")
    print(f"  runs by what went wrong: {dict(sorted(work.played.items()))}")
    print(f"  outcomes: {totals['runs']}; refused {totals['runs_refused']}; failed {totals['runs_failed']}")
    print(
        f"  messages {totals['messages']}; bad {totals['bad_messages']}; dropped {totals['messages_dropped']}"
    )
    print(f"  consumers: {work.readers.told()}")
    print(f"  at {WARM_SHARE:.0%} of the time: {first}")
    print(f"  at the end: {last}; highest {peak / 1e6:.1f} MB")
    print(f"  every 3 min: {', '.join(f'{f.rss_bytes / 1e6:.0f}' for _, f in work.footprints[::18])} MB")
    print(f"  not as documented: {len(wrong)}")
    for text in wrong[:50]:
        print(f"    {text}")
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=60.0, help="images per second, at most")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    return soak(options.directory, minutes=options.minutes, seed=options.seed, rate=options.rate)


if __name__ == "__main__":
    sys.exit(main())
