"""The master file of a run, written, checked and published in one of its directories. Writer thread only."""

from __future__ import annotations

import contextlib

from jfwriter.hdf5.faults import STORAGE_FAULTS, storage_faults
from jfwriter.hdf5.file_versions import master_libver
from jfwriter.hdf5.master_file import MasterContent, write_master
from jfwriter.hdf5.new_file import new_file
from jfwriter.hdf5.publish import PendingFile
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.verify import check_master
from jfwriter.session.plan import FileFormat, RunPlan


def publish_master(directory: RunDirectory, plan: RunPlan, content: MasterContent) -> tuple[int, list[str]]:
    """(size in bytes, what was left out or replaced). Raises StorageError; nothing is left then."""
    name = plan.master_name
    pending = PendingFile(directory, name)
    try:
        with storage_faults(f"cannot create {name}"):
            file = new_file(pending.path, master_libver(plan.format))
        try:
            warnings = write_master(file, plan, content)
            with storage_faults(f"cannot close {name}"):
                file.close()
        finally:
            with contextlib.suppress(*STORAGE_FAULTS):
                file.close()
        has_images = plan.format is FileFormat.NXmxVDS and content.n_images > 0
        check_master(pending.path, name, content.n_images, has_images=has_images)
    except BaseException:
        pending.discard()
        raise
    return pending.publish(overwrite=plan.overwrite, sync=plan.sync), warnings
