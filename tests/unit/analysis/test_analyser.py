"""What is computed for which image, and that it is what NumPy finds in the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jfwriter.analysis import Analyser, Prepared, Scratch, prepare
from jfwriter.compression import compress, decompress
from jfwriter.errors import PayloadError
from jfwriter.payload import Codec, Payload
from jfwriter.settings import Settings
from jfwriter.wire.messages import ImageMessage, RoiBox, RoiCircle, RoiIntegral, Spots
from tests.support import analysed_run as run
from tests.support import messages

BOX = {"type": "box", "name": "beam", "min_x_pxl": 5, "max_x_pxl": 24, "min_y_pxl": 28, "max_y_pxl": 33}
PLAIN_AZINT = {
    "low_q_recipA": 0.2, "high_q_recipA": 2.2, "q_spacing": 0.25, "polarization_corr": False,
    "solid_angle_corr": False,
}  # fmt: skip


def settings(mode: str = "always", **changes: Any) -> Settings:
    analysis: dict[str, object] = {
        "image_statistics": mode, "roi": mode, "spots": {"mode": mode},
        "azint": {"mode": mode, **PLAIN_AZINT}, "roi_definitions": [BOX],
    }  # fmt: skip
    return messages.settings(analysis=analysis | changes)


def prepared(settings: Settings, **start: Any) -> Prepared:
    return prepare(run.plan(settings, **start), settings)


def analyser(settings: Settings, **start: Any) -> Analyser:
    found = prepared(settings, **start).analyser
    assert found is not None
    return found


SENT: dict[str, Any] = {
    "min_viable_pixel_value": -1, "max_viable_pixel_value": -2, "pixel_sum": -3, "error_pixel_count": -4,
    "saturated_pixel_count": -5, "roi_integrals": {"beam": RoiIntegral(sum=-6)},
    "spots": Spots(x=np.ones(1, "f4"), y=np.ones(1, "f4"), intensity=np.ones(1, "f4")),
    "az_int_profile": np.full(8, -7.0), "bkg_estimate": -8.0,
}  # fmt: skip


def same(left: ImageMessage, right: ImageMessage, fields: Any) -> bool:
    return all(getattr(left, name) is getattr(right, name) for name in fields)


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_a_bare_image_gets_everything(mode: str) -> None:
    image = run.image(0)
    done = analyser(settings(mode)).complete(image, Scratch())
    pixels = run.frame(0)
    for name, value in run.statistics(pixels).items():
        assert getattr(done, name) == value, name
    assert done.bkg_estimate == pytest.approx(run.background(pixels), rel=1e-12)

    mean, count = run.profile(pixels, 0.2, 0.25, 8)
    assert done.az_int_profile is not None
    assert done.az_int_profile_count is not None
    np.testing.assert_array_equal(done.az_int_profile_count, count)
    np.testing.assert_allclose(done.az_int_profile, mean, rtol=1e-6)

    box = pixels[28:34, 5:25].astype(np.int64)
    good = run.valid(pixels)[28:34, 5:25]
    roi = done.roi_integrals["beam"]
    assert (roi.pixels, roi.sum, roi.max) == (good.sum(), box[good].sum(), box[good].max())
    assert roi.sum_square == (box[good] ** 2).sum()
    x = np.broadcast_to(np.arange(5, 25), box.shape)
    assert roi.x == pytest.approx((box * x)[good].sum() / box[good].sum())

    assert done.spots is not None
    # The saturated pixel that is not masked is alone: too small for a spot.
    found = sorted(zip(np.rint(done.spots.y), np.rint(done.spots.x), strict=True))
    assert found == sorted(run.SPOTS)
    assert done.spot_count == 3
    assert done.strong_pixel_count is not None
    assert done.strong_pixel_count >= 3
    assert done.channels is image.channels


def test_auto_leaves_what_came() -> None:
    image = run.image(0, **SENT)
    analyse = analyser(settings("auto"))
    assert not analyse.wants(image)
    assert analyse.complete(image, Scratch()) is image


def test_always_replaces_what_came() -> None:
    done = analyser(settings("always")).complete(run.image(0, **SENT), Scratch())
    assert done.pixel_sum == run.statistics(run.frame(0))["pixel_sum"]
    assert done.roi_integrals["beam"].sum > 0
    assert done.spots is not None
    assert len(done.spots.x) == 3
    assert done.bkg_estimate == pytest.approx(run.background(run.frame(0)))


@pytest.mark.parametrize("lacking", ["spots", "az_int_profile", "roi_integrals", "bkg_estimate"])
def test_auto_computes_what_one_image_lacks(lacking: str) -> None:
    sent = {name: value for name, value in SENT.items() if name != lacking}
    image = run.image(1, **sent)
    done = analyser(settings("auto")).complete(image, Scratch())
    assert getattr(done, lacking) is not getattr(image, lacking)
    assert same(done, image, sent)


def test_single_statistics_are_filled_in() -> None:
    image = run.image(0, pixel_sum=-3)
    done = analyser(settings("auto")).complete(image, Scratch())
    assert done.pixel_sum == -3
    assert done.error_pixel_count == 3


def test_statistics_alone_do_not_unpack_pixels() -> None:
    assert prepared(messages.settings(analysis={"image_statistics": "auto"})).analyser is None
    alone = settings(image_statistics="auto", azint="never", spots="never", roi="auto")
    image = run.image(0, roi_integrals={"beam": RoiIntegral()})
    analyse = analyser(alone)
    assert not analyse.wants(image)
    assert analyse.complete(image, Scratch()).pixel_sum is None
    assert analyse.complete(run.image(0), Scratch()).pixel_sum is not None


def test_never_computes_nothing() -> None:
    off = settings("never")
    assert prepared(off).analyser is None
    plan = run.plan(off)
    assert prepare(plan, off).plan is plan


def test_one_mode_does_not_switch_on_the_others() -> None:
    done = analyser(settings("never", spots="always")).complete(run.image(0), Scratch())
    assert done.spots is not None
    assert done.bkg_estimate is not None
    assert (done.pixel_sum, done.az_int_profile, done.roi_integrals) == (None, None, {})


@pytest.mark.parametrize("codec", [Codec.BSLZ4, Codec.BSZSTD, Codec.LZ4, Codec.NONE])
def test_every_codec(codec: Codec) -> None:
    pixels = run.frame(2)
    data = memoryview(compress(pixels, codec))
    image = run.image(2, channels={"default": Payload(data, codec, pixels.dtype, pixels.shape)})
    done = analyser(settings()).complete(image, Scratch())
    assert done.pixel_sum == run.statistics(pixels)["pixel_sum"]


def test_only_the_first_channel_counts() -> None:
    second = run.payload(np.full((run.HEIGHT, run.WIDTH), 7, np.uint16))
    image = run.image(0, channels={"one": run.payload(run.frame(0)), "two": second})
    done = analyser(settings()).complete(image, Scratch())
    assert done.pixel_sum == run.statistics(run.frame(0))["pixel_sum"]


def test_the_scratch_is_used_again() -> None:
    analyse, scratch = analyser(settings()), Scratch()
    buffers: set[int] = set()
    for number in range(4):
        done = analyse.complete(run.image(number), scratch)
        assert done.pixel_sum == run.statistics(run.frame(number))["pixel_sum"]
        buffers.add(id(scratch.pixels))
    assert len(buffers) == 1
    first = analyse.complete(run.image(0), scratch)
    profile = np.array(first.az_int_profile)
    analyse.complete(run.image(1), scratch)
    np.testing.assert_array_equal(np.asarray(first.az_int_profile), profile)


def test_a_broken_payload_is_no_reason_to_switch_off() -> None:
    analyse, scratch = analyser(settings()), Scratch()
    broken = Payload(memoryview(bytes(30)), Codec.BSLZ4, np.dtype("<u2"), (run.HEIGHT, run.WIDTH))
    with pytest.raises(PayloadError):
        analyse.complete(run.image(0, channels={"default": broken}), scratch)
    assert analyse.complete(run.image(0), scratch).pixel_sum is not None
    assert analyse.failures == {}


def test_a_quantity_that_raises_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: object, rules: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("jfwriter.analysis.statistics.image_statistics", fail)
    analyse, scratch = analyser(settings()), Scratch()
    done = analyse.complete(run.image(0), scratch)
    assert done.pixel_sum is None
    assert done.spots is not None
    assert analyse.failures == {"image_statistics": "RuntimeError: no such luck"}
    assert analyse.complete(run.image(1), scratch).spots is not None


def test_a_type_that_the_start_does_not_name() -> None:
    analyse = analyser(settings(), image_dtype=None, error_value=None)
    assert analyse.complete(run.image(0), Scratch()).error_pixel_count == 3


def test_without_geometry_the_rest_is_computed() -> None:
    found = prepared(settings(), detector_distance=None, beam_center_x=None)
    assert found.analyser is not None
    done = found.analyser.complete(run.image(0), Scratch())
    assert (done.az_int_profile, done.bkg_estimate) == (None, None)
    assert done.spots is not None
    assert done.roi_integrals["beam"].sum > 0
    reason = "the start message has no usable detector_distance, beam_center_x"
    assert found.warnings == (f"azint is not computed: {reason}", f"background is not computed: {reason}")


def test_a_mask_that_cannot_be_used_is_told() -> None:
    wrong = {"default": run.payload(np.zeros((3, 3), np.uint32))}
    found = prepared(settings(), pixel_mask=wrong)
    assert "pixel_mask 'default': 3 x 3 pixels, expected 60 x 80" in found.warnings[0]


def test_the_start_message_tells_what_is_computed() -> None:
    found = prepared(settings())
    start = found.plan.start
    assert start.max_spot_count == found.plan.max_spot_count == 250
    assert (start.az_int_bin_number, start.az_int_phi_bin_count, start.az_int_q_bin_count) == (8, 1, 8)
    assert start.az_int_bin_to_q is not None
    np.testing.assert_allclose(start.az_int_bin_to_q, 0.325 + 0.25 * np.arange(8))
    assert start.az_int_map is not None
    bins = decompress(start.az_int_map)
    assert bins.dtype == np.uint32
    assert (bins[30] == 0xFFFFFFFF).all()
    assert start.rois == (RoiBox("beam", 5, 24, 28, 33),)
    assert start.roi_map is not None
    roi_map = decompress(start.roi_map)
    assert (int(roi_map.sum()), int(roi_map[28:34, 5:25].sum())) == (120, 120)


def test_regions_of_the_start_message_win() -> None:
    sent = (RoiCircle("spot", 41.5, 22.5, 3.0),)
    found = prepared(settings(), rois=sent)
    assert found.plan.start.rois == sent
    assert found.plan.start.roi_map is not None
    assert found.analyser is not None
    done = found.analyser.complete(run.image(0), Scratch())
    assert list(done.roi_integrals) == ["spot"]
    y, x = np.mgrid[: run.HEIGHT, : run.WIDTH] + 0.5
    inside = np.hypot(x - 41.5, y - 22.5) <= 3
    assert done.roi_integrals["spot"].sum == run.frame(0)[inside].sum()


def test_the_map_of_the_start_message_wins() -> None:
    roi_map = np.zeros((run.HEIGHT, run.WIDTH), np.uint16)
    roi_map[40, 40:44] = 1
    sent = run.payload(roi_map)
    found = prepared(settings(), rois=(RoiBox("a", 0, 1, 0, 1),), roi_map=sent)
    assert found.plan.start.roi_map is sent
    assert found.analyser is not None
    done = found.analyser.complete(run.image(0), Scratch())
    assert done.roi_integrals["a"].sum == run.frame(0)[40, 40:44].sum()


def test_bins_of_the_start_message_win() -> None:
    bins = np.full((run.HEIGHT, run.WIDTH), 0xFFFFFFFF, np.uint32)
    bins[10], bins[12], bins[30] = 0, 1, 1  # row 30 is masked
    sent = run.payload(bins)
    found = prepared(settings(), az_int_bin_number=2, az_int_map=sent)
    assert found.plan.start.az_int_map is sent
    assert found.analyser is not None
    done = found.analyser.complete(run.image(0), Scratch())
    assert done.az_int_profile is not None
    expected = [run.frame(0)[10].mean(), run.frame(0)[12].mean()]
    np.testing.assert_allclose(done.az_int_profile, expected, rtol=1e-6)


def test_bins_without_a_map_are_nobody_elses() -> None:
    found = prepared(settings(), az_int_bin_number=2)
    assert any("announces bins and brings no az_int_map" in warning for warning in found.warnings)
    assert found.analyser is not None
    assert found.analyser.complete(run.image(0), Scratch()).az_int_profile is None


def test_too_many_bins_are_refused() -> None:
    few = messages.settings(
        analysis={"azint": {"mode": "always", "q_spacing": 0.001}}, limits={"max_azint_bins": 10}
    )
    assert "limits.max_azint_bins" in prepared(few).warnings[0]


@pytest.mark.parametrize(
    ("description", "changes", "n"),
    [
        ("JUNGFRAU 1M", {}, 0),
        ("JUNGFRAU 1M", {"mask_chip_edges": False}, 1),
        ("PILATUS4 2M", {}, 1),
        ("PILATUS4 2M", {"mask_chip_edges": True}, 0),
        (None, {}, 1),
    ],
)
def test_spots_between_the_chips_of_bare_modules_are_left_out(
    description: str | None, changes: dict[str, Any], n: int
) -> None:
    spots = {"mode": "always", **changes}
    wanted = messages.settings(analysis={"image_statistics": "never", "spots": spots})
    pixels = np.ones((512, 1024), np.uint16)
    pixels[100:102, 255:257] = 500
    found = analyser(
        wanted, image_size_x=1024, image_size_y=512, detector_description=description, pixel_mask={}
    )
    done = found.complete(run.image(0, channels={"default": run.payload(pixels)}), Scratch())
    assert done.spot_count == n
