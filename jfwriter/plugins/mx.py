"""`/entry/MX`, one value per image: indexing, scaling and peak counts (the spots themselves: `spots`)."""

from __future__ import annotations

from jfwriter.plugins.columns import Column, ColumnPlugin
from jfwriter.plugins.values import ascii_text, rows_of, vector
from jfwriter.session.plan import RunPlan
from jfwriter.wire.cells import CellBlock, CellColumn
from jfwriter.wire.messages import ImageMessage

NAN = float("nan")
CELL_FIELDS = ("a", "b", "c", "alpha", "beta", "gamma")


def indexing_is_on(plan: RunPlan) -> bool:
    """Does the start message name an indexing algorithm?"""
    algorithm = plan.start.indexing_algorithm
    return algorithm is not None and algorithm.strip().lower() not in {"", "none"}


def _unit_cell(image: ImageMessage) -> object:
    cell = image.indexing_unit_cell
    return None if cell is None else [getattr(cell, name) for name in CELL_FIELDS]


def _unit_cells(cells: CellBlock) -> CellColumn:
    return cells.column("indexing_unit_cell")


def mx(plan: RunPlan) -> ColumnPlugin:
    """The `[n]` and `[n, 9]` datasets of `/entry/MX`."""
    n_extra = plan.max_lattices_extra
    indexing = indexing_is_on(plan)
    columns = (
        Column("MX/strongPixels", "u4", 0, "strong_pixel_count"),
        Column("MX/peakCountUnfiltered", "u4", 0, "spot_count"),
        Column("MX/peakCountLowRes", "u4", 0, "spot_count_low_res"),
        Column("MX/peakCountIceRingRes", "u4", 0, "spot_count_ice_rings"),
        Column("MX/peakCountIndexed", "u4", 0, "spot_count_indexed"),
        Column("MX/imageIndexed", "u1", 0, "indexing_result", promised=indexing),
        Column("MX/indexingLatticeCount", "u4", 0, "indexing_lattice_count"),
        Column("MX/niggliClass", "u1", 0, "niggli_class"),
        Column("MX/bravaisLattice", "S3", b"", "bravais_lattice", convert=ascii_text(3)),
        Column("MX/profileRadius", "f4", NAN, "profile_radius", "Angstrom^-1"),
        Column("MX/mosaicity", "f4", NAN, "mosaicity", "deg"),
        Column("MX/bFactor", "f4", NAN, "b_factor", "Angstrom^2"),
        Column("MX/resolutionEstimate", "f4", NAN, "resolution_estimate", "Angstrom"),
        Column("MX/integratedReflections", "u4", 0, "integrated_reflections"),
        Column("MX/bkgEstimate", "f4", NAN, "bkg_estimate", "photons"),
        Column("MX/beam_corr_x", "f4", NAN, "beam_corr_x", "pixel"),
        Column("MX/beam_corr_y", "f4", NAN, "beam_corr_y", "pixel"),
        Column("MX/imageScaleFactor", "f4", NAN, "image_scale_factor"),
        Column("MX/imageScaleCC", "f4", NAN, "image_scale_cc"),
        Column("MX/imageScaleMosaicity", "f4", NAN, "image_scale_mosaicity", "deg"),
        Column("MX/imageScaleBFactor", "f4", NAN, "image_scale_b_factor", "Angstrom^2"),
        Column("MX/latticeIndexed", "f4", NAN, "indexing_lattice", "Angstrom", (9,), promised=indexing,
               convert=vector("f4", 9)),
        Column("MX/latticeIndexedExtra", "f4", NAN, "indexing_lattice_extra", "Angstrom", (n_extra, 9),
               convert=rows_of("f4", n_extra, 9)),
        Column("MX/unitCellIndexed", "f4", NAN, _unit_cell, None, (6,), convert=vector("f4", 6),
               of_cells=_unit_cells),
    )  # fmt: skip
    return ColumnPlugin("mx", plan, columns)
