"""Averages over the last images and over the run."""

from __future__ import annotations

import numpy as np
import pytest

from jfwriter.analysis.figures import FIGURES, WINDOW_IMAGES, RunFigures
from jfwriter.wire.messages import ImageMessage, RoiIntegral, Spots
from jfwriter.wire.plain_image import PlainImage
from tests.support import messages
from tests.support.plain_images import Both, encoded, plain_fields, sums, without


def test_nothing_is_known_before_the_first_image() -> None:
    figures = RunFigures(3)
    assert figures.recent() == dict.fromkeys(FIGURES)
    assert figures.of_the_run() == {}


def test_means_are_over_the_images_that_tell() -> None:
    figures = RunFigures(3)
    figures.add([messages.image(0, spot_count=2, indexing_result=True, bkg_estimate=1.0)])
    figures.add([messages.image(1, spot_count=4, indexing_result=False)])
    figures.add([messages.image(2, saturated_pixel_count=5, error_pixel_count=6)])
    figures.add(
        [messages.image(3, roi_integrals={"beam": RoiIntegral(sum=10, pixels=4), "x": RoiIntegral()})]
    )
    spots = Spots(x=np.ones(3, "f4"), y=np.ones(3, "f4"), intensity=np.ones(3, "f4"))
    figures.add([messages.image(4, spots=spots, roi_integrals={"x": RoiIntegral(sum=5)})])
    expected = {
        "spots": 3.0, "hit_rate": 2 / 3, "indexing_rate": 0.5, "background_estimate": 1.0,
        "saturated_pixels": 5.0, "error_pixels": 6.0, "roi_beam_pixels": 4.0, "roi_beam_sum": 10.0,
    }  # fmt: skip
    assert figures.recent() == expected
    assert figures.of_the_run() == expected


@pytest.mark.parametrize("n_images", [999, 1000, 1001, 2000, 2500])
def test_recent_images_and_the_whole_run(n_images: int) -> None:
    figures = RunFigures(1)
    counts = np.arange(n_images)
    for i in counts.tolist():
        figures.add([messages.image(i, spot_count=i, error_pixel_count=7 if i < 100 else None)])
    assert figures.recent()["spots"] == pytest.approx(counts[-WINDOW_IMAGES:].mean())
    assert figures.of_the_run()["spots"] == pytest.approx(counts.mean())
    assert figures.of_the_run()["error_pixels"] == 7
    assert figures.recent()["error_pixels"] == (7 if n_images < 1100 else None)


def a_stream() -> list[ImageMessage]:
    """Plain images of two series, and others between them; each figure is absent from some."""
    both, images = Both(), []
    for i in range(60):
        fields = plain_fields(i, series_unique_id=f"run {i // 35}", spot_count=3 * i)
        if i >= 35:
            fields["roi_integrals"] = {"other": sums(7), "beam": sums(i)}
        absent = [name for n, name in enumerate(ABSENT) if (i >> n) % 2]
        if i % 11 == 3:
            fields["bkg_estimate"] = "none"
        images.append(both.read(encoded(without(fields, *absent))))
    return images


ABSENT = ("spot_count", "indexing_result", "bkg_estimate", "error_pixel_count", "roi_integrals", "spots")


@pytest.mark.parametrize("n_together", [1, 2, 16, 60])
@pytest.mark.parametrize("n_before", [0, 990])
@pytest.mark.parametrize("only_plain", [False, True])
def test_images_together_count_as_one_by_one(n_together: int, n_before: int, only_plain: bool) -> None:
    images = a_stream()
    assert len({isinstance(image, PlainImage) for image in images}) == 2
    if only_plain:  # those of the two series are neighbours then
        images = [image for image in images if isinstance(image, PlainImage)]
    figures, expected = RunFigures(20), RunFigures(20)
    for one in (figures, expected):
        one.add([messages.image(i, spot_count=i) for i in range(n_before)])
    for start in range(0, len(images), n_together):
        figures.add(images[start : start + n_together])
    for image in images:
        expected.add([image.whole() if isinstance(image, PlainImage) else image])
    assert figures.n_images == n_before + len(images)
    assert figures.recent() == expected.recent()
    assert all(value is not None for value in figures.recent().values())
    assert figures.of_the_run() == pytest.approx(expected.of_the_run())
