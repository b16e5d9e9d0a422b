"""Masters of the three layouts over data files that plain h5py wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fabio
import h5py
import numpy as np
import nxmx
import pytest
import silx.io

from jfwriter.errors import StorageError
from jfwriter.hdf5.master_file import MasterContent, was_cut_short, write_master
from jfwriter.hdf5.plugin import StoredDataset
from jfwriter.session.orders import Outcome
from jfwriter.session.plan import FileFormat
from jfwriter.wire.messages import GoniometerAxis
from tests.support import messages
from tests.support.dump import dump, objects, type_name
from tests.support.hand_made_run import SHAPE, HandMadeRun, run_plan, start_message

LEGACY, VDS, INTEGRATED = FileFormat.NXmxLegacy, FileFormat.NXmxVDS, FileFormat.NXmxIntegrated
LAYOUTS = [(LEGACY, 4), (LEGACY, 0), (VDS, 4), (VDS, 0), (INTEGRATED, 0)]
N_IMAGES = 10
MakeRun = Callable[..., HandMadeRun]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(
        file_format: FileFormat, images_per_file: int, n_images: int = N_IMAGES, **options: Any
    ) -> HandMadeRun:
        fields = options.pop("fields", {})
        plan = options.pop("plan", {})
        images = np.random.default_rng(1).integers(-100, 30000, (n_images, *SHAPE), "i2")
        made = run_plan(start_message(n_images, **fields), file_format, images_per_file, **plan)
        return HandMadeRun(tmp_path, made, images, **options)

    return make


@pytest.fixture(params=LAYOUTS, ids=lambda layout: f"{layout[0].name}-{layout[1]}")
def run(request: pytest.FixtureRequest, make_run: MakeRun) -> HandMadeRun:
    file_format, images_per_file = request.param
    fields = {"goniometer": {"omega": GoniometerAxis(10.0, 0.1)}, "series_unique_id": "run"}
    made = make_run(file_format, images_per_file, fields=fields)
    assert made.write(end=messages.end(end_date="2026-03-04T12:01:00Z"), missing=()) == []
    return made


def test_superblock_0(run: HandMadeRun) -> None:
    assert run.master.read_bytes()[8] == 0


def test_every_string_is_fixed_null_terminated_ascii_and_nothing_is_boolean(run: HandMadeRun) -> None:
    with h5py.File(run.master, "r") as file:
        for path, item in objects(file):
            types = {path: item.id.get_type()} if isinstance(item, h5py.Dataset) else {}
            if not path.startswith("/entry/data/"):
                for name in item.attrs:
                    types[f"{path}@{name}"] = h5py.h5a.open(item.id, name.encode()).get_type()
            for where, type_id in types.items():
                kind = type_name(type_id)
                assert not kind.startswith("str") or kind.removeprefix("str").isdigit(), (where, kind)
                assert type_id.get_class() in {h5py.h5t.STRING, h5py.h5t.INTEGER, h5py.h5t.FLOAT}, where


def test_one_nxdata_one_nxdetector_and_every_group_has_a_class(run: HandMadeRun) -> None:
    with h5py.File(run.master, "r") as file:
        groups = [item for _, item in objects(file) if isinstance(item, h5py.Group)]
        classes = [group.attrs["NX_class"] for group in groups]
        tracked = [group.id.get_create_plist().get_link_creation_order() for group in groups]
    assert classes.count(b"NXdata") == 1
    assert classes.count(b"NXdetector") == 1
    assert not any(order & h5py.h5p.CRT_ORDER_TRACKED for order in tracked)


def test_fabio_sees_every_image(run: HandMadeRun) -> None:
    with fabio.open(run.master) as image:
        assert image.nframes == N_IMAGES
        for number in range(N_IMAGES):
            np.testing.assert_array_equal(image.get_frame(number).data, run.images[number])


def test_nxmx_reads_the_whole_description(run: HandMadeRun) -> None:
    with h5py.File(run.master, "r") as file:
        entry = nxmx.NXmx(file).entries[0]
        detector = entry.instruments[0].detectors[0]
        assert entry.definition == "NXmx"
        assert entry.start_time.isoformat() == "2026-03-04T12:00:00+00:00"
        assert entry.end_time is not None
        assert entry.source.name == "SLS"
        assert entry.instruments[0].name == "X06SA"
        assert entry.instruments[0].beams[0].incident_wavelength.to("angstrom").magnitude == 1.0
        assert detector.distance.to("mm").magnitude == pytest.approx(120)
        assert detector.beam_center_x.magnitude == 20.5
        assert detector.sensor_material == "Si"
        assert detector.pixel_mask.shape == SHAPE
        assert detector.underload_value == -32767
        assert tuple(detector.modules[0].data_size) == SHAPE
        assert len(nxmx.get_dependency_chain(detector.modules[0].fast_pixel_direction)) == 6
        axis = entry.samples[0].depends_on
        np.testing.assert_allclose(axis[()].magnitude, 10 + 0.1 * np.arange(N_IMAGES))
        np.testing.assert_allclose(axis.end[()].magnitude, 10.1 + 0.1 * np.arange(N_IMAGES))


def test_silx_finds_the_images(run: HandMadeRun) -> None:
    name = "data_000001" if run.plan.format is LEGACY else "data"
    with silx.io.open(str(run.master)) as file:
        first = file[f"/entry/data/{name}"][0]
    np.testing.assert_array_equal(first, run.images[0])


def test_what_data_holds_in_each_layout(run: HandMadeRun) -> None:
    n_files = run.plan.n_files(N_IMAGES)
    with h5py.File(run.master, "r") as file:
        data, detector = file["entry/data"], file["entry/instrument/detector"]
        if run.plan.format is LEGACY:
            links = {name: data.get(name, getlink=True) for name in data}
            assert {name: (link.filename, link.path) for name, link in links.items()} == {
                f"data_{k + 1:06d}": (f"run_data_{k + 1:06d}.h5", "/entry/data/data") for k in range(n_files)
            }
            assert "signal" not in data.attrs
            assert "data" not in detector
        else:
            assert list(data) == ["data"]
            assert data.attrs["signal"] == b"data"
            assert data["data"].attrs["image_nr_high"] == N_IMAGES
            assert data["data"].attrs["image_nr_low"] == 1
            assert isinstance(detector.get("data", getlink=True), h5py.SoftLink)
            assert detector["data"] == data["data"]
            assert data["data"].is_virtual == (run.plan.format is VDS)
            np.testing.assert_array_equal(data["data"], run.images)


def test_no_other_external_links(run: HandMadeRun) -> None:
    text = dump(run.master)
    external = [line for line in text.splitlines() if "->" in line and ".h5:" in line]
    assert all(line.startswith("/entry/data/data_") for line in external)
    assert bool(external) == (run.plan.format is LEGACY)


def test_dump_is_the_same_for_two_runs_of_the_same_content(run: HandMadeRun) -> None:
    first = dump(run.master)
    run.write(end=messages.end(end_date="2026-03-04T12:01:00Z"), written_at_s=1.8e9)
    assert dump(run.master) == first


@pytest.mark.parametrize(("file_format", "images_per_file"), LAYOUTS)
def test_a_run_without_images_has_an_empty_data_group(
    make_run: MakeRun, file_format: FileFormat, images_per_file: int
) -> None:
    axis = {"omega": GoniometerAxis(10.0, 0.1)}
    run = make_run(file_format, images_per_file, 0, fields={"goniometer": axis})
    run.write()
    with h5py.File(run.master, "r") as file:
        assert list(file["entry/data"]) == []
        assert dict(file["entry/data"].attrs) == {"NX_class": b"NXdata"}
        assert "data" not in file["entry/instrument/detector"]
        assert file["entry/instrument/detector/detectorSpecific/nimages"][()] == 0
        assert file["entry/sample/transformations/omega"].shape == (0,)
        assert nxmx.NXmx(file).entries[0].definition == "NXmx"


def test_hdf5_1_8_could_read_a_legacy_master(make_run: MakeRun) -> None:
    """The bound of the file refuses whatever HDF5 1.8 does not know, a virtual dataset first."""
    run = make_run(LEGACY, 4)
    run.write()
    with h5py.File(run.master, "r+", libver=("earliest", "v108")) as file:
        layout = h5py.VirtualLayout((1,), "i2")
        layout[0] = h5py.VirtualSource("a.h5", "a", (1,))[0]
        with pytest.raises((OSError, ValueError, RuntimeError)):
            file.create_virtual_dataset("v", layout)


@pytest.mark.parametrize(
    ("outcome", "n_images", "cancelled", "wanted"),
    [
        (Outcome.COMPLETE, 10, None, False),
        (Outcome.COMPLETE, 12, False, False),
        (Outcome.INCOMPLETE, 10, False, False),
        (Outcome.INCOMPLETE, 9, False, True),
        (Outcome.CANCELLED, 10, None, True),
        (Outcome.COMPLETE, 10, True, True),
    ],
)
def test_cut_short(outcome: Outcome, n_images: int, cancelled: bool | None, wanted: bool) -> None:
    plan = run_plan(start_message(10), LEGACY, 4)
    end = messages.end(cancelled=cancelled)
    content = MasterContent(n_images=n_images, n_written=1, written_at_s=0.0, outcome=outcome, end=end)
    assert was_cut_short(plan, content) is wanted


def test_the_master_s_name_and_time(make_run: MakeRun) -> None:
    run = make_run(LEGACY, 4, plan={"directory": ("day1", "x")})
    run.write()
    with h5py.File(run.master, "r") as file:
        assert file.attrs["file_name"] == b"day1/x/run_master.h5"
        assert file.attrs["file_time"] == b"2023-11-14T22:13:20Z"
        assert file["entry/data"].get("data_000001", getlink=True).filename == "run_data_000001.h5"


def test_a_file_that_cannot_be_written_is_a_storage_error(make_run: MakeRun) -> None:
    run = make_run(LEGACY, 4)
    run.write()
    content = MasterContent(n_images=0, n_written=0, written_at_s=0.0, outcome=Outcome.COMPLETE)
    with h5py.File(run.master, "r") as file, pytest.raises(StorageError, match="run_master"):
        write_master(file, run.plan, content)


def test_integrated_shows_the_number_of_lattices_under_both_names(make_run: MakeRun) -> None:
    run = make_run(
        INTEGRATED, 0, per_image={"/entry/MX/indexingLatticeCount": np.arange(N_IMAGES, dtype="u4")}
    )
    run.write()
    with h5py.File(run.master, "r") as file:
        assert file["entry/MX/indexedLatticeCount"] == file["entry/MX/indexingLatticeCount"]


def test_legacy_has_nothing_per_image(make_run: MakeRun) -> None:
    run = make_run(LEGACY, 4, per_image={"/entry/MX/nPeaks": np.arange(N_IMAGES, dtype="u4")})
    run.write(image_groups=((1, "/entry/reflections/image_000001"),))
    with h5py.File(run.master, "r") as file:
        assert sorted(file["entry"]) == [
            "data", "definition", "end_time_estimated", "instrument", "sample", "source", "start_time",
        ]  # fmt: skip


def test_a_name_of_the_master_is_not_given_to_per_image_values(make_run: MakeRun) -> None:
    run = make_run(VDS, 4, per_image={"/entry/detector/nimages": np.arange(N_IMAGES)})
    warnings = run.write()
    assert len(warnings) == 1
    with h5py.File(run.master, "r") as file:
        assert file["entry/instrument/detector/detectorSpecific/nimages"][()] == N_IMAGES


def test_unequal_datasets_of_one_name_are_told(make_run: MakeRun) -> None:
    one = StoredDataset("/entry/MX/a", np.dtype("f4"), (), np.nan)
    other = StoredDataset("/entry/MX/a", np.dtype("f4"), (3,), np.nan)
    run = make_run(VDS, 4)
    warnings = run.write(datasets=(one, other, one))
    assert len(warnings) == 1
    with h5py.File(run.master, "r") as file:
        assert file["entry/MX/a"].shape == (N_IMAGES,)
