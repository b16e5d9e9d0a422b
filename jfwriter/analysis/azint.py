"""Azimuthal integration: into the bins of the start message, else into those of the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from jfwriter.analysis.conditions import Conditions
from jfwriter.analysis.quantity import Compute, Fields, Unavailable
from jfwriter.analysis.raw import raw_payload
from jfwriter.analysis.sent_maps import sent_map
from jfwriter.analysis.wishes import AZINT
from jfwriter.analysis_settings import AzintSettings as AzintParameters
from jfwriter.kernels.azint import Azint, AzintPlan
from jfwriter.kernels.azint_map import NO_BIN, AzintMap, AzintSettings, make_azint_map, make_correction
from jfwriter.kernels.pixel_classes import Array, Image, Mask, PixelRules
from jfwriter.nexus import azint as nexus_azint
from jfwriter.wire.messages import StartMessage

_FIELDS = ("az_int_bin_to_q", "az_int_bin_to_two_theta", "az_int_bin_to_phi")


class AzimuthalIntegration:
    """Bins that the sender announced are its own: without its map nobody can integrate into them."""

    name = AZINT

    def __init__(
        self,
        start: StartMessage,
        settings: AzintParameters,
        max_bins: int,
        conditions: Conditions,
        warnings: list[str],
    ) -> None:
        parameters = AzintSettings(**settings.model_dump(exclude={"mode"}))
        self._products = conditions.products
        shape = nexus_azint.profile_shape(start)
        self._is_ours = shape is None
        if shape is None:
            self._map = _own_map(parameters, max_bins, conditions)
        else:
            self._map = _sent_map(start, shape, parameters, conditions, warnings)

    def complete(self, start: StartMessage) -> StartMessage:
        if not self._is_ours:
            return start
        n_phi, n_q = self._map.shape
        return replace(
            start,
            az_int_bin_number=n_phi * n_q,
            az_int_phi_bin_count=n_phi,
            az_int_q_bin_count=n_q,
            az_int_bin_to_q=self._map.bin_to_q.reshape(-1),
            az_int_bin_to_two_theta=self._map.bin_to_two_theta.reshape(-1),
            az_int_bin_to_phi=self._map.bin_to_phi.reshape(-1),
            az_int_map=raw_payload(self._map.bin),
        )

    def prepare(self, rules: PixelRules) -> Callable[[], Compute]:
        plan = self._products.product(AzintPlan, self._map, rules)
        return lambda: _integrator(plan)


def _integrator(plan: AzintPlan) -> Compute:
    azint = Azint(plan)

    def compute(image: Image) -> Fields:
        profile = azint.integrate(image)
        return {
            "az_int_profile": profile.mean.reshape(-1),
            "az_int_profile_std": profile.std.reshape(-1),
            "az_int_profile_count": profile.count.reshape(-1),
        }

    return compute


def _own_map(settings: AzintSettings, max_bins: int, conditions: Conditions) -> AzintMap:
    if conditions.geometry is None:
        raise Unavailable(conditions.why_no_geometry)
    try:
        found = conditions.products.product(
            make_azint_map, conditions.geometry, settings, conditions.any_rules
        )
    except ValueError as error:
        raise Unavailable(str(error)) from error
    n_bins = found.shape[0] * found.shape[1]
    if n_bins > max_bins:
        raise Unavailable(f"{n_bins} bins, expected at most {max_bins} (limits.max_azint_bins)")
    return found


def _sent_map(
    start: StartMessage,
    shape: tuple[int, int],
    settings: AzintSettings,
    conditions: Conditions,
    warnings: list[str],
) -> AzintMap:
    if start.az_int_map is None:
        raise Unavailable("the start message announces bins and brings no az_int_map for them")
    products, dtype = conditions.products, np.dtype(np.uint32)
    bins = sent_map(products, start.az_int_map, "az_int_map", warnings, shape=conditions.shape, dtype=dtype)
    if bins is None:
        raise Unavailable("the az_int_map of the start message cannot be used")
    bin_map = products.product(_usable_bins, bins, shape[0] * shape[1], conditions.excluded)
    tables: list[Array] = []
    for name in _FIELDS:
        values = getattr(start, name)
        fits = values is not None and values.size == shape[0] * shape[1]
        tables.append(np.reshape(values, shape) if fits else np.full(shape, np.nan))
    return AzintMap(bin_map, _correction(settings, conditions), *tables)


def _usable_bins(bins: Array, n_bins: int, excluded: Mask) -> Array:
    usable: Array = bins.copy()
    usable[(bins >= n_bins) | (excluded != 0)] = NO_BIN
    return usable


def _correction(settings: AzintSettings, conditions: Conditions) -> Array | None:
    """Of the settings, where the geometry is known. None: there is none."""
    if conditions.geometry is None:
        return None
    return conditions.products.product(make_correction, conditions.geometry, settings)
