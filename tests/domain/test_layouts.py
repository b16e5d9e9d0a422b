"""Every layout x what can happen to a run: which files stand there, and every row of every dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from jfwriter.session.orders import Outcome
from tests.domain.runs import DETECTOR, LAYOUTS, SCENARIOS, Finished, Scenario, datasets, run
from tests.support import full_run

LAYOUTS_WITH_MASTER = LAYOUTS[:3]
WriteOnce = Callable[[Scenario, str], Finished]


def runs(*layouts: str) -> pytest.MarkDecorator:
    """Parametrize `finished` with every scenario in each of `layouts`; each run is written once."""
    return pytest.mark.parametrize(
        "finished",
        [
            pytest.param((scenario, layout), id=f"{layout}-{scenario.name}")
            for layout in layouts
            for scenario in SCENARIOS
        ],
        indirect=True,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> WriteOnce:
    done: dict[tuple[str, str], Finished] = {}

    def write_once(scenario: Scenario, layout: str) -> Finished:
        key = (scenario.name, layout)
        if key not in done:
            done[key] = run(scenario, layout, tmp_path_factory.mktemp("root"))
        return done[key]

    return write_once


@pytest.fixture
def finished(request: pytest.FixtureRequest, written: WriteOnce) -> Finished:
    scenario, layout = request.param
    return written(scenario, layout)


@runs(*LAYOUTS)
def test_exactly_the_files_of_the_layout(finished: Finished) -> None:
    assert {path.name for path in finished.folder.iterdir()} == finished.expected_files()


@runs(*LAYOUTS)
def test_report(finished: Finished) -> None:
    scenario, report = finished.scenario, finished.written.report
    assert report.outcome is Outcome(scenario.outcome), report.reasons
    assert report.n_images == scenario.length
    assert report.n_written == len(set(scenario.sent))
    assert [i for first, last in report.missing for i in range(first, last + 1)] == scenario.missing
    names = [f"sub/{path.name}" for path, _ in finished.data_files()]
    if finished.has_master and not finished.is_integrated:
        names.append("sub/run_master.h5")
    assert list(report.files) == names or scenario.length == 0
    assert report.written_bytes == sum(path.stat().st_size for path in finished.folder.iterdir())


@runs(*LAYOUTS)
def test_each_data_file_was_told_of_with_its_rows(finished: Finished) -> None:
    told = {
        closed.filename: (closed.n_rows, closed.n_written, closed.size_bytes)
        for closed in finished.written.closed
    }
    expected = {
        f"sub/{path.name}": (
            len(images),
            sum(i in finished.scenario.sent for i in images),
            path.stat().st_size,
        )
        for path, images in finished.data_files()
    }
    if finished.scenario.length:
        assert told == expected
    assert len(finished.written.closed) == len(told)


@runs(*LAYOUTS)
def test_pixels_of_the_data_files(finished: Finished) -> None:
    for path, images in finished.data_files():
        with h5py.File(path) as file:
            data = file["/entry/data/data"]
            assert data.chunks == (1, *data.shape[1:])
            assert data.id.get_num_chunks() == len(images)
            np.testing.assert_array_equal(data[()], finished.pixels(images))
            assert (data.attrs["image_nr_low"], data.attrs["image_nr_high"]) == (
                images[0] + 1,
                images[-1] + 1,
            )


@runs(*LAYOUTS_WITH_MASTER)
def test_pixels_through_the_master(finished: Finished) -> None:
    with finished.opened_master() as master:
        data = master["/entry/data"]
        if finished.scenario.length == 0:
            assert list(data) == []
        elif finished.layout == "NXmxLegacy":
            assert list(data) == [f"data_{number:06d}" for number in range(1, len(finished.data_files()) + 1)]
            stack = np.concatenate([data[name][()] for name in data])
            np.testing.assert_array_equal(stack, finished.pixels(range(finished.scenario.length)))
        else:
            assert list(data) == ["data"]
            np.testing.assert_array_equal(data["data"][()], finished.pixels(range(finished.scenario.length)))


@runs(*LAYOUTS)
def test_every_row_of_every_per_image_dataset(finished: Finished) -> None:
    for path, images in finished.data_files():
        with h5py.File(path) as file:
            check_rows(finished, file, images)


@runs(*LAYOUTS)
def test_no_dataset_of_a_data_file_has_other_rows(finished: Finished) -> None:
    """Whatever stands in a data file has one row per image, but for bins and reflections."""
    per_image = {field.path for field in full_run.PER_IMAGE}
    for path, images in finished.data_files():
        if finished.is_integrated:
            continue
        with h5py.File(path) as file:
            for name, dataset in datasets(file).items():
                if "/reflections/" in name or "/bin_to_" in name:
                    continue
                assert dataset.shape[0] == len(images), name
                assert name in per_image | {"/entry/data/data"} or "/roi/" in name, name


@runs("NXmxVDS")
def test_virtual_datasets_are_the_data_files(finished: Finished) -> None:
    if finished.scenario.length == 0:
        return
    with finished.opened_master() as master:
        check_rows(finished, master, range(finished.scenario.length))
        for path, images in finished.data_files():
            with h5py.File(path) as file:
                for field in full_run.PER_IMAGE:
                    mapped = master[stored_path(field.path, in_master=True)][images[0] : images[-1] + 1]
                    np.testing.assert_array_equal(mapped, file[field.path][()], err_msg=field.path)


@runs(*LAYOUTS_WITH_MASTER)
def test_missing_images_are_listed(finished: Finished) -> None:
    with finished.opened_master() as master:
        group = master[DETECTOR]
        assert group["nimages"][()] == finished.scenario.length
        assert group["nimages_written"][()] == len(set(finished.scenario.sent))
        listed = group["missing_images"][()].tolist() if "missing_images" in group else []
        assert listed == finished.scenario.missing
        assert ("/entry/end_time" in master) == (finished.scenario.name not in {"stopped early", "no image"})


@runs(*LAYOUTS)
def test_reflections_of_each_image_that_came(finished: Finished) -> None:
    for path, images in finished.data_files():
        with h5py.File(path) as file:
            names = set(file["/entry/reflections"]) if "reflections" in file["/entry"] else set()
        assert names == {f"image_{i:06d}" for i in images if i in finished.scenario.sent}
    if finished.layout == "NXmxVDS" and finished.scenario.sent:
        with finished.opened_master() as master:
            linked = master["/entry/reflections"]
            assert set(linked) == {f"image_{i:06d}" for i in set(finished.scenario.sent)}
            for i in set(finished.scenario.sent):
                assert linked[f"image_{i:06d}/observed_frame"][0] == i


def check_rows(finished: Finished, file: h5py.File, images: range) -> None:
    for field in full_run.PER_IMAGE:
        path = stored_path(field.path, in_master=file.filename.endswith("_master.h5"))
        no_image_came = not any(i in finished.scenario.sent for i in images)
        if no_image_came and path not in file:
            continue
        rows = file[path][()]
        assert len(rows) == len(images), path
        for row, i in enumerate(images):
            wanted = field.value(i) if i in finished.scenario.sent else field.sentinel
            shown = np.broadcast_to(np.asarray(wanted), rows[row].shape)
            if rows.dtype.kind == "f":
                np.testing.assert_allclose(rows[row], shown, rtol=1e-6, err_msg=f"{path} image {i}")
            else:
                np.testing.assert_array_equal(rows[row], shown, err_msg=f"{path} image {i}")
    assert [
        image
        for image, number in zip(images, file[stored_path("/entry/detector/number",
                                                          in_master=file.filename.endswith("_master.h5"))],
                                 strict=True)
        if number == -1
    ] == [i for i in images if i not in finished.scenario.sent]  # fmt: skip


def stored_path(path: str, *, in_master: bool) -> str:
    return path.replace("/entry/detector/", f"{DETECTOR}/") if in_master else path


def test_scenarios_have_names_of_their_own() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert all(isinstance(scenario, Scenario) for scenario in SCENARIOS)


@runs(*LAYOUTS)
def test_the_folder_is_all_that_was_made(finished: Finished) -> None:
    root: Path = finished.root
    assert [path.name for path in root.iterdir()] == ["sub"]
