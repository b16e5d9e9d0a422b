from __future__ import annotations

import h5py
import numpy as np
import pytest

from jfwriter.nexus.mx import run_results
from jfwriter.wire.messages import EndMessage
from tests.support import messages


def test_everything(file: h5py.File, warnings: list[str]) -> None:
    end = messages.end(
        rotation_lattice=np.arange(9.0),
        rotation_lattice_extra=np.arange(18.0).reshape(2, 9),
        rotation_lattice_niggli_class=31,
        indexing_rate=0.75,
        bkg_estimate=2.25,
    )
    start = messages.start(indexing_algorithm="FFT", geom_refinement_algorithm="BeamCenter")
    run_results(file, start, end, warnings)
    group = file["MX"]
    assert group["indexing_algorithm"][()] == b"FFT"
    assert group["geom_refinement_algorithm"][()] == b"BeamCenter"
    np.testing.assert_array_equal(group["rotationLatticeIndexed"], np.arange(9))
    np.testing.assert_array_equal(group["rotationLatticeIndexedExtra"], np.arange(18).reshape(2, 9))
    assert group["rotationLatticeNiggliClass"][()] == 31
    assert group["imageIndexedMean"][()] == 0.75
    assert group["bkgEstimateMean"][()] == 2.25
    kinds = {name: item.dtype.str for name, item in group.items() if item.dtype.kind != "S"}
    assert kinds.pop("rotationLatticeNiggliClass") == "<i4"
    assert set(kinds.values()) == {"<f4"}
    units = {name: item.attrs["units"] for name, item in group.items() if "units" in item.attrs}
    assert units == {
        "rotationLatticeIndexed": b"Angstrom",
        "rotationLatticeIndexedExtra": b"Angstrom",
        "bkgEstimateMean": b"photons",
    }
    assert warnings == []


@pytest.mark.parametrize("end", [None, messages.end()])
def test_no_group_where_there_is_nothing_to_say(
    file: h5py.File, warnings: list[str], end: EndMessage | None
) -> None:
    run_results(file, messages.start(), end, warnings)
    assert list(file) == []


def test_a_class_beyond_int32_is_left_out(file: h5py.File, warnings: list[str]) -> None:
    run_results(file, messages.start(), messages.end(rotation_lattice_niggli_class=2**40), warnings)
    assert list(file["MX"]) == []
    assert len(warnings) == 1
