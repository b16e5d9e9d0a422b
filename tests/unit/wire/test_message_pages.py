"""Every field of every message stands on its page in the reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from jfwriter.wire import aliases
from jfwriter.wire.messages import (
    CalibrationMessage,
    EndMessage,
    GoniometerAxis,
    GridScan,
    ImageMessage,
    MetadataMessage,
    RoiAzimuthal,
    RoiBox,
    RoiCircle,
    StartMessage,
)
from jfwriter.wire.spots import REFLECTION_COLUMNS, SPOT_COLUMNS
from tests.support.hostile import REASONS
from tests.support.wire_fields import ESSENTIAL, MESSAGES

PAGES = Path(__file__).parents[3] / "docs" / "reference" / "messages"
PARTS = {
    "start": (StartMessage, GoniometerAxis, GridScan, RoiBox, RoiCircle, RoiAzimuthal),
    "image": (ImageMessage,),
    "end": (EndMessage,),
    "calibration": (CalibrationMessage,),
    "metadata": (MetadataMessage,),
}
OTHERS = {
    "start": [*aliases.ROI_BOX, *aliases.ROI_CIRCLE, *aliases.ROI_AZIMUTHAL],
    "image": [
        *aliases.IMAGE,
        *aliases.SPOT,
        aliases.LATTICE_TYPE,
        *SPOT_COLUMNS,
        *REFLECTION_COLUMNS,
        "sum",
        "sum_square",
        "max",
        "pixels",
        "x_weighted",
        "y_weighted",
    ],
}


def page(kind: str) -> str:
    return (PAGES / f"{kind}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", PARTS)
def test_every_name_is_on_its_page(kind):
    names = {field.name for part in PARTS[kind] for field in dataclasses.fields(part)} - {
        "problems",
        "bit_index",
        "source",
        "cuts",
    }
    names.update(OTHERS.get(kind, ()), {"type"})
    assert [name for name in sorted(names) if f"`{name}`" not in page(kind)] == []


@pytest.mark.parametrize("kind", PARTS)
def test_essential_fields_are_bold(kind):
    bold = {name for name in MESSAGES[kind] if f"**`{name}`**" in page(kind)}
    assert bold == ESSENTIAL[kind]


def test_every_reason_of_a_refusal_is_explained():
    assert [reason for reason in sorted(REASONS) if f"`{reason}`" not in page("index")] == []


def test_every_kind_of_message_is_listed():
    assert [kind for kind in PARTS if f"[`{kind}`]({kind}.md)" not in page("index")] == []
