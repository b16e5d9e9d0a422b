"""The measurement of `jfwriter bench`: rounds of all contestants, then a long run that is looked at."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jfwriter.bench import bound, usage
from jfwriter.bench.bare_loop import Loop
from jfwriter.bench.place import Place
from jfwriter.bench.rounds import Rounds, Spread, alternate, spread
from jfwriter.bench.stage import Stage
from jfwriter.bench.stream import make_run
from jfwriter.bench.watch import Watch, Watched
from jfwriter.simulator.run import Progress

RECEIVE, LIMIT, DAEMON = "receive only", "limit", "jfwriter"
LIMIT_SYNCED, DAEMON_SYNCED = "limit, fsync", "jfwriter, fsync"
REFERENCE: Mapping[str, str] = {DAEMON: LIMIT, DAEMON_SYNCED: LIMIT_SYNCED}
"""What the ratio of a contestant is to."""

IMAGES_PER_FILE = 1000
_ROUND_S = 0.6
"""A run takes at least about so long, so that its start and end are a small part."""
_ROUND_BYTES = (100_000_000, 800_000_000)
_FIRST_GUESS_BYTES_PER_S = 500e6


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """`n_images` None: as many as a round needs. Times in s: of all
    rounds and long runs, after the images are made and the writers are ready; and of each long run (0: none).
    """

    size: str
    n_images: int | None = None
    time_s: float = 45.0
    long_run_s: float = 6.0
    direct_io: bool = False
    """The writers go past the page cache; the limits do not."""

    def writers(self) -> dict[str, str]:
        """Settings of the writers, as TOML."""
        files = "[files]\ndirect_io = true\n" if self.direct_io else "[files]\n"
        return {"plain": files + "sync = false\n", "synced": files}


@dataclass(frozen=True, slots=True)
class Standing:
    """A contestant: medians and quartiles over the rounds. `ratio` None: it is a limit itself."""

    images_per_s: Spread
    bytes_per_s: Spread
    ratio: Spread | None
    cpu_s_per_image: Spread


@dataclass(frozen=True, slots=True)
class LongRun:
    """A run without pause, and what was seen."""

    n_images: int
    n_bytes: float
    duration_s: float
    seen: Watched


@dataclass(frozen=True, slots=True)
class BenchResult:
    """All that was measured. `long_runs` and `finding` are empty when no long run was asked for."""

    place: Place
    size: str
    message_bytes: float
    n_images: int
    n_rounds: int
    standings: Mapping[str, Standing]
    long_runs: Mapping[str, LongRun]
    finding: bound.Finding | None
    receiving_pauses: int
    direct_io: bool
    """Whether the writers were told to go past the page cache."""


class Bench:
    """One measurement below `work`, an empty directory on the storage. Raises EndpointError."""

    def __init__(
        self, place: Place, work: Path, options: BenchOptions, made: Progress, progress: Progress
    ) -> None:
        self._place, self._options, self._progress = place, options, progress
        self._began = 0.0
        source = functools.partial(make_run, options.size, None)
        self._stage = Stage(work, source, options.writers(), made)
        self._cpu_s: dict[str, list[float]] = {}

    def run(self) -> BenchResult:
        with self._stage as stage:
            self._began = time.monotonic()
            n_images = self._options.n_images or self._images_of_a_round()
            rounds = self._rounds(n_images)
            standings = self._standings(rounds, n_images)
            long_runs = self._long_runs(standings) if self._options.long_run_s else {}
            finding = bound.decide(long_runs[DAEMON_SYNCED].seen) if long_runs else None
            totals = stage.writers["synced"].status().get("totals")
            n_pauses = totals.get("receiving_pauses", 0) if isinstance(totals, dict) else 0
            self._progress(round(self._options.time_s) or 1, round(self._options.time_s) or 1)
            return BenchResult(
                place=self._place,
                size=self._options.size,
                message_bytes=stage.message_bytes,
                n_images=n_images,
                n_rounds=len(rounds.seconds[LIMIT]),
                standings=standings,
                long_runs=long_runs,
                finding=finding,
                receiving_pauses=n_pauses,
                direct_io=self._options.direct_io,
            )

    def _images_of_a_round(self) -> int:
        """Of a probe with the bare loop: at the rate that was seen, a run of `_ROUND_S`."""
        low, high = (max(20, round(n / self._stage.message_bytes)) for n in _ROUND_BYTES)
        self._stage.clear(round(low * self._stage.message_bytes))
        began = time.monotonic()
        self._stage.loop(low, Loop(sync=True, images_per_file=IMAGES_PER_FILE))
        rate_hz = low / (time.monotonic() - began)
        return max(low, min(high, round(rate_hz * _ROUND_S)))

    def _rounds(self, n_images: int) -> Rounds:
        stage = self._stage
        loops = {RECEIVE: Loop(write=False), LIMIT: Loop(), LIMIT_SYNCED: Loop(sync=True)}
        contestants: dict[str, Callable[[], object]] = {
            name: self._counted(name, stage.bare.pid, n_images, functools.partial(stage.loop, n_images, loop))
            for name, loop in loops.items()
        }
        for name, writer in ((DAEMON, "plain"), (DAEMON_SYNCED, "synced")):
            call = functools.partial(stage.write, writer, n_images)
            contestants[name] = self._counted(name, stage.writers[writer].pid, n_images, call)
        end = self._began + self._options.time_s - 2 * self._options.long_run_s
        last = [time.monotonic()]

        def goes_on(_n_rounds: int) -> bool:
            now = time.monotonic()
            took, last[0] = now - last[0], now
            self._show()
            return now + took < end

        n_bytes = round(n_images * stage.message_bytes)
        return alternate(contestants, 1000, lambda: stage.clear(n_bytes), goes_on)

    def _show(self) -> None:
        """Progress in s; the end is told when it is there."""
        planned_s = max(2, round(self._options.time_s))
        self._progress(min(planned_s - 1, round(time.monotonic() - self._began)), planned_s)

    def _counted(
        self, name: str, pid: int, n_images: int, call: Callable[[], object]
    ) -> Callable[[], object]:
        """CPU time per image of each of its runs."""
        counted = self._cpu_s.setdefault(name, [])

        def run() -> None:
            before = usage.cpu_s(pid)
            call()
            counted.append((usage.cpu_s(pid) - before) / n_images)

        return run

    def _standings(self, rounds: Rounds, n_images: int) -> dict[str, Standing]:
        return {
            name: Standing(
                images_per_s=rounds.rate(name, n_images),
                bytes_per_s=rounds.rate(name, n_images * self._stage.message_bytes),
                ratio=rounds.ratio(name, REFERENCE[name]) if name in REFERENCE else None,
                cpu_s_per_image=spread(self._cpu_s[name][1:]),
            )
            for name in rounds.seconds
        }

    def _long_runs(self, standings: Mapping[str, Standing]) -> dict[str, LongRun]:
        stage, message_bytes = self._stage, self._stage.message_bytes
        fits = int(0.8 * self._place.room_bytes / message_bytes)
        loop, writer = Loop(sync=True, images_per_file=IMAGES_PER_FILE), stage.writers["synced"]

        def n_of(name: str) -> int:
            rate_hz = standings[name].images_per_s.median
            return max(1, min(fits, round(rate_hz * self._options.long_run_s)))

        def queue_bytes() -> int:
            queued = writer.status().get("queue_bytes")
            return queued if isinstance(queued, int) else 0

        n_limit, n_daemon = n_of(LIMIT_SYNCED), n_of(DAEMON_SYNCED)
        return {
            LIMIT_SYNCED: self._long_run(
                n_limit, Watch(stage.bare.pid), functools.partial(stage.loop, n_limit, loop)
            ),
            DAEMON_SYNCED: self._long_run(
                n_daemon,
                Watch(writer.pid, queue_bytes, 2 * message_bytes),
                functools.partial(stage.write, "synced", n_daemon),
            ),
        }

    def _long_run(self, n_images: int, watch: Watch, call: Callable[[], object]) -> LongRun:
        self._stage.clear(0)
        with watch:
            call()
        seen = watch.result()
        self._show()
        return LongRun(n_images, n_images * self._stage.message_bytes, seen.duration_s, seen)
