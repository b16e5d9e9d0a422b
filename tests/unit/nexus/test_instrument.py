from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import nxmx

from jfwriter.nexus.instrument import instrument
from jfwriter.nexus.root import root
from jfwriter.software import Software
from jfwriter.wire.messages import Fluorescence
from tests.support import messages


def written(file: h5py.File, warnings: list[str], **fields: Any) -> h5py.Group:
    return instrument(file, messages.start(**fields), warnings)


def test_beam(file: h5py.File, warnings: list[str]) -> None:
    beam = written(
        file,
        warnings,
        instrument_name="X06SA",
        incident_wavelength=0.75,
        incident_wavelength_spread=0.01,
        total_flux=1.5e12,
    )["beam"]
    assert warnings == []
    assert beam.attrs["NX_class"] == b"NXbeam"
    assert beam.attrs["flux"] == b"total_flux"
    assert beam["total_flux"].attrs["units"] == b"Hz"
    for name, value in (("incident_wavelength", 0.75), ("incident_wavelength_spread", 0.01)):
        assert beam[name][()] == value
        assert beam[name].attrs["units"] == b"angstrom"
    read = nxmx.NXbeam(beam)
    assert read.incident_wavelength.to("angstrom").magnitude == 0.75
    assert read.total_flux is not None


def test_what_was_not_sent_is_absent(file: h5py.File, warnings: list[str]) -> None:
    group = written(file, warnings)
    assert sorted(group) == ["beam", "name"]
    assert group["name"][()] == b"unknown"
    assert group.attrs["NX_class"] == b"NXinstrument"
    assert list(group["beam"]) == []
    assert "flux" not in group["beam"].attrs
    assert len(warnings) == 2


def test_attenuator(file: h5py.File, warnings: list[str]) -> None:
    group = written(file, warnings, attenuator_transmission=0.25)["attenuator"]
    assert group.attrs["NX_class"] == b"NXattenuator"
    assert group["attenuator_transmission"][()] == 0.25


def test_fluorescence(file: h5py.File, warnings: list[str]) -> None:
    spectrum = Fluorescence(np.array([7000.0, 7100.0]), np.array([1.0, 5.0]))
    group = written(file, warnings, fluorescence=spectrum)["fluorescence"]
    assert group.attrs["NX_class"] == b"NXcollection"
    np.testing.assert_array_equal(group["energy"], spectrum.energy)
    np.testing.assert_array_equal(group["data"], spectrum.data)
    assert group["energy"].attrs["units"] == b"eV"


def test_root_attributes(file: h5py.File) -> None:
    root(file, "day1/scan_master.h5", "2026-03-04T11:40:00Z", Software("jfwriter", "1.2", "c", "d"))
    assert dict(file.attrs) == {
        "NX_class": b"NXroot",
        "file_name": b"day1/scan_master.h5",
        "file_time": b"2026-03-04T11:40:00Z",
        "HDF5_Version": f"hdf5-{h5py.version.hdf5_version}".encode(),
        "default": b"entry",
        "creator": b"jfwriter",
        "creator_version": b"1.2",
    }
