"""Analysis in the daemon: a plain Stream V2 run in, files with everything in them out, equal to NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
import pytest

from tests.support import analysed_run as run
from tests.support.daemon import wait_for
from tests.support.patched import patched, waits_for
from tests.support.plain_dcu import PlainDcu, encode, image
from tests.support.service import Service

N_IMAGES = 9
PEAKS = ("peakXPosRaw", "peakYPosRaw", "peakTotalIntensity")
ANALYSIS = """
[analysis]
image_statistics = "{mode}"
roi = "{mode}"
threads = 2
backlog_images = 1000
min_spots_for_hit = 2
[analysis.spots]
mode = "{mode}"
[analysis.azint]
mode = "{mode}"
low_q_recipA = 0.2
high_q_recipA = 2.2
q_spacing = 0.25
polarization_corr = false
solid_angle_corr = false
[[analysis.roi_definitions]]
type = "box"
name = "beam"
min_x_pxl = 5
max_x_pxl = 24
min_y_pxl = 28
max_y_pxl = 33
"""


def start(layout: str, n_images: int, **fields: Any) -> bytes:
    """Stream V2's own fields and the place of the files."""
    message = {
        "type": "start", "series_id": 1, "series_unique_id": "a", "number_of_images": n_images,
        "image_size_x": run.WIDTH, "image_size_y": run.HEIGHT, "image_dtype": "uint16",
        "channels": ["default"], "pixel_mask": {"default": image(run.mask(), "bslz4")},
        "beam_center_x": run.BEAM[0], "beam_center_y": run.BEAM[1], "pixel_size_x": run.PIXEL_M,
        "pixel_size_y": run.PIXEL_M, "detector_translation": [0.0, 0.0, run.DISTANCE_M],
        "incident_wavelength": run.WAVELENGTH_ANGSTROM, "saturation_value": run.SATURATED,
        "error_value": run.ERROR,
        "user_data": {"file_prefix": "run", "images_per_file": 4, "file_format": layout},
    }  # fmt: skip
    return encode(message | fields)


def image_message(number: int, packed: Any = None) -> bytes:
    data = image(run.frame(number), "bslz4") if packed is None else packed
    message = {"type": "image", "series_id": 1, "series_unique_id": "a", "image_id": number}
    return encode(message | {"data": {"default": data}})


def end(n_images: int) -> bytes:
    return encode({"type": "end", "series_id": 1, "series_unique_id": "a", "max_image_number": n_images})


def write_run(tmp_path: Path, layout: str, mode: str) -> tuple[Path, dict[str, Any]]:
    """(directory of the files, last status)."""
    config = tmp_path / "jfwriter.toml"
    config.write_text(ANALYSIS.format(mode=mode))
    root = tmp_path / "root"
    root.mkdir()
    with PlainDcu() as dcu, Service(root, "--config", str(config), "-H0", dcu.address) as service:
        service.wait_until_ready()
        dcu.send([start(layout, N_IMAGES), *map(image_message, range(N_IMAGES)), end(N_IMAGES)])
        wait_for(lambda: service.status["last_run"] is not None)
        status = service.status
        assert service.end() == 0
    assert status["last_run"]["outcome"] == "complete", service.log
    return root, status


def check_images(file: h5py.File, numbers: range) -> None:
    """Every per-image value of `file`, whose rows are the images `numbers`."""
    entry = file["entry"]
    for row, number in enumerate(numbers):
        pixels = run.frame(number)
        np.testing.assert_array_equal(entry["data/data"][row], pixels)
        expected = run.statistics(pixels)
        assert entry["image/min_value"][row] == expected["min_viable_pixel_value"]
        assert entry["image/max_value"][row] == expected["max_viable_pixel_value"]
        assert entry["image/pixel_sum"][row] == expected["pixel_sum"]
        assert entry["image/error_pixels"][row] == expected["error_pixel_count"]
        assert entry["image/saturated_pixels"][row] == expected["saturated_pixel_count"]
        assert entry["MX/bkgEstimate"][row] == pytest.approx(run.background(pixels), rel=1e-6)
        mean, count = run.profile(pixels, 0.2, 0.25, 8)
        np.testing.assert_allclose(entry["azint/image"][row], mean[np.newaxis], rtol=1e-6)
        np.testing.assert_array_equal(entry["azint/image_count"][row], count[np.newaxis])
        box, good = pixels[28:34, 5:25], run.valid(pixels)[28:34, 5:25]
        assert entry["roi/beam/sum"][row] == box[good].sum()
        assert entry["roi/beam/npixel"][row] == good.sum()
        check_spots(entry["MX"], row, number)


def check_spots(mx: h5py.Group, row: int, number: int) -> None:
    """As CrystFEL reads a CXI peak list: nPeaks rank 1, the others rank 2 with at least nPeaks columns."""
    n_peaks = int(mx["nPeaks"][row])
    x, y, intensity = (mx[name][row, :n_peaks] for name in PEAKS)
    expected = run.SPOTS[number % 3 :]
    assert sorted(zip(np.rint(y), np.rint(x), strict=True)) == sorted(expected)
    assert (intensity > 500).all()
    assert mx["peakCountUnfiltered"][row] == n_peaks == len(expected)
    for name in PEAKS:
        assert mx[name].ndim == 2
        assert mx[name].shape[1] == 250
        assert mx[name].dtype == np.float32
        assert not mx[name][row, n_peaks:].any()
    assert mx["nPeaks"].ndim == 1


@pytest.mark.parametrize(
    ("layout", "mode"), [("NXmxVDS", "always"), ("NXmxIntegrated", "auto"), ("NXmxLegacy", "auto")]
)
def test_a_plain_run_is_analysed(tmp_path: Path, layout: str, mode: str) -> None:
    root, status = write_run(tmp_path, layout, mode)
    with h5py.File(root / "run_master.h5") as master:
        if layout != "NXmxLegacy":
            check_images(master, range(N_IMAGES))
        entry = master["entry"]
        np.testing.assert_allclose(entry["azint/bin_to_q"][0], 0.325 + 0.25 * np.arange(8), rtol=1e-6)
        assert entry["azint/map"].shape == (run.HEIGHT, run.WIDTH)
        assert entry["roi_defs/beam/max_y_pxl"][()] == 33
        assert int((entry["roi_defs/roi_map"][:] & 1).sum()) == 120
        summary = {name: value[()] for name, value in entry["analysis"].items()}
        background = np.mean([run.background(run.frame(i)) for i in range(N_IMAGES)])
        assert entry["MX/bkgEstimateMean"][()] == pytest.approx(background, rel=1e-6)
        assert summary["spots_mean"] == 2.0
        assert summary["hit_rate"] == pytest.approx(2 / 3)
        assert summary["error_pixels_mean"] == 3
        assert (summary["images_analysed"], summary["images_skipped"]) == (N_IMAGES, 0)
    if layout != "NXmxIntegrated":
        for k, numbers in enumerate((range(4), range(4, 8), range(8, 9))):
            with h5py.File(root / f"run_data_{k + 1:06d}.h5") as file:
                check_images(file, numbers)
    analysis = status["analysis"]
    assert analysis["images_analysed"] == N_IMAGES
    assert analysis["spots"] == 2.0
    assert analysis["hit_rate"] == pytest.approx(2 / 3)
    assert analysis["background_estimate"] == pytest.approx(background)
    assert analysis["roi_beam_pixels"] == run.valid(run.frame(0))[28:34, 5:25].sum()
    assert status["totals"]["images_analysed"] == N_IMAGES


def test_an_analysis_that_cannot_keep_up_costs_no_image(tmp_path: Path) -> None:
    """One thread, a backlog of one, large images that come as fast as they can be sent."""
    n_images, shape = 300, (1024, 1024)
    config = tmp_path / "jfwriter.toml"
    config.write_text('[analysis]\nspots = "always"\nazint = "always"\nbacklog_images = 1\n')
    root = tmp_path / "root"
    root.mkdir()
    pixels = np.random.default_rng(1).poisson(3.0, shape).astype(np.uint16)
    pixels[100:102, 200:202] = 500
    geometry = {"image_size_x": shape[1], "image_size_y": shape[0], "pixel_mask": {}}
    packed = image(pixels, "bslz4")
    frames = [image_message(i, packed) for i in range(n_images)]
    with PlainDcu() as dcu, Service(root, "--config", str(config), "-H0", dcu.address) as service:
        service.wait_until_ready()
        dcu.send([start("NXmxVDS", n_images, **geometry), *frames, end(n_images)])
        wait_for(lambda: service.status["last_run"] is not None)
        status = service.status
        assert service.end() == 0
    assert status["last_run"]["outcome"] == "complete", service.log
    assert status["last_run"]["images_written"] == n_images
    analysis = status["analysis"]
    assert analysis["images_skipped"] > 0
    assert analysis["images_analysed"] + analysis["images_skipped"] == n_images
    assert status["totals"]["analysis_skipped"] == analysis["images_skipped"]
    with h5py.File(root / "run_master.h5") as master:
        entry = master["entry"]
        analysed = ~np.isnan(entry["MX/bkgEstimate"][:])
        assert int(analysed.sum()) == analysis["images_analysed"]
        assert ((entry["MX/nPeaks"][:] > 0) == analysed).all()
        assert (np.isnan(entry["azint/image"][:]).all(axis=(1, 2)) == ~analysed).all()
        assert (entry["MX/strongPixels"][:][~analysed] == 0).all()
        assert (entry["instrument/detector/detectorSpecific/number"][:] == np.arange(n_images)).all()
        assert entry["analysis/images_skipped"][()] == analysis["images_skipped"]
    assert "images were written without analysis" in service.log


def test_a_writer_that_is_behind_comes_first(tmp_path: Path) -> None:
    """One image after the other, so that none waits for its analysis, on storage that does not answer."""
    n_images = 60
    config = tmp_path / "jfwriter.toml"
    config.write_text('[analysis]\nspots = "always"\n[memory]\nbyte_budget_bytes = 1_048_576\n')
    (root := tmp_path / "root").mkdir()
    environment = {"PYTHONPATH": patched(tmp_path, waits_for(tmp_path / "go"))}
    arguments = ("--config", str(config), "-H0")
    with PlainDcu() as dcu, Service(root, *arguments, dcu.address, environment=environment) as service:
        service.wait_until_ready()
        dcu.send([start("NXmxVDS", n_images)])

        def seen() -> int:
            analysis = service.status["analysis"]
            return int(analysis["images_analysed"]) + int(analysis["images_skipped"])

        for number in range(n_images - 1):
            dcu.send([image_message(number)])
            wait_for(lambda n=number: seen() == n + 1)
        stalled = service.status["analysis"]
        assert stalled["images_skipped"] > 20
        assert stalled["images_analysed"] > 5
        (tmp_path / "go").touch()
        wait_for(lambda: service.status["totals"]["images_written"] == n_images - 1)
        dcu.send([image_message(n_images - 1), end(n_images)])
        wait_for(lambda: service.status["last_run"] is not None)
        assert service.status["last_run"]["outcome"] == "complete", service.log
        assert service.end() == 0
    with h5py.File(root / "run_master.h5") as master:
        analysed = ~np.isnan(master["entry/MX/bkgEstimate"][:])
        assert analysed[[0, -1]].all()
        assert int((~analysed).sum()) == stalled["images_skipped"]
        assert master["entry/analysis/images_skipped"][()] == stalled["images_skipped"]
