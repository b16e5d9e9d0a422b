"""Does a master find its images? Asked under its temporary name, beside the data files it refers to."""

from __future__ import annotations

from collections.abc import Mapping

from jfwriter.errors import StorageError
from jfwriter.hdf5.faults import storage_faults
from jfwriter.hdf5.verify import REASON, n_rows_of, opened


def check_links(path: str, name: str, files: Mapping[str, int], n_files: int) -> None:
    """The master at `path`, to be called `name`, finds its images in the published data files.

    `files`: name in it -> rows of those of this writer; `n_files` that the run has in all. Every link or
    virtual source must name a file of the run; the first and the last are looked for beside the master, as
    its readers do (each was read back when it was closed; opening thousands once more would take seconds).
    Raises StorageError as `check_extents`.
    """
    found: dict[str, int] = {}
    with storage_faults(f"cannot read {name} back"):
        with opened(path) as file:
            data = file["/entry/data"]
            if "data" in data:
                named = [source.file_name.replace("%%", "%") for source in data["data"].virtual_sources()]
            else:
                named = [data.get(link, getlink=True).filename for link in data]
        for data_file in dict.fromkeys((*named[:1], *named[-1:])):
            if data_file in files:
                beside = "" if data_file.startswith("/") else f"{path.rpartition('/')[0]}/"
                with opened(beside + data_file) as source:
                    found[data_file] = n_rows_of(source, "/entry/data/data")
    lacking = ", ".join(sorted(set(files) - set(named))[:3])
    if len(set(named)) != n_files or lacking:
        text = f"{name}: refers to {len(set(named))} data files of {n_files}"
        raise StorageError(REASON, f"{text}, not to {lacking}" if lacking else text)
    for data_file, n_rows in found.items():
        if n_rows != files[data_file]:
            text = f"{name}: finds {n_rows} images in {data_file}, which has {files[data_file]}"
            raise StorageError(REASON, text)
