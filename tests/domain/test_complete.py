"""`complete` is said of a run if and only if every image of it stands in its files, byte for byte.

Whatever is lost, late, double, broken, foreign or fails on the way: judged by h5py from the files alone.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from jfwriter.errors import PayloadError
from jfwriter.hdf5.image_dataset import ImageDataset
from jfwriter.session.image_status import ImageStatus
from jfwriter.session.orders import Outcome, RunReport
from jfwriter.validation.run import Options, check_run
from jfwriter.validation.target import find_runs
from tests.domain.runs import DETECTOR
from tests.support import messages
from tests.support.offline import OfflineDaemon
from tests.support.payloads import broken, packed
from tests.support.writer_run import pixels

N_IMAGES = 10
N_PER_FILE = 4

FATES = st.sampled_from(["good"] * 6 + ["lost", "broken", "shape", "dtype", "channel", "disk", "twice",
                                        "broken then good", "disk then good"])  # fmt: skip


STATUS = {
    "lost": ImageStatus.NEVER_CAME,
    "broken": ImageStatus.BAD_PAYLOAD,
    "shape": ImageStatus.WRONG_SHAPE,
    "dtype": ImageStatus.WRONG_DTYPE,
    "channel": ImageStatus.WRONG_CHANNEL,
    "disk": ImageStatus.WRITE_FAILED,
    "twice": ImageStatus.DUPLICATE,
}


@dataclass
class Sent:
    """What is sent, and what must become of each image."""

    messages: list[Any]
    refused_by_disk: dict[int, int]
    """image_id -> how many of its writes fail."""
    expected: dict[int, ImageStatus]


def image(i: int, **fields: Any) -> Any:
    return messages.image(i, **({"channels": {"default": packed(pixels(i))}} | fields))


def bad(i: int, kind: str) -> Any:
    payloads = {
        "broken": broken((messages.HEIGHT, messages.WIDTH), "<u2"),
        "shape": packed(np.zeros((1, 5), "u2")),
        "dtype": packed(pixels(i).astype("u4")),
    }
    if kind == "channel":
        return image(i, channels={"one": packed(pixels(i)), "two": packed(pixels(i))})
    return image(i, channels={"default": payloads[kind]})


def send(fates: list[str], order: list[int], noise: list[int], end: str) -> Sent:
    sent = Sent([], {}, {})
    for i in order:
        fate = fates[i]
        sent.expected[i] = STATUS.get(fate, ImageStatus.WRITTEN)
        first = fate.split()[0]
        if first in {"broken", "shape", "dtype", "channel"}:
            sent.messages.append(bad(i, first))
        elif first != "lost":
            sent.messages.append(image(i))
        if first == "disk":
            sent.refused_by_disk[i] = 1
        if fate == "twice" or fate.endswith("then good"):
            sent.messages.append(image(i))
    for i in noise:
        sent.messages.insert(i % (len(sent.messages) + 1), messages.image(i, series_id=9))
    if end != "none":
        sent.messages.append(messages.end(max_image_number=N_IMAGES, cancelled=end == "cancelled"))
        sent.messages += [image(i) for i in noise]
    return sent


def too_late(fates: list[str], order: list[int]) -> set[int]:
    """Images that the disk refuses and that come again when their file is closed: with them it was full."""
    n_held: Counter[int] = Counter()
    late = set()
    for i in order:
        file_index = i // N_PER_FILE
        if fates[i] == "disk then good" and n_held[file_index] == N_PER_FILE - 1:
            late.add(i)
        n_held[file_index] += fates[i] in {"good", "twice", "broken then good", "disk then good"}
    return late


def written(root: Path, layout: int) -> dict[int, Any]:
    """The images that stand in files under final names, by what the files say of themselves."""
    found = {}
    for path in sorted(root.glob("scan1_master.h5" if layout == 3 else "scan1_data_*.h5")):
        with h5py.File(path) as file:
            numbers = file[f"{DETECTOR}/number" if layout == 3 else "/entry/detector/number"][()]
            for row in np.flatnonzero(numbers >= 0):
                found[int(numbers[row])] = file["/entry/data/data"][row]
    return found


@settings(max_examples=30)
@example(
    layout=1,
    fates=[*["good"] * 7, "disk then good", "good", "good"],
    order=list(range(N_IMAGES)),
    noise=[],
    end="end",
    taken_away=False,
)
@given(
    layout=st.sampled_from([0, 1, 2, 3]),
    fates=st.lists(FATES, min_size=N_IMAGES, max_size=N_IMAGES) | st.just(["good"] * N_IMAGES),
    order=st.permutations(range(N_IMAGES)) | st.just(list(range(N_IMAGES))),
    noise=st.lists(st.integers(0, N_IMAGES - 1), max_size=3),
    end=st.sampled_from(["end", "end", "end", "none", "cancelled"]),
    taken_away=st.booleans() | st.just(False),
)
def test_complete_is_said_only_of_what_is_all_there(  # noqa: PLR0917 all that a run can meet
    layout: int, fates: list[str], order: list[int], noise: list[int], end: str, taken_away: bool
) -> None:
    sent = send(fates, order, noise, end)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        report = carry_out(root, layout, sent, taken_away=taken_away)
        found = written(root, layout)
        good = all(np.array_equal(found[i], pixels(i)) for i in found)
        whole = good and sorted(found) == list(range(N_IMAGES))
        event(f"{report.outcome}, {'whole' if whole else 'not whole'}")
        assert good
        assert (report.outcome is Outcome.COMPLETE) == (whole and end == "end")
        assert report.n_written == len(found)
        assert sum(report.by_status.values()) == report.n_images
        told = json.loads((root / "scan1_manifest.json").read_text())
        assert (told["outcome"], told["images_written"]) == (report.outcome, len(found))
        if layout and not taken_away:
            if layout != 3:  # a single file is not closed before the end
                sent.expected.update(dict.fromkeys(too_late(fates, order), ImageStatus.WRITE_FAILED))
            compare_with_master(root, sent, report)


def carry_out(root: Path, layout: int, sent: Sent, *, taken_away: bool) -> RunReport:
    daemon = OfflineDaemon(root, files={"manifest": True, "checksum": "crc32"})
    store, taken = ImageDataset.write, ImageDataset.takes

    def write(self: ImageDataset, row: int, payload: Any, *rest: Any) -> int:
        image_id = int(unpacked(payload)) - 1
        if sent.refused_by_disk.get(image_id, 0):
            sent.refused_by_disk[image_id] -= 1
            raise PayloadError("bad_payload", "cannot be stored")
        return store(self, row, payload, *rest)

    def takes(self: ImageDataset, payload: Any) -> bool:
        return taken(self, payload) and not sent.refused_by_disk.get(int(unpacked(payload)) - 1, 0)

    start = messages.start(
        file_format=layout, number_of_images=N_IMAGES, images_per_file=N_PER_FILE, channels=("default",)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageDataset, "write", write)
        patch.setattr(ImageDataset, "takes", takes)
        daemon.take([start])
        for message in sent.messages:
            if taken_away and not daemon.written.reports and not daemon.session.snapshot().n_accepted % 7:
                for path in root.glob("scan1_data_000001.h5"):
                    path.unlink()
            daemon.take([message])
        if not daemon.written.reports:
            daemon.take([messages.start(2)])
    return daemon.written.reports[0]


def unpacked(payload: Any) -> Any:
    from jfwriter.compression import decompress

    return decompress(payload)[0, 0]


def compare_with_master(root: Path, sent: Sent, report: RunReport) -> None:
    with h5py.File(root / "scan1_master.h5") as file:
        assert file[f"{DETECTOR}/outcome"][()].decode() == report.outcome
        status = file[f"{DETECTOR}/image_status"][()].tolist() if report.n_images else []
    assert status == [int(sent.expected[i]) for i in range(report.n_images)]
    counts = {s.word: status.count(s) for s in ImageStatus if s in status}
    assert report.by_status == counts
    (target,) = find_runs(root / "scan1")
    problems = [found for found in check_run(target, Options(deep=True)).problems if found.check != "nxmx"]
    assert [found.line() for found in problems] == []
