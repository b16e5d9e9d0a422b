"""The daemon without its sockets, on real files."""

from __future__ import annotations

from pathlib import Path

from jfwriter.hdf5.run_writer import RunWriter
from jfwriter.plugins import plugins_for
from jfwriter.settings import Settings
from tests.support import messages
from tests.support.rig import Rig


def real_rig(root: Path, **sections: dict[str, object]) -> Rig:
    """Session, pipeline and writer thread that write below `root`."""
    files = {"root_dir": str(root), "sync": False} | sections.pop("files", {})
    settings: Settings = messages.settings(files=files, **sections)
    return Rig(settings, lambda plan, on_closed: RunWriter(plan, plugins_for(plan), settings, on_closed))
