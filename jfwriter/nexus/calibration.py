"""`detector/calibration` (NXcollection): pedestals and the like, as the sender measured them."""

from __future__ import annotations

from collections.abc import Iterable

import h5py

from jfwriter.nexus import fields, packed
from jfwriter.nexus.names import link_names
from jfwriter.wire.messages import CalibrationMessage


def calibration(detector: h5py.Group, messages: Iterable[CalibrationMessage], warnings: list[str]) -> None:
    """One image [y, x] per name, one chunk each; of two of the same name the first stays.

    Shape and pixel type are as sent: a detector calibrates its modules, not the assembled image.
    """
    images = [(name, payload) for message in messages for name, payload in message.data.items()]
    if not images:
        return
    group = fields.collection(detector, "calibration")
    names = link_names((name for name, _ in images), "calibration image", warnings)
    for name, payload in images:
        link = names.pop(name, None)
        if link is not None:
            packed.store(group, link, payload, f"calibration image {name!a}", warnings)
