"""A run that is prepared after another has what it would have without: to the last bit, whatever differs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jfwriter.analysis import KeptProducts, Prepared, Scratch, prepare
from jfwriter.analysis.products import Products, arrays_of
from jfwriter.analysis_settings import AzimRoi, AzintSettings, BoxRoi, CircleRoi, SpotsSettings
from jfwriter.payload import Payload
from jfwriter.settings import Settings
from jfwriter.wire.messages import RoiBox, RoiCircle, StartMessage
from tests.support import analysed_run as run
from tests.support import messages
from tests.support.bits import plain
from tests.support.payloads import packed

BOX = {"name": "b", "min_x_pxl": 5, "max_x_pxl": 24, "min_y_pxl": 28, "max_y_pxl": 33}
CIRCLE = {"name": "c", "center_x_pxl": 30.0, "center_y_pxl": 20.0, "radius_pxl": 9.0}
RING = {"name": "r", "q_min_recipA": 0.6, "q_max_recipA": 1.8, "phi_min_deg": 20.0, "phi_max_deg": 300.0}
ROIS = {"box": BOX, "circle": CIRCLE, "azim": RING}
SPOTS = {
    "signal_to_noise_threshold": 1.0,
    "adaptive_threshold": True,
    "high_resolution_limit": 3.0,
    "low_resolution_limit": 40.0,
}
AZINT = {"low_q_recipA": 0.3, "high_q_recipA": 2.2, "q_spacing": 0.25, "azimuthal_bins": 2}
OTHER_AZINT = {
    "mode": "never", "low_q_recipA": 0.35, "high_q_recipA": None, "q_spacing": 0.3, "azimuthal_bins": 3,
    "polarization_corr": False, "polarization_factor": 0.5, "solid_angle_corr": False,
}  # fmt: skip
OTHER_SPOTS = {
    "mode": "never", "signal_to_noise_threshold": 6.0, "photon_count_threshold": 70, "min_pix_per_spot": 10,
    "max_pix_per_spot": 6, "high_resolution_limit": 5.0, "low_resolution_limit": 9.0,
    "high_resolution_limit_for_spot_count_low_res": 2.0, "ice_ring_width_q_recipA": 0.9,
    "high_res_gap_Q_recipA": 0.1, "adaptive_threshold": False, "false_pixels_per_frame": 1e5,
    "mask_module_edges": False, "mask_chip_edges": False,
}  # fmt: skip
BINS = np.arange(run.HEIGHT * run.WIDTH, dtype=np.uint32).reshape(run.HEIGHT, run.WIDTH) % 7
SENT_MAPS: dict[str, Any] = {
    "az_int_bin_number": 6, "az_int_phi_bin_count": 2, "az_int_q_bin_count": 3,
    "az_int_bin_to_q": np.arange(6.0), "az_int_map": run.payload(BINS),
    "rois": (RoiBox("beam", 0, 1, 0, 1, bit_index=0), RoiCircle("ring", 1.0, 2.0, 3.0, bit_index=1)),
    "roi_map": run.payload((BINS % 4).astype(np.uint16)),
}  # fmt: skip


def settings(
    azint: Mapping[str, object] = {}, spots: Mapping[str, object] = {}, rois: Mapping[str, object] = ROIS
) -> Settings:
    analysis: dict[str, object] = {
        "image_statistics": "always", "roi": "always", "azint": {"mode": "always", **AZINT, **azint},
        "spots": {"mode": "always", **SPOTS, **spots},
        "roi_definitions": [{"type": kind, **dict(fields)} for kind, fields in rois.items()],  # type: ignore[call-overload]
    }  # fmt: skip
    return messages.settings(analysis=analysis)


def outcome(prepared: Prepared) -> object:
    """Everything that a preparation leads to: start message, warnings, what is found in images."""
    assert prepared.analyser is not None
    scratch = Scratch()
    images = [prepared.analyser.complete(run.image(number), scratch) for number in range(3)]
    return plain(prepared.plan.start), prepared.warnings, prepared.analyser.failures, plain(tuple(images))


class Case:
    """Settings and start message of a run; `after` prepares it when another one was prepared before."""

    def __init__(self, wanted: Settings | None = None, **start: Any) -> None:
        self.settings = settings() if wanted is None else wanted
        self.plan = run.plan(self.settings, **start)

    def alone(self) -> object:
        return outcome(prepare(self.plan, self.settings))

    def after(self, other: Case) -> object:
        kept = KeptProducts()
        outcome(prepare(other.plan, other.settings, kept))
        assert kept.n_bytes > 0
        return outcome(prepare(self.plan, self.settings, kept))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is computed, and not taken."""
    names: list[str] = []
    whole = Products.product

    def product(self: Products, make: Callable[..., object], *inputs: object) -> object:
        def recorded(*inputs: object) -> object:
            names.append(make.__qualname__)
            return make(*inputs)

        recorded.__module__, recorded.__qualname__ = make.__module__, make.__qualname__
        return whole(self, recorded, *inputs)

    monkeypatch.setattr(Products, "product", product)
    return names


CASES = {
    "own": {},
    "sent": SENT_MAPS,
    "packed": {"pixel_mask": {"default": packed(run.mask())}},
    "no geometry": {"detector_distance": None},
    "no mask": {"pixel_mask": {}},
    "broken maps": {
        "pixel_mask": {"default": run.payload(np.zeros((2, 2), np.uint32))},
        "roi_map": run.payload(np.zeros((2, 2), np.uint16)), "rois": SENT_MAPS["rois"],
    },
    "no type": {"image_dtype": None},
}  # fmt: skip


@pytest.mark.parametrize("start", CASES.values(), ids=CASES)
def test_an_equal_run_takes_everything_and_gets_the_same(start: Any, made: list[str]) -> None:
    alone = Case(**start).alone()
    kept = KeptProducts()
    counts = []
    for _ in range(3):
        made.clear()
        one = Case(**start)
        assert outcome(prepare(one.plan, one.settings, kept)) == alone
        counts.append(len(made))
    assert counts[0] >= 3
    assert counts[1:] == [0, 0]


@pytest.mark.parametrize("start", CASES.values(), ids=CASES)
def test_products_change_nothing(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as with plain calls."""
    with_products = Case(**start).after(Case(**start))
    with monkeypatch.context() as patched:
        patched.setattr(Products, "product", lambda _, make, *inputs: make(*inputs))
        assert Case(**start).alone() == with_products


def other_values(field: dataclasses.Field[Any]) -> Iterator[object]:
    """Of a field of the start message that analysis may look at."""
    before = getattr(run.start(**SENT_MAPS), field.name)
    kind = str(field.type)
    if isinstance(before, float):
        yield from (math.nextafter(before, math.inf), before * 1.03)
    elif kind.startswith("float"):
        yield from (0.02, -0.0)
    elif kind.startswith("int |"):
        yield (before or 6) - 1
    elif kind.startswith("str |"):
        yield "JUNGFRAU"
    if "None" in kind and before is not None:
        yield None


UNRELATED = {"file_format", "images_per_file", "number_of_images", "image_dtype", "file_prefix"}
"""Say where images go; some of the values above cannot be."""

FIELDS = [
    pytest.param(field.name, value, id=f"{field.name}={value}")
    for field in dataclasses.fields(StartMessage)
    if field.name not in UNRELATED
    for value in other_values(field)
    if isinstance(value, int | float | str | None)
]


@pytest.mark.parametrize("sent", [{}, SENT_MAPS], ids=["own", "sent"])
@pytest.mark.parametrize(("name", "value"), FIELDS)
def test_a_field_of_the_start_message_that_differs(name: str, value: object, sent: dict[str, Any]) -> None:
    one = Case(**(sent | {name: value}))
    assert one.after(Case(**sent)) == one.alone()


@pytest.mark.parametrize(
    "name", ["beam_center_x", "beam_center_y", "pixel_size_x", "pixel_size_y", "detector_distance",
             "incident_wavelength", "poni_rot1", "poni_rot2", "poni_rot3", "saturation_value", "error_value"],
)  # fmt: skip
def test_these_fields_are_among_those_and_make_a_difference(name: str) -> None:
    values = [param.values[1] for param in FIELDS if param.values[0] == name and param.values[1] is not None]
    assert any(Case(**{name: value}).alone() != Case().alone() for value in values)


@given(
    st.integers(0, run.HEIGHT - 1),
    st.integers(0, run.WIDTH - 1),
    st.sampled_from([1, 2, 1 << 8, 1 << 16, 1 << 31]),
    st.sampled_from([packed, run.payload]),
)
def test_a_single_pixel_of_the_mask(y: int, x: int, bit: int, pack: Callable[[Any], Payload]) -> None:
    mask = run.mask()
    before = Case(pixel_mask={"default": pack(mask)})
    mask[y, x] ^= np.uint32(bit)
    one = Case(pixel_mask={"default": pack(mask)})
    assert one.after(before) == one.alone()


@pytest.mark.parametrize("name", ["az_int_map", "roi_map"])
def test_a_single_pixel_of_a_sent_map(name: str) -> None:
    pixels = np.frombuffer(SENT_MAPS[name].data, SENT_MAPS[name].dtype).reshape(BINS.shape).copy()
    pixels[17, 40] += 1
    one = Case(**(SENT_MAPS | {name: run.payload(pixels)}))
    assert one.after(Case(**SENT_MAPS)) == one.alone() != Case(**SENT_MAPS).alone()


def test_bins_and_regions_that_are_sent() -> None:
    for changes in (
        {"az_int_bin_to_q": np.arange(6.0) + 1}, {"az_int_phi_bin_count": 1, "az_int_q_bin_count": 6},
        {"rois": SENT_MAPS["rois"][:1]}, {"rois": SENT_MAPS["rois"][::-1]}, {"rois": ()},
    ):  # fmt: skip
        one = Case(**(SENT_MAPS | changes))
        assert one.after(Case(**SENT_MAPS)) == one.alone() != Case(**SENT_MAPS).alone()


@pytest.mark.parametrize("sent", [{}, SENT_MAPS], ids=["own", "sent"])
@pytest.mark.parametrize("name", AzintSettings.model_fields)
def test_a_setting_of_the_integration(name: str, sent: dict[str, Any]) -> None:
    wanted = settings(
        azint={key: value for key, value in {name: OTHER_AZINT[name]}.items() if value is not None}
    )
    if name == "high_q_recipA":
        wanted = settings(azint={name: 1.7})
    one = Case(wanted, **sent)
    assert one.after(Case(**sent)) == one.alone()
    assert sent or one.alone() != Case().alone()


@pytest.mark.parametrize("name", SpotsSettings.model_fields)
def test_a_setting_of_spot_finding(name: str) -> None:
    """At spots beside a gap and on a line of virtual pixels."""
    mask = run.mask()
    mask[20] = 1
    mask[:, 12] |= np.uint32(1 << 31)
    start = {"pixel_mask": {"default": run.payload(mask)}}
    differ = []
    for adaptive in (True, False):
        before = {"adaptive_threshold": adaptive}
        base = Case(settings(spots=before), **start)
        one = Case(settings(spots=before | {name: OTHER_SPOTS[name]}), **start)
        assert one.after(base) == one.alone()
        differ.append(one.alone() != base.alone())
    assert any(differ)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind, model in (("box", BoxRoi), ("circle", CircleRoi), ("azim", AzimRoi))
        for name in model.model_fields
        if name != "type"
    ],
)
def test_a_definition_of_a_region(kind: str, name: str) -> None:
    before = ROIS[kind][name]  # type: ignore[index]
    after = (
        f"{before}2"
        if isinstance(before, str)
        else before + type(before)(1) / 2
        if isinstance(before, float)
        else before + 1
    )
    one = Case(settings(rois=ROIS | {kind: ROIS[kind] | {name: after}}))  # type: ignore[operator]
    assert one.after(Case()) == one.alone() != Case().alone()


def test_the_type_of_the_pixels() -> None:
    """Which says what an error is, where the start message does not."""
    base, other = Case(error_value=None), Case(error_value=None, image_dtype="int16")
    assert other.after(base) == other.alone()


def test_nothing_kept_is_part_of_a_message() -> None:
    """Its memory is used again."""
    mask, maps = run.payload(run.mask()), SENT_MAPS | {"az_int_bin_to_q": np.arange(6.0)}
    one, kept = Case(pixel_mask={"default": mask}, **maps), KeptProducts()
    before = outcome(prepare(one.plan, one.settings, kept))
    sent = [np.frombuffer(payload.data, np.uint8) for payload in (mask, maps["az_int_map"], maps["roi_map"])]
    arrays = [array for product in kept.begin()._known.values() for array in arrays_of(product)]
    assert arrays
    assert not any(
        np.shares_memory(array, other) for array in arrays for other in [*sent, maps["az_int_bin_to_q"]]
    )
    assert not any(array.flags.writeable for array in arrays)
    assert before == Case(pixel_mask={"default": mask}, **maps).after(one)
