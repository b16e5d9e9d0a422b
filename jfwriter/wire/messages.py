"""The messages of the stream as plain data. Attribute names are the wire's field names.

Absent fields are `None`. Every value here has passed its converter (`wire.fields`): a number is finite
unless its docstring says otherwise, and a field that came with a wrong type is absent and listed in
`problems`. Only the fields without a default are essential: a message that lacks one is refused. `source` is
the whole message as it came, a read-only view; None for a message that did not come from `decode`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from jfwriter.payload import Payload
from jfwriter.wire.values import (
    BinArray,
    FieldProblem,
    FloatArray,
    Fluorescence,
    GoniometerAxis,
    GridScan,
    Rational,
    Roi,
    RoiAzimuthal,
    RoiBox,
    RoiCircle,
    RoiIntegral,
    Spots,
    UnitCell,
    Vector3,
)

__all__ = [
    "BinArray",
    "CalibrationMessage",
    "EndMessage",
    "FieldProblem",
    "FloatArray",
    "Fluorescence",
    "GoniometerAxis",
    "GridScan",
    "ImageMessage",
    "Message",
    "MetadataMessage",
    "Rational",
    "Roi",
    "RoiAzimuthal",
    "RoiBox",
    "RoiCircle",
    "RoiIntegral",
    "Spots",
    "StartMessage",
    "UnitCell",
    "UnknownMessage",
    "Vector3",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMessage:
    """Start of a run. Units: eV, Å, m, s, deg, rad, pixel, A, K as in `docs/reference/messages/start.md`.

    `pixel_mask` maps channel -> image of integers (1, 2 or 4 bytes; uint32 by the standard), `flatfield`
    channel -> float image, still packed; they, `az_int_map` and `roi_map` have the size of the image;
    `channels` is empty when the sender did not name them. `file_format` is a number, a name that is not
    known, or None.
    `detector_distance` is filled from `detector_translation[2]` when only that was sent, and
    `incident_wavelength` and `incident_energy` from each other. `user` is JSON-like data of the
    request's header appendix; `user_data_text` the `user_data` string if it was not a JSON object.
    """

    series_id: int
    image_size_x: int
    image_size_y: int
    series_unique_id: str = ""
    """Empty: not sent."""
    number_of_images: int | None = None

    magic_number: int | None = None
    arm_date: str | None = None
    image_dtype: str | None = None
    channels: tuple[str, ...] = ()
    beam_center_x: float | None = None
    beam_center_y: float | None = None
    detector_distance: float | None = None
    detector_translation: Vector3 | None = None
    poni_rot1: float | None = None
    poni_rot2: float | None = None
    poni_rot3: float | None = None
    incident_energy: float | None = None
    incident_wavelength: float | None = None
    incident_wavelength_spread: float | None = None
    frame_time: float | None = None
    count_time: float | None = None
    pixel_size_x: float | None = None
    pixel_size_y: float | None = None
    sensor_thickness: float | None = None
    sensor_material: str | None = None
    saturation_value: int | None = None
    error_value: int | None = None
    detector_description: str | None = None
    detector_serial_number: str | None = None
    bit_depth_readout: int | None = None
    countrate_correction_enabled: bool | None = None
    flatfield_enabled: bool | None = None
    pixel_mask_enabled: bool | None = None
    virtual_pixel_interpolation_enabled: bool | None = None
    countrate_correction_lookup_table: npt.NDArray[np.generic] | None = None
    flatfield: Mapping[str, Payload] = field(default_factory=dict)
    pixel_mask: Mapping[str, Payload] = field(default_factory=dict)
    threshold_energy: Mapping[str, float] = field(default_factory=dict)
    goniometer: Mapping[str, GoniometerAxis] = field(default_factory=dict)
    grid_scan: GridScan | None = None
    summation: int | None = None
    storage_cell_number: int | None = None
    storage_cell_delay: Rational | None = None
    """ns"""
    jungfrau_conversion_enabled: bool | None = None
    jungfrau_conversion_factor: float | None = None
    geometry_transformation_enabled: bool | None = None
    max_spot_count: int | None = None
    az_int_bin_number: int | None = None
    az_int_bin_to_q: FloatArray | None = None
    az_int_bin_to_two_theta: FloatArray | None = None
    az_int_bin_to_phi: FloatArray | None = None
    az_int_q_bin_count: int | None = None
    az_int_phi_bin_count: int | None = None
    az_int_map: Payload | None = None
    rois: tuple[Roi, ...] = ()
    roi_map: Payload | None = None
    unit_cell: UnitCell | None = None
    space_group_number: int | None = None
    indexing_algorithm: str | None = None
    geom_refinement_algorithm: str | None = None
    fluorescence: Fluorescence | None = None
    ring_current: float | None = None
    sample_temperature: float | None = None
    ub_matrix: FloatArray | None = None
    """[3, 3], Å⁻¹"""

    file_prefix: str | None = None
    images_per_file: int | None = None
    file_format: int | str | None = None
    overwrite: bool | None = None
    write_master_file: bool | None = None
    socket_number: int | None = None
    source_name: str | None = None
    source_type: str | None = None
    instrument_name: str | None = None
    sample_name: str | None = None
    attenuator_transmission: float | None = None
    total_flux: float | None = None
    run_name: str | None = None
    run_number: int | None = None
    experiment_group: str | None = None
    gain_file_names: tuple[str, ...] = ()
    data_reduction_factor_serialmx: float | None = None
    jfjoch_release: str | None = None
    detect_ice_rings: bool | None = None
    writer_notification_zmq_addr: str | None = None
    user: object = None
    user_data_text: str | None = None

    problems: tuple[FieldProblem, ...] = ()
    source: memoryview | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)  # without slots: `wire.image` leaves absent fields to the class
class ImageMessage:
    """One image. `channels` maps channel name -> packed image, in the sender's order.

    `reflections` maps column name (wire spelling: h, k, l, d, I, sigma, ...; `lp` already inverted from
    `rlp`) -> array [r]. Times in s, lattices in Å, `user_data` is the sender's image appendix.
    """

    series_id: int
    image_id: int
    channels: Mapping[str, Payload]
    series_unique_id: str | None = None

    original_image_id: int | None = None
    series_date: str | None = None
    start_time: Rational | None = None
    stop_time: Rational | None = None
    real_time: Rational | None = None
    user_data: object = None

    spots: Spots | None = None
    strong_pixel_count: int | None = None
    spot_count: int | None = None
    spot_count_low_res: int | None = None
    spot_count_ice_rings: int | None = None
    spot_count_indexed: int | None = None
    az_int_profile: BinArray | None = None
    """Flat [φ·q]; NaN allowed, as in `az_int_profile_std`."""
    az_int_profile_std: BinArray | None = None
    az_int_profile_count: npt.NDArray[np.uint64] | None = None
    bkg_estimate: float | None = None
    resolution_estimate: float | None = None
    indexing_result: bool | None = None
    indexing_lattice: FloatArray | None = None
    """[9] row-major 3 x 3 real-space lattice, Å."""
    indexing_lattice_extra: FloatArray | None = None
    """[m, 9], Å."""
    indexing_lattice_count: int | None = None
    indexing_unit_cell: UnitCell | None = None
    niggli_class: int | None = None
    bravais_lattice: str | None = None
    profile_radius: float | None = None
    mosaicity: float | None = None
    b_factor: float | None = None
    beam_corr_x: float | None = None
    beam_corr_y: float | None = None
    image_scale_factor: float | None = None
    image_scale_cc: float | None = None
    image_scale_mosaicity: float | None = None
    image_scale_b_factor: float | None = None
    reflections: Mapping[str, npt.NDArray[np.generic]] | None = None
    integrated_reflections: int | None = None
    roi_integrals: Mapping[str, RoiIntegral] = field(default_factory=dict)
    min_viable_pixel_value: int | None = None
    max_viable_pixel_value: int | None = None
    pixel_sum: int | None = None
    saturated_pixel_count: int | None = None
    error_pixel_count: int | None = None
    packets_expected: int | None = None
    packets_received: int | None = None
    data_collection_efficiency: float | None = None
    storage_cell: int | None = None
    jf_info: int | None = None
    receiver_aq_dev_delay: int | None = None
    receiver_free_send_buf: int | None = None
    xfel_pulse_id: int | None = None
    xfel_event_code: int | None = None
    spot_finding_time: float | None = None
    indexing_time: float | None = None
    integration_time: float | None = None
    refinement_time: float | None = None
    processing_time: float | None = None
    bragg_prediction_time: float | None = None
    preprocessing_time: float | None = None
    compression_time: float | None = None
    azint_time: float | None = None
    index_analysis_time: float | None = None
    image_scale_time: float | None = None

    problems: tuple[FieldProblem, ...] = ()
    source: memoryview | None = field(default=None, repr=False, compare=False)
    cuts: Sequence[Sequence[int]] = field(default=(), repr=False, compare=False)
    """(offset, size) of every view of `source` among the values, at least of the pixels."""

    @property
    def has_regions(self) -> bool:
        """Whether there are sums of any region."""
        return bool(self.roi_integrals)

    def with_channels(self, channels: Mapping[str, Payload]) -> Self:
        """The same message with other channels."""
        other = object.__new__(type(self))
        object.__setattr__(other, "__dict__", {**self.__dict__, "channels": channels})
        return other

    def whole(self) -> ImageMessage:
        """The message with every value an attribute of its own."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class EndMessage:
    """End of a run. `max_image_number` counts from 1, 0: no image. `az_int_result` may hold NaN."""

    series_id: int
    series_unique_id: str | None = None
    end_date: str | None = None
    max_image_number: int | None = None
    images_collected: int | None = None
    images_sent_to_write: int | None = None
    data_collection_efficiency: float | None = None
    max_receiver_delay: int | None = None
    az_int_result: Mapping[str, FloatArray] = field(default_factory=dict)
    adu_histogram: Mapping[str, npt.NDArray[np.uint64]] = field(default_factory=dict)
    adu_histogram_bin_width: int | None = None
    bkg_estimate: float | None = None
    indexing_rate: float | None = None
    rotation_lattice: FloatArray | None = None
    rotation_lattice_extra: FloatArray | None = None
    """[m, 9]"""
    rotation_lattice_niggli_class: int | None = None
    cancelled: bool | None = None

    problems: tuple[FieldProblem, ...] = ()
    source: memoryview | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationMessage:
    """Calibration images of the run, e.g. `pedestal_g0`, still packed."""

    series_id: int
    data: Mapping[str, Payload]
    series_unique_id: str | None = None
    problems: tuple[FieldProblem, ...] = ()
    source: memoryview | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataMessage:
    """Image metadata without pixels; republished, not stored."""

    series_id: int | None = None
    problems: tuple[FieldProblem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMessage:
    """A well-formed map whose `type` is none of the stream's."""

    type: str


Message = StartMessage | ImageMessage | EndMessage | CalibrationMessage | MetadataMessage | UnknownMessage
