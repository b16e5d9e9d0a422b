"""The master file of a run, written, checked and published in one of its directories. Writer thread only."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from jfwriter.hdf5.faults import STORAGE_FAULTS, storage_faults
from jfwriter.hdf5.file_versions import master_libver
from jfwriter.hdf5.losses import base_name
from jfwriter.hdf5.master_file import MasterContent, write_master
from jfwriter.hdf5.master_links import check_links
from jfwriter.hdf5.new_file import new_file
from jfwriter.hdf5.publish import PendingFile
from jfwriter.hdf5.run_directory import RunDirectory
from jfwriter.hdf5.verify import check_master
from jfwriter.journal.interface import Journal
from jfwriter.session.orders import ClosedFile
from jfwriter.session.plan import FileFormat, RunPlan


def publish_master(
    directory: RunDirectory,
    plan: RunPlan,
    content: MasterContent,
    files: Sequence[ClosedFile],
    journal: Journal | None = None,
) -> tuple[int, list[str]]:
    """(size in bytes, what was left out or replaced). Raises StorageError; nothing is left then.

    `files`: the published data files of this writer, which the master must find.
    """
    name = plan.master_name
    pending = PendingFile(directory, name)
    if journal is not None:
        journal.making(pending.temporary_name)
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
        rows, n_files = _sources(plan, content, files)
        check_links(pending.path, name, rows, n_files)
        if journal is not None:
            journal.master(pending.temporary_name, pending.size_bytes())
    except BaseException:
        pending.discard()
        raise
    return pending.publish(overwrite=plan.overwrite, sync=plan.sync), warnings


def _sources(
    plan: RunPlan, content: MasterContent, files: Sequence[ClosedFile]
) -> tuple[Mapping[str, int], int]:
    """(rows of the files that the master must name, by the name it gives them; how many it names in all)."""
    n_files = plan.n_files(content.n_images)
    rows: dict[str, int] = {}
    for file in files:
        found = content.pieces.get(file.file_index, ())
        # A link leads to the last piece, which has all images, also those that another piece has published.
        named = [piece for piece in found if piece.rows] if plan.format is FileFormat.NXmxVDS else found[-1:]
        if named:
            rows.update({piece.name: piece.n_rows for piece in named})
        else:
            rows[content.data_directory + base_name(file)] = file.n_rows
    if plan.format is FileFormat.NXmxVDS:
        n_files += sum(max(0, sum(1 for p in found if p.rows) - 1) for found in content.pieces.values())
    return rows, n_files
