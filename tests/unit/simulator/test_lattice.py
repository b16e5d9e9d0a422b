"""Lattice and Ewald geometry against formulas that are written down independently here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jfwriter.simulator.geometry import Geometry
from jfwriter.simulator.lattice import (
    MAX_REFLECTIONS,
    cell_volume,
    ewald_crossings,
    miller_indices,
    random_orientation,
    real_space_lattice,
    reciprocal_basis,
    resolution_limit_angstrom,
    rotation_matrix,
)
from jfwriter.wire.messages import UnitCell

TRICLINIC = UnitCell(a=30.0, b=41.0, c=52.0, alpha=81.0, beta=97.0, gamma=104.0)
AXIS = np.array([-1.0, 0.0, 0.0])
S0 = np.array([0.0, 0.0, 1 / 0.98])


def metric(cell: UnitCell) -> np.ndarray:
    """Metric tensor a_i · a_j (International Tables C, 1.1)."""
    lengths = np.array([cell.a, cell.b, cell.c])
    cosines = np.eye(3)
    for (i, j), angle in zip(((1, 2), (0, 2), (0, 1)), (cell.alpha, cell.beta, cell.gamma), strict=True):
        cosines[i, j] = cosines[j, i] = math.cos(math.radians(angle))
    return cosines * np.outer(lengths, lengths)


def test_the_real_lattice_has_the_cell_constants() -> None:
    lattice = real_space_lattice(reciprocal_basis(TRICLINIC))
    np.testing.assert_allclose(lattice @ lattice.T, metric(TRICLINIC), rtol=1e-12, atol=1e-9)
    assert cell_volume(TRICLINIC) == pytest.approx(abs(np.linalg.det(lattice)))
    assert np.linalg.det(lattice) > 0


def test_a_cell_with_impossible_angles_has_no_volume() -> None:
    assert math.isnan(cell_volume(UnitCell(a=1, b=1, c=1, alpha=170, beta=170, gamma=170)))


def test_miller_indices_are_all_of_the_sphere() -> None:
    d_min = 6.0
    found = {tuple(row) for row in miller_indices(TRICLINIC, d_min)}
    inverse_metric = np.linalg.inv(metric(TRICLINIC))
    hkl = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    d_star_square = np.einsum("ni,ij,nj->n", hkl, inverse_metric, hkl)
    wanted = {tuple(row) for row in hkl[(d_star_square <= d_min**-2 + 1e-12) & (d_star_square > 0)]}
    assert found == wanted


def test_large_cells_get_a_lower_resolution() -> None:
    cell = UnitCell(a=400.0, b=400.0, c=400.0, alpha=90.0, beta=90.0, gamma=90.0)
    assert resolution_limit_angstrom(cell, 1.0) > 4
    assert len(miller_indices(cell, resolution_limit_angstrom(cell, 1.0))) == pytest.approx(
        MAX_REFLECTIONS, rel=0.02
    )
    assert resolution_limit_angstrom(TRICLINIC, 2.0) == 2.0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_orientations_and_rotations_are_rotations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    for matrix in (random_orientation(rng), rotation_matrix(axis / np.linalg.norm(axis), rng.uniform(-9, 9))):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1)


def test_rotation_is_right_handed() -> None:
    turned = rotation_matrix(np.array([0.0, 0.0, 1.0]), math.pi / 2) @ np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(turned, [0, 1, 0], atol=1e-15)


def test_every_crossing_lies_on_the_sphere_and_none_is_left_out() -> None:
    basis = random_orientation(np.random.default_rng(5)) @ reciprocal_basis(TRICLINIC)
    vectors = miller_indices(TRICLINIC, 3.0) @ basis.T
    crossings = ewald_crossings(vectors, AXIS, S0)
    turned = np.array(
        [
            rotation_matrix(AXIS, a) @ vectors[i]
            for i, a in zip(crossings.index, crossings.angle_rad, strict=True)
        ]
    )
    np.testing.assert_allclose(np.linalg.norm(S0 + turned, axis=1), 1 / 0.98, rtol=1e-9)
    np.testing.assert_allclose(crossings.s1, S0 + turned, atol=1e-9)
    # Independent: count the sign changes of the excitation error over a turn in small steps.
    some = np.arange(0, len(vectors), 37)
    angles = np.linspace(0, 2 * math.pi, 20_001)
    error = np.array(
        [np.linalg.norm(S0 + vectors[some] @ rotation_matrix(AXIS, a).T, axis=1) - 1 / 0.98 for a in angles]
    )
    changes = (np.diff(np.sign(error), axis=0) != 0).sum(axis=0)
    counted = np.array([(crossings.index == i).sum() for i in some])
    assert (changes == counted).mean() > 0.995  # a grazing pair may fall into one step


def test_zeta_is_the_speed_through_the_sphere() -> None:
    """Kabsch (2010): d(|s0 + r| - |s0|)/dφ = ζ |s1 x s0| / |s1| up to its sign."""
    basis = random_orientation(np.random.default_rng(6)) @ reciprocal_basis(TRICLINIC)
    vectors = miller_indices(TRICLINIC, 5.0) @ basis.T
    crossings = ewald_crossings(vectors, AXIS, S0)
    step = 1e-5
    for i, angle, s1, zeta in zip(
        crossings.index, crossings.angle_rad, crossings.s1, crossings.zeta, strict=True
    ):
        before, after = (
            np.linalg.norm(S0 + rotation_matrix(AXIS, angle + d) @ vectors[i]) for d in (-step, step)
        )
        speed = abs(zeta) * np.linalg.norm(np.cross(s1, S0)) / np.linalg.norm(S0)
        assert abs(after - before) / (2 * step) == pytest.approx(speed, rel=1e-3, abs=1e-7)


def test_projection_meets_bragg_s_law() -> None:
    geometry = Geometry((500, 400), 75e-6, 190.3, 260.8, 0.1, 0.98)
    basis = random_orientation(np.random.default_rng(7)) @ reciprocal_basis(TRICLINIC)
    vectors = miller_indices(TRICLINIC, 2.5) @ basis.T
    crossings = ewald_crossings(vectors, AXIS, S0)
    x, y = geometry.project(crossings.s1)
    seen = np.isfinite(x)
    radius_m = np.hypot(x[seen] - 190.3, y[seen] - 260.8) * 75e-6
    d = 1 / np.linalg.norm(vectors[crossings.index[seen]], axis=1)
    np.testing.assert_allclose(2 * d * np.sin(np.arctan2(radius_m, 0.1) / 2), 0.98, rtol=1e-9)


def test_beams_that_go_back_meet_no_detector() -> None:
    geometry = Geometry((10, 10), 75e-6, 5, 5, 0.1, 1.0)
    x, y = geometry.project(np.array([[0.1, 0.0, -1.0], [0.0, 0.0, 1.0]]))
    assert np.isnan(x[0])
    assert (x[1], y[1]) == (5, 5)
