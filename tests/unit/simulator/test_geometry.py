"""The q map against pyFAI."""

from __future__ import annotations

import numpy as np
import pytest

from jfwriter.simulator.detector import DETECTORS
from jfwriter.simulator.geometry import EV_ANGSTROM, Geometry
from jfwriter.simulator.options import default_geometry


def test_q_is_pyfai_s() -> None:
    pyfai = pytest.importorskip("pyFAI.geometry")
    geometry = Geometry((120, 90), 75e-6, 40.25, 66.5, 0.08, 1.1)
    ai = pyfai.Geometry(
        dist=0.08,
        poni1=66.5 * 75e-6,
        poni2=40.25 * 75e-6,
        pixel1=75e-6,
        pixel2=75e-6,
        wavelength=1.1e-10,
    )
    wanted = ai.center_array((120, 90), unit="q_A^-1")
    np.testing.assert_allclose(geometry.q_map(), wanted, rtol=2e-5, atol=1e-5)


def test_bragg_at_the_edge() -> None:
    model = DETECTORS["eiger2-4m"]
    geometry = default_geometry(model)
    centred = Geometry(geometry.shape, 75e-6, model.width / 2, model.height / 2, geometry.distance_m, 1.0)
    middle_of_edge = centred.two_theta_rows(0, 1)[0, model.width // 2]
    assert 1.0 / (2 * np.sin(middle_of_edge / 2)) == pytest.approx(2.2, rel=2e-3)
    assert centred.d_min_angstrom() < 2.2


def test_energy_and_angles_fit_the_wavelength() -> None:
    geometry = Geometry((10, 10), 75e-6, 5, 5, 0.1, 0.9)
    assert geometry.energy_eV == pytest.approx(EV_ANGSTROM / 0.9)
    q = np.array([0.5, 1.9, 3.0])
    two_theta = geometry.two_theta_from_q(q).astype(np.float32)
    np.testing.assert_allclose(geometry.q_from_two_theta(two_theta), q, rtol=1e-5)
    assert geometry.q_map().shape == (10, 10)
