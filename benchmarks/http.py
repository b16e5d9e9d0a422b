"""What `/status` takes while the disk hangs, and what a crowd that asks for it costs the writing.

python -m benchmarks.http hang  [--directory DIR] [--seconds 30]
python -m benchmarks.http crowd [--size 4M] [--directory DIR] [--images 2000] [--quick]

`hang`: one write of a data file waits (the storage shim of the tests) while `/status` is asked for again and
again. `crowd`: the throughput of a run during which 33 requests come in each second (1000 in half a minute),
or 1000 at its start, against that of a run beside which nobody asks. Every request makes a connection of its
own. Goals: 200 ms at most; a loss below 5 % for 33 a second.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks import _options
from benchmarks._contest import Contest, Contestant
from benchmarks._fault_stage import Messages, Sender
from jfwriter.bench.peers import Peer, running
from jfwriter.bench.stage import Stage
from jfwriter.bench.writer_process import WriterProcess
from tests.support.faulty_storage import FaultyStorage

N_REQUESTS = 1000
N_IMAGES = 8
DEADLINE_S = 30.0
REQUEST = b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
PER_SECOND = 33
"""1000 requests over a run of half a minute."""
UNDISTURBED, EVENLY, AT_ONCE = "nobody asks", f"{PER_SECOND} requests a second", "1000 requests at once"


@dataclass(frozen=True, slots=True)
class Crowd:
    """`n_requests` begun evenly within `seconds`; 0: all at once."""

    n_requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answers:
    """How long each good answer took, in s, and how many requests had none."""

    took_s: tuple[float, ...]
    n_failed: int

    def __str__(self) -> str:
        middle, late, longest = np.percentile(self.took_s or (float("nan"),), (50, 99, 100)) * 1e3
        return (
            f"{len(self.took_s)} answers, p50 {middle:.1f} ms, p99 {late:.1f} ms, longest {longest:.1f} ms; "
            f"{self.n_failed} failed"
        )


async def _ask(address: tuple[str, int], delay_s: float) -> float | None:
    """How long one request takes, connection included; None: it has no good answer."""
    await asyncio.sleep(delay_s)
    began = time.perf_counter()
    try:
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(REQUEST)
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError):
        return None
    return time.perf_counter() - began if answer.startswith(b"HTTP/1.1 200") else None


async def _ask_all(address: tuple[str, int], crowd: Crowd) -> Answers:
    step_s = crowd.seconds / crowd.n_requests
    found = await asyncio.gather(*(_ask(address, i * step_s) for i in range(crowd.n_requests)))
    took_s = tuple(took for took in found if took is not None)
    return Answers(took_s, len(found) - len(took_s))


def visitors(pipe: Connection, address: tuple[str, int]) -> None:
    """Role: answers each `Crowd` with `Answers`."""
    while True:
        pipe.send(asyncio.run(_ask_all(address, pipe.recv())))


def answers(peer: Peer) -> Answers:
    found = peer.answer()
    assert isinstance(found, Answers)
    return found


@contextmanager
def environment(more: dict[str, str]) -> Iterator[None]:
    """For child processes that are started in the block."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {DEADLINE_S:g} s in vain")
        time.sleep(0.01)


def hang(place: Path, seconds: float) -> str:
    root = place / "root"
    root.mkdir()
    storage, sender = FaultyStorage(place), Sender()
    crowd = Crowd(N_REQUESTS, seconds)
    messages = Messages(1, N_IMAGES, N_IMAGES, "NXmxVDS")
    writer = WriterProcess(root, sender.address, place)
    with environment(storage.environment):
        writer.__enter__()
    try:
        writer.wait_ready()
        with running(visitors, writer.http) as peer:
            peer.tell(crowd)
            idle = answers(peer)
            storage.wait_at("write", "run_1/")
            sender.send(messages.start(), *map(messages.image, range(N_IMAGES)), messages.end())
            storage.wait_until_struck()
            peer.tell(crowd)
            hung = answers(peer)
            storage.work()
        wait_for(lambda: writer.status()["last_run"] is not None)
        last = writer.status()["last_run"]
        assert isinstance(last, dict)
        return f"idle: {idle}\nthe disk hangs: {hung}\nafterwards the run is {last['outcome']}"
    finally:
        writer.__exit__(None, None, None)
        sender.close()


def crowd(place: Path, options: argparse.Namespace) -> str:
    n_images = options.images
    found: dict[str, list[Answers]] = {EVENLY: [], AT_ONCE: []}
    owed: list[str] = []
    with Stage(place, _options.run_maker(options.size), {"writer": ""}) as stage:
        writer = stage.writers["writer"]
        n_bytes = round(n_images * stage.message_bytes)
        stage.clear(n_bytes)
        began = time.monotonic()
        stage.write("writer", n_images)
        usual_s = time.monotonic() - began
        with running(visitors, writer.http) as peer:

            def asked(name: str, requests: Crowd) -> None:
                peer.tell(requests)
                owed.append(name)
                stage.write("writer", n_images)

            def settle() -> None:
                """The last requests may outlast their run, whose time ends without them."""
                while owed:
                    found[owed.pop()].append(answers(peer))
                stage.clear(n_bytes)

            evenly = Crowd(max(1, round(PER_SECOND * usual_s)), usual_s)
            at_once = Crowd(N_REQUESTS, 0.0)
            pids = [writer.pid]
            contestants = {
                UNDISTURBED: Contestant(functools.partial(stage.write, "writer", n_images), pids, None),
                EVENLY: Contestant(functools.partial(asked, EVENLY, evenly), pids, UNDISTURBED),
                AT_ONCE: Contestant(functools.partial(asked, AT_ONCE, at_once), pids, UNDISTURBED),
            }
            table = Contest(contestants, options, settle).table(stage.message_bytes)
            settle()
        lines = [f"{name}: {_together(several)}" for name, several in found.items()]
        return "\n".join([f"a run takes {usual_s:.1f} s", table, *lines])


def _together(several: Sequence[Answers]) -> Answers:
    took_s = tuple(took for one in several for took in one.took_s)
    return Answers(took_s, sum(one.n_failed for one in several))


def main(arguments: Sequence[str]) -> int:
    parser = _options.parser(__doc__, n_images=2000)
    parser.add_argument("question", choices=("hang", "crowd"))
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the disk hangs (30)")
    options = _options.parse(parser, arguments)
    if options.question == "crowd":
        _options.in_each(options, lambda place: crowd(place, options))
        return 0
    for directory in options.directory[:1]:
        with _options.work_directory(directory.resolve()) as place:
            print(
                f"{directory}: {N_REQUESTS} requests in {options.seconds:g} s\n{hang(place, options.seconds)}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
