"""Whatever stands in the fields of an image message, no plugin raises and every dataset has its rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 registers the bitshuffle filter for reading
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jfwriter.plugins import plugins_for
from jfwriter.session.plan import RunPlan
from jfwriter.wire.messages import ImageMessage, Rational, RoiIntegral, Spots, UnitCell
from tests.support.messages import image

MakePlan = Callable[..., RunPlan]

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=True, allow_infinity=True), st.booleans()
)
DTYPES = st.sampled_from(["u1", "i2", "i4", "u4", "i8", "u8", "f4", "f8", "?", "S2", "O"])


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    shape = draw(st.sampled_from([(), (0,), (1,), (6,), (9,), (7,), (1, 9), (5, 9), (2, 3), (300,)]))
    dtype = np.dtype(draw(DTYPES))
    array = np.zeros(shape, dtype)
    if dtype.kind in "iu":
        array[...] = draw(st.sampled_from([np.iinfo(dtype).min, np.iinfo(dtype).max, 1]))
    elif dtype.kind == "f":
        array[...] = draw(st.sampled_from([np.nan, np.inf, -np.inf, np.finfo(dtype).max, 1.5]))
    return array


JUNK = st.one_of(
    st.none(),
    NUMBERS,
    st.text(max_size=4),
    st.binary(max_size=3),
    st.lists(NUMBERS, max_size=9),
    arrays(),
    st.builds(Rational, st.integers(-(2**70), 2**70), st.integers(-1, 2**70)),
)


@st.composite
def spots(draw: st.DrawFn) -> Spots:
    n = draw(st.integers(0, 8))
    columns = {
        field.name: np.full(
            draw(st.sampled_from([n, n, n, n + 1])),
            draw(st.sampled_from([1, 0])),
            draw(st.sampled_from(["f4", "i4", "i8", "f8", "u1"])),
        )
        for field in dataclasses.fields(Spots)
        if field.name in {"x", "y", "intensity"} or draw(st.booleans())
    }
    return Spots(**columns)


@st.composite
def images(draw: st.DrawFn) -> ImageMessage:
    plain = {
        field.name: draw(JUNK)
        for field in dataclasses.fields(ImageMessage)
        if field.default is None and draw(st.integers(0, 3)) == 0
    }
    integral = st.builds(
        RoiIntegral, sum=JUNK, sum_square=JUNK, max=JUNK, pixels=JUNK, x=JUNK, y=JUNK
    )  # fmt: skip
    arrays_only = {
        name: draw(arrays())
        for name in ("az_int_profile", "az_int_profile_std", "az_int_profile_count")
        if draw(st.booleans())
    }
    special: dict[str, Any] = {
        "spots": draw(st.one_of(st.none(), spots())),
        "roi_integrals": draw(st.dictionaries(st.text(max_size=3), integral, max_size=3)),
        "reflections": draw(
            st.one_of(
                st.none(), st.dictionaries(st.sampled_from(["h", "d", "I", "x", "zz"]), arrays(), max_size=3)
            )
        ),
        "indexing_unit_cell": draw(
            st.one_of(st.none(), st.builds(UnitCell, *[JUNK for _ in range(6)]))
        ),
    }  # fmt: skip
    left = {"az_int_profile", "az_int_profile_std", "az_int_profile_count", "series_unique_id"}
    plain = {name: value for name, value in plain.items() if name not in left}
    return image(0, **(plain | arrays_only | special))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(
    messages=st.lists(images(), min_size=1, max_size=3),
    configured=st.booleans(),
    layout=st.sampled_from([2, 3]),
)
def test_no_plugin_raises(
    tmp_path: Path, plan: MakePlan, messages: list[ImageMessage], configured: bool, layout: int
) -> None:
    start = {"max_spot_count": 3, "az_int_bin_number": 6, "indexing_algorithm": "FFT"} if configured else {}
    the_plan = plan(file_format=layout, **start)
    with h5py.File(tmp_path / "hostile.h5", "w") as file:
        entry = file.create_group("entry")
        for plugin in plugins_for(the_plan):
            rows = plugin.open_file(entry, 4)
            for index, message in enumerate(messages):
                row = plugin.row(message, None)
                if row is not None:
                    rows.append(index, row)
            for stored in rows.finish(5):
                assert file[stored.path].shape == (5, *stored.row_shape)
