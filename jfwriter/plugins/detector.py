"""`/entry/detector` (integrated layout: `detectorSpecific`): number, time and diagnostics of each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from jfwriter.nexus.fields import AttributeValue
from jfwriter.plugins.columns import Column, ColumnPlugin
from jfwriter.plugins.values import Unfit, integer
from jfwriter.session.plan import RunPlan
from jfwriter.wire.cells import CellBlock, CellColumn
from jfwriter.wire.messages import ImageMessage, Rational

U8_MAX = int(np.iinfo(np.uint64).max)
COUNT = integer("u8")


class Clock:
    """Times of a run as whole ticks: the first denominator that comes is that of the whole run.

    Times with another denominator are rounded to the nearest tick. Writer thread only.
    """

    def __init__(self) -> None:
        self._denominator = 0

    def ticks(self, value: object) -> int:
        """Numerator of a time in s over the run's denominator. Raises Unfit."""
        if not isinstance(value, Rational) or not 0 < value.denominator <= U8_MAX:
            raise Unfit
        ticks = value.numerator
        if self._denominator not in {0, value.denominator}:
            ticks = (2 * ticks * self._denominator + value.denominator) // (2 * value.denominator)
        if not 0 <= ticks <= U8_MAX:
            raise Unfit
        if self._denominator == 0:
            self._denominator = value.denominator
        return ticks

    def of_cells(self, field: str) -> Callable[[CellBlock], CellColumn | None]:
        """`ticks` of the times of many images, if all of them have the run's denominator."""

        def column(cells: CellBlock) -> CellColumn | None:
            found = cells.column(field)
            if not found.n_came:
                return found
            if not self._denominator or found.n_came < len(cells):
                return None
            if (cells.denominators(field) != self._denominator).any():
                return None
            return found._replace(values=found.values.astype(np.uint64))

        return column

    def attributes(self) -> Mapping[str, AttributeValue]:
        return {"denominator": np.uint64(self._denominator)} if self._denominator else {}


def _number(image: ImageMessage) -> object:
    return image.image_id if image.original_image_id is None else image.original_image_id


def _numbers(cells: CellBlock) -> CellColumn:
    original, own = cells.column("original_image_id"), cells.column("image_id")
    return own._replace(values=np.where(original.came, original.values, own.values))


def _efficiency(image: ImageMessage) -> object:
    if image.data_collection_efficiency is not None:
        return image.data_collection_efficiency
    if image.packets_expected is None or image.packets_received is None:
        return None
    try:
        expected, received = COUNT(image.packets_expected), COUNT(image.packets_received)
    except Unfit:
        return None
    return received / expected if expected else None


def _efficiencies(cells: CellBlock) -> CellColumn:
    """As `_efficiency`, of many images."""
    said = cells.column("data_collection_efficiency")
    if said.n_came == len(cells):
        return said
    expected, received = cells.column("packets_expected"), cells.column("packets_received")
    counted = expected.came & received.came
    counted &= expected.values != 0
    share = received.values / np.where(counted, expected.values, 1)
    return CellColumn.of(np.where(said.came, said.values, share), said.came | counted)


def detector(plan: RunPlan) -> ColumnPlugin:
    """`number` is always there: -1 is the test for a row without image."""
    start, exposure = Clock(), Clock()
    columns = (
        Column("detector/number", "i8", -1, _number, promised=True, of_cells=_numbers),
        Column("detector/timestamp", "u8", 0, "start_time", convert=start.ticks,
               of_cells=start.of_cells("start_time"), attributes=start.attributes),
        Column("detector/exptime", "u8", 0, "real_time", convert=exposure.ticks,
               of_cells=exposure.of_cells("real_time"), attributes=exposure.attributes),
        Column("detector/det_info", "u4", 0, "jf_info"),
        Column("detector/storage_cell_image", "u1", 255, "storage_cell"),
        Column("detector/rcv_delay", "i8", -1, "receiver_aq_dev_delay"),
        Column("detector/rcv_free_send_buffers", "i8", -1, "receiver_free_send_buf"),
        Column("detector/packets_expected", "u8", 0, "packets_expected"),
        Column("detector/packets_received", "u8", 0, "packets_received"),
        Column("detector/data_collection_efficiency_image", "f4", float("nan"), _efficiency,
               of_cells=_efficiencies),
    )  # fmt: skip
    return ColumnPlugin("detector", plan, columns)
