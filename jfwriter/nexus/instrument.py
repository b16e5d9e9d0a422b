"""NXinstrument, NXbeam, NXattenuator and the fluorescence spectrum."""

from __future__ import annotations

import h5py

from jfwriter.nexus import fields
from jfwriter.nexus.entry import required_text
from jfwriter.wire.messages import StartMessage


def instrument(entry: h5py.Group, start: StartMessage, warnings: list[str]) -> h5py.Group:
    """NXinstrument with its name, beam, attenuator and fluorescence spectrum."""
    group = fields.group(entry, "instrument", "NXinstrument")
    fields.text(group, "name", required_text(start.instrument_name, "instrument_name", "unknown", warnings))
    beam(group, start, warnings)
    attenuator(group, start, warnings)
    fluorescence(group, start)
    return group


def beam(instrument_group: h5py.Group, start: StartMessage, warnings: list[str]) -> None:
    """NXbeam: wavelength and spread in Å, flux in photons per s (Hz).

    The unit is spelt "angstrom": NXmx readers look it up in a unit registry that has no "Angstrom".
    """
    group = fields.group(instrument_group, "beam", "NXbeam")
    if start.incident_wavelength is None:
        warnings.append("incident_wavelength: neither it nor incident_energy was sent; NXmx requires it")
    fields.optional(
        group, "incident_wavelength", start.incident_wavelength, "f8", "angstrom", warnings=warnings
    )
    fields.optional(
        group,
        "incident_wavelength_spread",
        start.incident_wavelength_spread,
        "f8",
        "angstrom",
        warnings=warnings,
    )
    if start.total_flux is not None:
        fields.scalar(group, "total_flux", start.total_flux, "f8", "Hz")
        fields.attribute(group, "flux", "total_flux")


def attenuator(instrument_group: h5py.Group, start: StartMessage, warnings: list[str]) -> None:
    """NXattenuator, only where the transmission (0 to 1) is known."""
    if start.attenuator_transmission is None:
        return
    group = fields.group(instrument_group, "attenuator", "NXattenuator")
    fields.optional(group, "attenuator_transmission", start.attenuator_transmission, "f8", warnings=warnings)


def fluorescence(instrument_group: h5py.Group, start: StartMessage) -> None:
    """X-ray fluorescence spectrum: `energy` [m] in eV, `data` [m]."""
    if start.fluorescence is None:
        return
    group = fields.collection(instrument_group, "fluorescence")
    fields.array(group, "energy", start.fluorescence.energy, "f8", "eV")
    fields.array(group, "data", start.fluorescence.data, "f8")
