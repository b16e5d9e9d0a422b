"""The runs of the soak: each does one thing wrong and knows what must become of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from benchmarks._fault_stage import DTYPE, SHAPE, Disk, Messages, Sender, packed, picture
from jfwriter.compression import compress
from jfwriter.payload import Codec
from jfwriter.wire.encode import pixels, typed_array

LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")


class Service(Protocol):
    """The daemon under test, as far as a run needs it."""

    def wait_until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]: ...
    def cancel(self) -> int: ...


@dataclass(frozen=True)
class Expected:
    """How the run must end. `written` None: the storage decides, and what is there must be right."""

    outcome: str
    n_images: int
    written: frozenset[int] | None
    dropped: dict[str, int] = field(default_factory=dict)
    n_bad: int = 0
    """Messages that the decoder refuses."""
    reason: str = ""
    """Stands in one of the reasons."""
    has_files: bool = True
    layout: str = ""


@dataclass
class Stage:
    """Everything that a run may touch."""

    random: random.Random
    sender: Sender
    service: Service
    disk: Disk


def _received(stage: Stage, run: Messages, n_images: int) -> None:
    stage.service.wait_until(
        lambda status: status.get("file_prefix") == run.prefix and status.get("images_received") == n_images
    )


def _whole(run: Messages, **more: Any) -> Expected:
    return Expected("complete", run.n_images, frozenset(range(run.n_images)), **more)


def clean(stage: Stage, run: Messages) -> Expected:
    order = list(range(run.n_images))
    stage.random.shuffle(order)
    codec = stage.random.choice((Codec.BSLZ4, Codec.NONE, Codec.BSZSTD))
    if stage.random.random() < 0.5:
        codec = Codec.BSLZ4
    codecs = [codec] * run.n_images
    stage.sender.send(run.start(), *(run.image(i, codec=codecs[i]) for i in order), run.end())
    return _whole(run)


def garbage(stage: Stage, run: Messages) -> Expected:
    """Between the images: noise, messages cut short, messages with a byte too much, maps of nothing."""
    n_bad = 0
    stage.sender.send(run.start())
    for i in range(run.n_images):
        message = run.image(i)
        for _ in range(stage.random.randrange(3)):
            cut = stage.random.randrange(1, len(message))
            noise = b"\xff" + stage.random.randbytes(stage.random.randrange(2000))
            stage.sender.send(
                stage.random.choice((message[:cut], noise, message + b"\0", b"\xa1\x64type\x63end"[:5]))
            )
            n_bad += 1
        stage.sender.send(message)
    stage.sender.send(run.end())
    return _whole(run, n_bad=n_bad)


def duplicates(stage: Stage, run: Messages) -> Expected:
    stage.sender.send(run.start())
    again = 0
    for i in range(run.n_images):
        n_times = stage.random.choice((1, 1, 2, 3))
        stage.sender.send(*[run.image(i)] * n_times)
        again += n_times - 1
    stage.sender.send(run.end())
    return _whole(run, dropped={"duplicate": again} if again else {})


def gaps(stage: Stage, run: Messages) -> Expected:
    lost = set(stage.random.sample(range(run.n_images), 1 + stage.random.randrange(run.n_images // 2)))
    sent = [i for i in range(run.n_images) if i not in lost]
    stage.sender.send(run.start(), *(run.image(i) for i in sent), run.end())
    return Expected("incomplete", run.n_images, frozenset(sent), reason="missing")


def no_end(stage: Stage, run: Messages) -> Expected:
    """The next run takes its place."""
    n_sent = stage.random.randrange(1, run.n_images)
    stage.sender.send(run.start(), *(run.image(i) for i in range(n_sent)))
    _received(stage, run, n_sent)
    after = Messages(run.number + 1_000_000, 1, 1, "NoFileWritten")
    stage.sender.send(after.start(), after.end())
    return Expected("incomplete", n_sent, frozenset(range(n_sent)), reason="superseded")


def killed(stage: Stage, run: Messages) -> Expected:
    """The sender dies, comes back, and begins anew."""
    n_sent = stage.random.randrange(1, run.n_images)
    stage.sender.send(run.start(), *(run.image(i) for i in range(n_sent)))
    _received(stage, run, n_sent)
    stage.sender.die()
    after = Messages(run.number + 1_000_000, 1, 1, "NoFileWritten")
    stage.sender.send(after.start(), after.end())
    return Expected("incomplete", n_sent, frozenset(range(n_sent)), reason="superseded")


def wrong_images(stage: Stage, run: Messages) -> Expected:
    """Another shape, another type, packed bytes that are none: rejected, and no good copy comes."""
    kinds: dict[str, Callable[[int], bytes]] = {
        "wrong_shape": lambda i: run.image(i, typed_array(np.zeros((SHAPE[0], SHAPE[1] + 1), DTYPE))),
        "wrong_dtype": lambda i: run.image(i, typed_array(picture(i).astype(np.int16))),
        "bad_payload": lambda i: run.image(
            i,
            pixels(
                compress(picture(i), Codec.BSLZ4)[: stage.random.randrange(500)], Codec.BSLZ4, DTYPE, SHAPE
            ),
        ),
    }
    dropped: dict[str, int] = {}
    stage.sender.send(run.start())
    bad = set(stage.random.sample(range(run.n_images), 1 + stage.random.randrange(5)))
    for i in range(run.n_images):
        if i in bad:
            reason = stage.random.choice(tuple(kinds))
            dropped[reason] = dropped.get(reason, 0) + 1
            stage.sender.send(kinds[reason](i))
        else:
            stage.sender.send(run.image(i))
    stage.sender.send(run.end())
    written = frozenset(range(run.n_images)) - bad
    return Expected("incomplete", run.n_images, written, dropped=dropped, reason="rejected")


def strangers(stage: Stage, run: Messages) -> Expected:
    """Images and ends of runs that are over or were never begun."""
    other = Messages(run.number + 2_000_000, 5, 5, run.layout)
    stage.sender.send(run.start())
    n_strange = 0
    for i in range(run.n_images):
        if stage.random.random() < 0.2:
            stage.sender.send(other.image(i))
            n_strange += 1
        stage.sender.send(run.image(i))
    stage.sender.send(run.end())
    return _whole(run, dropped={"other_series": n_strange} if n_strange else {})


def refused(stage: Stage, run: Messages) -> Expected:
    prefix = stage.random.choice(("../x", "/etc/x", "a//b", "a/../../b", "\x07"))
    user = {"file_prefix": prefix, "images_per_file": 5}
    stage.sender.send(run.start(user_data=user), run.image(0), run.end())
    return Expected("failed", 0, frozenset(), has_files=False)


def cancelled(stage: Stage, run: Messages) -> Expected:
    n_sent = stage.random.randrange(1, run.n_images)
    stage.sender.send(run.start(), *(run.image(i) for i in range(n_sent)))
    _received(stage, run, n_sent)
    if (code := stage.service.cancel()) != 200:
        raise AssertionError(f"cancel: HTTP {code}")
    return Expected("cancelled", n_sent, frozenset(range(n_sent)), reason="cancelled on request")


def empty(stage: Stage, run: Messages) -> Expected:
    stage.sender.send(run.start(), run.end())
    return Expected("incomplete", run.n_images, frozenset(), reason="missing")


def file_deleted(stage: Stage, run: Messages) -> Expected:
    """A published data file is taken away before the end."""
    half = run.per_file + 1
    stage.sender.send(run.start(), *(run.image(i) for i in range(half)))
    stage.service.wait_until(
        lambda status: status.get("file_prefix") == run.prefix and status.get("files_closed") == 1
    )
    (stage.disk.root / f"{run.prefix}_data_000001.h5").unlink()
    stage.sender.send(*(run.image(i) for i in range(half, run.n_images)), run.end())
    written = frozenset(range(run.per_file, run.n_images))
    return Expected("incomplete", run.n_images, written)


def disk_full(stage: Stage, run: Messages) -> Expected:
    """No room after the first images; then there is room again."""
    some = run.n_images // 3
    stage.sender.send(run.start(), *(run.image(i, codec=Codec.NONE) for i in range(some)))
    _received(stage, run, some)
    stage.disk.fill(stage.random.randrange(4096, 60_000))
    try:
        stage.sender.send(*(run.image(i, codec=Codec.NONE) for i in range(some, run.n_images)), run.end())
        stage.service.wait_until(
            lambda status: (
                (status.get("last_run") or {}).get("file_prefix") == run.prefix
                and status.get("state") == "idle"
            )
        )
    finally:
        stage.disk.empty()
    return Expected("failed", run.n_images, None)


def read_only(stage: Stage, run: Messages) -> Expected:
    stage.disk.remount("ro")
    try:
        stage.sender.send(run.start(), *(run.image(i) for i in range(5)), run.end())
        stage.service.wait_until(
            lambda status: (
                (status.get("last_run") or {}).get("file_prefix") == run.prefix
                and status.get("state") == "idle"
            )
        )
    finally:
        stage.disk.remount("rw")
    return Expected("failed", 0, frozenset(), has_files=False)


Scenario = Callable[[Stage, Messages], Expected]
ANYWHERE: tuple[Scenario, ...] = (
    clean, clean, clean, garbage, duplicates, gaps, no_end, killed, wrong_images, strangers, refused,
    cancelled, empty, file_deleted,
)  # fmt: skip
ON_OWN_DISK: tuple[Scenario, ...] = (disk_full, read_only)


def play(stage: Stage, number: int) -> tuple[str, Messages, Expected]:
    """One run of a scenario that chance chooses: its name, its messages, its fate."""
    choices = ANYWHERE + (ON_OWN_DISK if stage.disk.is_own else ())
    scenario = stage.random.choice(choices)
    layouts = LAYOUTS[:2] if scenario is file_deleted else LAYOUTS
    layout = stage.random.choice(layouts)
    n_images = stage.random.randrange(120, 160) if scenario is disk_full else stage.random.randrange(12, 60)
    run = Messages(number, n_images, stage.random.randrange(3, 11), layout)
    expected = scenario(stage, run)
    return scenario.__name__, run, replace(expected, layout=layout)


def warm() -> None:
    """Pack all images before the clock runs."""
    for i in range(160):
        for codec in (Codec.BSLZ4, Codec.NONE, Codec.BSZSTD):
            packed(i, codec)
