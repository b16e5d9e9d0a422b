"""The daemon as a subprocess, from the socket to finished files, against two limits in the same rounds.

    python -m benchmarks.end_to_end [--size 4M] [--directory DISK] [--directory /dev/shm] [--quick]

`bare loop` receives and writes raw messages; `chunks` writes HDF5 chunks from memory, without a network.
See README.md here for how to read the result.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from benchmarks import _measure, _peers, _stream

BARE, CHUNKS, DAEMON, SYNCED = "bare loop", "chunks", "daemon", "daemon, fsync"
CLOCK_HZ = os.sysconf("SC_CLK_TCK")


@dataclass
class Cpu:
    """CPU seconds of a process, per image of the runs since the warm-up."""

    pid: int
    n_images: int
    seconds: list[float] = field(default_factory=list)

    def now_s(self) -> float:
        """User and system time of all threads (proc(5), fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_HZ

    def measured(self, call: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            before = self.now_s()
            call()
            self.seconds.append(self.now_s() - before)

        return run

    def per_image_ms(self) -> _measure.Spread:
        return _measure.spread([1e3 * s / self.n_images for s in self.seconds[1:]])


def free_port() -> int:
    with zmq.Context() as context, context.socket(zmq.REP) as socket:
        return socket.bind_to_random_port("tcp://127.0.0.1")


class Daemon:
    """`jfwriter run` with default settings and `more` of the configuration file, announcing ends of runs."""

    def __init__(self, address: str, root: Path, *, sync: bool, more: str = "") -> None:
        root.mkdir()
        port = free_port()
        config = root.parent / f"{root.name}.toml"
        config.write_text(
            f'[input]\naddresses = ["{address}"]\n[files]\nroot_dir = "{root}"\nsync = {json.dumps(sync)}\n'
            f'[announce]\nport = {port}\nhost = "127.0.0.1"\nannounce_run_end = true\n{more}',
            encoding="utf-8",
        )
        self._log = config.with_suffix(".log")
        command = [sys.executable, "-m", "jfwriter", "run", "--config", str(config)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        self._socket.subscribe(b"")
        self._socket.connect(f"tcp://127.0.0.1:{port}")
        self.pid = self._process.pid

    def wait_for_run(self, n_images: int, deadline_s: float = 600.0) -> None:
        """Returns when a run was finalized. Raises RuntimeError if it is not complete or the daemon died."""
        limit = time.monotonic() + deadline_s
        while True:
            if self._socket.poll(200):
                message = json.loads(self._socket.recv())
                if message.get("event") == "run_finalized":
                    break
            elif self._process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"no finished run from the daemon:\n{self._log.read_text()}")
        if message["outcome"] != "complete":
            raise RuntimeError(f"{n_images} images were sent, and the daemon says: {message}")

    def stop(self) -> None:
        self._socket.close()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)


@contextmanager
def running_daemon(address: str, root: Path, *, sync: bool, more: str = "") -> Iterator[Daemon]:
    daemon = Daemon(address, root, sync=sync, more=more)
    try:
        yield daemon
    finally:
        daemon.stop()


@dataclass(frozen=True)
class Result:
    """What one directory gave."""

    directory: Path
    run_bytes: int
    repeats: Sequence[_measure.Rounds]
    cpu: Mapping[str, Cpu]


def measure(directory: Path, options: argparse.Namespace) -> Result:
    """All contestants in turn below `directory`."""
    size, n_images, per_file = _stream.SIZES[options.size], options.images, options.images_per_file
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jfwriter-", dir=directory)))
        sender = stack.enter_context(_peers.running(_peers.sender, size, n_images, per_file, 3))
        addresses = sender.answer()
        assert isinstance(addresses, list)
        run_bytes = sender.answer()
        assert isinstance(run_bytes, int)
        bare = stack.enter_context(_peers.running(_peers.bare_loop, addresses[0], place))
        chunks = stack.enter_context(_peers.running(_peers.chunk_loop, size, n_images, per_file, place))
        chunks.answer()
        plain = stack.enter_context(running_daemon(addresses[1], place / "plain", sync=False))
        synced = stack.enter_context(running_daemon(addresses[2], place / "synced", sync=True))

        def run_bare() -> None:
            sender.tell(0)
            if bare.answer() != n_images:
                raise RuntimeError("the bare loop lost images")

        def run_chunks() -> None:
            chunks.ask("go")

        def run_daemon(daemon: Daemon, socket: int) -> Callable[[], None]:
            def run() -> None:
                sender.tell(socket)
                daemon.wait_for_run(n_images)

            return run

        contestants: dict[str, Callable[[], None]] = {
            BARE: run_bare,
            CHUNKS: run_chunks,
            DAEMON: run_daemon(plain, 1),
            SYNCED: run_daemon(synced, 2),
        }
        pids = {BARE: bare.pid, CHUNKS: chunks.pid, DAEMON: plain.pid, SYNCED: synced.pid}
        cpu = {name: Cpu(pid, n_images) for name, pid in pids.items()}
        timed = {name: cpu[name].measured(call) for name, call in contestants.items()}
        repeats = [
            _measure.alternate(timed, options.rounds, lambda: clear(place, run_bytes))
            for _ in range(options.repeats)
        ]
    return Result(directory, run_bytes, repeats, cpu)


def clear(place: Path, n_bytes: int) -> None:
    """Same conditions for all: no files of the contestant before, pages of the volume to come touched."""
    for path in [*place.glob("*.raw"), *place.glob("**/*.h5")]:
        path.unlink()
    _measure.warm_pages(place, n_bytes)


def whole(spread: _measure.Spread) -> str:
    return f"{spread.median:.0f} ({spread.low:.0f} to {spread.high:.0f})"


def report(result: Result, options: argparse.Namespace) -> str:
    rows = [["", "images/s", "GB/s", f"ratio to {BARE}", "CPU ms/image"]]
    for name in (BARE, CHUNKS, DAEMON, SYNCED):
        repeat = sorted(result.repeats, key=lambda rounds: rounds.ratio(name, BARE).median)
        rounds = repeat[len(repeat) // 2]
        rows.append([
            name,
            whole(rounds.rate(name, options.images)),
            str(rounds.rate(name, result.run_bytes / 1e9)),
            str(rounds.ratio(name, BARE)),
            str(result.cpu[name].per_image_ms()),
        ])  # fmt: skip
    mean_bytes = result.run_bytes / options.images
    head = f"{result.directory}: {options.images} images {options.size}, {mean_bytes / 1e6:.2f} MB each"
    return f"{head}\n{_measure.table(rows)}\n"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=_stream.SIZES, default="4M")
    parser.add_argument("--images", type=int, default=500, metavar="N", help="images per run (500)")
    parser.add_argument("--images-per-file", type=int, default=1000, metavar="N")
    parser.add_argument("--directory", type=Path, action="append", help="where to write; may be repeated")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3, help="the middle one is quoted (3)")
    parser.add_argument("--quick", action="store_true", help="3 rounds, once: a look, not a measurement")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.repeats = 3, 1
    memory = Path("/dev/shm")
    options.directory = options.directory or [Path.cwd(), *([memory] if memory.is_dir() else [])]
    return options


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    source = "real frames" if _stream.FRAMES.exists() else "synthetic frames"
    print(
        f"{source}; median (quartiles); the middle of {options.repeats} repeats of {options.rounds} rounds\n"
    )
    for directory in options.directory:
        print(report(measure(directory.resolve(), options), options), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
