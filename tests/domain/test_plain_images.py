"""A run of plain images leaves the files that the same messages leave when they are read the general way."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from jfwriter.plugins.columns import BLOCK_ROWS
from jfwriter.plugins.roi import LEFT_OUT
from jfwriter.session.orders import RunReport
from jfwriter.simulator import SimulatedRun
from jfwriter.simulator.options import Flavour
from jfwriter.wire.decode import decode
from jfwriter.wire.plain_fields import PLACES, Kind
from jfwriter.wire.plain_image import PlainImage
from jfwriter.wire.stream import StreamDecoder
from tests.support import stream
from tests.support.dump import VOLATILE_ATTRIBUTES, dump, objects
from tests.support.offline import Written, write
from tests.support.plain_images import (
    LIMITS,
    Fields,
    encoded,
    of_kind,
    plain_fields,
    singles,
    spot,
    sums,
    view,
    without,
)
from tests.support.simulated import small_options
from tests.support.wire_fields import LATTICE, raw_image

LAYOUTS = ("NXmxLegacy", "NXmxVDS", "NXmxIntegrated")
MAX_SPOTS = 4


class Compared(NamedTuple):
    """`n_plain`: how many of the images were plain ones."""

    n_plain: int
    report: RunReport
    folder: Path

    def rows(self, path: str) -> list[Any]:
        """The values of one dataset, of all files one behind the other."""
        found: list[Any] = []
        for name in sorted(self.folder.rglob("*.h5")):
            with h5py.File(name) as file:
                if path in file:
                    found += file[path][()].tolist()
        return found


def compared(root: Path, messages: Sequence[bytes]) -> Compared:
    """Write `messages` in both ways; what comes of them must be the same."""
    decoder = StreamDecoder()
    ways = {
        "general": [decode(view(data), LIMITS) for data in messages],
        "plain": [decoder.decode(view(data), LIMITS) for data in messages],
    }
    written: dict[str, Written] = {}
    for name, decoded in ways.items():
        (root / name).mkdir()
        written[name] = write(root / name, decoded)
    general, plain = written["general"], written["plain"]
    assert not general.failures
    assert not plain.failures
    assert (plain.lost, plain.discarded) == (general.lost, general.discarded)
    for field in dataclasses.fields(RunReport):
        if field.name not in {"plan", "written_bytes"}:
            assert getattr(plain.report, field.name) == getattr(general.report, field.name), field.name
    _assert_same_files(root / "general", root / "plain")
    n_plain = sum(isinstance(message, PlainImage) for message in ways["plain"])
    return Compared(n_plain, plain.report, root / "plain")


def _assert_same_files(general: Path, plain: Path) -> None:
    names = sorted(path.relative_to(general) for path in general.rglob("*.h5"))
    assert names
    assert sorted(path.relative_to(plain) for path in plain.rglob("*.h5")) == names
    for name in names:
        assert dump(plain / name) == dump(general / name)
        with h5py.File(general / name) as wanted, h5py.File(plain / name) as got:
            for path, item in objects(wanted):
                assert _attributes(got[path]) == _attributes(item), path
                if isinstance(item, h5py.Dataset):
                    _assert_same_values(got[path][()], item[()], f"{name}:{path}")


def _attributes(item: Any) -> dict[str, bytes]:
    return {
        name: np.asarray(value).tobytes()
        for name, value in item.attrs.items()
        if name not in VOLATILE_ATTRIBUTES and not isinstance(value, str)
    }


def _assert_same_values(got: Any, wanted: Any, where: str) -> None:
    if isinstance(wanted, bytes):
        assert got == wanted, where
        return
    np.testing.assert_array_equal(np.asarray(got), np.asarray(wanted), err_msg=where)
    assert (
        np.signbit(got).tolist() == np.signbit(wanted).tolist()
        if np.asarray(wanted).dtype.kind == "f"
        else True
    )


def image(i: int, **changes: object) -> Fields:
    """Every field that plain images have; a field that is changed to None is left out."""
    usual: Fields = {
        "series_unique_id": "series 1",
        "data": {"default": raw_image(stream.pixels(i), 69)},
        "spots": [spot(j) for j in range(i % (MAX_SPOTS + 1))],
        "original_image_id": 1000 + i,
    }
    message = {**plain_fields(i), **usual, **changes}
    return {name: value for name, value in message.items() if value is not None}


def start(n_images: int, layout: str, images_per_file: int = 0, **fields: Any) -> bytes:
    user_data = {"file_format": layout, "images_per_file": images_per_file}
    usual: Fields = {"max_spot_count": MAX_SPOTS, "az_int_bin_number": 6, "indexing_algorithm": "FFT"}
    return stream.start(1, n_images, user_data=user_data, **(usual | fields))


def run(images: Sequence[Fields], layout: str, images_per_file: int = 0, **fields: Any) -> list[bytes]:
    n_images = 1 + max(message["image_id"] for message in images)
    first = start(n_images, layout, images_per_file, **fields)
    return [first, *map(encoded, images), stream.end(1, n_images)]


def rois(*names: str) -> list[Fields]:
    box = {"type": "box", "min_x_pxl": 0, "max_x_pxl": 3, "min_y_pxl": 0, "max_y_pxl": 3}
    return [{"name": name, **box} for name in names]


@pytest.mark.parametrize("layout", LAYOUTS)
class TestEachLayout:
    @pytest.mark.parametrize(("n_images", "per_file"), [(5, 0), (BLOCK_ROWS, 0), (140, 70), (6, 1)])
    def test_complete_runs(self, tmp_path: Path, layout: str, n_images: int, per_file: int) -> None:
        found = compared(tmp_path, run([image(i) for i in range(n_images)], layout, per_file))
        assert found.n_plain == n_images - 1
        assert found.report.outcome == "complete"
        assert found.rows(DETECTOR[layout] + "number") == [1000 + i for i in range(n_images)]
        assert {*found.rows("/entry/MX/bravaisLattice")} == {b"tP"}

    @pytest.mark.parametrize("flavour", Flavour)
    def test_simulated_runs(self, tmp_path: Path, layout: str, flavour: Flavour) -> None:
        options = small_options(
            flavour=flavour, n_images=8, n_distinct=4, file_format=layout, images_per_file=3
        )
        found = compared(tmp_path, [*SimulatedRun(options).messages()])
        assert found.n_plain == 7
        assert found.rows(DETECTOR[layout] + "number") == [*range(8)]

    def test_shuffled_images_with_gaps(self, tmp_path: Path, layout: str) -> None:
        order = random.Random(3).sample(range(150), 120)
        found = compared(tmp_path, run([image(i) for i in order], layout, 75))
        assert found.report.outcome == "incomplete"
        assert found.n_plain == len(order) - 1

    @pytest.mark.parametrize("seed", range(3))
    def test_images_that_vary(self, tmp_path: Path, layout: str, seed: int) -> None:
        chance = random.Random(seed)
        n_images = chance.choice([5, 30, 80, 150])
        order = chance.sample(range(n_images), n_images - chance.randint(0, 3))
        images = [varied(chance, i) for i in order]
        names = chance.choice([(), ("beam",), ("beam", "ring_1", "other")])
        found = compared(tmp_path, run(images, layout, chance.choice([0, 75, 40]), rois=rois(*names)))
        assert found.n_plain > 0


DETECTOR = {
    "NXmxLegacy": "/entry/detector/",
    "NXmxVDS": "/entry/detector/",
    "NXmxIntegrated": "/entry/instrument/detector/detectorSpecific/",
}
FITTING = [name for name, place in PLACES.items() if place.kind in {Kind.INTEGER, Kind.FLOAT, Kind.BOOLEAN}]


def varied(chance: random.Random, i: int) -> Fields:
    """An image that is as usual but for a few fields."""
    changes: Fields = {}
    for name in chance.sample(FITTING, chance.choice([0, 0, 1, 5])):
        if name not in {"image_id", "series_id"}:
            changes[name] = None
    for name in chance.sample(list(ODD), chance.choice([0, 0, 1, 2])):
        changes[name.partition(" ")[0]] = ODD[name](chance)
    return image(i, **changes)


def _spots(chance: random.Random) -> list[Fields]:
    return [
        without(spot(j, I=chance.choice([float("nan"), chance.random(), 5])), *chance.sample(SPOT_PARTS, 2))
        for j in range(chance.randint(0, 2 * MAX_SPOTS))
    ]


SPOT_PARTS = ["I", "h", "indexed", "lattice", "dist_ewald", "ice_ring", "maxc", "none"]
ODD: dict[str, Callable[[random.Random], Any]] = {
    "bravais_lattice": lambda chance: chance.choice(["", "a", "ab", "abc", "abcd", "abcdefg"]),
    "mosaicity": lambda chance: chance.choice([1e39, -1e39, 3.4e38, 1e-320, float("nan")]),
    "b_factor": lambda chance: chance.choice([1e300, -0.0, 1e-46]),
    "niggli_class": lambda chance: chance.choice([0, 255, None]),
    "storage_cell": lambda chance: chance.choice([0, 255]),
    "start_time": lambda chance: chance.choice([[5, 10**6], [7, 10**3], [2**62, 3], [2**62, 10**6]]),
    "real_time": lambda chance: chance.choice([[5, 10**6], None]),
    "data_collection_efficiency": lambda _: None,
    "packets_expected": lambda chance: chance.choice([0, 10, None]),
    "packets_received": lambda chance: chance.choice([0, 5, None]),
    "original_image_id": lambda chance: chance.choice([None, 0, 2**62]),
    "indexing_lattice": lambda chance: chance.choice([None, singles(*[1e38] * 9)]),
    "spots": _spots,
    "spots none": lambda _: None,
    "spots without I": lambda _: [without(spot(j), "I") for j in range(MAX_SPOTS + 2)],
    "az_int_profile": lambda chance: singles(*[chance.choice([1.5, float("nan"), float("inf")])] * 6),
    "az_int_profile other": lambda _: singles(1, 2, 3),
    "roi_integrals": lambda chance: {"beam": sums(chance.choice([0, 1, -5, 2**53]))},
    "roi_integrals none": lambda _: None,
    "roi_integrals more": lambda _: {"beam": sums(3), "new": sums(4), "ring_1": sums(5)},
    "xfel_pulse_id": lambda _: 2**63 + 5,
    "indexing_unit_cell": lambda _: [1, 2, 3, 90, 90, 90],
    "indexing_lattice_extra": lambda _: [LATTICE, LATTICE],
    "pixel_sum": lambda chance: chance.choice([-(2**63), 2**63 - 1, "wrong"]),
}


def mostly(n_images: int, **changes: Callable[[int], object]) -> list[Fields]:
    return [image(i, **{name: value(i) for name, value in changes.items()}) for i in range(n_images)]


class TestValues:
    """In the layout of one file for everything, which is the quickest to write."""

    def test_a_long_word_among_short_ones(self, tmp_path: Path) -> None:
        words = ["tP", "", "abc", "mC", "abcdefg"]
        images = mostly(70, bravais_lattice=lambda i: words[i % 5])
        found = compared(tmp_path, run(images, "NXmxIntegrated"))
        assert found.n_plain == 69
        assert found.rows("/entry/MX/bravaisLattice") == [b"tP", b"", b"", b"mC", b""] * 14
        assert found.report.problems == {"/entry/MX/bravaisLattice": 28}

    def test_numbers_beyond_float32(self, tmp_path: Path) -> None:
        def number(i: int) -> float | None:
            return 1e300 if i % 9 == 3 else (None if i % 9 == 4 else 0.5)

        floats = of_kind(Kind.FLOAT)
        images = mostly(70, **dict.fromkeys(floats, number))
        found = compared(tmp_path, run(images, "NXmxIntegrated"))
        assert found.n_plain == 69
        assert [*found.report.problems.values()] == [8] * len(floats)

    @pytest.mark.parametrize(
        "names",
        [
            ("original_image_id",),
            ("data_collection_efficiency",),
            ("original_image_id", "data_collection_efficiency"),
            ("packets_expected", "data_collection_efficiency"),
            ("start_time",),
            ("real_time", "original_image_id"),
            ("spots",),
            ("indexing_lattice",),
            ("bravais_lattice",),
            ("roi_integrals",),
            ("az_int_profile_count",),
        ],
    )
    @pytest.mark.parametrize("every", [1, 3])
    def test_absent_fields(self, tmp_path: Path, names: tuple[str, ...], every: int) -> None:
        images = [image(i, **dict.fromkeys(names if i % every == 0 else ())) for i in range(70)]
        found = compared(tmp_path, run(images, "NXmxIntegrated"))
        assert found.n_plain >= 68
        if names[0] == "original_image_id":
            wanted = [i if i % every == 0 else 1000 + i for i in range(70)]
            assert found.rows(DETECTOR["NXmxIntegrated"] + "number") == wanted

    def test_efficiency_is_computed_from_the_packets(self, tmp_path: Path) -> None:
        images = mostly(
            10,
            data_collection_efficiency=lambda i: None if i % 2 else 0.75,
            original_image_id=lambda _: None,
            packets_expected=lambda i: [10, 0, 10, 20][i % 4],
            packets_received=lambda i: i % 4,
        )
        found = compared(tmp_path, run(images, "NXmxIntegrated"))
        rows = found.rows(DETECTOR["NXmxIntegrated"] + "data_collection_efficiency_image")
        np.testing.assert_array_equal(
            np.array(rows, "f4"), np.array([0.75, np.nan, 0.75, 3 / 20] * 2 + [0.75, np.nan], "f4")
        )

    @pytest.mark.parametrize("n_images", [10, 150])
    def test_denominators_that_differ(self, tmp_path: Path, n_images: int) -> None:
        images = mostly(
            n_images,
            start_time=lambda i: [i, 1000] if i < 3 or i == 70 else [7 * i, 3000],
            real_time=lambda i: [2**62, 1] if i == 5 else [1, 10**9],
        )
        found = compared(tmp_path, run(images, "NXmxIntegrated"))
        assert found.n_plain == n_images - 1
        assert found.report.problems == {DETECTOR["NXmxIntegrated"] + "exptime": 1}

    @pytest.mark.parametrize("n_max", [1, 3, 250])
    def test_spots(self, tmp_path: Path, n_max: int) -> None:
        chance = random.Random(n_max)
        images = mostly(100, spots=lambda _: _spots(chance))
        found = compared(tmp_path, run(images, "NXmxLegacy", 64, max_spot_count=n_max))
        assert found.n_plain == 99
        assert (found.report.problems == {}) == (n_max == 250)

    def test_no_spots_at_all(self, tmp_path: Path) -> None:
        for n, fields in enumerate(({"max_spot_count": 0}, {"indexing_algorithm": None}, {})):
            (tmp_path / str(n)).mkdir()
            messages = run(mostly(5, spots=lambda _: []), "NXmxLegacy", **fields)
            assert compared(tmp_path / str(n), messages).n_plain == 4

    @pytest.mark.parametrize(
        ("promised", "sent"),
        [
            ((), ("a", "b/c", "Größe")),
            (("a",), ("b", "a")),
            (("a/b",), ("a_b", "a/b")),
            (("a",), ("..", "", "a", "a/")),
            (tuple(f"r{i}" for i in range(16)), ("r3", "new", "r15")),
            (tuple(f"r{i}" for i in range(9)), tuple(f"s{i}" for i in range(12))),
            (("roi_map", "a"), ("roi_map", "\x01", "a")),
            (("a", "b"), ()),
        ],
    )
    def test_regions(self, tmp_path: Path, promised: tuple[str, ...], sent: tuple[str, ...]) -> None:
        images = mostly(70, roi_integrals=lambda i: {name: sums((i - 5) * n) for n, name in enumerate(sent)})
        found = compared(tmp_path, run(images, "NXmxLegacy", 40, rois=rois(*promised)))
        assert found.n_plain == 69

    def test_regions_that_change(self, tmp_path: Path) -> None:
        sets = [("a",), ("a", "b"), ("b", "a"), ("c",), ()]
        images = mostly(90, roi_integrals=lambda i: {name: sums(i) for name in sets[i // 6 % 5]})
        found = compared(tmp_path, run(images, "NXmxLegacy", 40, rois=rois("b")))
        assert found.n_plain == 75

    def test_regions_whose_number_is_exhausted_by_others(self, tmp_path: Path) -> None:
        """The first that come are stored, be their images plain or not."""
        images = [image(i, roi_integrals={"a": sums(1), "plain": sums(2)}) for i in range(10)]
        images[6]["roi_integrals"] = {"general": {"sum": 5}}
        learned = encoded(image(0, roi_integrals={"a": sums(), "plain": sums()}))
        promised = rois("a", *(f"r{n}" for n in range(14)))
        for per_file in (0, 4):
            (tmp_path / str(per_file)).mkdir()
            messages = [learned, *run(images, "NXmxLegacy", per_file, rois=promised)]
            found = compared(tmp_path / str(per_file), messages)
            assert found.n_plain == 8
            assert found.report.problems == {LEFT_OUT: 1}
            assert found.rows("/entry/roi/plain/sum") == [2] * 6 + [0] + [2] * 3

    def test_images_without_regions_take_no_place(self, tmp_path: Path) -> None:
        images = [image(i, roi_integrals=None) for i in range(10)]
        images[6]["roi_integrals"] = {"general": {"sum": 5}}
        learned = encoded(image(0, roi_integrals={"plain": sums()}))
        found = compared(
            tmp_path, [learned, *run(images, "NXmxLegacy", rois=rois(*(f"r{n}" for n in range(15))))]
        )
        assert found.n_plain == 8
        assert found.rows("/entry/roi/general/sum") == [0] * 6 + [5] + [0] * 3


NOT_PLAIN: Fields = {"indexing_unit_cell": [1, 2, 3, 90, 90, 90]}
LEARNED = encoded(image(0))
"""Before the start message, so that the first image of the run is plain."""


class TestMixtures:
    """Of plain and other images in one file."""

    @pytest.mark.parametrize("every", [2, 3, 11])
    def test_of_values(self, tmp_path: Path, every: int) -> None:
        images = [image(i, **({"xfel_pulse_id": 2**63 + i} if i % every == 0 else {})) for i in range(150)]
        found = compared(tmp_path, run(images, "NXmxLegacy", 100))
        assert found.n_plain >= 150 - 2 * 150 // every - 2

    @pytest.mark.parametrize(("general", "n_images"), [(3, 10), (9, 10), (63, 64), (64, 66), (65, 140)])
    def test_the_first_time_sets_the_denominator(self, tmp_path: Path, general: int, n_images: int) -> None:
        """Be its image plain or not."""
        images = [
            image(i, start_time=[i, 1000], real_time=[i, 7 + i] if i > 1 else None) for i in range(n_images)
        ]
        images[general] |= {"start_time": [general, 2000], **NOT_PLAIN}
        found = compared(tmp_path, [LEARNED, *run(images, "NXmxLegacy")])
        assert n_images - 2 <= found.n_plain < n_images
        wanted = [*range(n_images)]
        wanted[general] = (general + 1) // 2
        assert found.rows("/entry/detector/timestamp") == wanted

    def test_of_spots_and_regions(self, tmp_path: Path) -> None:
        def one(i: int) -> Fields:
            if i % 7 == 0:
                return image(i, spots=[spot(0, h=1.5)], roi_integrals={"z": {"sum": 1, "x": 2.5}})
            return image(i, spots=[spot(j) for j in range(i % 9)], roi_integrals={"z": sums(4)})

        found = compared(tmp_path, run([one(i) for i in range(100)], "NXmxLegacy", 30))
        assert found.n_plain > 50
