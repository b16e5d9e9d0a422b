"""Reflections: one NXreflections group per image, named by the number of the image in the run."""

from __future__ import annotations

from typing import Any

import numpy as np

from jfwriter.plugins.reflections import COLUMNS, ReflectionsPlugin
from tests.support.messages import image
from tests.unit.plugins.conftest import OneFile


def columns(n: int, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        source: np.arange(n, dtype="i8" if dtype.kind == "i" else "f8") + position
        for position, (source, _, dtype, _) in enumerate(COLUMNS)
    }
    return {name: value for name, value in (values | changes).items() if value is not None}


def test_all_columns(one_file: OneFile) -> None:
    file = one_file.write(ReflectionsPlugin(), {1: image(5, reflections=columns(3))})
    group = file["/entry/reflections/image_000005"]
    assert group.attrs["NX_class"] == b"NXreflections"
    assert group.parent.attrs["NX_class"] == b"NXcollection"
    units = {"d": b"Angstrom", "int_sum": b"photons", "int_err": b"photons", "background_mean": b"photons",
             "predicted_x": b"pixel", "predicted_y": b"pixel", "observed_x": b"pixel",
             "observed_y": b"pixel", "delta_phi": b"deg"}  # fmt: skip
    assert set(group) == {dataset for _, dataset, _, _ in COLUMNS}
    for position, (_, dataset, dtype, _) in enumerate(COLUMNS):
        assert group[dataset].dtype == dtype
        assert group[dataset].chunks is None
        np.testing.assert_array_equal(group[dataset][()], np.arange(3) + position)
        assert group[dataset].attrs.get("units") == units.get(dataset)
    assert one_file.image_groups == {5: "/entry/reflections/image_000005"}
    assert one_file.stored == ()


def test_no_group_without_reflections(one_file: OneFile) -> None:
    images = {0: image(0), 1: image(1, reflections={}), 2: image(2, reflections=columns(0))}
    one_file.write(ReflectionsPlugin(), images)
    assert list(one_file.file["/entry"]) == []
    assert one_file.image_groups == {}


def test_columns_that_nobody_sent_are_absent(one_file: OneFile) -> None:
    sent = {"h": np.array([1, 2], "i4"), "I": np.array([np.nan, 2.0])}
    group = one_file.write(ReflectionsPlugin(), {0: image(0, reflections=sent)})[
        "/entry/reflections/image_000000"
    ]
    assert set(group) == {"h", "int_sum"}
    np.testing.assert_array_equal(group["int_sum"][()], [np.nan, 2])


def test_columns_that_do_not_fit(one_file: OneFile) -> None:
    bad = columns(
        3,
        h=np.array([2**40, -1, 1], "i8"),
        sigma=np.arange(2.0),
        d=np.array([1e300, 1.0, 2.0]),
        zeta=np.zeros((3, 2)),
    )
    group = one_file.write(ReflectionsPlugin(), {0: image(0, reflections=bad)})[
        "/entry/reflections/image_000000"
    ]
    assert group["h"][()].tolist() == [0, -1, 1]
    np.testing.assert_array_equal(group["d"][()], np.array([np.nan, 1, 2], "f4"))
    assert "int_err" not in group
    assert "zeta" not in group
    prefix = "/entry/reflections"
    assert one_file.problems == {f"{prefix}/{name}": 1 for name in ("h", "d", "int_err", "zeta")}


def test_a_repeated_image_keeps_its_first_reflections(one_file: OneFile) -> None:
    plugin = ReflectionsPlugin()
    rows = plugin.open_file(one_file.file.require_group("entry"), 4)
    for n in (2, 3):
        rows.append(0, plugin.row(image(0, reflections=columns(n)), None))
    assert one_file.file["/entry/reflections/image_000000/h"].shape == (2,)
